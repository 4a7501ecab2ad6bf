"""Formats with a sign bit above a field that gives the magnitude. Codes are unsigned; two of them stand for zero."""

from dataclasses import dataclass
from typing import ClassVar

from .ops import where


@dataclass(frozen=True)
class SignedField:
    """A sign bit above a field of width - 1 bits, whose largest content is the largest magnitude.

    Subclasses name the widths they have and say what magnitude a field stands for.
    """

    width: int

    prefix: ClassVar[str]
    widths: ClassVar[tuple[int, ...]]
    signed: ClassVar[bool] = False
    fraction: ClassVar[int] = 0

    def __post_init__(self):
        if self.width not in self.widths:
            raise ValueError(f"width of {self.prefix} must be {self._widths()}, not {self.width}")

    @classmethod
    def _widths(cls):
        first, *_, last = cls.widths
        return f"{first} to {last}" if cls.widths == tuple(range(first, last + 1)) else ", ".join(map(str, cls.widths))

    @property
    def name(self):
        return f"{self.prefix}{self.width}"

    @property
    def code_range(self):
        """Smallest and largest code."""
        return 0, (1 << self.width) - 1

    @property
    def decoded_range(self):
        """Smallest and largest decoded integer."""
        largest = int(self.magnitude((1 << self.width - 1) - 1))
        return -largest, largest

    @property
    def extreme_codes(self):
        """Codes of the smallest and the largest decoded integer."""
        return (1 << self.width) - 1, (1 << self.width - 1) - 1

    def magnitude(self, field):
        """What the bits below the sign stand for."""
        raise NotImplementedError

    def decode(self, code):
        """The magnitude, negative where the sign bit is set."""
        magnitude = self.magnitude(code & (1 << self.width - 1) - 1)
        return where(code >> self.width - 1 == 1, -magnitude, magnitude)

    def __str__(self):
        return self.name


class SignMagnitude(SignedField):
    """A sign bit above a magnitude."""

    prefix = "sm"
    widths = tuple(range(2, 33))

    def magnitude(self, field):
        """The field itself."""
        return field


class PowerOfTwo(SignedField):
    """Zero, or a signed power of two: a sign bit above an exponent field e; 0 for e = 0, else +-2**(e - 1).

    Logarithmic quantization, of which a product is a shift. A product with the largest of width 6 has 2**30.
    """

    prefix = "pot"
    widths = tuple(range(2, 7))

    def magnitude(self, field):
        """0, or 2**(e - 1)."""
        return (where(field > 0, 1, 0) << field) >> 1


class AdditivePowersOfTwo(SignedField):
    """A signed sum of two powers of two: a sign bit above exponent fields e0 and e1 of k = (width - 1) / 2 bits each.

        decoded = (-1)^s * (2 * t(e0) + t(e1)),    t(0) = 0,    t(e) = 4**(e - 1)

    e0 is the upper field. So the first term is one of 0, 2, 8, 32, ... and the second one of 0, 1, 4, 16, ...: the
    terms of Li, Dong, Wang (2020), "Additive Powers-of-Two Quantization", in units of 2**-(2**(k + 1) - 3), where the
    first is one of 0, 2**0, 2**-2, ... and the second one of 0, 2**-1, 2**-3, ... No two fields give the same sum.
    """

    prefix = "apot"
    widths = (3, 5, 7)

    @property
    def field_bits(self):
        """Bits of each exponent field."""
        return (self.width - 1) // 2

    def magnitude(self, field):
        """The sum of both terms."""
        first, second = field >> self.field_bits, field & (1 << self.field_bits) - 1
        return 2 * _power_of_four(first) + _power_of_four(second)


def _power_of_four(field):
    """0 for 0, else 4**(field - 1)."""
    return (where(field > 0, 1, 0) << 2 * field) >> 2
