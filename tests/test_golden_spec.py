"""golden.spec: each message as a whole, each derived range by enumeration of tiny formats."""

from itertools import product as every

import numpy as np
import pytest

from golden.formats import Integer, parse
from golden.spec import Spec, product_interval, scale_interval

INT4, INT8, BIPOLAR = parse("int4"), parse("int8"), parse("bipolar")
REQUANTIZERS = (
    "none, shift, multiplier, thresholds, dynamic, tflite, double_half_up, tflite_single, mult16, float32, float64_away"
)
DYNAMIC = {"requantize": "dynamic", "output": parse("uint8")}
ROUNDINGS = "floor, ceil, toward_zero, half_up, half_down, half_away, half_even, dpu"
NAME_RULE = "name must be a letter, then at most 63 letters, digits or underscores"


def spec(**changes):
    return Spec(**{"activations": INT4, "weights": INT4, **changes})


KINDS = [
    ({"activations": "int4"}, "activations must be a format, not 'int4'"),
    ({"weights": None}, "weights must be a format, not None"),
    ({"weights": 4}, "weights must be a format, not 4"),
    ({"rows": 8.0}, "rows must be an integer, not 8.0"),
    ({"cols": "8"}, "cols must be an integer, not '8'"),
    ({"lanes": True}, "lanes must be an integer, not True"),
    ({"depth": None}, "depth must be an integer, not None"),
    ({"depth": np.int64(4)}, "depth must be an integer, not np.int64(4)"),
    ({"accumulator": 20.5}, "accumulator must be an integer, not 20.5"),
    ({"accumulator": True}, "accumulator must be an integer, not True"),
    ({"accumulator_overflow": 1}, "accumulator_overflow must be a string, not 1"),
    ({"accumulator_range": [0, 1]}, "accumulator_range must be a pair of integers, not [0, 1]"),
    ({"accumulator_range": (0, 1.0)}, "accumulator_range must be a pair of integers, not (0, 1.0)"),
    ({"accumulator_range": (0, True)}, "accumulator_range must be a pair of integers, not (0, True)"),
    ({"bias": "int8"}, "bias must be a format, not 'int8'"),
    ({"requantize": None}, "requantize must be a string, not None"),
    ({"multiplier_bits": "31"}, "multiplier_bits must be an integer, not '31'"),
    ({"rounding": 0}, "rounding must be a string, not 0"),
    ({"overflow": None}, "overflow must be a string, not None"),
    ({"activation": False}, "activation must be a string, not False"),
    ({"clip": (0, 1, 2)}, "clip must be a pair of integers, not (0, 1, 2)"),
    ({"clip": 3}, "clip must be a pair of integers, not 3"),
    ({"output": 8}, "output must be a format, not 8"),
    ({"a_zero_point": 1}, "a_zero_point must be true or false, not 1"),
    ({"w_zero_point": None}, "w_zero_point must be true or false, not None"),
    ({"y_zero_point": "yes"}, "y_zero_point must be true or false, not 'yes'"),
    ({"name": 3}, "name must be a string, not 3"),
    ({"residual": True}, "residual must be an integer, not True"),
    ({"residual_of": None}, "residual_of must be a string, not None"),
]

