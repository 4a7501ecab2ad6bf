"""Weights on their way to codes: for real w [K, N], golden's codes, and the real numbers they stand for.

Each module takes w and returns (values, quantized): float32 values [K, N] with their gradients, and what
network.quantizing.lowering.product takes. `initial` is what post-training quantization makes of the first weights.
"""

import numpy as np
import torch
from torch import nn

from golden.codebook import assigned
from golden.formats import Codebook, Integer, Ternary
from golden.nearest import nearest
from golden.quantize import quantize
from golden.spec import Spec
from network.grid import Grid
from network.layers import Product
from network.quantized_weights import QuantizedWeights
from network.quantizing.recipe import Recipe
from network.quantizing.weights import quantized_weights
from network.quantizing.weights_levels import LEVELS

from .steps import level_range, levels, numpy, step_of
from .straight_through import LookedUp, OnGrid, Replaced, Sign, lsq, lsq_gain


class SteppedWeights(nn.Module):
    """A learned step for each column, or for all, and the nearest level: LSQ for integers, and for any other levels.

    Integers take all codes, the least one too, and round ties to even; ternary weights are zero up to half a step.
    """

    def __init__(self, initial: QuantizedWeights, recipe: Recipe):
        super().__init__()
        self.initial, self.recipe = initial, recipe
        self.step = step_of(initial.grid, recipe)

    def forward(self, w):
        step = self.step()
        grid = Grid(self.initial.grid.fmt, numpy(step), self.initial.grid.zero_point)
        codes = self.codes(grid, numpy(w))
        lo, hi = level_range(grid.fmt, grid.zero_point)
        gain = lsq_gain(w.numel() // step.numel(), hi)
        return OnGrid.apply(w, step, levels(grid, codes), lo, hi, gain, lsq), on_grid(self.initial, grid, codes)

    def codes(self, grid: Grid, w) -> np.ndarray:
        """Codes, int64, of real w [K, N]."""
        if isinstance(grid.fmt, Integer):
            return integer_codes(grid, w, "half_even")
        if isinstance(grid.fmt, Ternary):
            return nearest(grid.fmt, w.astype(np.float64) / grid.scale)
        return LEVELS[type(grid.fmt)].codes(w, grid.fmt, grid.scale, self.recipe)


def integer_codes(grid: Grid, w, rounding) -> np.ndarray:
    """Codes, int64, of real w [K, N] on a grid of integers, fixed point included."""
    axis = -1 if grid.scale.ndim else None
    plain = str(Integer(grid.fmt.width, grid.fmt.signed))
    return quantize(w, grid.scale, grid.zero_point, plain, axis=axis, rounding=rounding)


def on_grid(initial: QuantizedWeights, grid: Grid, codes) -> QuantizedWeights:
    """Other codes and another grid for the same design."""
    return QuantizedWeights(initial.spec_fields, {**initial.arrays, "w": codes}, grid)


class MeanWeights(nn.Module):
    """Bipolar and ternary weights whose step is a mean of magnitudes, as the recipe has it: XNOR-Net and TWN.

    The step is the mean of w * level over the levels that are not zero, and its gradient goes to these weights; else
    gradients pass where |w| is at most `clip`.
    """

    def __init__(self, format_name: str, recipe: Recipe, clip: float):
        super().__init__()
        self.format_name, self.recipe, self.clip = format_name, recipe, clip

    def forward(self, w):
        quantized = quantized_weights(numpy(w), self.format_name, self.recipe)
        signs = levels(quantized.grid, quantized.arrays["w"])
        shared = (0,) if quantized.grid.scale.ndim else (0, 1)
        mean = (w * signs).sum(dim=shared) / signs.abs().sum(dim=shared).clamp(min=1)
        step = Replaced.apply(mean, torch.from_numpy(quantized.grid.scale))
        return Sign.apply(w, step, signs, self.clip), quantized


class TableWeights(nn.Module):
    """Entries of a table for each column, or for all, learned, as integers; each weight takes the nearest."""

    def __init__(self, initial: QuantizedWeights):
        super().__init__()
        self.initial = initial
        tables = np.atleast_2d(initial.arrays["w_codebook"]) * np.atleast_1d(initial.grid.scale)[:, None]
        self.tables = nn.Parameter(torch.tensor(tables, dtype=torch.float32))

    def forward(self, w):
        fmt = self.initial.grid.fmt
        assert isinstance(fmt, Codebook)
        parts = w.T if len(self.tables) == w.shape[1] else w.reshape(1, -1)
        tables = self.tables.sort(dim=1).values
        scale = _table_scale(numpy(tables), fmt)
        entries = np.asarray(fmt.entry.saturate(np.rint(numpy(tables) / scale[:, None])), np.int64)
        codes = np.stack([assigned(*one) for one in zip(numpy(parts) / scale[:, None], entries, strict=True)])
        real = (np.take_along_axis(entries, codes, axis=1) * scale[:, None]).astype(np.float32)
        values = LookedUp.apply(parts, tables, torch.from_numpy(codes), torch.from_numpy(real))
        return self._whole(values, w), self._quantized(self._whole(codes, w), entries, scale)

    @staticmethod
    def _whole(parts, w):
        """Parts [T, L] as a matrix [K, N]."""
        return parts.T if len(parts) == w.shape[1] else parts.reshape(tuple(w.shape))

    def _quantized(self, codes, entries, scale):
        if not self.initial.grid.scale.ndim:
            entries, scale = entries[0], scale[0]
        arrays = {"w": codes, "w_codebook": entries}
        return QuantizedWeights(self.initial.spec_fields, arrays, Grid(self.initial.grid.fmt, scale))


def _table_scale(tables, fmt):
    """float32 [T]: the least scale with which no entry leaves its format, as far as that has the entry's sign."""
    lo, hi = fmt.entry.code_range
    needs = np.maximum(tables[:, -1] / hi, tables[:, 0] / lo if lo else 0)
    return np.where(needs > 0, needs, 1).astype(np.float32)


class RecipeWeights(nn.Module):
    """Weights as post-training quantization makes them, anew for every w: blocks and groups.

    Nothing else is learned; gradients pass.
    """

    def __init__(self, format_name: str, recipe: Recipe):
        super().__init__()
        self.format_name, self.recipe = format_name, recipe

    def forward(self, w):
        quantized = quantized_weights(numpy(w), self.format_name, self.recipe)
        return Replaced.apply(w, torch.from_numpy(real_values(quantized).astype(np.float32))), quantized


def real_values(quantized: QuantizedWeights) -> np.ndarray:
    """The real numbers [K, N], float64, that quantized weights stand for."""
    x, y = Grid(Integer(1, signed=True)), Grid(Integer(64, signed=True))  # whatever they are, the weights are the same
    depth = len(quantized.arrays["w"])
    spec = Spec(activations=x.fmt, output=y.fmt, depth=depth, **quantized.spec_fields)
    return Product("weights", spec, quantized.arrays, x, quantized.grid, y).real_weights
