"""Real weights to what a product takes, in each format of weights that golden has."""

from collections.abc import Callable

import numpy as np

from golden.block_formats import NAMED_BLOCKS
from golden.formats import Codebook, Format, Integer, parse

from ..quantized_weights import QuantizedWeights
from .recipe import Recipe
from .weights_blocks import named_blocks
from .weights_codebook import codebook
from .weights_groups import groups, integer_groups
from .weights_integer import fixed_point, unsigned
from .weights_levels import LEVELS, on_levels

__all__ = ["QuantizedWeights", "quantized_weights"]


def quantized_weights(w, format_name: str, recipe: Recipe, *, least_scale: float | np.ndarray = 0) -> QuantizedWeights:
    """Codes of real w [K, N] in a format, by the granularity and the range of a recipe.

    least_scale : a scalar or [N]: what a scale that follows from the largest weight is at least, so that biases in its
        units are not too long.

    Raises ValueError where the format has no such granularity or scales, and where weights are not finite.
    """
    w = np.asarray(w, np.float32)
    if w.ndim != 2 or not w.size or not np.isfinite(w).all():
        raise ValueError(f"weights must be a matrix of finite numbers, not of shape {list(w.shape)}")
    if format_name in NAMED_BLOCKS:
        return named_blocks(w, NAMED_BLOCKS[format_name], recipe)
    fmt = parse(format_name)
    return (_in_groups if recipe.granularity == "group" else _rule)(fmt)(w, fmt, recipe, least_scale)


def _rule(fmt: Format) -> Callable[..., QuantizedWeights]:
    if isinstance(fmt, Codebook):
        return codebook
    if isinstance(fmt, Integer) and fmt.fraction:
        return fixed_point
    if isinstance(fmt, Integer) and not fmt.signed:
        return unsigned
    if type(fmt) not in LEVELS:
        raise ValueError(f"weights must be a format of operands, not {fmt}")
    return on_levels


def _in_groups(fmt: Format) -> Callable[..., QuantizedWeights]:
    rule = _rule(fmt)
    if rule is codebook:
        raise ValueError(f"weights of {fmt} have a table for each tensor or channel, not for each group")
    if rule is fixed_point:
        raise ValueError(f"weights of {fmt} have one scale, 2**-{fmt.fraction}, and none for each group")
    return integer_groups if isinstance(fmt, Integer) else groups
