"""Weights whose groups along K have scales of their own, which the array takes beside the codes."""

import numpy as np

from golden.formats import Bipolar, Format, Integer, parse
from golden.group_scales import Groups, quantize_groups, quantize_two_level
from golden.minifloat import MiniFloat
from golden.scale_formats import SCALE_FLOATS, PowerScale

from ..grid import Grid
from ..quantized_weights import QuantizedWeights
from ..scales import POWER_OF_TWO
from .block_scales import block_scales
from .parts import over
from .recipe import Recipe
from .weight_range import clipped
from .weights_integer import affine, top_of
from .weights_levels import LEVELS


def groups(w, fmt: Format, recipe: Recipe, least_scale=0) -> QuantizedWeights:
    """The levels of a format times the scale of each group, codes being those for the scales as they are kept.

    Raises ValueError for formats of scales that are not floats, or have no zero where bipolar weights need one.
    """
    rule = LEVELS[type(fmt)]
    wanted = np.asarray(rule.step(w, fmt, recipe), np.float64).T
    scales = block_scales(wanted, group_scale(fmt, recipe), recipe.scales)
    if isinstance(fmt, Bipolar) and (scales.values[wanted == 0] > 0).any():
        raise ValueError(f"a group of zeros needs a scale of zero with bipolar weights, and {scales.fmt} has none")
    step = np.where(scales.values > 0, scales.values, 1)
    codes = rule.codes(w, fmt, over(step.T, "group", recipe.group, len(w)), recipe)
    fields = {"weights": fmt, "block": recipe.group, **scales.spec_fields}
    return QuantizedWeights(fields, {"w": codes, "w_block_scale": scales.codes}, Grid(fmt, scales.unit))


def integer_groups(w, fmt: Integer, recipe: Recipe, least_scale=0) -> QuantizedWeights:
    """Integers by golden.group_scales: with float scales, or of two levels where group_scale is an integer.

    Unsigned ones have a zero point in each group. Raises ValueError for scales that they do not have.
    """
    scale = group_scale(fmt, recipe)
    if not fmt.signed:
        return _with_zero_points(w, fmt, scale, recipe)
    if not isinstance(scale, Integer) and str(scale) not in SCALE_FLOATS:
        return groups(w, fmt, recipe, least_scale)
    w = clipped(w, recipe, affine(-top_of(fmt), top_of(fmt)), symmetric=True, width=fmt.width)
    if isinstance(scale, Integer):
        return _two_level(w, fmt, scale, recipe)
    found = quantize_groups(w.T, str(fmt), recipe.group, "symmetric", str(scale))
    return _grouped(fmt, scale, found, 2.0**-scale.fraction, recipe)


def group_scale(fmt: Format, recipe: Recipe) -> Format:
    """The recipe's format of scales of groups, or the default for weights of some format."""
    if recipe.group_scale is not None:
        return parse(recipe.group_scale)
    if isinstance(fmt, MiniFloat):
        return PowerScale()
    return parse("uint8" if isinstance(fmt, Integer) and fmt.signed else "float16")


def _two_level(w, fmt, scale, recipe):
    """golden.group_scales.quantize_two_level: VS-Quant."""
    if scale.signed or scale.fraction:
        raise ValueError(f"group_scale must be an unsigned integer or a float, not {scale}")
    if recipe.scales == POWER_OF_TWO:
        raise ValueError(f"group_scale {scale} needs a real scale for each channel, no power of two; take float16")
    found = quantize_two_level(w.T, fmt.width, scale.width, recipe.group)
    return _grouped(fmt, scale, found, found.tensor_scale, recipe)


def _with_zero_points(w, fmt, scale, recipe):
    """golden.group_scales.quantize_groups, rule "gptq"."""
    if str(scale) not in SCALE_FLOATS:
        raise ValueError(f"groups of {fmt} have zero points and need group_scale {' or '.join(SCALE_FLOATS)}")
    w = clipped(w, recipe, affine(*fmt.code_range), symmetric=False, width=fmt.width)
    found = quantize_groups(w.T, str(fmt), recipe.group, "gptq", str(scale))
    weights = _grouped(fmt, scale, found, 2.0**-scale.fraction, recipe)
    fields = {**weights.spec_fields, "w_block_zero_point": True}
    return QuantizedWeights(fields, {**weights.arrays, "w_block_zero_point": found.zero_points.T}, weights.grid)


def _grouped(fmt, scale, found: Groups, unit, recipe):
    arrays = {"w": found.codes.T, "w_block_scale": found.scales.T}
    return QuantizedWeights(
        {"weights": fmt, "block": recipe.group, "w_block_scale": scale}, arrays, Grid(fmt, np.asarray(unit))
    )
