"""Integers times real factors, rounded to nearest exactly: what a requantizer would give that loses nothing else."""

from fractions import Fraction

import numpy as np

_DOUBT = 2.0**-50  # of the product: more than two roundings of float64


def nearest(numbers, factors) -> np.ndarray:
    """round(numbers * factors) of integers [..., N] and exact factors: one Fraction, or N. Ties go to even.

    float64 that holds integers: in float64 where that decides, in Python integers next to ties.
    """
    numbers = np.asarray(numbers)
    factors = list(factors) * (numbers.shape[-1] if len(factors) == 1 else 1)
    product = numbers.astype(np.float64) * np.array([float(factor) for factor in factors])
    rounded = np.rint(product)
    doubtful = np.abs(np.abs(product - rounded) - 0.5) <= np.abs(product) * _DOUBT
    if doubtful.any():
        above, below = (np.array([getattr(f, name) for f in factors], object) for name in ("numerator", "denominator"))
        column = np.nonzero(doubtful)[-1]
        rounded[doubtful] = _quotients(numbers[doubtful].astype(object) * above[column], below[column])
    return rounded


def _quotients(above, below):
    """above / below rounded to nearest, ties to even, of Python integers."""
    floor = above // below
    twice = 2 * (above - floor * below)
    return (floor + ((twice > below) | ((twice == below) & (floor % 2 == 1)))).astype(np.float64)


def exact(number) -> Fraction:
    """The number that a float is."""
    return Fraction(float(number))