VALUES = [
    *[({field: 0}, f"{field} must be positive, not 0") for field in ("rows", "cols", "lanes", "depth")],
    *[({field: -1}, f"{field} must be positive, not -1") for field in ("rows", "cols", "lanes", "depth")],
    *[({field: 1025}, f"{field} must be at most 1024, not 1025") for field in ("rows", "cols", "lanes")],
    ({"depth": 2**24 + 1}, "depth must be at most 16777216, not 16777217"),
    *[({"name": name}, f"{NAME_RULE}, not {name!r}") for name in ("", "8x8", "_a", "a-b", "a b", "a\n", "é", "a" * 65)],
    ({"pass_rows": 0}, "pass_rows must be positive, not 0"),
    ({"pass_rows": 65537}, "pass_rows must be at most 65536, not 65537"),
    (
        {"residual": 2, "block": 8, "a_block_scale": parse("uint4")},
        "residual takes no blocks and no float32 sums",
    ),
    ({"residual": 2, "weights": parse("codebook4")}, f"residual takes no codebook, not {parse('codebook4')}"),
    ({"residual": 17}, "residual must be 0 to 16 bits, not 17"),
    ({"residual": -1}, "residual must be 0 to 16 bits, not -1"),
    ({"residual": 1, "residual_of": "w"}, "residual_of must be one of weights, activations, not 'w'"),
    ({"residual_of": "activations"}, "residual_of 'activations' needs residual, 1 bit at least"),
    ({"residual": 2, "array": "vector", "rows": 1}, "residual needs array 'output_stationary', not 'vector'"),
    (
        {"residual": 2, "w_zero_point": True},
        "w_zero_point must be left out with residual codes of the weights",
    ),
    (
        {"residual": 2, "residual_of": "activations", "a_zero_point": True},
        "a_zero_point must be left out with residual codes of the activations",
    ),
    (
        {"residual": 4, "accumulator": 10, "accumulator_overflow": "saturate"},
        "accumulator_overflow must be wrap with residual, not 'saturate'",
    ),
    ({"array": "vector"}, "rows must be 1 with array 'vector', not 8"),
    ({"activations": parse("int33")}, "activations must be at most 32 bits wide, not int33"),
    ({"weights": parse("uq16.17")}, "weights must be at most 32 bits wide, not uq16.17"),
    ({"activations": BIPOLAR, "a_zero_point": True}, "a_zero_point needs an integer format, not bipolar"),
    ({"weights": BIPOLAR, "w_zero_point": True}, "w_zero_point needs an integer format, not bipolar"),
    ({"accumulator_overflow": "clip"}, "accumulator_overflow must be one of wrap, saturate, not 'clip'"),
    ({"accumulator": 1}, "accumulator must be 2 to 128 bits, not 1"),
    ({"accumulator": 129}, "accumulator must be 2 to 128 bits, not 129"),
    (
        {"accumulator": 16},
        "accumulator must be at least 17 bits, not 16: 512 products of int4 and int4 sum to -28672..32768; "
        "or give accumulator_overflow",
    ),
    (
        {"accumulator": 7, "accumulator_range": (-65, 10)},
        "accumulator must be at least 8 bits, not 7: 512 products of int4 and int4 sum to -65..10; "
        "or give accumulator_overflow",
    ),
    ({"accumulator_range": (1, 5)}, "accumulator_range must hold 0 and lie in [-28672, 32768], not [1, 5]"),
    ({"accumulator_range": (-5, -1)}, "accumulator_range must hold 0 and lie in [-28672, 32768], not [-5, -1]"),
    ({"accumulator_range": (-28673, 0)}, "accumulator_range must hold 0 and lie in [-28672, 32768], not [-28673, 0]"),
    ({"accumulator_range": (0, 32769)}, "accumulator_range must hold 0 and lie in [-28672, 32768], not [0, 32769]"),
    (
        {"requantize": "scale"},
        f"requantize must be one of {REQUANTIZERS}, not 'scale'",
    ),
    ({"dynamic_scale": "last_tile"}, "dynamic_scale must be one of same_tile, next_tile, not 'last_tile'"),
    ({**DYNAMIC, "output": INT8}, "output must be uint8 with requantize 'dynamic', not int8"),
    (
        {**DYNAMIC, "array": "vector", "rows": 1},
        "array must be output_stationary with requantize 'dynamic', not 'vector', which finds no ranges",
    ),
    ({**DYNAMIC, "rounding": "floor"}, "rounding is part of requantize 'dynamic'; leave it out, not 'floor'"),
    ({**DYNAMIC, "overflow": "wrap"}, "overflow is part of requantize 'dynamic'; leave it out, not 'wrap'"),
    ({**DYNAMIC, "bias": INT8}, "bias must be left out with requantize 'dynamic', not int8"),
    ({**DYNAMIC, "y_zero_point": True}, "y_zero_point must be left out with requantize 'dynamic', not True"),
    ({**DYNAMIC, "activation": "relu"}, "activation must be left out with requantize 'dynamic', not relu"),
    ({**DYNAMIC, "clip": (0, 9)}, "clip must be left out with requantize 'dynamic', not [0, 9]"),
    (
        {**DYNAMIC, "weights": BIPOLAR},
        "weights must have a zero with requantize 'dynamic', whose ranges pads must not widen, not bipolar",
    ),
    (
        {**DYNAMIC, "activations": parse("int32"), "weights": parse("int32")},
        "requantize 'dynamic' takes sums of at most 63 bits, not 73",
    ),
    ({"rounding": "nearest"}, f"rounding must be one of {ROUNDINGS}, not 'nearest'"),
    ({"overflow": "clip"}, "overflow must be one of wrap, saturate, not 'clip'"),
    ({"activation": "gelu"}, "activation must be one of none, relu, relu6, not 'gelu'"),
    ({"multiplier_bits": 7}, "multiplier_bits must be 8 to 32, not 7"),
    ({"multiplier_bits": 33}, "multiplier_bits must be 8 to 32, not 33"),
    ({"bias": BIPOLAR}, "bias needs an integer format, not bipolar"),
    ({"requantize": "shift"}, "output must be given with requantize 'shift'"),
    ({"requantize": "multiplier"}, "output must be given with requantize 'multiplier'"),
    (
        {"activations": parse("int32"), "weights": parse("int32")},
        "output must be given: the exact sum needs 73 bits, outputs have at most 64",
    ),
    (
        {"activations": parse("uint31"), "weights": parse("uint32"), "depth": 2},
        "output must be given: the exact sum needs 65 bits, outputs have at most 64",
    ),
    ({"output": BIPOLAR, "overflow": "wrap"}, "overflow must be saturate for bipolar outputs, not 'wrap'"),
    ({"output": BIPOLAR, "y_zero_point": True}, "bipolar outputs take no y_zero_point, clip or activation"),
    ({"output": BIPOLAR, "clip": (0, 1)}, "bipolar outputs take no y_zero_point, clip or activation"),
    ({"output": BIPOLAR, "activation": "relu"}, "bipolar outputs take no y_zero_point, clip or activation"),
    ({"output": INT8, "clip": (-129, 0)}, "clip must be lo <= hi within int8 [-128, 127], not [-129, 0]"),
    ({"output": INT8, "clip": (0, 128)}, "clip must be lo <= hi within int8 [-128, 127], not [0, 128]"),
    ({"output": INT8, "clip": (3, 2)}, "clip must be lo <= hi within int8 [-128, 127], not [3, 2]"),
    ({"clip": (0, 99999)}, "clip must be lo <= hi within int17 [-65536, 65535], not [0, 99999]"),
    (
        {"array": "bit_serial", "weights": parse("sm4")},
        "weights must be an integer or fixed-point format with array 'bit_serial', which multiplies bit planes of "
        "two's complement, not sm4",
    ),
    (
        {"array": "bit_serial", "accumulator_overflow": "saturate"},
        "accumulator_overflow must be wrap with array 'bit_serial', not 'saturate'",
    ),
    (
        {"array": "scalable", "weights": parse("int9")},
        "weights must be at most 8 bits wide with array 'scalable', not int9",
    ),
    (
        {"array": "scalable", "activations": parse("ternary")},
        "activations must be an integer or fixed-point format with array 'scalable', which multiplies pairs of bits of "
        "two's complement, not ternary",
    ),
    *[
        (
            {"array": "scalable", name: True},
            f"{name} must be left out with array 'scalable'; put its effect into the bias",
        )
        for name in ("a_zero_point", "w_zero_point")
    ],
    (
        {"array": "bit_serial", "multiplier_style": "dsp"},
        "multiplier_style must be auto with array 'bit_serial', not 'dsp'",
    ),
    ({"output": INT8, "clip": (0, 1), "overflow": "wrap"}, "clip needs overflow saturate, not 'wrap'"),
]


