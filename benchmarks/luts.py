"""LUTs and flip-flops of one processing element (dot product and accumulator) after Yosys, DSP blocks switched off.

"plain" is the same function as people write it: registered operands, `y = y + a[i] * w[i]` in a loop (matches counted
for bipolar), one accumulator.
Deterministic. LUTs are LUT1-6 (xc7), LUT4 + 2 CCU2C (ecp5), SB_LUT4 (ice40) of `stat`; no place and route.
"""

import re

from golden.formats import parse
from golden.spec import Spec
from hdl.cells import WEIGHTS, WITHOUT_DSP, report_of
from hdl.verilog import to_verilog

CASES = (
    ("int4", "int4", 4),
    ("int4", "int4", 16),
    ("int8", "int4", 8),
    ("int8", "int8", 4),
    ("bipolar", "bipolar", 64),
)


def table():
    """Rows of the table, the header first."""
    yield "element", "target", "logic LUT", "logic FF", "dsp LUT", "dsp FF", "plain LUT", "plain FF", "best / plain LUT"
    yield ("---",) * 9
    for case in CASES:
        for target in WITHOUT_DSP:
            counts = [element(*case, style, target) for style in ("logic", "dsp")]
            counts.append(synthesize(plain(*case), "plain", target))
            ratio = min(counts[0][0], counts[1][0]) / counts[2][0]
            yield "{} x {}, {} lanes".format(*case), target, *(n for count in counts for n in count), f"{ratio:.2f}"


def element(activations, weights, lanes, style, target):
    """(LUTs, flip-flops) of a processing element."""
    spec = _spec(activations, weights, lanes, style)
    return synthesize(to_verilog(spec), f"{spec.name}_pe", target)


def _spec(activations, weights, lanes, style="logic"):
    return Spec(
        activations=parse(activations),
        weights=parse(weights),
        rows=1,
        cols=1,
        lanes=lanes,
        depth=1024,
        multiplier_style=style,
    )


def synthesize(verilog, top, target):
    """(LUTs, flip-flops) of module `top` in a Verilog text, for a target of hdl.cells.WITHOUT_DSP."""
    return counts(report_of(verilog, WITHOUT_DSP[target].format(top=top)))


def counts(report):
    """(LUTs, flip-flops) from a report of Yosys' `stat`."""
    cells = {name: int(count) for count, name in re.findall(r"^\s+(\d+)\s+(\S+)$", report, re.M)}
    luts = sum(WEIGHTS.get(name, 1) * n for name, n in cells.items() if re.match(r"LUT\d|SB_LUT4|CCU2C", name))
    return luts, sum(n for name, n in cells.items() if re.match(r"FD|TRELLIS_FF|SB_DFF", name))


def plain(activations, weights, lanes):
    """Verilog of module `plain`, the usual way to write the same element."""
    spec = _spec(activations, weights, lanes)
    a, w = spec.activations.width, spec.weights.width
    product = f"$signed(ar[{a}*i +: {a}]) * $signed(wr[{w}*i +: {w}])"
    if spec.is_binary:
        product = "(ar[i] ~^ wr[i])"
    total = f"2 * y - {lanes}" if spec.is_binary else "y"
    return f"""
module plain(input clk, input first, input valid, input [{lanes * a - 1}:0] a, input [{lanes * w - 1}:0] w,
             output reg signed [{spec.accumulator_width - 1}:0] acc);
  reg [{lanes * a - 1}:0] ar;
  reg [{lanes * w - 1}:0] wr;
  reg signed [{spec.accumulator_width - 1}:0] y;
  integer i;
  always @* begin
    y = 0;
    for (i = 0; i < {lanes}; i = i + 1) y = y + {product};
  end
  always @(posedge clk) begin
    ar <= a;
    wr <= w;
    if (valid) acc <= (first ? 0 : acc) + {total};
  end
endmodule
"""
