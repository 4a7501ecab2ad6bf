"""LUTs / flip-flops of one column's requantizer after Yosys, and its DSP blocks and memories; the cycles it takes.

int8 operands, depth 1024 (sums of 27 bits), bias int32 and an output zero point where the requantizer takes them,
output int8 unless it says otherwise. Of "dynamic", one column's quantizer: the array's range and ring come on top, and
are in the cycles. Shift registers in LUTs count as LUTs; memories made of LUTs (xc7: RAM32M, RAM64M,
ecp5: TRELLIS_DPR16X4) are counted beside them.
Deterministic: cells of `stat`, no place and route.
"""

import math

from golden.formats import parse
from golden.spec import Spec
from hdl.cells import WITH_DSP, cells, report_of
from hdl.requantize import requantizer_latency
from hdl.verilog import to_verilog

TANH = tuple(round(127 * math.tanh(code / 32)) for code in range(-128, 128))
OPERANDS = {"activations": parse("int8"), "weights": parse("int8"), "rows": 1, "cols": 1, "depth": 1024}


def _scaled(requantize, **fields):
    formats = {"bias": parse("int32"), "output": parse("int8")}
    return Spec(**OPERANDS | formats | {"requantize": requantize, "y_zero_point": True} | fields)


def _thresholds(output, search):
    return Spec(**OPERANDS, requantize="thresholds", threshold_search=search, output=parse(output))


CASES = {
    "shift": _scaled("shift"),
    "multiplier, 31 bits": _scaled("multiplier"),
    "multiplier, 16 bits": _scaled("multiplier", multiplier_bits=16),
    "tflite": _scaled("tflite"),
    "double_half_up": _scaled("double_half_up"),
    "tflite_single": _scaled("tflite_single"),
    "mult16": _scaled("mult16"),
    "float32": _scaled("float32"),
    "tflite and a table of 256 entries (tanh)": _scaled("tflite", table=TANH, table_input=parse("int8")),
    "dynamic, to uint8": Spec(**OPERANDS, requantize="dynamic", output=parse("uint8")),
    "255 thresholds, binary": _thresholds("int8", "binary"),
    "15 thresholds, binary, int4": _thresholds("int4", "binary"),
    "15 thresholds, parallel, int4": _thresholds("int4", "parallel"),
}


def table():
    """Rows of the table, the header first."""
    yield "requantizer", "cycles", *(f"{target} LUT / FF" for target in WITH_DSP)
    yield ("---",) * (2 + len(WITH_DSP))
    for name, spec in CASES.items():
        yield name, requantizer_latency(spec), *(measured(name, target) for target in WITH_DSP)


def measured(name, target):
    """Cells of a requantizer of CASES, for a target of hdl.cells.WITH_DSP."""
    spec = CASES[name]
    return cells(report_of(to_verilog(spec), WITH_DSP[target].format(top=f"{spec.name}_requantize")))
