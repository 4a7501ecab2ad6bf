"""Fixed-point scaling as other people define it: `value * d` for a real d, from an integer multiplier and a shift.

d = multiplier * 2**(shift - 31) with 2**30 <= multiplier < 2**31: TFLite's encoding, in which a positive shift is to
the left (`encode`). Everything is written from the definition, in operations that Python integers, numpy arrays and
symbolic integers have. docs/arithmetic.md, section 7, says who does what and where they differ.
"""

import math

from .ops import Exact, where
from .rounding import round_shift

MULTIPLIER_BITS = 31
SHIFTS = (-31, 30)
_INT32_MAX = (1 << 31) - 1


def encode(scale: float) -> tuple[int, int]:
    """(multiplier, shift) of a positive real scale, as TFLite's QuantizeMultiplier does it: fraction rounded half away.

    A scale below 2**-32 becomes (0, 0). Raises ValueError for a scale that is no positive number or above 2**30.
    """
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale must be a positive number, not {scale}")
    fraction, shift = math.frexp(scale)
    multiplier = math.floor(math.ldexp(fraction, MULTIPLIER_BITS) + 0.5)
    if multiplier == 1 << MULTIPLIER_BITS:
        multiplier, shift = multiplier // 2, shift + 1
    if shift < SHIFTS[0]:
        return 0, 0
    if shift > SHIFTS[1]:
        raise ValueError(f"scale must be below 2**{SHIFTS[1]}, not {scale}")
    return multiplier, shift


def wrap32(value: Exact) -> Exact:
    """The int32 with the same low 32 bits: what C on every platform in question does with a sum that overflows."""
    return ((value + (1 << 31)) & ((1 << 32) - 1)) - (1 << 31)


def doubling_high_multiply(a: Exact, b: Exact) -> Exact:
    """floor(a * b / 2**31 + 1/2) for int32 a, b; INT_MIN * INT_MIN gives INT_MAX. gemmlowp's SRDHM, ARM's VQRDMULH."""
    product = round_shift(a * b, 31, "half_up")
    return where(product > _INT32_MAX, _INT32_MAX, product)


def _left(shift):
    return where(shift > 0, shift, 0)


def _right(shift):
    return where(shift < 0, -shift, 0)


def tflite(value: Exact, multiplier: Exact, shift: Exact) -> Exact:
    """gemmlowp's double rounding: a doubling high multiply, then a division by 2**-shift that rounds ties away.

    TFLite's reference convolutions, TFLite Micro, CMSIS-NN, TOSA's DOUBLE_ROUND. Left shifts wrap at 32 bits.
    """
    high = doubling_high_multiply(wrap32(wrap32(value) << _left(shift)), multiplier)
    return round_shift(high, _right(shift), "half_away")


def double_half_up(value: Exact, multiplier: Exact, shift: Exact) -> Exact:
    """As `tflite`, but the second rounding takes ties up: ruy's kernels for x86 and TFLite's for NEON."""
    high = doubling_high_multiply(wrap32(wrap32(value) << _left(shift)), multiplier)
    return round_shift(high, _right(shift), "half_up")


def tflite_single(value: Exact, multiplier: Exact, shift: Exact) -> Exact:
    """One rounding, ties up: TFLITE_SINGLE_ROUNDING, ruy's portable and arm64 code, TOSA's SINGLE_ROUND."""
    return round_shift(wrap32(value) * multiplier, 31 - shift, "half_up")


def mult16(value: Exact, multiplier: Exact, shift: Exact) -> Exact:
    """One rounding, ties up, by the 16 bits of `reduce_multiplier`: TFLite's int16 activations, for |value| < 2**47."""
    return round_shift(value * multiplier, 15 - shift, "half_up")


def reduce_multiplier(multiplier: int) -> int:
    """The 16-bit multiplier that `mult16` takes for a 31-bit one."""
    return (multiplier + (1 << 15)) >> 16 if multiplier < 0x7FFF0000 else 0x7FFF
