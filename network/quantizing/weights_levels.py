"""Weights on the levels of a format times one step for each part, whatever the spacing of the levels."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from golden.formats import Bipolar, Integer, Ternary
from golden.minifloat import MiniFloat
from golden.nearest import levels_of, nearest
from golden.signed_formats import AdditivePowersOfTwo, PowerOfTwo, SignMagnitude

from ..grid import Grid
from ..quantized_weights import QuantizedWeights
from ..scales import grid_scale, least_of_parts, nearest_scale
from .least_squares import least_squares_step
from .parts import in_parts, lengths, over
from .recipe import Recipe
from .weight_range import clipped
from .weights_integer import integer_codes, sign_magnitude_codes, symmetric_step

KEPT = 0.7
NOTHING = 2.0**-20


@dataclass(frozen=True)
class Levels:
    """How a kind of format gets its step and its codes.

    step(w, fmt, recipe) : the real numbers [...] that the decoded integer 1 stands for in the parts of w [K, N]; 0 in a
        part of zeros.
    codes(w, fmt, step, recipe) : int64 [K, N], for steps that broadcast to w.
    scale : which float32 number takes the place of a step: none below it where the largest weight needs all of it.
    """

    step: Callable[..., np.ndarray]
    codes: Callable[..., np.ndarray]
    scale: Callable[..., np.ndarray] = nearest_scale


def on_levels(w, fmt, recipe: Recipe, least_scale=0) -> QuantizedWeights:
    """Weights with a scale for the tensor or for each channel.

    Bipolar ones have no zero: where all are zero they get a scale that is next to nothing, and `least_scale` elsewhere
    does not hold for them.
    """
    rule = LEVELS[type(fmt)]
    least = least_of_parts(least_scale, recipe.granularity)
    step = rule.step(w, fmt, recipe)
    if isinstance(fmt, Bipolar):
        least = np.where(step > 0, 0, np.maximum(least, NOTHING * (step.max() or 1)))
    scale = rule.scale(step, recipe.scales, least=least)
    return QuantizedWeights({"weights": fmt}, {"w": rule.codes(w, fmt, scale, recipe)}, Grid(fmt, scale))


def _parts(w, recipe):
    return in_parts(w, recipe.granularity, recipe.group)


def minifloat_step(w, fmt: MiniFloat, recipe: Recipe) -> np.ndarray:
    """m / largest number, m the largest magnitude of each part in the recipe's range; of the decoded integer 1."""

    def rounded(values, lo, hi):
        scale = np.where(hi > 0, hi, 1) / np.float64(fmt.largest)
        return fmt.value(fmt.encode(values / scale)) * scale

    within = clipped(w, recipe, rounded, symmetric=True, width=fmt.width)
    largest = np.abs(_parts(within, recipe)).max(axis=-1)
    return largest / np.float32(fmt.largest) * np.float32(fmt.smallest)


def minifloat_codes(w, fmt: MiniFloat, step, recipe: Recipe) -> np.ndarray:
    """Ties to even, saturating; of zero no sign."""
    return fmt.encode(np.ldexp(w.astype(np.float64) / step, -fmt.fraction) + 0)


def power_step(w, fmt, recipe: Recipe) -> np.ndarray:
    """The step with which the nearest levels lose least."""
    return least_squares_step(_parts(w, recipe), levels_of(fmt)[0])


def nearest_codes(w, fmt, step, recipe: Recipe) -> np.ndarray:
    """The nearest level, of two the one nearer to zero."""
    return nearest(fmt, w.astype(np.float64) / step)


def ternary_step(w, fmt: Ternary, recipe: Recipe) -> np.ndarray:
    """The mean magnitude of the weights above 0.7 mean|w| of their part: the others are to be 0.

    Source: Li and Liu 2016, "Ternary Weight Networks", arXiv 1605.04711, equations 5 and 6.
    """
    magnitudes = np.abs(_parts(w, recipe)).astype(np.float64)
    kept = magnitudes > KEPT * bipolar_step(w, fmt, recipe)[..., None]
    return (magnitudes * kept).sum(axis=-1) / np.maximum(kept.sum(axis=-1), 1)


def ternary_codes(w, fmt: Ternary, step, recipe: Recipe) -> np.ndarray:
    """The signs of these weights; all 0 where the step is more than twice that of the part."""
    where = recipe.granularity, recipe.group, len(w)
    own, least = (over(find(w, fmt, recipe), *where) for find in (ternary_step, bipolar_step))
    kept = (np.abs(w) > KEPT * least) & (step <= 2 * own)
    return np.where(kept, np.sign(w), 0).astype(np.int64)


def bipolar_step(w, fmt, recipe: Recipe) -> np.ndarray:
    """The mean magnitude of each part.

    Source: Rastegari et al. 2016, "XNOR-Net", arXiv 1603.05279, equation 6.
    """
    counts = lengths(recipe.granularity, recipe.group, w.shape)
    return np.abs(_parts(w, recipe)).sum(axis=-1, dtype=np.float64) / counts


def bipolar_codes(w, fmt: Bipolar, step, recipe: Recipe) -> np.ndarray:
    """The sign; of zero the positive one."""
    return np.asarray(fmt.saturate(w), np.int64)


LEVELS = {
    Integer: Levels(symmetric_step, integer_codes, grid_scale),
    SignMagnitude: Levels(symmetric_step, sign_magnitude_codes, grid_scale),
    MiniFloat: Levels(minifloat_step, minifloat_codes, grid_scale),
    PowerOfTwo: Levels(power_step, nearest_codes),
    AdditivePowersOfTwo: Levels(power_step, nearest_codes),
    Ternary: Levels(ternary_step, ternary_codes),
    Bipolar: Levels(bipolar_step, bipolar_codes),
}
