"""What corrections see of a network between two layers, and bias correction.

Bias correction takes the mean error that quantization leaves in each output channel off its bias.

Source: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", arXiv 1906.04721,
section 4.2 and appendix D: the empirical form, from calibration data, before the activation.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..dynamic import RealEntry
from ..elementwise import applied
from ..float_network import Linear
from ..grid import Grid
from ..layers import Quantize
from ..quantized_weights import QuantizedWeights
from .recipe import Recipe

DATA = {"adaround", "bias"}


@dataclass(frozen=True, eq=False)
class Data:
    """Calibration data at one place: `inputs` of the float network and `codes` of the quantized one, real numbers where
    that has such, batches [B, ...]; none where the recipe's corrections need none."""

    inputs: tuple[np.ndarray, ...]
    codes: tuple[np.ndarray, ...]

    @classmethod
    def at(cls, entry: Quantize | RealEntry, batches, recipe: Recipe) -> "Data":
        """At the entry of a network."""
        used = batches if DATA & set(recipe.corrections) else ()
        return cls(tuple(applied(entry.before, one) for one in used), tuple(entry.run(one) for one in used))

    def after(self, layer, quantized) -> "Data":
        """Behind a layer of the float network and the same one in codes."""
        return Data(tuple(map(layer.run, self.inputs)), tuple(map(quantized.run, self.codes)))

    def values(self, grid: Grid | None) -> tuple[np.ndarray, ...]:
        """The real numbers that the codes stand for; themselves without a grid."""
        if grid is None:
            return self.codes
        return tuple(grid.values(codes) for codes in self.codes)


def bias_corrected(layer: Linear, weights: QuantizedWeights, inputs, values) -> Linear:
    """The layer with the bias that makes the means of its output channels, before the activation, what they were:

        bias' = mean(x w + bias) - mean(x^ w^)

    inputs : batches [B, ...] of x, real numbers that go into the layer in the float network. values : of x^, what codes
    stand for at the same place of the quantized network. w^ : what the weights stand for.
    """
    quantized = replace(layer, w=weights.real, bias=np.zeros(layer.w.shape[1]))
    total, count = np.zeros(layer.w.shape[1]), 0
    for one, other in zip(inputs, values, strict=True):
        missing = layer.sums(np.asarray(one, np.float64)) - quantized.sums(np.asarray(other, np.float64))
        rows = missing.reshape(-1, missing.shape[-1])
        total, count = total + rows.sum(axis=0), count + len(rows)
    return replace(layer, bias=(total / count).astype(layer.bias.dtype))
