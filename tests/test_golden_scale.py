"""Fixed-point scaling against the formulas of the C sources, in plain Python integers.

The C code decides a tie by a nudge whose sign depends on the product and a division that truncates, or by a mask and a
threshold; golden/scale.py by a named rounding. Both must give the same int32, for every input.
"""

import math
import random
from fractions import Fraction

import numpy as np
import pytest

from golden import rules, scale

INT_MIN, INT_MAX = -(2**31), 2**31 - 1
CORNERS = [INT_MIN, INT_MIN + 1, -(2**30) - 1, -(2**30), -3, -2, -1, 0, 1, 2, 3, 2**30 - 1, 2**30, INT_MAX - 1, INT_MAX]


def c_divide(a, b):
    """C's `/`: towards zero."""
    return -(-a // b) if a < 0 else a // b


def c_int32(value):
    """What is left of a sum or a left shift in 32 bits."""
    return (value + 2**31) % 2**32 - 2**31


def c_srdhm(a, b):
    """gemmlowp fixedpoint.h, SaturatingRoundingDoublingHighMul."""
    if a == b == INT_MIN:
        return INT_MAX
    product = a * b
    return c_divide(product + (2**30 if product >= 0 else 1 - 2**30), 2**31)


def c_rdbpot(x, exponent):
    """gemmlowp fixedpoint.h, RoundingDivideByPOT."""
    mask = (1 << exponent) - 1
    threshold = (mask >> 1) + (1 if x < 0 else 0)
    return (x >> exponent) + (1 if x & mask > threshold else 0)


def c_rounding_shift(x, exponent):
    """ARM's VRSHL by a negative amount."""
    return (x + (1 << exponent - 1)) >> exponent if exponent else x


def c_tflite(x, multiplier, shift):
    """tflite-micro common.cc, MultiplyByQuantizedMultiplier without TFLITE_SINGLE_ROUNDING."""
    return c_rdbpot(c_srdhm(c_int32(x * 2 ** max(shift, 0)), multiplier), max(-shift, 0))


def c_double_half_up(x, multiplier, shift):
    """ruy kernel_avx512.cc: the products rounded to 32 bits, then shifted with one half added."""
    return c_rounding_shift(c_srdhm(c_int32(x * 2 ** max(shift, 0)), multiplier), max(-shift, 0))


def c_single(x, multiplier, shift):
    """tflite-micro common.cc with TFLITE_SINGLE_ROUNDING, before its assertion that the result is an int32."""
    total = 31 - shift
    return (x * multiplier + (1 << total - 1)) >> total


def c_mult16(x, multiplier, shift):
    """tflite-micro common.cc, MultiplyByQuantizedMultiplier of int64, with its reduced multiplier."""
    reduced = (multiplier + (1 << 15)) >> 16 if multiplier < 0x7FFF0000 else 0x7FFF
    total = 15 - shift
    return (x * reduced + (1 << total - 1)) >> total


def c_tosa(x, multiplier, shift):
    """TOSA's apply_scale_32 with double rounding: a nudge of 2**30 with the sign of the value if shift > 31."""
    shift = 31 - shift
    total = x * multiplier + (1 << shift - 1)
    if shift > 31:
        total += 2**30 if x >= 0 else -(2**30)
    return total >> shift


def randoms(count, seed):
    """(value, multiplier, shift) of all magnitudes, in the ranges of an int32 and of an encoded scale."""
    draw = random.Random(seed)
    for _ in range(count):
        value = draw.randrange(INT_MIN, INT_MAX + 1) >> draw.randrange(32)
        yield value, draw.choice((2**30, INT_MAX, draw.randrange(2**30, 2**31))), draw.randrange(-31, 8)


CORNER_CASES = [(x, m, s) for x in CORNERS for m in (0, 2**30, 2**30 + 1, INT_MAX - 1, INT_MAX) for s in range(-31, 31)]
SMALL_CASES = [(x, m, s) for x in range(-300, 301) for m in (2**30, 3 * 2**29, 2**31 - 1) for s in range(-9, 3)]
CASES = [*SMALL_CASES, *CORNER_CASES, *randoms(100_000, seed=1)]
FUNCTIONS = {rule: getattr(scale, rule) for rule in ("tflite", "double_half_up", "tflite_single", "mult16")}
RULES = {"tflite": c_tflite, "double_half_up": c_double_half_up, "tflite_single": c_single, "mult16": c_mult16}


def scaled(rule, x, multiplier, shift):
    """The rule of golden/scale.py; `mult16` with the multiplier it wants."""
    if rule == "mult16":
        multiplier = scale.reduce_multiplier(multiplier)
    return FUNCTIONS[rule](x, multiplier, shift)


def arrays(cases):
    return (np.array(column) for column in zip(*cases, strict=True))


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_as_the_c_source_has_it(rule):
    cases = [case for case in CASES if rule != "mult16" or case[2] < 8]
    assert len(cases) > 100_000
    assert [scaled(rule, *case) for case in cases] == [RULES[rule](*case) for case in cases]


@pytest.mark.parametrize("rule", RULES)
def test_an_array_is_its_elements(rule):
    cases = [case for case in CASES if rule != "mult16" or case[2] < 8]
    x, multiplier, shift = arrays(cases)
    if rule == "mult16":
        multiplier = np.array([scale.reduce_multiplier(int(m)) for m in multiplier])
    result = FUNCTIONS[rule](x, multiplier, shift)
    assert result.dtype == np.int64
    assert result.tolist() == [RULES[rule](*case) for case in cases]


def test_the_table_of_rules_is_whole():
    assert {name for name, rule in rules.RULES.items() if not rule.is_float} == set(RULES)


def test_doubling_high_multiply_on_corners_and_random_pairs():
    draw = random.Random(2)
    pairs = [(a, b) for a in CORNERS for b in CORNERS]
    pairs += [tuple(draw.randrange(INT_MIN, INT_MAX + 1) >> draw.randrange(32) for _ in "ab") for _ in range(100_000)]
    pairs += [(sign * odd << 15, 2**15) for odd in range(1, 2001, 2) for sign in (1, -1)]  # ties: odd * 2**30
    assert [scale.doubling_high_multiply(a, b) for a, b in pairs] == [c_srdhm(a, b) for a, b in pairs]
    a, b = arrays(pairs)
    assert scale.doubling_high_multiply(a, b).tolist() == [c_srdhm(a, b) for a, b in pairs]
    assert scale.doubling_high_multiply(INT_MIN, INT_MIN) == INT_MAX


def test_tosa_with_double_rounding_is_tflite():
    """Though TOSA takes the sign of the value, gemmlowp that of the rounded product."""
    cases = [(x, m, s) for x, m, s in CASES if s < 30 and -(2 ** (30 - s)) <= x < 2 ** (30 - s) and m]
    assert len(cases) > 50_000
    assert [scale.tflite(*case) for case in cases] == [c_tosa(*case) for case in cases]


def test_a_left_shift_wraps():
    assert scale.tflite(2**30, INT_MAX, 1) == c_tflite(2**30, INT_MAX, 1) == INT_MIN + 1
    assert scale.tflite(2**30, INT_MAX, 2) == 0
    assert scale.wrap32(2**31) == INT_MIN
    assert scale.wrap32(np.array([INT_MIN - 1, 2**32, -(2**40) - 5])).tolist() == [INT_MAX, 0, -5]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("tflite", {1: 1, -1: 0, -3: -1, -6: -2, 2: 1, -2: -1}),
        ("double_half_up", {1: 1, -1: 0, -3: 0, -6: -1, 2: 1, -2: 0}),
        ("tflite_single", {1: 0, -1: 0, -3: -1, -6: -1, 2: 1, -2: 0}),
        ("mult16", {1: 0, -1: 0, -3: -1, -6: -1, 2: 1, -2: 0}),
    ],
)
def test_a_quarter_tells_the_rules_apart(rule, expected):
    assert {x: scaled(rule, x, 2**30, -1) for x in expected} == expected