@pytest.mark.parametrize(("changes", "message"), KINDS)
def test_wrong_kinds(changes, message):
    with pytest.raises(TypeError) as error:
        spec(**changes)
    assert str(error.value) == message


@pytest.mark.parametrize(("changes", "message"), VALUES)
def test_wrong_values(changes, message):
    with pytest.raises(ValueError) as error:
        spec(**changes)
    assert str(error.value) == message


@pytest.mark.parametrize(
    "changes",
    [
        {field: limit for field, limit in (("rows", 1024), ("cols", 1024), ("lanes", 1024), ("depth", 2**24))},
        {"rows": 1, "cols": 1, "lanes": 1, "depth": 1},
        {"array": "weight_stationary", "pass_rows": 1},
        {"array": "weight_stationary", "pass_rows": 65536},
        {"name": "a" * 64},
        {"activations": parse("int32"), "weights": parse("uint32"), "output": parse("int64")},
        {"activations": parse("uint31"), "weights": parse("uint32"), "depth": 1},
        {"accumulator": 17},
        {"accumulator": 128},
        {"accumulator": 2, "accumulator_overflow": "wrap"},
        {"accumulator": 16, "accumulator_overflow": "saturate"},
        {"accumulator": 8, "accumulator_range": (-128, 127)},
        {"accumulator_range": (-28672, 32768)},
        {"accumulator_range": (0, 0)},
        {"multiplier_bits": 8},
        {"multiplier_bits": 32},
        {"output": INT8, "clip": (-128, 127)},
        {"output": INT8, "clip": (5, 5)},
        {"output": BIPOLAR, "requantize": "shift"},
        {"bias": parse("int64"), "output": INT8},
    ],
)
def test_limits_are_allowed(changes):
    built = spec(**changes)
    assert {name: getattr(built, name) for name in changes} == changes


