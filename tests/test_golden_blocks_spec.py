"""Which blocks and float32 sums a Spec may have: each message as a whole, each derived range."""

import numpy as np
import pytest

from golden.extras import extras
from golden.formats import parse
from golden.scale_formats import PowerScale
from golden.spec import Spec
from golden.tensors import golden, operands, padded

FORMATS = ("activations", "weights", "a_block_scale", "w_block_scale", "output", "bias")
FP4 = {"activations": "float4_e2m1fn", "weights": "float4_e2m1fn"}
MX = {"block": 32, "a_block_scale": "e8m0", "w_block_scale": "e8m0"}
FLOAT = {"block_sum": "float32", "output": "float32"}
SCALES = (
    "uint1..uint16, float8_e8m0fnu, float8_e4m3fn, float8_e5m2, float8_e4m3fnuz, float8_e5m2fnuz, float6_e3m2fn, "
    "float6_e2m3fn, float4_e2m1fn, float16, bfloat16"
)


def build(**fields):
    fields = {"activations": "int8", "weights": "int4"} | fields
    return Spec(**{name: parse(value) if name in FORMATS else value for name, value in fields.items()})


REFUSED = [
    ({"activations": "float16"}, "activations must be a format of operands, not float16"),
    ({"weights": "e8m0"}, "weights must be a format of operands, not float8_e8m0fnu"),
    ({"weights": "float32"}, "weights must be a format of operands, not float32"),
    ({**MX, "block": -1}, "block must be 0 (none) or positive, not -1"),
    ({**MX, "block": 1 << 25}, "block must be at most 16777216, not 33554432"),
    ({**MX, **FLOAT, "lanes": 3}, "block must be a multiple of lanes, 3, not 32"),
    ({"w_block_scale": "uint4"}, "w_block_scale needs block, the number of elements that share it"),
    ({"w_block_zero_point": True}, "w_block_zero_point needs block, the number of elements that share it"),
    ({"block": 8}, "block needs a_block_scale, w_block_scale or w_block_zero_point"),
    ({"block": 8, "w_block_scale": "int8"}, f"w_block_scale must be one of {SCALES}, not int8"),
    ({"block": 8, "a_block_scale": "float32"}, f"a_block_scale must be one of {SCALES}, not float32"),
    ({"block": 8, "a_block_scale": "uint17"}, f"a_block_scale must be one of {SCALES}, not uint17"),
    ({"scale_range": (1, 2)}, "scale_range needs a scale of float8_e8m0fnu"),
    ({**MX, "scale_range": (0, 255)}, "scale_range must be lo <= hi within float8_e8m0fnu [0, 254], not [0, 255]"),
    ({**MX, "scale_range": (9, 8)}, "scale_range must be lo <= hi within float8_e8m0fnu [0, 254], not [9, 8]"),
    ({**MX, **FLOAT, "scale_range": (1, 9)}, "scale_range needs block_sum exact, not 'float32'"),
    (
        {**FP4, "block": 8, "w_block_zero_point": True},
        "w_block_zero_point needs an integer format of weights, not float4_e2m1fn",
    ),
    (
        {"block": 8, "w_block_zero_point": True, "w_zero_point": True},
        "w_zero_point must be left out with w_block_zero_point, which takes its place",
    ),
    ({"block_sum": "float64"}, "block_sum must be one of exact, float32, not 'float64'"),
    ({"output": "float32"}, "output float32 needs block_sum float32"),
    ({"block_sum": "float32"}, "output must be float32 with block_sum float32, not None"),
    ({"block_sum": "float32", "output": "int8"}, "output must be float32 with block_sum float32, not int8"),
    (
        {**FLOAT, "activations": "bipolar", "weights": "bipolar"},
        "block_sum float32 needs operands other than bipolar x bipolar, which no zero can pad",
    ),
    ({**FLOAT, "accumulator": 32}, "accumulator must be left out with block_sum float32, not 32"),
    (
        {"block": 8, "w_block_scale": "uint4", "accumulator_range": (-9, 9)},
        "accumulator_range must be left out with block, not (-9, 9)",
    ),
    (
        {"block": 8, "w_block_scale": "uint4", "platform": "tflite", "output": "int8", "requantize": "tflite"},
        "platform must be left out with block, not 'tflite'",
    ),
    ({**FLOAT, "requantize": "shift"}, "requantize must be none with block_sum float32, not 'shift'"),
    ({**FLOAT, "bias": "int32"}, "bias must be left out with block_sum float32, not int32"),
    ({**FLOAT, "y_zero_point": True}, "y_zero_point must be left out with block_sum float32, not True"),
    ({**FLOAT, "activation": "relu"}, "activation must be left out with block_sum float32, not relu"),
    ({**FLOAT, "overflow": "wrap"}, "overflow must be left out with block_sum float32, not wrap"),
    ({**FLOAT, "rounding": "floor"}, "rounding must be left out with block_sum float32, not floor"),
    ({**FLOAT, "clip": (0, 5)}, "clip must be left out with block_sum float32, not (0, 5)"),
    (
        {**MX, "output": "int8"},
        "block scales must leave exact sums of at most 128 bits, not 529; promise fewer exponents with scale_range, "
        "or take block_sum float32",
    ),
]


