"""The grid of a layer's outputs: its step, which is learned, and gradients through it."""

import numpy as np
import torch
from torch import nn

from golden.formats import Bipolar, Integer
from network.grid import Grid
from network.quantizing.recipe import Recipe

from .codes import Codes
from .steps import levels, numpy, step_of
from .straight_through import STEP_GRADIENTS, OnGrid, Sign, lsq_gain

SIX = 6.0


class Output(nn.Module):
    """Codes of an integer format, or of the bipolar one, with a learned step; the zero point stays.

    gradient : a name of train.straight_through.STEP_GRADIENTS. Of bipolar outputs gradients pass where the real output
        is at most one step from zero.
    narrow : whether the least code of a signed format is left out; int2 is then ternary.

    Raises ValueError for an unknown gradient, and where there is no such code.
    """

    def __init__(self, initial: Grid, recipe: Recipe, gradient: str = "lsq", *, narrow: bool = False):
        super().__init__()
        if gradient not in STEP_GRADIENTS:
            raise ValueError(f"gradient must be one of {', '.join(STEP_GRADIENTS)}, not {gradient!r}")
        if narrow and not (isinstance(initial.fmt, Integer) and initial.fmt.signed and initial.fmt.width > 1):
            raise ValueError(f"narrow outputs must be signed integers of 2 bits or more, not {initial.fmt}")
        self.fmt, self.zero_point, self.gradient = initial.fmt, initial.zero_point, STEP_GRADIENTS[gradient]
        self.narrow = narrow
        self.step = step_of(initial, recipe)

    @property
    def grid(self) -> Grid:
        return Grid(self.fmt, numpy(self.step()), self.zero_point)

    @property
    def clip(self) -> tuple[int, int]:
        """The least and the largest code."""
        lo, hi = self.fmt.code_range
        return lo + self.narrow, hi

    def bounds(self, activation) -> tuple[float, float]:
        """The levels between which a real output moves its code, of integers."""
        lo, hi = (code - self.zero_point for code in self.clip)
        if activation != "none":
            lo = max(lo, 0)
        if activation == "relu6":
            hi = min(hi, SIX / float(numpy(self.step())))
        return lo, hi

    def forward(self, real: torch.Tensor, codes: np.ndarray, activation: str) -> Codes:
        """The codes that golden gave for real outputs [..., N], with gradients."""
        step, grid = self.step(), self.grid
        if isinstance(self.fmt, Bipolar):
            return Codes(Sign.apply(real, step, levels(grid, codes), float(grid.scale)), codes, grid)
        lo, hi = self.bounds(activation)
        gain = lsq_gain(real[0].numel(), hi)
        return Codes(OnGrid.apply(real, step, levels(grid, codes), lo, hi, gain, self.gradient), codes, grid)