def test_operand_formats_are_needed_and_fields_are_named():
    for arguments in ({}, {"activations": INT4}):
        with pytest.raises(TypeError, match="missing"):
            Spec(**arguments)
    with pytest.raises(TypeError, match="positional"):
        Spec(INT4, INT4)


def test_a_changed_copy_is_validated():
    built = spec()
    assert built.with_(rows=3) == spec(rows=3) != built
    with pytest.raises(ValueError) as error:
        built.with_(rows=0)
    assert str(error.value) == "rows must be positive, not 0"
    with pytest.raises(AttributeError):
        built.rows = 3


TINY = ["int1", "uint1", "int2", "uint2", "int3", "uint3", "q1.2", "bipolar"]


def numbers(name, zero_point=False):
    """Every decoded operand less every zero point, from the definition of the format."""
    if name == "bipolar":
        return [-1, 1]
    fmt = parse(name)
    codes = range(-(2 ** (fmt.width - 1)), 2 ** (fmt.width - 1)) if fmt.signed else range(2**fmt.width)
    return sorted({code - point for code in codes for point in (codes if zero_point else [0])})


def pairings():
    """Pairs of tiny formats, each with and without zero points where it admits them."""
    sides = [
        (name, zero_point) for name in TINY for zero_point in (False, True) if not (name == "bipolar" and zero_point)
    ]
    return [(*a, *w) for a, w in every(sides, sides)]


@pytest.mark.parametrize(("a", "a_zero", "w", "w_zero"), pairings())
def test_ranges_of_every_operand_pair(a, a_zero, w, w_zero):
    built = Spec(activations=parse(a), weights=parse(w), depth=3, lanes=2, a_zero_point=a_zero, w_zero_point=w_zero)
    a_values, w_values = numbers(a, a_zero), numbers(w, w_zero)
    products = {x * y for x in a_values for y in w_values}
    assert built.a_range == (min(a_values), max(a_values))
    assert built.w_range == (min(w_values), max(w_values))
    assert built.product_range == (min(products), max(products))
    beats = {sum(some) for count in range(3) for some in every(products, repeat=count)}
    assert built.beat_range == (min(beats), max(beats))
    sums = {beat + product for beat in beats for product in products | {0}}
    assert built.sum_range == built.sum_range_of_formats == built.acc_range == (min(sums), max(sums))
    fits = [width for width in range(1, 20) if -(2 ** (width - 1)) <= min(sums) and max(sums) < 2 ** (width - 1)]
    assert built.exact_accumulator_width == built.accumulator_width == fits[0]
    assert built.accumulator_is_exact


@pytest.mark.parametrize("bias", [None, "int2", "uint3"])
@pytest.mark.parametrize("kind", ["none", "shift", "multiplier"])
@pytest.mark.parametrize("accumulator", [None, 3])
def test_ranges_behind_the_accumulator(accumulator, kind, bias):
    built = Spec(
        activations=parse("int2"),
        weights=parse("uint2"),
        depth=2,
        accumulator=accumulator,
        accumulator_overflow="wrap",
        bias=parse(bias) if bias else None,
        requantize=kind,
        multiplier_bits=8,
        output=INT8,
    )
    products = {x * y for x in numbers("int2") for y in numbers("uint2")}
    totals = range(-4, 4) if accumulator else {x + y for x in products for y in products}
    biased = [total + code for total in totals for code in (numbers(bias) if bias else [0])]
    scaled = [value * m for value in biased for m in (range(256) if kind == "multiplier" else [1])]
    assert built.acc_range == (min(totals), max(totals))
    assert built.biased_range == (min(biased), max(biased))
    assert built.scaled_range == (min(scaled), max(scaled))


