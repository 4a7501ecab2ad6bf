"""Sums of blocks in plain Python: fractions, IEEE 754 rounding by comparison, one number after the other."""

import math
import struct
from fractions import Fraction

NAN = 0x7FC00000
TOP = 2**128 - 2**103  # halfway from the largest float32 to the next power of two


def block_products(spec, arrays):
    """[m][n]: per block (fractions of its products, or floats where they are no numbers, and both scales)."""
    k = len(arrays["w"])
    block = spec.block or spec.lanes
    return [
        [
            [
                (
                    [product(spec, arrays, m, i, n) for i in range(start, min(start + block, k))],
                    *(scale(spec, arrays, name, m, start // block, n) for name in ("a_block_scale", "w_block_scale")),
                )
                for start in range(0, k, block)
            ]
            for n in range(len(arrays["w"][0]))
        ]
        for m in range(len(arrays["a"]))
    ]


def product(spec, arrays, m, k, n):
    zero = int(arrays.get("w_zero_point", 0))
    if spec.w_block_zero_point:
        zero = int(arrays["w_block_zero_point"][k // spec.block][n])
    a = number(spec.activations, arrays["a"][m][k], int(arrays.get("a_zero_point", 0)))
    w = number(spec.weights, arrays["w"][k][n], zero)
    return times(a, w)


def scale(spec, arrays, name, m, b, n):
    fmt = getattr(spec, name)
    if fmt is None:
        return Fraction(1)
    return number(fmt, arrays[name][m][b] if name == "a_block_scale" else arrays[name][b][n])


def number(fmt, code, zero=0):
    """A code as a fraction, or as a float where it is no number, by the definition of its format."""
    code, kind = int(code), type(fmt).__name__
    if kind == "PowerScale":
        return math.nan if code == 255 else Fraction(2) ** (code - 127)
    if kind == "Integer":
        return Fraction(code - zero, 2**fmt.fraction)
    assert kind == "MiniFloat"
    sign = -1 if code >> fmt.width - 1 else 1
    field = code >> fmt.mantissa_bits & (1 << fmt.exponent_bits) - 1
    mantissa = Fraction(code & (1 << fmt.mantissa_bits) - 1, 1 << fmt.mantissa_bits)
    if fmt.specials == "ieee" and field == (1 << fmt.exponent_bits) - 1:
        return math.nan if mantissa else sign * math.inf
    if fmt.specials == "fn" and code & (1 << fmt.width - 1) - 1 == (1 << fmt.width - 1) - 1:
        return math.nan
    if fmt.specials == "fnuz" and code == 1 << fmt.width - 1:
        return math.nan
    if not field:
        return sign * mantissa * Fraction(2) ** (1 - fmt.bias)
    return sign * (1 + mantissa) * Fraction(2) ** (field - fmt.bias)


def special(*values):
    return any(isinstance(value, float) for value in values)


def times(a, w):
    if not special(a, w):
        return a * w
    return signed(a) * signed(w)


def plus(values):
    if not special(*values):
        return sum(values, Fraction(0))
    return sum(value for value in values if special(value))


def signed(value):
    """A float with the sign of a fraction; a float as it is."""
    return value if special(value) else float((value > 0) - (value < 0))


def exact(spec, arrays):
    """Integers [m][n] on the grid of the accumulator."""
    step = Fraction(2) ** -spec.accumulator_fraction
    return [
        [int(sum((sum(p) * sa * sw for p, sa, sw in blocks), Fraction(0)) / step) for blocks in row]
        for row in block_products(spec, arrays)
    ]


def nearest(value):
    """The float32 next to a fraction, as a fraction, ties to even; or an infinity. Floats stay."""
    if special(value):
        return value
    if abs(value) >= TOP:
        return math.inf if value > 0 else -math.inf
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    exponent = max(exponent - (abs(value) < Fraction(2) ** exponent), -126)
    step = Fraction(2) ** (exponent - 23)
    return round(value / step) * step  # Python rounds ties to even


def float32(spec, arrays):
    """Patterns [m][n]."""
    return [[pattern(in_order(spec, blocks)) for blocks in row] for row in block_products(spec, arrays)]


def in_order(spec, blocks):
    total = Fraction(0)
    for products, sa, sw in blocks:
        term = nearest(plus(products))
        if spec.scale_formats:
            term = nearest(times(term, nearest(times(sa, sw))))
        total = nearest(plus([total, term]))
    return total


def pattern(value):
    if special(value) and math.isnan(value):
        return NAN
    return struct.unpack("<I", struct.pack("<f", float(value)))[0]
