"""A chain of trained layers, and the network of codes that it is."""

from collections.abc import Iterable
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import nn

from network.layers import Dequantize, Quantize
from network.network import Network

from .bounded import BoundedWeights
from .codes import Codes
from .layers import QuantLinear
from .shapes import Moved, QuantAveragePool

QuantLayer = QuantLinear | QuantAveragePool | Moved


class QuantNetwork(nn.Module):
    """Layers of train.layers and train.shapes one after the other, from real x [B, *shape].

    In training as in evaluation each layer's codes are golden's. The float32 operations of `exit` are for the network
    that is built (`export`); the module leaves them out.
    """

    def __init__(
        self, name: str, shape: tuple[int, ...], entry: Quantize, layers: Iterable[QuantLayer], exit: Dequantize
    ):
        super().__init__()
        self.name, self.shape, self.entry, self.exit = name, shape, entry, exit
        self.layers = nn.ModuleList(layers)

    @property
    def chain(self) -> list[QuantLayer]:
        return cast(list[QuantLayer], list(self.layers))

    def forward(self, x) -> torch.Tensor:
        """The real numbers that the last codes stand for, float32 [B, ...], with gradients, for real x [B, *shape]."""
        return self._steps(x)[-1].values

    def trace(self, x) -> dict[str, np.ndarray]:
        """The codes after the entry and after each layer, by its name, for real x."""
        names = (self.entry.name, *(layer.name for layer in self.chain))
        with torch.no_grad():
            return {name: step.codes for name, step in zip(names, self._steps(x), strict=True)}

    def _steps(self, x):
        codes = self.entry.run(np.asarray(x))
        values = torch.from_numpy(self.entry.y.values(codes).astype(np.float32))
        steps = [Codes(values, codes, self.entry.y)]
        for layer in self.chain:
            steps.append(layer(steps[-1]))
        return steps

    def penalty(self) -> torch.Tensor:
        """The sum of what bounded weights add to the loss."""
        terms = [module.penalty() for module in self.modules() if isinstance(module, BoundedWeights)]
        return torch.stack(terms).sum() if terms else torch.zeros(())


def export(module: QuantNetwork) -> Network:
    """The network of codes that the module computes in evaluation."""
    grid, layers = module.entry.y, []
    for layer in module.chain:
        layers.append(layer.lowered(grid))
        grid = getattr(layers[-1], "y", grid)
    return Network(module.name, module.shape, module.entry, tuple(layers), replace(module.exit, x=grid))
