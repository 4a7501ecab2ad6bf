"""Dense layers and convolutions whose outputs are golden's codes, in training as in evaluation."""

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from golden.formats import Bipolar
from golden.mac import accumulator_range
from network.float_network import Linear
from network.grid import Grid
from network.layers import Product, Quantize, sum_grid
from network.quantized_weights import QuantizedWeights
from network.quantizing.lowering import least_scale, product
from network.quantizing.recipe import Recipe

from .codes import Codes
from .norm import BatchNorm, Bias, Folded
from .output import Output
from .steps import numpy
from .straight_through import Replaced
from .thresholds import real_output, thresholded

THRESHOLD_BITS = 4
_BOUNDS = {"none": (None, None), "relu": (0, None), "relu6": (0, 6)}


class QuantLinear(nn.Module):
    """Codes [B, ..., K] to codes [B, ..., N], by the product that quantizing.lowering makes of the weights as they are.

    layer : a linear layer of real numbers, whose weights [K, N] and bias training begins with.
    weights : a module of train.weights or train.bounded.
    norm : the bias, or batch norm. Behind batch norm, bipolar outputs and those of up to 4 bits are counted thresholds;
        of bipolar outputs it takes the place of the layer's activation.
    y : the output's grid; None lets exact sums leave.
    accumulator : bits of the accumulator, where weights of integers keep the sums in them; None for the exact width.
    """

    def __init__(
        self,
        layer: Linear,
        weights: nn.Module,
        norm: Bias | BatchNorm,
        y: Output | None,
        recipe: Recipe,
        *,
        accumulator: int | None = None,
    ):
        super().__init__()
        self.layer, self.name, self.recipe, self.accumulator = layer, layer.name, recipe, accumulator
        self.weight = nn.Parameter(torch.tensor(layer.w, dtype=torch.float32))
        self.weights, self.norm, self.y = weights, norm, y

    @property
    def thresholds(self) -> bool:
        """Whether outputs are counted thresholds that training finds; a platform has its own rule."""
        if self.y is None or self.recipe.platform is not None or not isinstance(self.norm, BatchNorm):
            return False
        return self.y.fmt.width <= THRESHOLD_BITS

    def sums(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """Real sums [B, ..., N] of real activations and weights [K, N]."""
        return x @ w

    def forward(self, x: Codes) -> Codes:
        w, quantized = self.quantized()
        sums = self.sums(x.values, w)
        folded = self.norm.folded(sums)
        real = sums * folded.factor + folded.offset
        if self.y is None:
            return self._exact(real, self.product(x.grid, quantized, folded), x.codes)
        return self.y(real, self._codes(x, quantized, folded), self.layer.activation)

    def _exact(self, real, made, codes):
        codes, bounds = made.run(codes), _BOUNDS[self.layer.activation]
        values = torch.from_numpy(made.y.values(codes).astype(np.float32))
        return Codes(Replaced.apply(real if bounds == (None, None) else real.clamp(*bounds), values), codes, made.y)

    def _codes(self, x, quantized, folded):
        """The outputs; in training without the search for thresholds, which hold the same rule."""
        if not (self.thresholds and self.training):
            return self.product(x.grid, quantized, folded).run(x.codes)
        exact = self._exact_product(x.grid, quantized)
        return self._real_output(folded).run(exact.y.values(exact.run(x.codes)))

    def quantized(self):
        """(real weights [K, N] with gradients, what network.quantizing.lowering takes of them)"""
        return self.weights(self.weight * self.norm.signs())

    def lowered(self, x: Grid) -> Product:
        """The product that evaluation computes, for activations on grid x."""
        with torch.no_grad():
            return self.product(x, self.quantized()[1], self.norm.folded())

    def product(self, x: Grid, quantized: QuantizedWeights, folded: Folded) -> Product:
        """The product of these weights, with what follows the sums folded into it.

        Factors near zero are raised to where biases have 2**30 at most, and multipliers are not too small.
        """
        if self.thresholds:
            return thresholded(self._exact_product(x, quantized), self._real_output(folded))
        y = self.y and self.y.grid
        if isinstance(self.norm, BatchNorm):
            least = least_scale(replace(self.layer, bias=numpy(folded.offset)), x, y)
            scale = np.maximum(quantized.grid.scale * numpy(folded.factor), least + np.finfo(np.float32).tiny)
            quantized = replace(quantized, grid=replace(quantized.grid, scale=scale))
        made = self._made(x, y, quantized, numpy(folded.offset), self.layer.activation)
        if self.y is None or not self.y.narrow:
            return made
        (lo, hi), (least, most) = made.spec.clip_range, self.y.clip
        return replace(made, spec=made.spec.with_(clip=(max(lo, least), min(hi, most))))

    def _exact_product(self, x, quantized):
        return self._made(x, None, quantized, np.zeros(self.weight.shape[1]), "none")

    def _real_output(self, folded) -> Quantize:
        assert self.y is not None
        activation = "none" if isinstance(self.y.fmt, Bipolar) else self.layer.activation
        return real_output(self.name, self.y.grid, folded.operation, activation, narrow=self.y.narrow)

    def _made(self, x, y, quantized, bias, activation):
        layer = replace(self.layer, w=numpy(self.weight), bias=bias, activation=activation)
        made = product(layer, quantized, x, y, self.recipe)
        if self.accumulator is None:
            return made
        promised = accumulator_range(made.arrays["w"], made.spec)
        spec = made.spec.with_(accumulator=self.accumulator, accumulator_range=promised)
        return replace(made, spec=spec, y=made.y if y else sum_grid(spec, made.x, made.w))


class QuantConv2d(QuantLinear):
    """Maps [B, H, W, C] to maps [B, OH, OW, N]; weights [KH * KW * C, N], channels fastest."""

    def sums(self, x, w):
        return self._convolved(x, w, groups=1)

    def _convolved(self, x, w, groups):
        window = self.layer.window
        assert window is not None
        (top, bottom), (left, right) = window.padding
        kernel = w.reshape(*window.kernel, -1, w.shape[1]).permute(3, 2, 0, 1)
        maps = F.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom))
        y = F.conv2d(maps, kernel, stride=window.stride, dilation=window.dilation, groups=groups)
        return y.permute(0, 2, 3, 1)


class QuantDepthwise(QuantConv2d):
    """Output channel n looks at input channel n // (N / C); weights [KH * KW, N]."""

    def sums(self, x, w):
        return self._convolved(x, w, groups=x.shape[-1])
