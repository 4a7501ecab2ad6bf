"""Runs the benchmarks named on the command line, or all of them, and prints their tables as Markdown.

With `--readme` the tables also replace those in README.md, between the marks `<!-- NAME -->` and `<!-- end -->`.
"""

import re
import sys
from pathlib import Path

from . import blocks, formats, generation, kinds, luts, precision, requantizers, residual, simulation, trits

BENCHMARKS = {
    "generation": generation,
    "simulation": simulation,
    "luts": luts,
    "requantizers": requantizers,
    "precision": precision,
    "formats": formats,
    "kinds": kinds,
    "blocks": blocks,
    "trits": trits,
    "residual": residual,
}
README = Path(__file__).resolve().parent.parent / "README.md"


def main(names, *, readme):
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        sys.exit(f"no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    for name in names or BENCHMARKS:
        print(f"\n## {name}\n\n{BENCHMARKS[name].__doc__}\n")
        lines = []
        for row in BENCHMARKS[name].table():
            lines.append("| " + " | ".join(str(cell) for cell in row) + " |")
            print(lines[-1], flush=True)
        if readme:
            _replace(name, "\n".join(lines))


def _replace(name, table):
    marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    README.write_text(marked.sub(lambda found: f"{found[1]}\n{table}\n\n{found[2]}", README.read_text()))


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main([name for name in arguments if name != "--readme"], readme="--readme" in arguments)