def test_product_interval():
    intervals = [(lo, hi) for lo in range(-3, 4) for hi in range(lo, 4)]
    for a, w in every(intervals, intervals):
        products = [x * y for x in range(a[0], a[1] + 1) for y in range(w[0], w[1] + 1)]
        assert product_interval(a, w) == (min(products), max(products))


@pytest.mark.parametrize(("lo", "hi"), [(-3, 2), (1, 3), (-4, -2), (0, 0)])
def test_scale_interval(lo, hi):
    for count in range(4):
        sums = [sum(some) for n in range(count + 1) for some in every(range(lo, hi + 1), repeat=n)]
        assert scale_interval((lo, hi), count) == (min(sums), max(sums))


def test_a_promised_range_replaces_that_of_the_formats():
    built = spec(accumulator_range=(-100, 27))
    assert built.sum_range == built.acc_range == (-100, 27)
    assert built.sum_range_of_formats == (-28672, 32768)
    assert (built.exact_accumulator_width, built.y) == (8, Integer(8, signed=True))


@pytest.mark.parametrize("rule", ["wrap", "saturate"])
def test_a_narrow_accumulator_gives_all_its_codes(rule):
    built = spec(accumulator=6, accumulator_overflow=rule)
    assert not built.accumulator_is_exact
    assert built.acc_range == built.biased_range == built.scaled_range == (-32, 31)
    assert str(built.y) == "int6"


def test_output_format_and_range():
    assert str(spec().y) == "int17"
    assert str(spec(bias=parse("int16")).y) == "int17"
    assert str(spec(bias=parse("uint16")).y) == "int18"
    assert spec().clip_range == (-65536, 65535)
    assert spec(output=INT8).clip_range == (-128, 127)
    assert spec(output=INT8, clip=(-3, 5)).clip_range == (-3, 5)
    assert spec(output=BIPOLAR).clip_range == (0, 1)


@pytest.mark.parametrize(
    ("a", "w", "y", "fraction", "shift"),
    [
        ("q1.3", "q2.2", "q4.4", 5, 1),
        ("q1.3", "q2.2", "int8", 5, 5),
        ("q1.3", "bipolar", "q2.6", 3, 0),
        ("int4", "int4", "int8", 0, 0),
    ],
)
def test_grids(a, w, y, fraction, shift):
    built = spec(activations=parse(a), weights=parse(w), output=parse(y), requantize="shift")
    assert (built.accumulator_fraction, built.grid_shift) == (fraction, shift)


PARAMETERS = [
    ({}, {}),
    ({"bias": parse("int20")}, {"bias": "int20"}),
    ({"requantize": "shift"}, {"shift": "uint6"}),
    ({"requantize": "multiplier"}, {"multiplier": "uint31", "shift": "uint6"}),
    (
        {"requantize": "multiplier", "multiplier_bits": 16, "bias": parse("int32"), "y_zero_point": True},
        {"bias": "int32", "multiplier": "uint16", "shift": "uint6", "y_zero_point": "int8"},
    ),
    ({"y_zero_point": True, "a_zero_point": True}, {"y_zero_point": "int8"}),
]


@pytest.mark.parametrize(("changes", "formats"), PARAMETERS)
def test_parameters(changes, formats):
    built = spec(output=INT8, **changes)
    assert built.parameters == tuple(formats)
    assert {name: str(fmt) for name, fmt in built.parameter_formats.items()} == formats


@pytest.mark.parametrize(
    ("a", "w", "binary"), [(BIPOLAR, BIPOLAR, True), (BIPOLAR, INT4, False), (INT4, BIPOLAR, False)]
)
def test_is_binary(a, w, binary):
    assert Spec(activations=a, weights=w).is_binary is binary


@pytest.mark.parametrize(("k", "lanes", "beats"), [(1, 1, 1), (1, 4, 1), (4, 4, 1), (5, 4, 2), (512, 3, 171)])
def test_beats(k, lanes, beats):
    assert spec(lanes=lanes).beats(k) == beats


@pytest.mark.parametrize(("k", "rows", "lanes", "beats"), [(1, 1, 1, 1), (12, 3, 4, 1), (13, 3, 4, 2), (512, 8, 3, 22)])
def test_beats_of_stationary_weights(k, rows, lanes, beats):
    """One beat of A brings rows * lanes steps of K."""
    built = spec(array="weight_stationary", rows=rows, lanes=lanes)
    assert (built.beat_depth, built.beats(k)) == (rows * lanes, beats)
