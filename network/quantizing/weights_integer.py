"""Weights on uniform grids: the symmetric step, and what only integers have: fixed scales and zero points."""

import numpy as np

from golden.calibrate import choose
from golden.formats import Integer
from golden.signed_formats import SignMagnitude

from ..grid import Grid
from ..quantized_weights import QuantizedWeights
from ..scales import grid_scale, least_of_parts
from .parts import in_parts
from .recipe import Recipe
from .weight_range import clipped


def top_of(fmt: Integer | SignMagnitude) -> int:
    """The largest magnitude of a symmetric grid. Raises ValueError for one bit, which leaves no two signs."""
    if isinstance(fmt, SignMagnitude):
        return fmt.decoded_range[1]
    if fmt.width < 2:
        raise ValueError(f"weights of {fmt} have no symmetric grid; take bipolar or ternary")
    return (1 << fmt.width - 1) - 1


def symmetric_step(w, fmt, recipe: Recipe) -> np.ndarray:
    """The largest magnitude of each part, in the recipe's range, by the largest code, float32."""
    top = top_of(fmt)
    within = clipped(w, recipe, affine(-top, top), symmetric=True, width=fmt.width)
    return np.abs(in_parts(within, recipe.granularity, recipe.group)).max(axis=-1) / np.float32(top)


def integer_codes(w, fmt: Integer, step, recipe: Recipe) -> np.ndarray:
    """round(w / step), ties to even, saturating; the least code is not used."""
    steps = np.rint(w / np.asarray(step, np.float32)).astype(np.float64)  # float32 has no 2**31 - 1
    return np.clip(steps, -top_of(fmt), top_of(fmt)).astype(np.int64)


def sign_magnitude_codes(w, fmt: SignMagnitude, step, recipe: Recipe) -> np.ndarray:
    """A sign above round(|w| / step), ties to even, saturating; zero has no sign."""
    steps = np.rint(np.abs(w) / np.asarray(step, np.float32)).astype(np.float64)
    magnitude = np.minimum(steps, fmt.decoded_range[1]).astype(np.int64)
    return magnitude + np.where((w < 0) & (magnitude > 0), 1 << fmt.width - 1, 0)


def unsigned(w, fmt: Integer, recipe: Recipe, least_scale=0) -> QuantizedWeights:
    """code = round(w / s) + z, ties to even.

    Of a tensor, z and s are those of golden.calibrate.choose by the recipe's scheme. An array has one zero point: of
    channels z is the middle code 2**(n - 1), and s a symmetric step for each.
    """
    if recipe.granularity == "tensor":
        return _asymmetric(w, fmt, recipe, least_of_parts(least_scale, recipe.granularity))
    scale = grid_scale(symmetric_step(w, fmt, recipe), recipe.scales, least=least_scale)
    middle = top_of(fmt) + 1
    return _on(Grid(fmt, scale, middle), integer_codes(w, fmt, scale, recipe) + middle)


def _asymmetric(w, fmt, recipe, least_scale):
    w = clipped(w, recipe, affine(*fmt.code_range), symmetric=False, width=fmt.width)
    lo, hi = float(w.min()), float(w.max())
    scale, zero_point = choose(recipe.scheme or "onnxruntime", lo, hi, str(fmt))
    used = grid_scale(scale, recipe.scales, least=least_scale)
    least, most = fmt.code_range
    if used != np.float32(scale):
        zero_point = int(np.rint(least - min(lo, 0) / used))
    return _on(Grid(fmt, used, zero_point), np.clip(np.rint(w / used).astype(np.float64) + zero_point, least, most))


def fixed_point(w, fmt: Integer, recipe: Recipe, least_scale=0) -> QuantizedWeights:
    """code = round(w * 2**fraction), ties to even, saturating: the format's own scale whatever the recipe says.

    Raises ValueError for negative weights in a format without a sign.
    """
    if not fmt.signed and (w < 0).any():
        raise ValueError(f"weights of {fmt} cannot be negative, and {float(w.min())} is")
    scale = np.asarray(2.0**-fmt.fraction, np.float32)
    return _on(Grid(fmt, scale), np.clip(np.rint(w / scale).astype(np.float64), *fmt.code_range))


def _on(grid, codes):
    return QuantizedWeights({"weights": grid.fmt}, {"w": codes.astype(np.int64)}, grid)


def affine(code_lo, code_hi):
    """`rounded(values, lo, hi)` on the grid of codes code_lo..code_hi whose range is lo..hi and holds zero.

    Scale and zero point are those of ONNX Runtime's rule: golden.calibrate.choose("onnxruntime", lo, hi).
    """

    def rounded(values, lo, hi):
        lo, hi = np.minimum(np.float64(lo), 0), np.maximum(np.float64(hi), 0)
        wide = (hi - lo) / (code_hi - code_lo)
        wide = np.where(wide >= np.finfo(np.float32).tiny, wide, 1)
        zero_point, scale = np.rint(code_lo - lo / wide), np.float64(np.float32(wide))
        return (np.clip(np.rint(values / scale) + zero_point, code_lo, code_hi) - zero_point) * scale

    return rounded
