"""What goes from one module to the next."""

from dataclasses import dataclass

import numpy as np
import torch

from network.grid import Grid


@dataclass(frozen=True, eq=False)
class Codes:
    """A tensor on a grid: golden's codes, int64, and the real numbers they stand for, float32.

    Gradients go through the real numbers. Maps are [B, H, W, C], vectors [B, K].
    """

    values: torch.Tensor
    codes: np.ndarray
    grid: Grid
