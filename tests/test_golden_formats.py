"""golden.formats against Python integers: codes, grids, overflow, raw bits, names."""

from fractions import Fraction

import numpy as np
import oracle
import pytest

from golden.formats import Bipolar, Integer, from_bits, parse, to_bits
from golden.minifloat import MINIFLOATS

SMALL = [(width, signed) for width in range(1, 11) for signed in (True, False)]
KNOWN = (
    "int1..int64, uint1..uint63, q3.4 and uq3.4 (integer bits with the sign, fraction bits), bipolar, ternary, "
    "sm2..sm32, pot2..pot6, apot3, apot5, apot7, codebook1..codebook8 (entries of int8), codebook4_int12 (other "
    "entries), float8_e4m3fn, float8_e5m2, float8_e4m3fnuz, float8_e5m2fnuz, float6_e3m2fn, float6_e2m3fn, "
    "float4_e2m1fn"
)
BESIDE = "beside operands float8_e8m0fnu (e8m0), float16, bfloat16, float32"


def code_range(width, signed):
    return (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if signed else (0, 2**width - 1)


def around(width, signed):
    """Every integer from three periods below the range to three above."""
    lo, hi = code_range(width, signed)
    return range(lo - 3 * 2**width, hi + 3 * 2**width + 1)


@pytest.mark.parametrize(("width", "signed"), SMALL)
def test_code_range(width, signed):
    fmt = parse(f"{'' if signed else 'u'}int{width}")
    assert fmt.code_range == fmt.decoded_range == code_range(width, signed)
    assert (fmt.width, fmt.signed, fmt.fraction) == (width, signed, 0)


@pytest.mark.parametrize(("width", "signed"), SMALL)
def test_wrap_and_saturate_every_integer(width, signed):
    fmt, values = Integer(width, signed=signed), around(width, signed)
    wrapped = [oracle.wrap(value, width, signed) for value in values]
    saturated = [oracle.clamp(value, *code_range(width, signed)) for value in values]
    assert fmt.wrap(np.array(values)).tolist() == wrapped
    assert fmt.saturate(np.array(values)).tolist() == saturated
    assert [fmt.wrap(value) for value in values] == wrapped
    assert [fmt.saturate(value) for value in values] == saturated


@pytest.mark.parametrize(("width", "signed"), SMALL)
def test_bits_of_every_code(width, signed):
    fmt = Integer(width, signed=signed)
    lo, hi = code_range(width, signed)
    bits = to_bits(range(lo, hi + 1), fmt)
    assert bits.dtype == np.uint64
    assert bits.tolist() == [code % 2**width for code in range(lo, hi + 1)]
    assert sorted(bits.tolist()) == list(range(2**width))
    codes = from_bits(bits, fmt)
    assert codes.dtype == np.int64
    assert codes.tolist() == list(range(lo, hi + 1))


@pytest.mark.parametrize(("width", "signed"), SMALL)
def test_from_bits_ignores_the_bits_above(width, signed):
    bits = np.arange(2**width, dtype=np.uint64) + np.uint64(5 << width)
    expected = [oracle.wrap(pattern, width, signed) for pattern in range(2**width)]
    assert from_bits(bits, Integer(width, signed=signed)).tolist() == expected


@pytest.mark.parametrize(("width", "signed"), SMALL)
def test_integers_decode_to_themselves(width, signed):
    codes = np.arange(code_range(width, signed)[0], code_range(width, signed)[1] + 1)
    assert Integer(width, signed=signed).decode(codes).tolist() == codes.tolist()


@pytest.mark.parametrize("name", ["int64", "uint63", "int63", "uint62", "int33"])
def test_widest_formats_at_their_extremes(name):
    fmt = parse(name)
    lo, hi = code_range(fmt.width, fmt.signed)
    assert fmt.code_range == (lo, hi)
    codes = [lo, lo + 1, -1 if fmt.signed else 1, 0, 1, hi - 1, hi]
    assert to_bits(codes, fmt).tolist() == [code % 2**fmt.width for code in codes]
    assert from_bits(to_bits(codes, fmt), fmt).tolist() == codes
    assert fmt.saturate(np.array(codes)).tolist() == codes


@pytest.mark.parametrize("name", ["int64", "uint63", "int63", "int2"])
def test_python_integers_beyond_64_bits(name):
    fmt = parse(name)
    values = [sign * 2**power + offset for sign in (1, -1) for power in (61, 62, 63, 64, 90) for offset in (-1, 0, 1)]
    wrapped = [oracle.wrap(value, fmt.width, fmt.signed) for value in values]
    saturated = [oracle.clamp(value, *code_range(fmt.width, fmt.signed)) for value in values]
    assert [fmt.wrap(value) for value in values] == wrapped
    assert [fmt.saturate(value) for value in values] == saturated
    assert fmt.wrap(np.array(values, object)).tolist() == wrapped
    assert fmt.saturate(np.array(values, object)).tolist() == saturated


@pytest.mark.parametrize("name", ["uint63", "int63", "int40"])
def test_wrap_of_int64_arrays_at_the_extremes(name):
    fmt = parse(name)
    values = [-(2**63), -(2**62) - 1, -(2**62), -1, 0, 1, 2**62 - 1, 2**62, 2**63 - 1]
    expected = [oracle.wrap(value, fmt.width, fmt.signed) for value in values]
    assert fmt.wrap(np.array(values)).tolist() == expected


def test_shapes_are_kept():
    fmt = parse("int5")
    codes = np.arange(-16, 14).reshape(2, 3, 5)
    assert from_bits(to_bits(codes, fmt), fmt).tolist() == codes.tolist()
    assert int(from_bits(to_bits(-3, fmt), fmt)) == -3


@pytest.mark.parametrize(
    ("name", "width", "signed", "fraction"),
    [
        ("q3.4", 7, True, 4),
        ("uq3.4", 7, False, 4),
        ("q0.8", 8, True, 8),
        ("uq0.1", 1, False, 1),
        ("q16.16", 32, True, 16),
        ("q1.63", 64, True, 63),
        ("uq0.63", 63, False, 63),
    ],
)
def test_fixed_point(name, width, signed, fraction):
    fmt = parse(name)
    assert (fmt.width, fmt.signed, fmt.fraction) == (width, signed, fraction)
    assert fmt.code_range == code_range(width, signed)
    assert fmt.decode(fmt.code_range[0]) == fmt.code_range[0]
    assert str(fmt) == fmt.name == name


@pytest.mark.parametrize(
    "name", [f"{prefix}{width}" for prefix in ("int", "uint") for width in (1, 2, 7, 32, 63)] + ["int64"]
)
def test_names_round_trip(name):
    assert str(parse(name)) == parse(name).name == name


def test_without_fraction_bits_it_is_the_integer():
    assert parse("q4.0") == parse("int4")
    assert parse("uq4.0") == parse("uint4")
    assert str(parse("q4.0")) == "int4"


@pytest.mark.parametrize("name", ["bipolar", "binary"])
def test_bipolar(name):
    fmt = parse(name)
    assert fmt == Bipolar()
    assert (fmt.width, fmt.signed, fmt.fraction, str(fmt)) == (1, False, 0, "bipolar")
    assert (fmt.code_range, fmt.decoded_range) == ((0, 1), (-1, 1))
    assert fmt.decode(np.array([0, 1])).tolist() == [-1, 1]
    assert [fmt.decode(0), fmt.decode(1)] == [-1, 1]
    assert fmt.saturate(np.arange(-3, 4)).tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert [fmt.saturate(-1), fmt.saturate(0), fmt.saturate(2**90)] == [0, 1, 1]
    assert from_bits(to_bits([0, 1], fmt), fmt).tolist() == [0, 1]


def sign_magnitude(code, width):
    sign, magnitude = divmod(code, 2 ** (width - 1))
    return -magnitude if sign else magnitude


def power_of_two(code, width):
    sign, field = divmod(code, 2 ** (width - 1))
    return (-1) ** sign * 2 ** (field - 1) if field else 0


def additive(code, width):
    """Li et al. (2020): p0 is 0 or 2**-2i, p1 is 0 or 2**-(2i + 1), the largest field having i = 0; exact."""
    k = (width - 1) // 2
    sign, fields = divmod(code, 2 ** (width - 1))
    first, second = divmod(fields, 2**k)
    p0, p1 = (
        Fraction(1, 2 ** (2 * (2**k - 1 - field) + odd)) if field else Fraction(0)
        for odd, field in enumerate((first, second))
    )
    return (-1) ** sign * (p0 + p1) * 2 ** (2 ** (k + 1) - 3)


@pytest.mark.parametrize(
    ("name", "expected"),
    [(f"apot{width}", additive) for width in (3, 5, 7)]
    + [(f"sm{width}", sign_magnitude) for width in range(2, 9)]
    + [(f"pot{width}", power_of_two) for width in range(2, 7)],
)
def test_signs_above_a_field(name, expected):
    fmt = parse(name)
    codes = np.arange(2**fmt.width)
    decoded = [expected(code, fmt.width) for code in codes.tolist()]
    assert fmt.decode(codes).tolist() == decoded == [fmt.decode(code) for code in codes.tolist()]
    assert fmt.decoded_range == (min(decoded), max(decoded))
    assert (fmt.code_range, fmt.signed, fmt.fraction, str(fmt)) == ((0, 2**fmt.width - 1), False, 0, name)
    assert decoded.count(0) == 2
    assert from_bits(to_bits(codes, fmt), fmt).tolist() == codes.tolist()


def test_additive_powers_of_two_in_figures():
    """Each sum comes once."""
    assert [parse("apot3").decode(code) for code in range(8)] == [0, 1, 2, 3, 0, -1, -2, -3]
    positive = [parse("apot5").decode(code) for code in range(16)]
    assert positive == [0, 1, 4, 16, 2, 3, 6, 18, 8, 9, 12, 24, 32, 33, 36, 48]
    assert len({parse("apot7").decode(code) for code in range(64)}) == 64
    assert parse("apot7").decoded_range == (-12288, 12288)


def test_ternary():
    fmt = parse("ternary")
    assert (fmt.width, fmt.signed, fmt.fraction, str(fmt)) == (2, True, 0, "ternary")
    assert fmt.code_range == fmt.decoded_range == (-1, 1)
    assert fmt.decode(np.array([-1, 0, 1])).tolist() == [-1, 0, 1]
    assert to_bits([-1, 0, 1], fmt).tolist() == [3, 0, 1]
    assert from_bits([3, 0, 1], fmt).tolist() == [-1, 0, 1]


@pytest.mark.parametrize("name", MINIFLOATS)
def test_minifloats_by_name(name):
    assert parse(name) is MINIFLOATS[name]
    assert str(parse(name)) == name


def test_formats_are_values():
    assert parse("int4") == Integer(4, signed=True) != parse("uint4")
    assert len({parse("int4"), parse("int4"), parse("q2.2"), Bipolar(), Bipolar()}) == 3


ERRORS = {
    "int0": "width of int must be 1 to 64, not 0",
    "int65": "width of int must be 1 to 64, not 65",
    "int999999": "width of int must be 1 to 64, not 999999",
    "uint0": "width of uint must be 1 to 63, not 0",
    "uint64": "width of uint must be 1 to 63, not 64",
    "uint65": "width of uint must be 1 to 63, not 65",
    "q0.0": "width of int must be 1 to 64, not 0",
    "q33.32": "width of int must be 1 to 64, not 65",
    "uq32.32": "width of uint must be 1 to 63, not 64",
    "sm1": "width of sm must be 2 to 32, not 1",
    "sm33": "width of sm must be 2 to 32, not 33",
    "pot1": "width of pot must be 2 to 6, not 1",
    "pot7": "width of pot must be 2 to 6, not 7",
    "codebook0": "width of codebook must be 1 to 8, not 0",
    "codebook9_int4": "width of codebook must be 1 to 8, not 9",
    "codebook2_int65": "width of int must be 1 to 64, not 65",
    "apot4": "width of apot must be 3, 5, 7, not 4",
} | {
    name: f"unknown format {name!r}; known are {KNOWN}; {BESIDE}"
    for name in (
        *("", "int", "float8", "Int8", "int-4", "int8 ", " int8", "int8\n", "int1000000"),
        *("q4", "q.4", "q4.", "q-1.4", "ternary2", "int\u0664", "u8", "bipolar1"),
        *("codebook", "codebook4_", "codebook4_bipolar", "codebook4_q3.4", "codebook4_int8_int8"),
    )
}


@pytest.mark.parametrize("name", ERRORS)
def test_parse_errors(name):
    with pytest.raises(ValueError) as error:
        parse(name)
    assert str(error.value) == ERRORS[name]


@pytest.mark.parametrize("fraction", [-1, 5])
def test_fraction_bits_lie_within_the_width(fraction):
    with pytest.raises(ValueError) as error:
        Integer(4, signed=True, fraction=fraction)
    assert str(error.value) == f"fraction bits must be 0 to 4, not {fraction}"
