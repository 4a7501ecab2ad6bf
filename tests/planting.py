"""Faults planted in emitted Verilog by rewriting a line of it, and the outputs that a simulation then gives."""

import re
from functools import cache

from hdl.verilog import to_verilog
from sim.replay import build_bench, replay

verilog = cache(to_verilog)


def planted(spec, module, pattern, replacement, hits):
    """The Verilog with one line of one module rewritten, wherever it stands; it must stand there `hits` times."""
    text = verilog(spec)
    start = text.index(f"module {spec.name}_{module}(")
    end = text.index("endmodule", start)
    changed, count = re.subn(pattern, replacement, text[start:end])
    assert count == hits, f"{count} places in {module} match {pattern}, not {hits}"
    return text[:start] + changed + text[end:]


def with_declaration(spec, text, module, declaration):
    """The Verilog with lines put at the beginning of a module's body."""
    head = re.compile(rf"(module {spec.name}_{module}\(.*?\);\n)", re.DOTALL)
    return head.sub(lambda found: found[1] + declaration, text, count=1)


def simulated(spec, text, given, folder, monkeypatch):
    """What Icarus makes of this Verilog: output codes."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    return replay(build_bench(spec, text, "icarus"), spec, given, folder / "run").y
