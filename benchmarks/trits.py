"""LUTs of what unpacks a byte of five trits, after Yosys: digit by digit as in hdl/trits.py, and with `/` and `%`."""

from golden.formats import parse
from golden.spec import Spec
from hdl.cells import WITHOUT_DSP
from hdl.verilog import to_verilog

from .luts import synthesize

PLAIN = """
module plain(input clk, input [7:0] i, output reg [9:0] o);
  function [1:0] code(input [7:0] digit);
    code = digit == 0 ? 2'b11 : digit == 1 ? 2'b00 : 2'b01;
  endfunction
  always @(posedge clk)
    o <= i > 242 ? 0 : {code(i / 81), code(i / 27 % 3), code(i / 9 % 3), code(i / 3 % 3), code(i % 3)};
endmodule
"""


def table():
    """Rows of the table, the header first."""
    yield "target", "LUT", "LUT with / and %"
    yield ("---",) * 3
    for target in WITHOUT_DSP:
        yield target, unpacker(target)[0], synthesize(PLAIN, "plain", target)[0]


def unpacker(target):
    """(LUTs, flip-flops) of the register of one byte."""
    spec = Spec(activations=parse("int8"), weights=parse("ternary"), rows=1, cols=1, lanes=5, w_packing="trits")
    return synthesize(to_verilog(spec), f"{spec.name}_trits", target)
