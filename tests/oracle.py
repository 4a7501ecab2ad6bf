"""The tests' own arithmetic: Python integers and fractions, element by element. It imports nothing of this project."""

from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from math import ceil, floor, trunc

HALF = Fraction(1, 2)

ROUND = {
    "floor": floor,
    "ceil": ceil,
    "toward_zero": trunc,
    "half_up": lambda x: floor(x + HALF),
    "half_down": lambda x: ceil(x - HALF),
    "half_away": lambda x: floor(abs(x) + HALF) * (1 if x >= 0 else -1),
    "half_even": round,
    "dpu": lambda x: round(x) if x >= 0 else floor(x + HALF),
}

DECIMAL_MODES = {
    "floor": ROUND_FLOOR,
    "ceil": ROUND_CEILING,
    "toward_zero": ROUND_DOWN,
    "half_away": ROUND_HALF_UP,
    "half_even": ROUND_HALF_EVEN,
}


def round_quotient(value, shift, rounding):
    """`value / 2**shift` as a fraction, rounded to an integer."""
    return ROUND[rounding](Fraction(int(value), 1 << int(shift)))


def round_decimal(value, shift, rounding):
    """The same by the decimal module, for the modes that it has: a power of two divides exactly in decimal."""
    exact = Context(prec=400).divide(Decimal(int(value)), Decimal(2) ** int(shift))
    return int(exact.to_integral_value(rounding=DECIMAL_MODES[rounding]))


def wrap(value, width, signed):
    """The only integer congruent to value modulo 2**width in the range of the format."""
    residue = value % 2**width
    return residue - 2**width if signed and residue >= 2 ** (width - 1) else residue


def clamp(value, lo, hi):
    return sorted((lo, value, hi))[1]


def product(a, w):
    """Matrix product in Python integers, as lists."""
    columns = list(zip(*w.tolist(), strict=True))
    return [
        [sum(int(x) * int(y) for x, y in zip(row, column, strict=True)) for column in columns] for row in a.tolist()
    ]


def accumulate(a, w, lanes, width, rule):
    """Accumulators as lists: each beat's `lanes` products at once, then wrapped or saturated to width bits."""
    half = 2 ** (width - 1)

    def reduce(total):
        return wrap(total, width, signed=True) if rule == "wrap" else clamp(total, -half, half - 1)

    def run(row, column):
        products, total = [int(x) * int(y) for x, y in zip(row, column, strict=True)], 0
        for k in range(0, len(products), lanes):
            total = reduce(total + sum(products[k : k + lanes]))
        return total

    columns = list(zip(*w.tolist(), strict=True))
    return [[run(row, column) for column in columns] for row in a.tolist()]


def requantize(
    acc, *, rounding, overflow, width, signed, bias=0, multiplier=1, shift=0, zero_point=0, relu=False, clip=None
):
    """One output code from one accumulator, by the real quotient; width None stands for a bipolar output."""
    rounded = round_quotient((acc + bias) * multiplier, shift, rounding)
    if width is None:
        return int(rounded >= 0)
    code = (max(rounded, 0) if relu else rounded) + zero_point
    lo, hi = (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if signed else (0, 2**width - 1)
    code = wrap(code, width, signed) if overflow == "wrap" else clamp(code, lo, hi)
    return clamp(code, *clip) if clip else code
