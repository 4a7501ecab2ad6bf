"""What training learns of a grid: its step, and codes that golden finds for it."""

import numpy as np
import torch
from torch import nn

from golden.formats import Codebook, Format, Integer
from network.grid import Grid
from network.quantizing.recipe import Recipe
from network.scales import POWER_OF_TWO

from .straight_through import Replaced


class Step(nn.Module):
    """A step that stays positive, initial * exp(growth): float32, a scalar or one for each channel."""

    initial: torch.Tensor

    def __init__(self, initial):
        super().__init__()
        self.register_buffer("initial", torch.tensor(np.asarray(initial, np.float32)))
        self.growth = nn.Parameter(torch.zeros_like(self.initial))

    def forward(self) -> torch.Tensor:
        return self.initial * self.growth.exp()


class PowerStep(Step):
    """The same for powers of two: initial * 2**round(growth), the gradient going through the rounding.

    Source: Jain et al., "Trained Quantization Thresholds" (MLSys 2020).
    """

    def forward(self) -> torch.Tensor:
        return self.initial * torch.exp2(Replaced.apply(self.growth, self.growth.round()))


class FixedStep(Step):
    """The step that a format brings with it, which stays."""

    def forward(self) -> torch.Tensor:
        return self.initial


def step_of(grid: Grid, recipe: Recipe) -> Step:
    """The step of a grid, to be learned as the recipe lets it be."""
    if grid.fmt.fraction and isinstance(grid.fmt, Integer):
        return FixedStep(grid.scale)
    return PowerStep(grid.scale) if recipe.scales == POWER_OF_TWO else Step(grid.scale)


def numpy(tensor) -> np.ndarray:
    """The numbers of a tensor, out of reach of gradients."""
    return tensor.detach().numpy()


def levels(grid: Grid, codes) -> torch.Tensor:
    """Codes as float32 levels: decoded, less the zero point."""
    assert not isinstance(grid.fmt, Codebook)
    return torch.from_numpy(np.asarray(grid.fmt.decode(codes) - grid.zero_point, np.float32))


def level_range(fmt: Format, zero_point=0) -> tuple[int, int]:
    """The least and the largest level of a format."""
    lo, hi = fmt.decoded_range
    return lo - zero_point, hi - zero_point
