"""LUTs / flip-flops of one element whose precision is chosen at run time, after Yosys without DSP blocks.

A lane of "scalable" forms one 8x8, two 8x4, four 4x4 or sixteen 2x2 products per cycle. "8x8 alone" is the element of
int8 by int8 that this project builds where the precision is fixed. "four sets" is what the same choice takes without
sharing: for each lane one multiplier of 8x8 bits, two of 8x4, four of 4x4 and sixteen of 2x2, the sum of each set, and
a choice of one sum, written as `*` and `+` with a register behind each. All with accumulator and drain, depth 1024.
"bit_serial" counts 64 pairs of bits per cycle; an 8x8 product takes 64 of them.
Deterministic. LUTs are those of benchmarks.luts; no place and route.
"""

from golden.formats import parse
from golden.precision import MODES
from golden.spec import Spec
from hdl.cells import WITHOUT_DSP
from hdl.verilog import to_verilog

from .luts import synthesize

LANES = (1, 4)


def table():
    """Rows of the table, the header first."""
    yield "element", *(f"{target} LUT / FF" for target in WITHOUT_DSP), "products per cycle"
    yield ("---",) * (len(WITHOUT_DSP) + 2)
    for lanes in LANES:
        for name in ("scalable", "8x8 alone", "four sets"):
            counts = ("{} / {}".format(*measured(name, lanes, target)) for target in WITHOUT_DSP)
            yield f"{name}, {lanes} lane{'s' * (lanes > 1)}", *counts, _products(name, lanes)
    counts = ("{} / {}".format(*measured("bit_serial", 64, target)) for target in WITHOUT_DSP)
    yield "bit_serial, 64 lanes", *counts, "64 / (bits of A * bits of W)"


def _products(name, lanes):
    if name == "8x8 alone":
        return f"{lanes} (8x8)"
    return ", ".join(f"{lanes * mode.products} ({mode.name})" for mode in MODES)


def measured(name, lanes, target):
    """(LUTs, flip-flops) of one element."""
    if name == "four sets":
        return synthesize(four_sets(lanes), "four_sets", target)
    array = "output_stationary" if name == "8x8 alone" else name
    int8 = parse("int8")
    spec = Spec(activations=int8, weights=int8, array=array, rows=1, cols=1, lanes=lanes, depth=1024)
    return synthesize(to_verilog(spec), f"{spec.name}_pe", target)


def four_sets(lanes):
    """Verilog of module `four_sets`: separate signed multipliers for each mode, the sum of the mode in use added up."""
    sums = "\n".join(_set(number, lanes) for number in range(len(MODES)))
    return f"""
module four_sets(input clk, input first, input valid, input last, input start, input [1:0] mode,
                 input [{32 * lanes - 1}:0] a, input [{32 * lanes - 1}:0] w, input signed [26:0] drain_in,
                 output reg [{32 * lanes - 1}:0] a_out, output reg [{32 * lanes - 1}:0] w_out,
                 output reg signed [26:0] drain);
  integer i;
  reg [1:0] mode_1, mode_2;
  reg signed [26:0] acc;
  reg waiting;
{sums}
  wire signed [26:0] chosen = mode_2 == 0 ? sum_0 : mode_2 == 1 ? sum_1 : mode_2 == 2 ? sum_2 : sum_3;
  always @(posedge clk) begin
    mode_1 <= mode;
    mode_2 <= mode_1;
    a_out <= a;
    w_out <= w;
    if (valid) acc <= (first ? 27'sd0 : acc) + chosen;
    if (last) begin drain <= acc; waiting <= 1; end
    else if (start | ~waiting) begin drain <= drain_in; waiting <= 0; end
  end
endmodule
"""


def _set(number, lanes):
    """Products of one mode, registered, and their sum, registered."""
    (a_bits, w_bits), count = MODES[number]
    width, total = a_bits + w_bits, lanes * count
    wide = width + (total - 1).bit_length()
    places = [
        (32 * (index // count) + a_bits * (index % count), 32 * (index // count) + w_bits * (index % count))
        for index in range(total)
    ]
    products = "\n".join(
        f"    p_{number}[{width}*{index} +: {width}] <= $signed(a[{x} +: {a_bits}]) * $signed(w[{y} +: {w_bits}]);"
        for index, (x, y) in enumerate(places)
    )
    terms = " + ".join(f"$signed(p_{number}[{width}*{index} +: {width}])" for index in range(total))
    return f"""  reg [{total * width - 1}:0] p_{number};
  reg signed [{wide - 1}:0] sum_{number};
  always @(posedge clk) begin
{products}
    sum_{number} <= {terms};
  end"""
