"""From real numbers to the nearest codes of a narrow format, whatever its spacing."""

import numpy as np

from .minifloat import MiniFloat

MAX_WIDTH = 16


def nearest(fmt, values) -> np.ndarray:
    """Codes of the numbers of a format nearest to real values [...], int64 of the same shape.

    Values are in units of the format's grid: divide by the scale first. Exact: halfway between two numbers the one
    nearer to zero is taken, what lies beyond the range gets its end, and zero its code without a sign. Raises
    ValueError for formats of more than 16 bits and for values that are not finite.
    """
    if fmt.width > MAX_WIDTH:
        raise ValueError(f"nearest takes formats of at most {MAX_WIDTH} bits, not {fmt}")
    levels, codes = levels_of(fmt)
    return codes[nearest_level(levels, values)]


def nearest_level(levels, values):
    """Index of the level, of some in rising order, nearest to each value; halfway that of the one nearer to zero.

    Raises ValueError for values that are not finite.
    """
    values = np.asarray(values, np.float64)
    if not np.isfinite(values).all():
        raise ValueError("nearest takes finite values only")
    middles = (levels[:-1] + levels[1:]) / 2
    below, above = (np.searchsorted(middles, values, side=side) for side in ("left", "right"))
    return np.where(values > 0, below, above)


def levels_of(fmt):
    """The numbers of a format in rising order, as float64, and the lowest code of each."""
    lo, hi = fmt.code_range
    every = np.arange(lo, hi + 1)
    if isinstance(fmt, MiniFloat):
        every = every[fmt.is_number(every)]
    levels, first = np.unique(fmt.decode(every), return_index=True)
    return levels.astype(np.float64), every[first]
