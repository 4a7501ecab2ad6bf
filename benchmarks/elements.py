"""LUTs / flip-flops of one element of each kind of array, int8 by int8, after Yosys without DSP blocks.

The element of the weight-stationary array is that of the last of 8 rows, whose partial sums are widest; it holds two
sets of weights, and no accumulator. A channel of the vector unit has its weights elsewhere. "bit_serial" counts pairs
of bits: a product of 8x8 bits takes 64 of them. Depth 1024.
Deterministic. LUTs are those of benchmarks.luts; no place and route.
"""

import re

from golden.formats import parse
from golden.spec import Spec
from hdl.cells import WITHOUT_DSP
from hdl.verilog import to_verilog

from .luts import synthesize

LANES = {
    "output_stationary": 4,
    "weight_stationary": 4,
    "matrix_vector": 4,
    "vector": 4,
    "scalable": 4,
    "bit_serial": 64,
}


def table():
    """Rows of the table, the header first."""
    yield "array", "lanes", *(f"{target} LUT / FF" for target in WITHOUT_DSP)
    yield ("---",) * (len(WITHOUT_DSP) + 2)
    for array, lanes in LANES.items():
        yield array, lanes, *("{} / {}".format(*measured(array, target)) for target in WITHOUT_DSP)


def measured(array, target):
    """(LUTs, flip-flops) of one element."""
    int8 = parse("int8")
    rows = 8 if array == "weight_stationary" else 1
    spec = Spec(activations=int8, weights=int8, array=array, rows=rows, cols=1, lanes=LANES[array], depth=1024)
    verilog = to_verilog(spec)
    return synthesize(verilog, element_of(spec, verilog), target)


def element_of(spec, verilog):
    """Name of the module that multiplies; of several the one with the widest sums."""
    names = re.findall(rf"^module ({spec.name}_(?:pe(?:_\d+)?|channel))\b", verilog, re.M)
    return max(names, key=lambda name: int(re.search(r"\d*$", name)[0] or 0))
