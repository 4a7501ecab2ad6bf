"""Layers without weights: golden's on codes, and beside them what gradients go through."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from network.grid import Grid
from network.layers import AveragePool
from network.shapes import MaxPool, Reshape, Shape, Transpose

from .codes import Codes
from .straight_through import Replaced


class Moved(nn.Module):
    """A layer of network.shapes: the same elements in another order, or the largest of each window."""

    def __init__(self, layer: Shape):
        super().__init__()
        self.layer, self.name = layer, layer.name

    def forward(self, x: Codes) -> Codes:
        return Codes(_moved(self.layer, x.values), self.layer.run(x.codes), x.grid)

    def lowered(self, x: Grid) -> Shape:
        return self.layer


class QuantAveragePool(nn.Module):
    """The mean of each window by the rule of a platform; the output's scale stays in its proportion to the input's."""

    def __init__(self, layer: AveragePool):
        super().__init__()
        if layer.window.dilation != (1, 1):
            raise ValueError(f"layer {layer.name}: a pool is trained with dilation (1, 1), not {layer.window.dilation}")
        self.layer, self.name = layer, layer.name
        self.ratio = np.float64(layer.y.scale) / np.float64(layer.x.scale)

    def forward(self, x: Codes) -> Codes:
        made = self.lowered(x.grid)
        codes = made.run(x.codes)
        values = torch.from_numpy(made.y.values(codes).astype(np.float32))
        return Codes(Replaced.apply(_mean(self.layer.window, x.values), values), codes, made.y)

    def lowered(self, x: Grid) -> AveragePool:
        y = Grid(self.layer.y.fmt, np.asarray(x.scale * self.ratio), self.layer.y.zero_point)
        return AveragePool(self.name, self.layer.window, x, y, self.layer.platform)


def _moved(layer, values):
    match layer:
        case Transpose():
            return values.permute(layer.axes)
        case Reshape():
            return values.reshape(len(values), *layer.shape)
        case MaxPool():
            window = layer.window
            maps = _padded(window, values.permute(0, 3, 1, 2), float("-inf"))
            return F.max_pool2d(maps, window.kernel, window.stride, dilation=window.dilation).permute(0, 2, 3, 1)


def _mean(window, values):
    maps = values.permute(0, 3, 1, 2)
    sums, there = (
        F.avg_pool2d(_padded(window, one, 0.0), window.kernel, window.stride) for one in (maps, torch.ones_like(maps))
    )
    return (sums / there).permute(0, 2, 3, 1)


def _padded(window, maps, value):
    (top, bottom), (left, right) = window.padding
    return F.pad(maps, (left, right, top, bottom), value=value)
