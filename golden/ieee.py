"""IEEE 754 multiplication in exact integers: what float32 and float64 scaling do to a sum, bit for bit.

A number of p significand bits is an integer below 2**p times a power of two. Rounding an integer to p bits, ties to
even, is `round_shift` by the bits that it has too many (docs/arithmetic.md, section 8).
"""

from dataclasses import dataclass

import numpy as np

from .ops import Exact, where
from .rounding import round_shift

_LEFT = 38  # further left, every 32-bit output has saturated


@dataclass(frozen=True)
class Float:
    """A positive normal IEEE 754 number as its bit pattern, read as an unsigned integer; in order of its value."""

    name: str
    width: int
    precision: int
    dtype: type

    signed = False
    fraction = 0

    @property
    def bias(self):
        """exponent field of the pattern whose significand counts as an integer: value = significand * 2**(e - bias)."""
        return (1 << self.width - self.precision - 1) + self.precision - 2

    @property
    def code_range(self):
        """Patterns of the smallest and the largest positive normal number."""
        lowest = 1 << self.precision - 1
        return lowest, (1 << self.width - 1) - lowest - 1

    def encode(self, value) -> np.ndarray:
        """int64 patterns of real values. Raises ValueError, naming the index, for what is not such a number."""
        value = np.asarray(value)
        if value.dtype.kind != "f":
            raise ValueError(f"must hold {self.name} numbers, not {value.dtype}")
        with np.errstate(over="ignore"):
            held = value.astype(self.dtype)
        smallest = np.finfo(self.dtype).smallest_normal
        for wrong, rule in (
            (~(np.isfinite(value) & (value > 0)), "a positive number"),
            (held != value, f"a {self.name} number to the last bit"),
            (held < smallest, f"at least {smallest}"),
        ):
            if wrong.any():
                index = tuple(int(i) for i in np.argwhere(wrong)[0])
                raise ValueError(f"{list(index) if index else ''} must be {rule}, not {value[index]}".lstrip())
        return held.view(np.dtype(f"i{self.width // 8}")).astype(np.int64)

    def decode(self, code) -> np.ndarray:
        """Real values of patterns, in this type."""
        return np.asarray(code).astype(f"i{self.width // 8}").view(self.dtype)

    def parts(self, code: Exact):
        """(significand, exponent) of patterns: value = significand * 2**exponent."""
        lowest = 1 << self.precision - 1
        return (code & (lowest - 1)) + lowest, (code >> self.precision - 1) - self.bias

    def __str__(self):
        return self.name


FLOAT32 = Float("float32", 32, 24, np.float32)
FLOAT64 = Float("float64", 64, 53, np.float64)


def excess_bits(value: Exact, kept: int, widest: int):
    """How many bits |value| < 2**widest has beyond the `kept` first ones."""
    magnitude = where(value < 0, -value, value)
    return sum((where(magnitude >= 1 << bits, 1, 0) for bits in range(kept, widest)), start=0)


def multiply(value: Exact, scale: Exact, fmt: Float, rounding: str) -> Exact:
    """round(fmt(fmt(value) * scale)): the sum rounded to `fmt`, the product too, then an integer by `rounding`.

    `value` is an int32, `scale` a pattern of fmt. Both inner roundings are to nearest, ties to even, as IEEE 754
    hardware has them. Beyond +-2**38 significands the result is only known to be far beyond any int32.
    """
    p = fmt.precision
    significand, exponent = fmt.parts(scale)
    first = excess_bits(value, p, 32)
    product = round_shift(value, first, "half_even") * significand
    second = excess_bits(product, p, p + min(p, 32))
    product = round_shift(product, second, "half_even")
    right = -(exponent + first + second)
    left = where(right < 0, where(right < -_LEFT, _LEFT, -right), 0)
    return round_shift(product << left, where(right < 0, 0, where(right > p + 2, p + 2, right)), rounding)


def float32(value: Exact, scale: Exact) -> Exact:
    """float32(value) * scale in float32, ties to even throughout: XNNPACK, ONNX Runtime's MLAS."""
    return multiply(value, scale, FLOAT32, "half_even")


def float64_away(value: Exact, scale: Exact) -> Exact:
    """value * scale in float64, then ties away from zero: LiteRT's reference kernels for dense layers."""
    return multiply(value, scale, FLOAT64, "half_away")
