"""Real weights to what a product takes, in each format of weights that golden has."""

from dataclasses import dataclass, field

import numpy as np

from golden.formats import Integer, parse

from .grid import Grid
from .recipe import Recipe
from .weight_range import clipped


@dataclass(frozen=True, eq=False)
class QuantizedWeights:
    """Fields of a Spec (weights, block and so on), arrays of a Product (w and what belongs to it), and their grid."""

    spec_fields: dict
    arrays: dict = field(repr=False)
    grid: Grid = field(repr=False)


def quantized_weights(w, format_name: str, recipe: Recipe, *, least_scale: float | np.ndarray = 0) -> QuantizedWeights:
    """Codes of real w [K, N] in a format, by the granularity and the range of a recipe.

    least_scale : a scalar or [N]: what the scale is at least, so that biases in its units are not too long.

    Raises ValueError where the format has no such granularity, or where weights are not finite.
    """
    w = np.asarray(w, np.float32)
    if w.ndim != 2 or not w.size or not np.isfinite(w).all():
        raise ValueError(f"weights must be a matrix of finite numbers, not of shape {list(w.shape)}")
    fmt = parse(format_name)
    if not isinstance(fmt, Integer):
        raise ValueError(f"weights of {fmt} are not quantized yet")
    return _symmetric(clipped(w, recipe, fmt), fmt, recipe, least_scale)


def _symmetric(w, fmt, recipe, least_scale):
    """scale = m / (2**(n - 1) - 1) for the largest magnitude m; codes rounded to even, the least one left out."""
    top = fmt.code_range[1]
    largest = np.abs(w).max(axis=None if recipe.granularity == "tensor" else 0)
    scale = np.maximum(largest / np.float32(top), np.float32(least_scale))
    scale = np.where(scale >= np.finfo(np.float32).tiny, scale, np.float32(1))
    grid = Grid(fmt, scale)
    return QuantizedWeights({"weights": fmt}, {"w": np.clip(np.rint(w / scale), -top, top).astype(np.int64)}, grid)
