"""Floating-point numbers of 4 to 8 bits: codes to exact values and back, by the names that ml_dtypes has for them.

A code is sign, exponent field e and mantissa field f, from the highest bit down:

    value = (-1)**sign * (2**m + f) * 2**(e - bias - m)     for e > 0
    value = (-1)**sign * f * 2**(1 - bias - m)              for e = 0

so every value is an integer times 2**-fraction, fraction = bias + m - 1. Sources: OCP Microscaling Formats (MX)
Specification 1.0, OCP 8-bit Floating Point Specification 1.0.
"""

from dataclasses import dataclass

import numpy as np

from .float_scale import round_real
from .ops import Exact, where


@dataclass(frozen=True)
class MiniFloat:
    """`specials` says which codes are no numbers.

    "none"; "fn": all ones are NaN, of both signs; "ieee": the largest exponent is infinity (f = 0) and NaN;
    "fnuz": the code of minus zero is NaN, and there is no minus zero.
    """

    name: str
    exponent_bits: int
    mantissa_bits: int
    bias: int
    specials: str = "none"

    signed = False  # a code is its bits, unsigned

    def __str__(self):
        return self.name

    @property
    def width(self):
        return 1 + self.exponent_bits + self.mantissa_bits

    @property
    def fraction(self):
        """Bits behind the binary point of the grid on which all values lie."""
        return self.bias + self.mantissa_bits - 1

    @property
    def code_range(self):
        """Smallest and largest code; `is_number` says which of them stand for numbers."""
        return 0, (1 << self.width) - 1

    @property
    def extreme_codes(self):
        """Codes of the smallest and the largest number."""
        return self.largest_code | 1 << self.width - 1, self.largest_code

    @property
    def decoded_range(self):
        """Smallest and largest decoded integer."""
        largest = self.decode(self.largest_code)
        return -largest, largest

    @property
    def largest_code(self):
        """Code of the largest number."""
        top = (1 << self.width - 1) - 1
        return top - {"none": 0, "fnuz": 0, "fn": 1, "ieee": 1 << self.mantissa_bits}[self.specials]

    @property
    def largest(self):
        """The largest number."""
        return float(self.value(self.largest_code))

    @property
    def smallest(self):
        """The smallest positive number: one step of the grid."""
        return 2.0**-self.fraction

    def value(self, codes) -> np.ndarray:
        """float64 values of codes 0 .. 2**width - 1, exact; NaN and infinities where the format has them."""
        codes = np.asarray(codes, np.int64)
        lo, hi = 0, (1 << self.width) - 1
        if codes.size and (codes.min() < lo or codes.max() > hi):
            raise ValueError(f"codes of {self.name} must be {lo} to {hi}, not {codes.min()}..{codes.max()}")
        sign, magnitude = codes >> self.width - 1, codes & hi >> 1
        number = self.is_number(codes)
        values = np.ldexp(self._significand(magnitude).astype(np.float64), self._exponent(magnitude))
        infinite = (magnitude == self.largest_code + 1) & (self.specials == "ieee")
        values = np.where(number, values, np.where(infinite, np.inf, np.nan))
        return np.where(sign == 1, -values, values)

    def decode(self, code: Exact) -> Exact:
        """The exact integer, in units of 2**-fraction, that the code of a number stands for."""
        magnitude = code & (1 << self.width - 1) - 1
        value = self._significand(magnitude) << self._exponent(magnitude) + self.fraction
        return where(code >> self.width - 1 == 1, -value, value)

    def is_number(self, code: Exact) -> Exact:
        """Whether a code stands for a number: not for NaN or infinity."""
        if self.specials == "fnuz":
            return code != 1 << self.width - 1
        return (code & (1 << self.width - 1) - 1) <= self.largest_code

    def _significand(self, magnitude):
        field = magnitude & (1 << self.mantissa_bits) - 1
        return where(magnitude >> self.mantissa_bits > 0, field + (1 << self.mantissa_bits), field)

    def _exponent(self, magnitude):
        """Power of two of the significand's lowest bit."""
        field = magnitude >> self.mantissa_bits
        return where(field > 0, field, 1) - self.bias - self.mantissa_bits

    def encode(self, values, *, saturate=True, rounding="half_even", nan: int | None = None) -> np.ndarray:
        """int64 codes of real values, rounded to the next number by magnitude.

        Beyond the largest number: that number with `saturate` (infinities too), else infinity, or NaN in formats
        without it. NaN stays NaN, or becomes the code `nan`. Raises ValueError for NaN, and without `saturate` for what
        is too large, in formats that have no such code.
        """
        values = np.asarray(values, np.float64)
        magnitude = np.where(np.isfinite(values), np.abs(values), 0)
        exponent = np.where(magnitude > 0, np.maximum(np.frexp(magnitude)[1] - 1, 1 - self.bias), 1 - self.bias)
        steps = round_real(np.ldexp(magnitude, self.mantissa_bits - exponent), rounding)
        code = (exponent + self.bias - 1 << self.mantissa_bits) + steps
        too_large = np.isinf(values) | (code > self.largest_code)
        code = np.where(too_large, self._overflow(too_large, saturate), code)
        sign = np.signbit(values).astype(np.int64) << self.width - 1
        if self.specials == "fnuz":
            sign = np.where(code == 0, 0, sign)
        missing = np.isnan(values)
        if missing.any():
            return np.where(missing, self._nan(values) if nan is None else nan, code | sign)
        return code | sign

    def _overflow(self, too_large, saturate):
        if saturate or not too_large.any():
            return self.largest_code
        if self.specials == "none":
            raise ValueError(f"{self.name} has no code for numbers beyond {self.largest}")
        return 1 << self.width - 1 if self.specials == "fnuz" else self.largest_code + 1

    def _nan(self, values):
        if self.specials == "none":
            raise ValueError(f"{self.name} has no code for NaN")
        if self.specials == "fnuz":
            return 1 << self.width - 1
        quiet = (1 << self.width - 1) - (1 if self.specials == "fn" else 1 << self.mantissa_bits - 1)
        return (np.signbit(values).astype(np.int64) << self.width - 1) | quiet


