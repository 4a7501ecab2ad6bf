"""golden.blocks against plain Python fractions, and against numpy's float32 scalars."""

import blocks_by_hand
import numpy as np
import pytest

from golden.blocks import float32_patterns, float32_values, rounded_to_float32, scale_values
from golden.formats import parse
from golden.spec import Spec
from golden.tensors import accumulators, golden, operands
from sim.stimulus_blocks import random_blocks
from sim.stimulus_operands import random_matrices

FORMATS = ("activations", "weights", "a_block_scale", "w_block_scale", "output", "bias")
FLOAT = {"block_sum": "float32", "output": "float32"}
MX = {"a_block_scale": "e8m0", "w_block_scale": "e8m0", "block": 8}
MXFP4 = {"activations": "float4_e2m1fn", "weights": "float4_e2m1fn"}


def build(**fields):
    fields = {"rows": 3, "cols": 4, "lanes": 4, "depth": 29} | fields
    return Spec(**{name: parse(value) if name in FORMATS else value for name, value in fields.items()})


def drawn(spec, m, k, n, seed):
    """All arrays but parameters."""
    rng = np.random.default_rng(seed)
    arrays = random_matrices(rng, spec, m, k, n, ends=False)
    return arrays | random_blocks(rng, spec, arrays)


FLOATS = {
    "mxfp4": build(**MXFP4, **MX, **FLOAT),
    "mxint8": build(activations="q2.6", weights="q2.6", **MX, **FLOAT),
    "mxfp6_e3m2": build(activations="float6_e3m2fn", weights="float6_e3m2fn", **MX, **FLOAT),
    "mxfp6_e2m3": build(activations="float6_e2m3fn", weights="float6_e2m3fn", **MX, **FLOAT),
    "mxfp8_e4m3": build(activations="float8_e4m3fn", weights="float8_e4m3fn", **MX, **FLOAT),
    "mxfp8_e5m2": build(activations="float8_e5m2", weights="float8_e5m2", **MX, **FLOAT),
    "fnuz": build(activations="float8_e5m2fnuz", weights="float8_e4m3fnuz", **MX, **FLOAT),
    "nvfp4": build(**MXFP4, block=16, a_block_scale="float8_e4m3fn", w_block_scale="float8_e4m3fn", **FLOAT),
    "scales of W": build(activations="int8", weights="float4_e2m1fn", block=8, w_block_scale="bfloat16", **FLOAT),
    "int4 groups": build(
        activations="int8", weights="int4", block=12, w_block_scale="float16", w_block_zero_point=True, **FLOAT
    ),
    "zero points of A": build(
        activations="uint8",
        weights="uint4",
        block=8,
        a_zero_point=True,
        w_zero_point=True,
        w_block_scale="e8m0",
        **FLOAT,
    ),
    "beats of floats": build(activations="float8_e5m2", weights="float8_e4m3fn", lanes=3, **FLOAT),
    "beats of integers": build(activations="int32", weights="int16", lanes=5, **FLOAT),
    "wide beats": build(activations="int32", weights="int32", lanes=2, w_zero_point=True, **FLOAT),
}
EXACT = {
    "vs-quant": build(activations="int8", weights="int4", block=8, a_block_scale="uint6", w_block_scale="uint4"),
    "nvfp4": build(**MXFP4, block=16, a_block_scale="float8_e4m3fn", w_block_scale="float8_e4m3fn"),
    "mxint8": build(activations="q2.6", weights="q2.6", **MX, scale_range=(120, 130)),
    "large powers": build(**MXFP4, **MX, scale_range=(140, 145)),
    "mxfp8": build(activations="float8_e5m2", weights="float8_e4m3fn", **MX, scale_range=(120, 130), output="int64"),
    "int4 groups": build(activations="int8", weights="int4", block=4, w_block_scale="float16", w_block_zero_point=True),
    "zero points alone": build(
        activations="uint8", weights="uint4", block=8, w_block_zero_point=True, a_zero_point=True
    ),
    "one block": build(activations="int8", weights="int8", block=64, w_block_scale="uint8"),
}


@pytest.mark.parametrize("k", [1, 7, 8, 9, 29])
@pytest.mark.parametrize("name", EXACT)
def test_exact_sums(name, k):
    spec = EXACT[name]
    arrays = drawn(spec, 7, k, 5, seed=k)
    given = operands(spec, arrays)
    expected = blocks_by_hand.exact(spec, arrays)
    assert accumulators(spec, given).tolist() == expected
    lo, hi = spec.sum_range
    assert all(lo <= value <= hi for row in expected for value in row)
    if spec.output is None:
        assert golden(spec, given).tolist() == expected


