"""How much of the weights a scale covers: what lies beyond is brought to the ends before the scale is chosen."""

import numpy as np

from golden.ranges import SHRINKS, entropy, percentile

from .parts import in_parts, lengths, over
from .recipe import Recipe

LEVELS = 128


def clipped(w, recipe: Recipe, rounded, *, symmetric: bool, width: int) -> np.ndarray:
    """w [K, N], each part of it brought into the range that the recipe's `weight_range` finds for it, float32.

    rounded : what values [..., L] become on the grid of a range: `rounded(values, lo, hi)`, lo and hi [..., 1].
    symmetric : whether the range is -m to m, for m the larger end. width : bits of a code.
    """
    if recipe.weight_range == "minmax":
        return w
    where = recipe.granularity, recipe.group
    parts = in_parts(w, *where)
    if recipe.weight_range == "mse":
        lo, hi = _least_error(parts, rounded, symmetric)
    else:
        lo, hi = _each(parts, lengths(*where, w.shape), lambda part: _histogram(part, recipe, symmetric, width))
    return np.clip(w, *(over(end, *where, len(w)) for end in (lo, hi)))


def _histogram(part, recipe, symmetric, width):
    """The range of one part by golden.ranges; its larger magnitude on both sides where symmetric."""
    if recipe.weight_range == "percentile":
        lo, hi = percentile([part], recipe.percent, recipe.bins, symmetric=symmetric)
    else:
        lo, hi = entropy([part], recipe.bins, levels(width))
    return (-max(-lo, hi), max(-lo, hi)) if symmetric else (lo, hi)


def levels(width) -> int:
    """Levels that "entropy" compares with for codes of some bits: half of them, 128 at most, as ONNX Runtime's."""
    return min(1 << max(width - 1, 1), LEVELS)


def _each(parts, counts, ends):
    flat = [ends(part[:count]) for part, count in zip(_rows(parts), counts.reshape(-1), strict=True)]
    return np.array(flat, np.float32).T.reshape(2, *parts.shape[:-1])


def _rows(parts):
    return parts.reshape(-1, parts.shape[-1])


def _least_error(parts, rounded, symmetric):
    """golden.ranges.mean_square_error of all parts at once: the best of 1/100 to 100/100, ties the largest.

    The ends are multiplied and divided in float64, then kept as float32.
    """
    lo, hi = (end.astype(np.float64)[..., None] for end in (parts.min(axis=-1), parts.max(axis=-1)))
    if symmetric:
        lo, hi = -np.maximum(-lo, hi), np.maximum(-lo, hi)
    least, best = np.full(lo.shape, np.inf), np.full(lo.shape, SHRINKS)
    for part in range(SHRINKS, 0, -1):
        ends = [(end * part / SHRINKS).astype(np.float32) for end in (lo, hi)]
        error = np.square(rounded(parts, *ends) - parts).sum(axis=-1, keepdims=True)
        best = np.where(error < least, part, best)
        least = np.minimum(error, least)
    return tuple((end * best / SHRINKS).astype(np.float32)[..., 0] for end in (lo, hi))