MINIFLOATS = {
    fmt.name: fmt
    for fmt in (
        MiniFloat("float8_e4m3fn", 4, 3, 7, "fn"),
        MiniFloat("float8_e5m2", 5, 2, 15, "ieee"),
        MiniFloat("float8_e4m3fnuz", 4, 3, 8, "fnuz"),
        MiniFloat("float8_e5m2fnuz", 5, 2, 16, "fnuz"),
        MiniFloat("float6_e3m2fn", 3, 2, 3),
        MiniFloat("float6_e2m3fn", 2, 3, 1),
        MiniFloat("float4_e2m1fn", 2, 1, 1),
    )
}
E8M0_BIAS = 127
E8M0_NAN = 255


def decode_e8m0(codes) -> np.ndarray:
    """float64 powers of two of float8_e8m0fnu codes 0..255: 2**(code - 127), 255 is NaN; no zero, no sign."""
    codes = np.asarray(codes, np.int64)
    return np.where(codes == E8M0_NAN, np.nan, np.ldexp(1.0, codes - E8M0_BIAS))


def encode_e8m0(values, *, rounding="up") -> np.ndarray:
    """Codes of positive values: the power of two above ("up"), below ("down"), or "nearest", by value, a tie up.

    Saturates to codes 0, zero too, and 254; NaN and negative values, which have no power of two, give NaN.
    """
    values = np.asarray(values, np.float64)
    valid = values >= 0
    fraction, exponent = np.frexp(
        np.where((values > 0) & np.isfinite(values), values, np.where(values == 0, 2.0**-200, 1))
    )
    floor = exponent - 1
    upwards = {"up": fraction > 0.5, "down": fraction > 1, "nearest": fraction >= 0.75}[rounding]
    code = np.where(np.isinf(values), E8M0_NAN - 1, np.clip(floor + upwards + E8M0_BIAS, 0, E8M0_NAN - 1))
    return np.where(valid, code, E8M0_NAN)