@pytest.mark.parametrize("name", ["vs-quant", "nvfp4", "mxint8", "one block"])
def test_exact_sums_reach_their_range(name):
    """So that the accumulator cannot be one bit narrower."""
    spec = EXACT[name]
    sums = accumulators(spec, operands(spec, drawn(spec, 5, 29, 5, seed=1)))
    assert sums.max() == spec.sum_range[1] or sums.min() == spec.sum_range[0]


@pytest.mark.parametrize("k", [1, 13, 29])
@pytest.mark.parametrize("name", FLOATS)
def test_float32_sums(name, k):
    spec = FLOATS[name]
    for seed in range(2):
        arrays = drawn(spec, 7, k, 6, seed)
        assert golden(spec, operands(spec, arrays)).tolist() == blocks_by_hand.float32(spec, arrays)


def test_codebooks_in_blocks_are_the_integers_that_they_point_to():
    """As NF4 has it: a table, and a scale for each block."""
    fields = {"activations": "int8", "block": 8, "w_block_scale": "bfloat16", **FLOAT}
    spec, plain = build(weights="codebook4", **fields), build(weights="int8", **fields)
    arrays = drawn(spec, 5, 29, 6, seed=3)
    tables = np.broadcast_to(arrays.pop("w_codebook"), (6, 16))
    looked_up = arrays | {"w": np.take_along_axis(tables.T, arrays["w"], axis=0)}
    y = golden(spec, operands(spec, arrays | {"w_codebook": tables}))
    assert y.tolist() == golden(plain, operands(plain, looked_up)).tolist() == blocks_by_hand.float32(plain, looked_up)


def one_output(spec, a, w, **blocks):
    """The float32 of a product with one row and one column."""
    arrays = {"a": np.array([a]), "w": np.array([w]).T}
    arrays |= {name: np.array([codes]) if name[0] == "a" else np.array([codes]).T for name, codes in blocks.items()}
    return golden(spec, operands(spec, arrays)).item()


E5M2 = build(activations="float8_e5m2", weights="float8_e5m2", lanes=2, **FLOAT)
ONE, ZERO, MINUS, INF, NAN = 0x3C, 0, 0xBC, 0x7C, 0x7F
PLUS_INF, MINUS_INF, QUIET = 0x7F800000, 0xFF800000, 0x7FC00000


@pytest.mark.parametrize(
    ("a", "w", "expected"),
    [
        ([INF, ONE], [ONE, ONE], PLUS_INF),
        ([INF, ONE], [MINUS, ONE], MINUS_INF),
        ([INF, ONE], [ZERO, ONE], QUIET),
        ([INF, INF], [ONE, MINUS], QUIET),
        ([INF, ONE, INF], [ONE, ONE, MINUS], QUIET),
        ([NAN, ONE], [ZERO, ONE], QUIET),
        ([0xFF, ONE, ONE], [ONE, ONE, ONE], QUIET),
        ([ONE, MINUS], [ONE, ONE], 0),
        ([0x80, 0x80], [ONE, ONE], 0),
        ([ONE, ONE], [ONE, ONE], 0x40000000),
    ],
)
def test_infinities_nan_and_zeros_of_elements(a, w, expected):
    assert one_output(E5M2, a, w) == expected


SCALED = build(
    activations="int8", weights="int8", lanes=1, block=1, a_block_scale="e8m0", w_block_scale="e8m0", **FLOAT
)


@pytest.mark.parametrize(
    ("a", "sa", "sw", "expected"),
    [
        (1, 254, 128, PLUS_INF),  # the product of the scales is 2**128
        (-1, 254, 128, MINUS_INF),
        (0, 254, 128, QUIET),  # zero times infinity
        (2, 254, 127, PLUS_INF),
        (1, 254, 127, 0x7F000000),
        (1, 0, 105, 1),  # 2**-149, the smallest
        (1, 0, 104, 0),  # a tie, to even
        (-3, 0, 104, 0),  # the product of the scales has become zero, and minus zero is added to zero
        (3, 0, 105, 3),
        (1, 255, 127, QUIET),
        (0, 127, 255, QUIET),
    ],
)
def test_scales_that_overflow_vanish_or_are_nan(a, sa, sw, expected):
    assert one_output(SCALED, [a], [1], a_block_scale=[sa], w_block_scale=[sw]) == expected


