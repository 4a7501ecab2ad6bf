"""Runs the benchmarks named on the command line, or all of them, and prints their tables as Markdown.

With `--readme` the tables also replace those in README.md and docs/networks.md, between the marks `<!-- NAME -->` and
`<!-- end -->`.
"""

import importlib
import importlib.util
import re
import sys
from pathlib import Path

BENCHMARKS = (
    *("generation", "simulation", "luts", "requantizers", "elements", "precision", "formats", "kinds", "blocks"),
    *("trits", "residual", "accuracy"),
)
ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "networks.md")


def main(names, *, readme):
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        sys.exit(f"no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    for name in names or BENCHMARKS:
        module = importlib.import_module(f".{name}", __package__)
        print(f"\n## {name}\n\n{module.__doc__}\n")
        lines = []
        for row in module.table():
            lines.append("| " + " | ".join(str(cell) for cell in row) + " |")
            print(lines[-1], flush=True)
        if readme and not _missing(module):
            for document in DOCUMENTS:
                _replace(document, name, "\n".join(lines))


def _missing(module):
    """Says which package a table needs to be whole, where it is not there."""
    missing = [name for name in getattr(module, "WHOLE_WITH", ()) if importlib.util.find_spec(name) is None]
    if missing:
        print(f"\nnot written: the whole table needs {missing[0]}")
    return missing


def _replace(document, name, table):
    marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    document.write_text(marked.sub(lambda found: f"{found[1]}\n{table}\n\n{found[2]}", document.read_text()))


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main([name for name in arguments if name != "--readme"], readme="--readme" in arguments)
