"""exp, 1 / (1 + x) and the logistic function on integers, to the bit as gemmlowp's fixed-point numbers have them.

A number with i integer bits is an int32 r that stands for r * 2**(i - 31). Products are doubling high multiplies, which
round ties up; divisions by powers of two round ties away from zero.
Source: google/gemmlowp, fixedpoint/fixedpoint.h.
"""

import math

import numpy as np

from .rounding import round_shift
from .scale import doubling_high_multiply

ONE = (1 << 31) - 1
_QUARTERS = range(-2, 5)


def _constant(value, integer_bits=0):
    """A real number as a fixed-point one, to the nearest."""
    return math.floor(math.ldexp(value, 31 - integer_bits) + 0.5)


def divided(value, bits) -> np.ndarray:
    """value / 2**bits, ties away from zero."""
    return np.asarray(round_shift(np.asarray(value, np.int64), bits, "half_away"))


def exp_of_negative(a, integer_bits) -> np.ndarray:
    """exp(a) without integer bits, for a <= 0 of 4 or 5 integer bits.

    a is -1/4..0 (without 0), whose exp is a polynomial, less quarters, each bit of whose number is one factor.
    """
    a = np.asarray(a, np.int64)
    quarter = 1 << (29 - integer_bits)
    rest = (a & (quarter - 1)) - quarter
    result = _exp_of_quarter(rest << integer_bits)
    for power in _QUARTERS:
        if power < integer_bits:
            has = (rest - a) & (quarter << (power + 2)) != 0
            result = np.where(has, doubling_high_multiply(result, _constant(math.exp(-(2.0**power)))), result)
    return np.where(a == 0, ONE, result)


def _exp_of_quarter(a):
    """exp(a) for -1/4 <= a < 0: Taylor's polynomial of degree 4 around -1/8."""
    x = a + (1 << 28)
    x2 = doubling_high_multiply(x, x)
    x3, x4 = doubling_high_multiply(x2, x), doubling_high_multiply(x2, x2)
    above = divided(doubling_high_multiply(divided(x4, 2) + x3, _constant(1 / 3)) + x2, 1)
    middle = _constant(math.exp(-1 / 8))
    return middle + doubling_high_multiply(middle, x + above)


def reciprocal_of_one_plus(a) -> np.ndarray:
    """1 / (1 + a) for 0 <= a < 1, none with integer bits: three steps of Newton from 48/17 - 32/17 * (1 + a) / 2."""
    half = (np.asarray(a, np.int64) + (1 << 31)) >> 1
    x = _constant(48 / 17, 2) + doubling_high_multiply(half, -_constant(32 / 17, 2))
    for _ in range(3):
        missing = (1 << 29) - doubling_high_multiply(half, x)
        x = x + _saturated(doubling_high_multiply(x, missing) << 2)
    return _saturated(x << 1)


def _saturated(value):
    return np.clip(value, -(1 << 31), ONE)


def logistic(a, integer_bits) -> np.ndarray:
    """1 / (1 + exp(-a)) without integer bits."""
    a = np.asarray(a, np.int64)
    positive = reciprocal_of_one_plus(exp_of_negative(-np.abs(a), integer_bits))
    return np.where(a == 0, 1 << 30, np.where(a > 0, positive, ONE - positive))
