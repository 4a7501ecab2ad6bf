"""golden.minifloat: every code by the definition in fractions, every rounding by the nearest value."""

from fractions import Fraction

import numpy as np
import pytest

from golden.minifloat import E8M0_NAN, MINIFLOATS, decode_e8m0, encode_e8m0

# format: largest, smallest, values of a few codes; from the OCP specifications
KNOWN = {
    "float8_e4m3fn": (448, Fraction(1, 512), {0x38: 1, 0x7E: 448, 0xFE: -448, 0x01: Fraction(1, 512)}),
    "float8_e5m2": (57344, Fraction(1, 65536), {0x3C: 1, 0x7B: 57344, 0xFB: -57344}),
    "float8_e4m3fnuz": (240, Fraction(1, 1024), {0x40: 1, 0x7F: 240, 0xFF: -240}),
    "float8_e5m2fnuz": (57344, Fraction(1, 131072), {0x40: 1, 0x7F: 57344}),
    "float6_e3m2fn": (28, Fraction(1, 16), {0x0C: 1, 0x1F: 28, 0x3F: -28}),
    "float6_e2m3fn": (Fraction(15, 2), Fraction(1, 8), {0x08: 1, 0x1F: Fraction(15, 2)}),
    "float4_e2m1fn": (6, Fraction(1, 2), {2: 1, 3: Fraction(3, 2), 7: 6, 15: -6}),
}
EACH = pytest.mark.parametrize("name", MINIFLOATS)


def by_definition(fmt, code):
    """The value as a fraction; None for NaN and infinity."""
    sign, rest = divmod(code, 2 ** (fmt.width - 1))
    e, f = divmod(rest, 2**fmt.mantissa_bits)
    full = e == 2**fmt.exponent_bits - 1
    special = {
        "none": False,
        "fn": full and f == 2**fmt.mantissa_bits - 1,
        "ieee": full,
        "fnuz": bool(sign) and rest == 0,
    }[fmt.specials]
    if special:
        return None
    hidden = 2**fmt.mantissa_bits if e else 0
    return (-1) ** sign * Fraction(hidden + f) * Fraction(2) ** (max(e, 1) - fmt.bias - fmt.mantissa_bits)


@EACH
def test_every_code(name):
    fmt = MINIFLOATS[name]
    codes = np.arange(1 << fmt.width)
    values = fmt.value(codes)
    for code, value in zip(codes.tolist(), values.tolist(), strict=True):
        expected = by_definition(fmt, code)
        if expected is None:
            assert not np.isfinite(value)
            assert not fmt.is_number(code)
        else:
            assert Fraction(value) == expected
            assert fmt.is_number(code)
            assert Fraction(fmt.decode(code), 2**fmt.fraction) == expected
            assert fmt.encode(value, saturate=False) == code


@EACH
def test_what_the_specifications_say(name):
    fmt = MINIFLOATS[name]
    largest, smallest, some = KNOWN[name]
    assert (Fraction(fmt.largest), Fraction(fmt.smallest)) == (largest, smallest)
    assert {code: Fraction(float(fmt.value(code))) for code in some} == some
    assert set(KNOWN) == set(MINIFLOATS)


@EACH
def test_an_array_decodes_as_its_elements(name):
    fmt = MINIFLOATS[name]
    codes = np.array([code for code in range(1 << fmt.width) if fmt.is_number(code)])
    assert fmt.decode(codes).tolist() == [fmt.decode(code) for code in codes.tolist()]
    assert fmt.decoded_range == (min(fmt.decode(codes).tolist()), max(fmt.decode(codes).tolist()))


def finite(fmt):
    """Non-negative values in order, with their codes."""
    return [(Fraction(float(fmt.value(code))), code) for code in range(fmt.largest_code + 1)]


@EACH
def test_between_two_numbers_the_nearer_one(name):
    """A tie goes to the even code, just beside a tie to the nearer number, both signs."""
    fmt = MINIFLOATS[name]
    for (low, code), (high, above) in zip(finite(fmt), finite(fmt)[1:], strict=False):
        middle, little = (low + high) / 2, (high - low) / 64
        for value, expected in (
            (middle - little, code),
            (middle, code if code % 2 == 0 else above),
            (middle + little, above),
        ):
            assert fmt.encode(float(value)) == expected
            sign = 0 if fmt.specials == "fnuz" and expected == 0 else 1 << fmt.width - 1
            assert fmt.encode(-float(value)) == expected + sign


@EACH
def test_beyond_the_largest(name):
    fmt = MINIFLOATS[name]
    last = finite(fmt)[-1][0] - finite(fmt)[-2][0]
    kept, beyond = float(finite(fmt)[-1][0] + last * Fraction(31, 64)), float(finite(fmt)[-1][0] + last)
    assert fmt.encode(kept, saturate=False) == fmt.largest_code
    assert fmt.encode([beyond, np.inf, 1e300]).tolist() == [fmt.largest_code] * 3
    if fmt.specials == "none":
        with pytest.raises(ValueError) as error:
            fmt.encode(beyond, saturate=False)
        assert str(error.value) == f"{name} has no code for numbers beyond {fmt.largest}"
        with pytest.raises(ValueError) as error:
            fmt.encode(np.nan)
        assert str(error.value) == f"{name} has no code for NaN"
        assert fmt.encode(np.nan, nan=3) == 3
    else:
        codes = fmt.encode([beyond, -beyond, np.inf], saturate=False)
        expected = {"fn": np.nan, "fnuz": np.nan, "ieee": np.inf}[fmt.specials]
        assert np.array_equal(np.abs(fmt.value(codes)), [expected] * 3, equal_nan=True)
        assert np.isnan(fmt.value(fmt.encode(np.nan)))


@EACH
def test_codes_out_of_range(name):
    fmt = MINIFLOATS[name]
    with pytest.raises(ValueError) as error:
        fmt.value([0, 1 << fmt.width])
    assert str(error.value) == f"codes of {name} must be 0 to {(1 << fmt.width) - 1}, not 0..{1 << fmt.width}"


def test_zero_and_its_sign():
    e4m3, fnuz = MINIFLOATS["float8_e4m3fn"], MINIFLOATS["float8_e4m3fnuz"]
    assert e4m3.encode([0.0, -0.0, 1e-9, -1e-9]).tolist() == [0, 128, 0, 128]
    assert fnuz.encode([0.0, -0.0, 1e-9, -1e-9]).tolist() == [0, 0, 0, 0]
    assert np.signbit(e4m3.value(128))


def test_powers_of_two():
    codes = np.arange(256)
    values = decode_e8m0(codes)
    assert values[0] == 2.0**-127 and values[127] == 1 and values[254] == 2.0**127 and np.isnan(values[255])
    for rounding in ("up", "down", "nearest"):
        assert np.array_equal(encode_e8m0(values, rounding=rounding), codes)
    assert [int(encode_e8m0(3.0, rounding=how)) for how in ("up", "down", "nearest")] == [129, 128, 129]
    assert encode_e8m0([2.9, 1e-60, 0, 1e60, np.inf], rounding="nearest").tolist() == [128, 0, 0, 254, 254]
    assert encode_e8m0([-1, np.nan]).tolist() == [E8M0_NAN] * 2
