"""Scales that a grid can have."""

import numpy as np

_TINY = np.finfo(np.float32).tiny
POWER_OF_TWO = "power_of_two"


def grid_scale(scale, scales="real", *, least: float | np.ndarray = 0) -> np.ndarray:
    """float32 scales, at least `least`; 1 where there is nothing to scale; of "power_of_two" the next one above."""
    scale = np.maximum(scale, least).astype(np.float32)
    scale = np.where(scale >= _TINY, scale, np.float32(1))
    if scales != POWER_OF_TWO:
        return scale
    fraction, exponent = np.frexp(scale)
    return np.ldexp(np.float32(1), exponent - (fraction == 0.5))


def nearest_scale(scale, scales="real", *, least: float | np.ndarray = 0) -> np.ndarray:
    """The same, but of "power_of_two" the one nearest in ratio."""
    return grid_scale(scale if scales != POWER_OF_TWO else np.asarray(scale) / np.sqrt(2), scales, least=least)


def least_of_parts(least_scale, granularity) -> np.ndarray:
    """Of the least scales of channels those of the parts: themselves, or the largest for the whole tensor."""
    return np.asarray(least_scale if granularity == "channel" else np.max(least_scale))
