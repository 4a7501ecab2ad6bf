"""Fixed-point scaling with each platform's own limits, and the multipliers and shifts that real scales become there.

d = multiplier * 2**(shift - 31), or 2**(shift - 15) for `mult16`; a positive shift is to the left.
"""

import math

import numpy as np

from . import scale
from .rounding import round_shift

FIXED = ("tflite", "double_half_up", "tflite_single", "mult16")
_MULT16_SHIFTS = (-31, 7)
_TOSA_RIGHT_SHIFTS = (2, 62)
_RNDNU_SCALES = (2.0**-32, 2.0**8)
_FLOAT32_BITS = 24


def bits(p) -> int:
    """Bits of a platform's multipliers."""
    return 15 if p.scaling == "mult16" else scale.MULTIPLIER_BITS


def encode(p, d) -> tuple[int, int]:
    """(multiplier, shift) of a positive real scale on a platform; raises ValueError for scales too large for any."""
    if p.is_tosa:
        return encode_tosa(d, bits(p))
    multiplier, shift = scale.encode(d)
    return (scale.reduce_multiplier(multiplier) if p.scaling == "mult16" else multiplier), shift


def encode_tosa(d, width) -> tuple[int, int]:
    """(multiplier, shift) with a multiplier of `width` bits, fraction rounded half away; small scales lose bits.

    Source: llvm/llvm-project mlir/lib/Dialect/Tosa/Utils/QuantUtils.cpp, computeMultiplierAndShift.
    """
    fraction, shift = math.frexp(d)
    multiplier = math.floor(math.ldexp(fraction, width) + 0.5)
    if multiplier == 1 << width:
        multiplier, shift = multiplier // 2, shift + 1
    lost = max(width - shift - _TOSA_RIGHT_SHIFTS[1], 0)
    return multiplier >> min(lost, 31), shift + lost


def fixed(p, value, multiplier, shift) -> np.ndarray:
    """int64 values scaled by the rule of p.scaling. Raises ValueError for what the platform does not define."""
    multiplier, shift = np.asarray(multiplier, np.int64), np.asarray(shift, np.int64)
    lo, hi = _shifts(p)
    if (shift < lo).any() or (shift > hi).any():
        raise ValueError(f"shift must be {lo} to {hi} on {p.name}")
    if (multiplier < 0).any() or (multiplier >> bits(p)).any():
        raise ValueError(f"multiplier must have at most {bits(p)} bits and no sign on {p.name}")
    if p.scaling == "mult16" and ((value < -1 << 47) | (value >> 47 > 0)).any():
        raise ValueError(f"a sum is outside 48 bits, which {p.name} does not scale")
    if p.halves_int32:
        return mult16_int32(value, multiplier, shift)
    scaled = getattr(scale, p.scaling)(value, multiplier, shift)
    return _predictable(p, value, scaled, shift) if p.is_tosa else scaled


def _shifts(p):
    if p.is_tosa:
        least, most = _TOSA_RIGHT_SHIFTS
        return bits(p) - most, bits(p) - least
    return _MULT16_SHIFTS if p.scaling == "mult16" else scale.SHIFTS


def _predictable(p, value, scaled, shift):
    """The scaled values, where TOSA defines them. Source: TOSA specification 1.1, apply_scale_32 and apply_scale_16."""
    if p.scaling != "mult16" and (np.abs(2 * value + 1) > 1 << (31 - shift)).any():
        raise ValueError(f"a sum is outside 2**(30 - shift), which {p.name} leaves unpredictable")
    if p.scaling == "mult16" and (scaled != scale.wrap32(scaled)).any():
        raise ValueError(f"a scaled sum does not fit int32, which {p.name} leaves unpredictable")
    return scaled


def mult16_int32(value, multiplier, shift):
    """As `mult16`, but the quotient is kept in 32 bits, and wraps, before the last halving: right below 2**30 only.

    Source: ARM-software/CMSIS-NN, Include/arm_nnsupportfunctions.h, arm_nn_requantize_s64.
    """
    return round_shift(scale.wrap32(value * multiplier >> 14 - shift), 1, "half_up")


def doubling_high_multiply_sse4(a, b):
    """As scale.doubling_high_multiply, but INT_MIN * INT_MIN gives INT_MIN: gemmlowp's vectors for SSE4.

    No platform here scales by a negative multiplier, so none shows it. Source: google/gemmlowp, fixedpoint_sse.h.
    """
    return scale.wrap32(round_shift(a * b, 31, "half_up"))


def shift_add(acc, multiplier, shift, add=0):
    """(acc * multiplier + add) / 2**shift to the right, ties up. Source: pulp-platform/Deeploy, RequantShift_s8.c."""
    product = acc * np.asarray(multiplier, np.int64) + np.asarray(add, np.int64)
    return round_shift(product, np.asarray(shift, np.int64), "half_up")


def rndnu(acc, factor):
    """acc times the 24-bit significand of a float32 scale, shifted to the right once, ties up.

    Raises ValueError for scales outside [2**-32, 2**8).
    Source: google/XNNPACK, src/qs8-requantization/rndnu-neon-mull.c.
    """
    factor = np.asarray(factor, np.float32).astype(np.float64)
    lo, hi = _RNDNU_SCALES
    if (factor < lo).any() or (factor >= hi).any():
        raise ValueError("the scale must be from 2**-32 to below 2**8")
    fraction, exponent = np.frexp(factor)
    significand = np.ldexp(fraction, _FLOAT32_BITS).astype(np.int64)
    return round_shift(acc * significand, _FLOAT32_BITS - exponent.astype(np.int64), "half_up")
