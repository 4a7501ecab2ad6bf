"""LUTs / flip-flops of one processing element that sums blocks, by how it sums them, and its longest path.

"no scales" is the plain element: one exact sum without blocks. "exact" scales each block's sum exactly (16 exponents of
float8_e8m0fnu are promised), "float32" rounds it to float32 and adds in float32. 4 lanes, depth 1024, DSP blocks
switched off; shift registers in LUTs count as LUTs. "levels" are those of 6-input LUTs on the longest path between
registers where there are no carry chains.
Deterministic: cells of `stat` and `ltp`, no place and route.
"""

import re
import tempfile
from pathlib import Path

from golden.block_formats import NAMED_BLOCKS
from golden.formats import parse
from golden.spec import Spec
from hdl.cells import WITHOUT_DSP, Cells, cells, report_of
from hdl.element import element_latency
from hdl.verilog import run_yosys, to_verilog

NAMES = ("mxfp4", "mxint8")
SUMS = ("no scales", "exact", "float32")
PROMISED = (119, 134)


def element(name, sums) -> Spec:
    """A design of one element: both operands of a named block format, summed in one of SUMS."""
    fmt = NAMED_BLOCKS[name]
    fields = {"activations": fmt.element, "weights": fmt.element, "rows": 1, "cols": 1, "lanes": 4, "depth": 1024}
    if sums == "no scales":
        return Spec(**fields, requantize="shift", output=parse("int8"))
    fields |= {"block": fmt.block, "a_block_scale": fmt.scale, "w_block_scale": fmt.scale}
    if sums == "float32":
        return Spec(**fields, block_sum="float32", output=parse("float32"))
    promised = {"scale_range": PROMISED} if fmt.scale.name == "float8_e8m0fnu" else {}
    return Spec(**fields, **promised, requantize="shift", output=parse("int8"))


def measured(name, sums, target) -> Cells:
    """Cells of the element for a target of hdl.cells.WITHOUT_DSP."""
    spec = element(name, sums)
    return cells(report_of(to_verilog(spec), WITHOUT_DSP[target].format(top=f"{spec.name}_pe")))


def levels(name, sums):
    """6-input LUTs on the longest path between registers, carry chains left out."""
    spec = element(name, sums)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "design.v"
        source.write_text(to_verilog(spec))
        log = run_yosys(f"read_verilog {source}", f"synth -flatten -lut 6 -top {spec.name}_pe", "ltp -noff")
    return int(re.findall(r"Longest topological path in \S+ \(length=(\d+)\)", log)[-1])


def table():
    """Rows of the table, the header first."""
    yield "element", "sums", "accumulator", "latency", *WITHOUT_DSP, "levels"
    yield ("---",) * (5 + len(WITHOUT_DSP))
    for name in NAMES:
        for sums in SUMS:
            spec = element(name, sums)
            width = "float32" if spec.is_float_sum else f"{spec.accumulator_width} bits"
            counts = [str(measured(name, sums, target)) for target in WITHOUT_DSP]
            yield name, sums, width, element_latency(spec), *counts, levels(name, sums)