@pytest.mark.parametrize(("fields", "message"), REFUSED)
def test_refused(fields, message):
    with pytest.raises(ValueError) as error:
        build(**fields)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"block": 8.0}, "block must be an integer, not 8.0"),
        ({"a_block_scale": 4}, "a_block_scale must be a format, not 4"),
        ({"w_block_zero_point": 1}, "w_block_zero_point must be true or false, not 1"),
        ({"scale_range": [1, 2]}, "scale_range must be a pair of integers, not [1, 2]"),
        ({"block_sum": None}, "block_sum must be a string, not None"),
    ],
)
def test_wrong_kinds(fields, message):
    with pytest.raises(TypeError) as error:
        Spec(activations=parse("int8"), weights=parse("int4"), **fields)
    assert str(error.value) == message


def test_ranges_of_exact_sums():
    spec = build(block=8, depth=20, w_block_scale="uint4", a_block_scale="uint2")
    assert (spec.scales_range, spec.block_range) == ((0, 45), (-8 * 127 * 8, 8 * 128 * 8))
    assert spec.sum_range == (-20 * 127 * 8 * 45, 20 * 128 * 8 * 45)
    assert (spec.accumulator_width, str(spec.y), spec.blocks(20), spec.blocks(17), spec.blocks(16)) == (
        21,
        "int21",
        3,
        3,
        2,
    )


def test_negative_scales_widen_the_sum():
    spec = build(activations="uint4", weights="uint4", block=4, depth=4, w_block_scale="float4_e2m1fn")
    assert spec.sum_range == (-4 * 225 * 12, 4 * 225 * 12)


def test_a_promised_range_of_exponents_sets_the_grid():
    spec = build(**FP4, **MX, scale_range=(120, 130), depth=32, output="int32")
    assert spec.scale_formats == {name: PowerScale(120, 130) for name in ("a_block_scale", "w_block_scale")}
    assert (spec.scales_range, spec.accumulator_fraction) == ((1, 1 << 20), 2 + 14)
    assert spec.sum_range == (-32 * 144 << 20, 32 * 144 << 20)
    assert build(**FP4, **MX, scale_range=(130, 131), output="int32").accumulator_fraction == 2 - 6


def test_float32_sums():
    spec = build(**FP4, **MX, **FLOAT, lanes=8)
    assert (spec.accumulator_width, spec.acc_range, str(spec.y), spec.parameters) == (32, (0, 2**32 - 1), "float32", ())
    assert (spec.block_depth, spec.block_range) == (32, (-32 * 144, 32 * 144))
    plain = build(**FLOAT, lanes=4)
    assert (plain.block_depth, plain.block_range) == (4, (-4 * 127 * 8, 4 * 128 * 8))


