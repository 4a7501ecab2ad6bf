"""Scaling in floating point, as platforms without an integer multiplier do it, to integers before the clip.

float32 and float64 operations are numpy's, which rounds each one to nearest, ties to even, as IEEE 754 hardware does.
The rounding to an integer is `round_real`: exact, and by the rules of golden.rounding.
"""

import numpy as np

from .rounding import round_shift

_LARGEST = float(1 << 62)
_MANTISSA_BITS = 53
_MOST_SHIFT = 62


def round_real(value, rounding) -> np.ndarray:
    """float values of any shape, rounded to int64 by the named rule; beyond +-2**62, infinities too, +-2**62.

    A pair of names is one rule for values >= 0 and one for values below. Every value is an integer of 53 bits times a
    power of two, so this is `round_shift` of that integer.
    Raises ValueError for NaN, which no integer stands for.
    """
    value = np.asarray(value, np.float64)
    if isinstance(rounding, tuple):
        return np.where(value < 0, round_real(value, rounding[1]), round_real(value, rounding[0]))
    if np.isnan(value).any():
        raise ValueError("NaN has no integer code")
    fraction, exponent = np.frexp(np.clip(value, -_LARGEST, _LARGEST))
    mantissa = np.ldexp(fraction, _MANTISSA_BITS).astype(np.int64)
    right = _MANTISSA_BITS - exponent.astype(np.int64)
    return round_shift(mantissa << np.maximum(-right, 0), np.clip(right, 0, _MOST_SHIFT), rounding)


def round_clipped(value, rounding, bounds) -> np.ndarray:
    """`round_real`, clipped to integer bounds; the order of the two makes no difference."""
    lo, hi = bounds
    return np.clip(round_real(value, rounding), lo, hi)


def float32(acc, scale) -> np.ndarray:
    """float32(float32(acc) * scale): the sum itself is rounded to 24 bits first."""
    return np.asarray(np.asarray(acc, np.float32) * np.asarray(scale, np.float32))


def float64(acc, scale) -> np.ndarray:
    """float64(acc * scale); the sum is exact below 2**53."""
    return np.asarray(np.asarray(acc, np.float64) * np.asarray(scale, np.float64))


def float32_division(acc, product_scale, y_scale) -> np.ndarray:
    """float32(float32(float32(acc) * product_scale) / y_scale): a network of floats that ends in a quantizer."""
    return np.asarray(float32(acc, product_scale) / np.float32(y_scale))


def thresholds(y_scale, bounds, product_scale=1.0) -> np.ndarray:
    """Integer thresholds [T] (or [N, T] for product scales [N]) of codes from lo to hi: T = hi - lo.

    The code is lo + the number of thresholds that the sum reaches. Threshold k is the middle between the codes lo + k
    and lo + k + 1, made in float64 from the float32 scale and kept in float32; the scale in front of it is divided out
    in float32, and the next integer above taken, as sums are integers.
    Sources: Xilinx/finn, qonnx_activation_handlers.py (QuantIdentityHandler, QuantReluHandler), absorb.py
    (AbsorbMulIntoMultiThreshold), round_thresholds.py.
    """
    lo, hi = bounds
    step = np.float64(np.float32(y_scale))
    if lo < 0:
        first = -step / 2 - step * ((hi - lo) // 2 - 1)
        first = first - step if hi + lo < 0 else first
    else:
        first = step / 2
    middles = (first + step * np.arange(hi - lo)).astype(np.float32)
    return np.ceil(middles / np.asarray(product_scale, np.float32)[..., None]).astype(np.float64)


def reached(acc, levels) -> np.ndarray:
    """How many of the ascending levels [T] or [N, T] each sum acc [..., N] has reached."""
    if levels.ndim == 1:
        return np.searchsorted(levels, acc, side="right")
    columns = [np.searchsorted(level, acc[..., n], side="right") for n, level in enumerate(levels)]
    return np.stack(columns, axis=-1)
