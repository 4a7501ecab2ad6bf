"""One output, from the sum to the code, as a chain of ingredients in exact fractions: each can be replaced alone."""

from dataclasses import dataclass, replace
from fractions import Fraction

from .formats import Format
from .rounding import overflow, round_shift
from .scale import wrap32

FLOAT_BITS = {"float32": 24, "float64": 53, "float32_division": 24}
_INT32_MAX = (1 << 31) - 1
INGREDIENTS = {
    "sum": ("acc",),
    "left shift": ("wraps_left",),
    "sum's bits": ("sum_bits",),
    "scale": ("factor", "shift"),
    "roundings": ("twice",),
    "halving": ("halved",),
    "product": ("product", "divisor"),
    "rounding": ("rounding",),
    "order": ("before",),
    "addend": ("addend",),
    "overflow": ("overflow",),
}


@dataclass(frozen=True, kw_only=True)
class Chain:
    """How one side makes an output code of its sum.

    acc : the sum with its bias, as this side holds it.
    sum_bits : significand bits that it is rounded to before it is scaled, or None.
    factor : what scales it, exactly. divisor : what the product is divided by at the end, for products that are formed
        before; the whole factor is that of both.
    product : "" for exact, or "float32", "float64", "float32_division" (both results rounded), "thresholds" (compared
        with boundaries made in float32).
    twice : whether the product is rounded to an integer, ties up, before it is shifted to the right; shift: TFLite's,
        to the left where positive; wraps_left: whether that left shift wraps at 32 bits.
    halved : whether the scaled sum is kept in 32 bits, one of them behind the point, before it is rounded.
    rounding, before, zero_point : the last rounding, and whether the zero point is added before it.
    addend : added to the scaled value, exactly.
    bounds, code, overflow : of the output code; relu : whether it is not below the zero point; table : what comes last.
    """

    acc: int
    factor: Fraction
    zero_point: int
    bounds: tuple[int, int]
    code: Format
    rounding: str
    product: str = ""
    twice: bool = False
    halved: bool = False
    sum_bits: int | None = None
    divisor: Fraction = Fraction(1)
    shift: int = 0
    wraps_left: bool = False
    before: bool = False
    addend: Fraction = Fraction(0)
    overflow: str = "saturate"
    relu: bool = False
    table: tuple[int, ...] | None = None

    def with_ingredients(self, names, other):
        """This chain with some ingredients of another."""
        taken = [field for name in names for field in INGREDIENTS[name]]
        return replace(self, **{field: getattr(other, field) for field in taken})

    def differing(self, other):
        """Names of the ingredients in which two chains differ."""
        return tuple(
            name for name, own in INGREDIENTS.items() if any(getattr(self, one) != getattr(other, one) for one in own)
        )

    def output(self) -> int:
        """The output code."""
        moved = self._moved()
        moved = max(moved, self.zero_point) if self.relu else moved
        lo, hi = self.bounds
        code = min(max(int(overflow(moved, self.code, self.overflow)), lo), hi)
        return code if self.table is None else self.table[code - self.code.code_range[0]]

    def _moved(self):
        if self.product == "thresholds":
            return self._counted() + self.zero_point
        value = self._product() + self.addend
        if not self.before:
            return round_exact(value, self.rounding) + self.zero_point
        if self.product in FLOAT_BITS:
            return round_exact(nearest(value + self.zero_point, FLOAT_BITS[self.product]), self.rounding)
        return round_exact(value, self.rounding, self.zero_point)

    def _product(self):
        """The scaled sum, before the last rounding."""
        value = self._held_sum() * self.factor
        if self.product in FLOAT_BITS:
            bits = FLOAT_BITS[self.product]
            value = nearest(nearest(value * self.divisor, bits) / self.divisor, bits)
        if self.twice:
            right = max(-self.shift, 0)
            value = Fraction(min(round_exact(value * (1 << right), "half_up"), _INT32_MAX), 1 << right)
        return Fraction(wrap32((2 * value).__floor__()), 2) if self.halved else value

    def _held_sum(self):
        value = self.acc
        if self.wraps_left and self.shift > 0:
            return Fraction(wrap32(value << self.shift), 1 << self.shift)
        return nearest(Fraction(value), self.sum_bits) if self.sum_bits else Fraction(value)

    def _counted(self):
        """The code whose boundary, made in float32 and divided in float32, the sum reaches last."""
        value = self._held_sum()
        code = (value * self.factor).__floor__() - 2
        while self._reaches(value, code + 1):
            code += 1
        return code

    def _reaches(self, value, code):
        if not self.factor:
            return code <= 0
        boundary = nearest((code - Fraction(1, 2)) * self.divisor, 24) / (self.factor * self.divisor)
        boundary = nearest(boundary, 24)
        return value > boundary or (value == boundary and round_shift(2 * code - 1, 1, self.rounding) == code)


def round_exact(value: Fraction, rounding, offset=0) -> int:
    """value + offset rounded to an integer by a rule of golden.rounding."""
    if value.denominator & (value.denominator - 1) == 0:
        return int(round_shift(value.numerator, value.denominator.bit_length() - 1, rounding, offset))
    floor = value.__floor__()
    twice = 2 * (value - floor)
    quarters = 1 if twice < 1 else 3 if twice > 1 else 2
    return int(round_shift(4 * floor + quarters, 2, rounding, offset))


def nearest(value: Fraction, bits) -> Fraction:
    """value rounded to a significand of some bits, ties to even, of unbounded exponent."""
    if not value:
        return value
    exponent = frexp_exact(abs(value)) - bits
    step = Fraction(2) ** exponent
    return round_exact(value / step, "half_even") * step


def frexp_exact(value: Fraction) -> int:
    """e with 2**(e - 1) <= value < 2**e."""
    e = value.numerator.bit_length() - value.denominator.bit_length()
    return e + 1 if value >= Fraction(2) ** e else e
