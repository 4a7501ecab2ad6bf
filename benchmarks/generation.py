"""Time to generate an n x n x 1 int8 array, median of three, and size of the Verilog; ratios to n = 8, same run."""

import statistics
import time

from golden.formats import parse
from golden.spec import Spec
from hdl.verilog import to_verilog

SIZES = (8, 16, 32, 64, 128, 256)
RUNS = 3


def spec(size):
    """The array that is generated, with all parameters that a column can take."""
    int8 = parse("int8")
    return Spec(
        activations=int8,
        weights=int8,
        rows=size,
        cols=size,
        bias=parse("int32"),
        requantize="multiplier",
        y_zero_point=True,
        output=int8,
    )


def table():
    """Rows of the table, the header first."""
    yield "n", "PEs", "seconds", "ratio", "lines", "ratio", "lines per row + column"
    yield ("---",) * 7
    base = None
    for size in SIZES:
        seconds, lines = _measure(spec(size))
        base = base or (seconds, lines)
        yield (
            size,
            size * size,
            f"{seconds:.2f}",
            f"{seconds / base[0]:.1f}",
            lines,
            f"{lines / base[1]:.1f}",
            f"{lines / (2 * size):.1f}",
        )


def _measure(design):
    times, lines = [], 0
    for _ in range(RUNS):
        start = time.perf_counter()
        lines = to_verilog(design).count("\n")
        times.append(time.perf_counter() - start)
    return statistics.median(times), lines