def test_encode_is_the_nearest_31_bit_multiplier():
    draw = random.Random(3)
    scales = [2.0**e for e in range(-32, 30)] + [
        draw.uniform(0.5, 1) * 2.0 ** draw.randrange(-31, 31) for _ in range(10_000)
    ]
    scales += [float(np.float32(s)) for s in scales[62:]]
    for real in scales:
        multiplier, shift = scale.encode(real)
        exponent = math.floor(math.log2(real)) + 1
        exponent -= real < 2.0 ** (exponent - 1)
        nearest = math.floor(Fraction(real) / Fraction(2) ** exponent * 2**31 + Fraction(1, 2))
        expected = (2**30, exponent + 1) if nearest == 2**31 else (nearest, exponent)
        assert (multiplier, shift) == expected
        assert 2**30 <= multiplier < 2**31


def test_encode_at_the_ends():
    assert scale.encode(math.nextafter(2.0**-32, 0)) == (2**30, -31)  # rounds up into the next power of two
    assert scale.encode(2.0**-33) == (0, 0)
    assert scale.encode(math.nextafter(1.0, 0)) == (2**30, 1)
    assert scale.encode(2.0**29) == (2**30, 30)


@pytest.mark.parametrize("real", [0.0, -1.0, math.inf, math.nan])
def test_no_scale(real):
    with pytest.raises(ValueError) as error:
        scale.encode(real)
    assert str(error.value) == f"scale must be a positive number, not {real}"


def test_a_scale_too_large():
    with pytest.raises(ValueError) as error:
        scale.encode(2.0**30)
    assert str(error.value) == "scale must be below 2**30, not 1073741824.0"


def test_reduce_multiplier():
    assert scale.reduce_multiplier(2**30) == 2**14
    assert scale.reduce_multiplier(2**30 + 2**15) == 2**14 + 1
    assert scale.reduce_multiplier(2**30 + 2**15 - 1) == 2**14
    assert scale.reduce_multiplier(0x7FFEFFFF) == 0x7FFF
    assert scale.reduce_multiplier(INT_MAX) == 0x7FFF
