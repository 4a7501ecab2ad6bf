"""Designs small enough to compute by hand and to break in every way, one for each kind of pairing and output."""

from golden.formats import parse
from golden.spec import Spec


def design(activations, weights, **fields):
    fields = {"rows": 4, "cols": 3, "lanes": 2, "depth": 9} | fields
    for name in ("output", "bias", "table_input"):
        if name in fields:
            fields[name] = parse(fields[name])
    return Spec(activations=parse(activations), weights=parse(weights), **fields)


ZERO_POINTS = {"a_zero_point": True, "y_zero_point": True}
MULTIPLIER = {"requantize": "multiplier", "bias": "int32", "output": "int8"}
THRESHOLDS = {"requantize": "thresholds"}
FLOAT = {"requantize": "float32", "bias": "int32", "output": "int8"}
PERMUTATION = tuple(31 - 5 * code % 64 for code in range(64))
DESIGNS = {
    "int8 x int4": design("int8", "int4", lanes=4, **MULTIPLIER, **ZERO_POINTS),
    "uint8 x uint8": design(
        "uint8", "uint8", w_zero_point=True, **ZERO_POINTS, **MULTIPLIER | {"output": "uint8"}, rounding="half_up"
    ),
    "binary": design("bipolar", "bipolar", lanes=7, depth=20, cols=4),
    "binary to bits": design("bipolar", "bipolar", lanes=7, depth=20, bias="int6", output="bipolar"),
    "uint5 x bipolar": design(
        "uint5", "bipolar", lanes=3, depth=10, requantize="shift", bias="int10", output="int6", rounding="floor"
    ),
    "bipolar x int3": design("bipolar", "int3", requantize="shift", output="int4", rounding="half_away"),
    "q3.4 x q2.3": design("q3.4", "q2.3", requantize="shift", output="q4.3", rounding="ceil"),
    "saturating sums": design(
        "int6", "int6", depth=24, accumulator=13, accumulator_overflow="saturate", requantize="shift", output="int7"
    ),
    "wrapping sums": design("int6", "uint5", lanes=1, accumulator=11, accumulator_overflow="wrap", bias="int5"),
    "wrapping outputs": design(
        "int6", "int5", requantize="shift", output="int6", overflow="wrap", rounding="toward_zero"
    ),
    "relu": design("int8", "int8", rows=1, activation="relu", **ZERO_POINTS, **MULTIPLIER, rounding="half_down"),
    "clip": design("int8", "int8", rows=3, clip=(-100, 50), **ZERO_POINTS, **MULTIPLIER, multiplier_bits=16),
    "dpu": design("int8", "int4", **MULTIPLIER, **ZERO_POINTS, rounding="dpu"),
    "float32": design("int8", "int8", **FLOAT, **ZERO_POINTS),
    "float32 of long sums": design("int16", "int12", **FLOAT | {"output": "uint8"}, y_zero_point=True, clip=(3, 250)),
    "relu6": design("int8", "int8", activation="relu6", **ZERO_POINTS, **MULTIPLIER, rounding="ceil"),
    "table": design("int8", "int8", **MULTIPLIER, y_zero_point=True, table=PERMUTATION, table_input="int6"),
    "table of unsigned codes": design(
        *("uint4", "int4"),
        **{"requantize": "shift", "bias": "int12", "y_zero_point": True},
        **{"output": "int6", "table": PERMUTATION, "table_input": "uint6"},
    ),
    "thresholds": design("int8", "int4", **THRESHOLDS, output="int4"),
    "parallel thresholds": design(
        "uint5", "int4", **THRESHOLDS, output="uint3", threshold_search="parallel", clip=(1, 6)
    ),
    "many thresholds": design("int8", "int8", lanes=1, **THRESHOLDS, output="int8", clip=(-100, 101)),
    "one threshold": design("bipolar", "int3", **THRESHOLDS, output="bipolar", threshold_search="parallel"),
}
