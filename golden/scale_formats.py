"""Number formats that stand beside the operands: powers of two that scale a block, and IEEE 754 formats.

Sources: OCP Microscaling Formats (MX) Specification 1.0 (E8M0), IEEE 754-2019 (binary16, binary32).
"""

from dataclasses import dataclass

from .minifloat import E8M0_BIAS, E8M0_NAN, MiniFloat
from .ops import Exact, where


@dataclass(frozen=True)
class PowerScale:
    """float8_e8m0fnu: value = 2**(code - 127). No sign, no zero; code 255 is NaN.

    With codes promised to lie in least..most, decode(code) = 2**(code - least) on the grid 2**-(127 - least).
    """

    least: int = 0
    most: int = E8M0_NAN - 1

    width = 8
    signed = False
    name = "float8_e8m0fnu"

    @property
    def fraction(self):
        """Bits behind the binary point of the grid on which all values lie; negative where all are above one."""
        return E8M0_BIAS - self.least

    @property
    def code_range(self):
        """Smallest and largest code of a number."""
        return self.least, self.most

    @property
    def extreme_codes(self):
        """Codes of the smallest and the largest number."""
        return self.code_range

    @property
    def decoded_range(self):
        """Smallest and largest decoded integer."""
        return 1, 1 << self.most - self.least

    def decode(self, code: Exact) -> Exact:
        """The exact integer, in units of 2**-fraction, that the code of a number stands for."""
        return where(code >= 0, 1, 0) << code - self.least

    def is_number(self, code: Exact) -> Exact:
        """Whether a code stands for a number: not for NaN."""
        return code != E8M0_NAN

    def __str__(self):
        return self.name


FLOAT32 = MiniFloat("float32", 8, 23, 127, "ieee")
FLOAT32_NAN = 0x7FC00000
SCALE_FLOATS = {
    fmt.name: fmt for fmt in (MiniFloat("float16", 5, 10, 15, "ieee"), MiniFloat("bfloat16", 8, 7, 127, "ieee"))
}
SCALE_FORMATS = {PowerScale.name: PowerScale(), "e8m0": PowerScale(), **SCALE_FLOATS, FLOAT32.name: FLOAT32}