def test_sums_that_overflow_stay_infinite_or_cancel_to_nan():
    scales = {"a_block_scale": [254, 254, 254], "w_block_scale": [127, 127, 127]}
    assert one_output(SCALED, [1, 1, -1], [1, 1, 1], **scales) == PLUS_INF
    scales["w_block_scale"] = [128, 128, 127]
    assert one_output(SCALED, [1, -1, 1], [1, 1, 1], **scales) == QUIET


def test_the_order_of_blocks_decides():
    """2**24 + 1 + 1 in float32: the ones are lost one by one, but not together."""
    spec = build(activations="int32", weights="int2", lanes=1, block_sum="float32", output="float32")
    big = 1 << 24
    assert float32_values([one_output(spec, [big, 1, 1], [1, 1, 1])]) == big
    assert float32_values([one_output(spec, [1, 1, big], [1, 1, 1])]) == big + 2
    assert float32_values([one_output(spec.with_(lanes=3), [big, 1, 1], [1, 1, 1])]) == big + 2


@pytest.mark.parametrize(
    "value", [2**24 + 1, 2**24 + 3, 2**62 + 2**38, 2**62 + 2**38 + 1, 2**90 + 2**66, 2**90 + 2**66 - 1]
)
@pytest.mark.parametrize("sign", [1, -1])
def test_integers_round_once(value, sign):
    expected = blocks_by_hand.pattern(blocks_by_hand.nearest(blocks_by_hand.Fraction(sign * value, 8)))
    for dtype in (np.int64, object) if value < 2**63 else (object,):
        assert float32_patterns(rounded_to_float32(np.array([[sign * value]], dtype), 3)).item() == expected


@pytest.mark.parametrize(
    "products",
    [
        [(2**30 + 2**6, 2**30)],  # a tie of float32
        [(2**30 + 2**6, 2**30), (1, 1)],  # just above it
        [(2**30 + 2**6, 2**30), (1, -1)],
        [(-(2**30) - 3 * 2**6, 2**30), (1, -1)],
        [(2**31 - 1, 2**31 - 1), (2**31 - 1, -(2**31 - 1)), (2**19, 2**19), (1, 2**14)],  # a short sum, a tie again
        [(2**31 - 1, 2**31 - 1), (2**31 - 1, -(2**31 - 1)), (2**19, 2**19), (1, 2**14), (1, 1)],
        [(2**31 - 1, 2**31 - 1), (2**31 - 1, -(2**31 - 1)), (-(2**19), 2**19), (1, -(2**14)), (1, -1)],
    ],
)
def test_sums_of_more_than_64_bits_round_once(products):
    """Beats of 8 products of 32 bits, which may sum to 2**65."""
    spec = build(activations="int32", weights="int32", lanes=8, block_sum="float32", output="float32")
    a, w = zip(*products, *[(0, 2**31 - 1), (2**31 - 1, 0), (0, 0), (0, 0)][: 8 - len(products)], strict=True)
    expected = blocks_by_hand.nearest(blocks_by_hand.Fraction(sum(x * y for x, y in products)))
    assert one_output(spec, a, w) == blocks_by_hand.pattern(expected)


def test_blocks_so_long_that_halves_of_them_overflow_too():
    depth = 1 << 17
    fields = {"activations": "int32", "weights": "int32", "block": depth, "depth": depth, "w_block_scale": "uint1"}
    least = [-(1 << 31)] * depth
    assert float32_values([one_output(build(**fields, **FLOAT), least, least, w_block_scale=[1])]) == 2.0**79


@pytest.mark.parametrize("name", ["float16", "bfloat16", "e8m0", "float8_e4m3fn", "uint7", "uq2.3"])
def test_values_of_scales(name):
    fmt = parse(name)
    codes = np.unique([*range(0, 1 << fmt.width, 1 << max(fmt.width - 8, 0)), *range(20), (1 << fmt.width) - 1])
    expected = [blocks_by_hand.pattern(blocks_by_hand.nearest(blocks_by_hand.number(fmt, code))) for code in codes]
    given = float32_patterns(scale_values(fmt, codes))
    assert given.tolist() == [
        0x80000000 if e == 0 and g == 0x80000000 else e for e, g in zip(expected, given, strict=True)
    ]
