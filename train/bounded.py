"""Weights whose sums stay inside an accumulator of a chosen width, by their l1 norm: A2Q.

A sum of products a * w with activations in [lo, hi] stays within +-(2**(bits - 1) - 1) where

    sum |w| * max(|lo|, |hi|) <= 2**(bits - 1) - 1,

and, where the weights of a column sum to zero before they are rounded towards zero, where

    sum |w| * (hi - lo) / 2 <= 2**(bits - 1) - 1.

Sources: Colbert, Pappalardo, Petri-Koenig, "A2Q: Accumulator-Aware Quantization with Guaranteed Overflow Avoidance"
(ICCV 2023), equation 11, which takes 2**N for the activations of N unsigned bits, one more than there is; for zero sums
Colbert et al., "A2Q+: Improving Accumulator-Aware Weight Quantization" (2024).
"""

import torch
from torch import nn

from network.grid import Grid
from network.quantized_weights import QuantizedWeights
from network.quantizing.recipe import Recipe

from .steps import level_range, levels, numpy, step_of
from .straight_through import OnGrid, lsq, lsq_gain
from .weights import integer_codes, on_grid

_MARGIN = 1 - 2.0**-16  # float32 sums of magnitudes must not come out above the bound


def norm_bound(accumulator: int, a_range: tuple[int, int]) -> int:
    """The largest sum of magnitudes of a column of weights, in codes, for an accumulator of so many bits."""
    lo, hi = a_range
    return ((1 << accumulator - 1) - 1) // max(-lo, hi)


def centered_bound(accumulator: int, a_range: tuple[int, int]) -> int:
    """The same for columns that sum to zero."""
    lo, hi = a_range
    return 2 * ((1 << accumulator - 1) - 1) // (hi - lo)


class BoundedWeights(nn.Module):
    """Integers whose magnitudes sum to at most `bound` in each column:

        w = g * v / sum |v|,    g = min(2**t, bound * step),    codes = w / step rounded towards zero

    v are the weights that come, t [N] and the step are learned.
    """

    def __init__(self, initial: QuantizedWeights, recipe: Recipe, v, bound: int):
        super().__init__()
        self.initial, self.bound = initial, bound
        self.step = step_of(initial.grid, recipe)
        self.t = nn.Parameter(self.direction(torch.tensor(v, dtype=torch.float32)).abs().sum(dim=0).log2())

    def direction(self, v):
        """What the weights are a multiple of."""
        return v

    def _most(self):
        """log2 of the largest norm [N]."""
        return torch.log2(self.step() * self.bound * _MARGIN)

    def penalty(self) -> torch.Tensor:
        """How far t lies beyond what the bound lets through, summed: a term of the loss (A2Q, equation 20)."""
        return (self.t - self._most()).clamp(min=0).sum()

    def forward(self, v):
        step, fmt = self.step(), self.initial.grid.fmt
        v = self.direction(v)
        w = torch.exp2(torch.minimum(self.t, self._most())) * v / v.abs().sum(dim=0).clamp(min=1e-30)
        grid = Grid(fmt, numpy(step))
        codes = integer_codes(grid, numpy(w), "toward_zero")
        lo, hi = level_range(fmt)
        gain = lsq_gain(w.numel() // step.numel(), hi)
        return OnGrid.apply(w, step, levels(grid, codes), lo, hi, gain, lsq), on_grid(self.initial, grid, codes)


class CenteredWeights(BoundedWeights):
    """The same with v less the mean of its column, so that about twice the norm fits for unsigned activations."""

    def direction(self, v):
        return v - v.mean(dim=0)


BOUNDS = {"norm": (BoundedWeights, norm_bound), "centered": (CenteredWeights, centered_bound)}