INT4 = build(block=4, depth=10, w_block_scale="float16", w_block_zero_point=True, a_block_scale="e8m0", **FLOAT)


def arrays(**changes):
    given = {"a": np.ones((2, 9), int), "w": np.ones((9, 3), int)}
    given |= {"a_block_scale": np.full((2, 3), 127), "w_block_scale": np.full((3, 3), 0x3C00)}
    return {name: value for name, value in (given | changes).items() if value is not None}


def test_extra_arrays():
    assert {name: (extra.axes, extra.default) for name, extra in extras(INT4).items()} == {
        "a_block_scale": (("m", "blocks"), None),
        "w_block_scale": (("blocks", "n"), None),
        "w_block_zero_point": (("blocks", "n"), 0),
    }
    assert extras(build()) == {}


def test_missing_zero_points_are_zero_and_nan_is_taken_in_float32():
    given = operands(INT4, arrays(a_block_scale=np.full((2, 3), 255)))
    assert not given.extras["w_block_zero_point"].any()
    assert (golden(INT4, given) == 0x7FC00000).all()


def test_rows_and_columns_that_do_not_exist_have_scales():
    spec = build(**FP4, **MX, scale_range=(120, 130), output="int32")
    given = {"a": np.ones((1, 40), int), "w": np.ones((40, 1), int)}
    given |= {"a_block_scale": np.full((1, 2), 125), "w_block_scale": np.full((2, 1), 125)}
    wide = padded(spec, operands(spec, given), 3, 2)
    assert wide.extras["a_block_scale"].tolist() == [[125, 125], [120, 120], [120, 120]]
    assert wide.extras["w_block_scale"].tolist() == [[125, 120], [125, 120]]
    assert golden(spec, wide).tolist() == [[40 << 10, 0], [0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"a_block_scale": None}, "a_block_scale: array missing"),
        ({"a_block_scale": np.full((2, 2), 127)}, "a_block_scale must have shape [M, blocks] = [2, 3], not [2, 2]"),
        ({"w_block_scale": np.full((3, 2), 1)}, "w_block_scale must have shape [blocks, N] = [3, 3], not [3, 2]"),
        ({"w_block_scale": np.ones((3, 3))}, "w_block_scale must hold integer codes, not float64"),
        ({"a_block_scale": np.full((2, 3), 256)}, "a_block_scale[0, 0] is 256, outside float8_e8m0fnu [0, 254]"),
        ({"w_block_zero_point": np.full((3, 3), 8)}, "w_block_zero_point[0, 0] is 8, outside int4 [-8, 7]"),
    ],
)
def test_arrays_that_do_not_fit(changes, message):
    with pytest.raises(ValueError) as error:
        operands(INT4, arrays(**changes))
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("scale", "code", "message"),
    [
        ("e8m0", 255, "w_block_scale[1, 0] is 255, which is no number in float8_e8m0fnu"),
        ("e8m0", 119, "w_block_scale[1, 0] is 119, outside float8_e8m0fnu [120, 130]"),
        ("float8_e4m3fn", 127, "w_block_scale[1, 0] is 127, which is no number in float8_e4m3fn"),
        ("float16", 0x7C00, "w_block_scale[1, 0] is 31744, which is no number in float16"),
    ],
)
def test_exact_sums_take_numbers_alone(scale, code, message):
    promise = {"scale_range": (120, 130)} if scale == "e8m0" else {}
    spec = build(block=4, w_block_scale=scale, output="int32", **promise)
    given = {"a": np.ones((1, 8), int), "w": np.ones((8, 1), int), "w_block_scale": np.array([[125], [code]])}
    with pytest.raises(ValueError) as error:
        operands(spec, given)
    assert str(error.value) == message
