"""Adaptive rounding: each weight goes to the number below or above it, as the layer's outputs are best kept.

Source: Nagel et al. 2020, "Up or Down? Adaptive Rounding for Post-Training Quantization", arXiv 2004.10568, equations
21 to 25. There the numbers are those of a uniform grid; here those of any format.
"""

from dataclasses import dataclass

import numpy as np

from ..float_network import Linear
from ..layers import BOUNDS
from ..quantized_weights import QuantizedWeights
from .neighbours import next_codes

STEPS, BATCH, RATE = 1000, 256, 0.05
WEIGHT, WARM = 2.0, 0.2
BETAS = (20.0, 2.0)
STRETCH = (-0.1, 1.1)
MOST_ROWS = 8192
_ADAM = (0.9, 0.999, 1e-8)


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows x [M, K], or [M, K, N], that quantized activations bring, and the outputs wanted for them [M, N]: those that
    the float layer has for its own activations, within the bounds of its activation. float32."""

    x: np.ndarray
    wanted: np.ndarray
    bias: np.ndarray
    bounds: tuple[float, float]

    def sums(self, w, chosen=slice(None)) -> np.ndarray:
        x = self.x[chosen]
        return (np.einsum("mkn,kn->mn", x, w) if x.ndim == 3 else x @ w) + self.bias

    def gradient(self, w, chosen) -> np.ndarray:
        """Of half the mean squared difference in each column, [K, N]; nothing comes back through a bound."""
        sums = self.sums(w, chosen)
        outputs = np.clip(sums, *self.bounds)
        back = np.where(outputs == sums, outputs - self.wanted[chosen], 0) / np.float32(len(sums))
        x = self.x[chosen]
        return np.einsum("mkn,mn->kn", x, back) if x.ndim == 3 else x.T @ back

    def losses(self, w) -> np.ndarray:
        """Mean squared difference of each column [N], float64."""
        differences = np.clip(self.sums(w.astype(np.float32)), *self.bounds) - self.wanted
        return np.square(differences, dtype=np.float64).mean(axis=0)


def adaptively_rounded(layer: Linear, weights: QuantizedWeights, inputs, values, *, seed: int) -> QuantizedWeights:
    """The weights with codes of the numbers next below or above, chosen so that the layer's outputs change least.

        minimize  mean (f(x^ w~ + bias) - f(x w + bias))**2 / 2 + a * sum (1 - |2 h(V) - 1|**b)
        w~ = below + h(V) * (above - below),    h(V) = clip(1.2 * sigmoid(V) - 0.1, 0, 1)

    over V [K, N], by Adam on 256 rows at a time, b falling from 20 to 2 so that h ends at 0 or 1. f is the activation,
    x what the float network brings, x^ what the quantized one does. The first term of each column is in units of what
    the nearest codes lose there, by K; a is 2. A column keeps the nearest codes where the others are no better on all
    rows. Deterministic for a seed.

    inputs, values : batches [B, ...] of x and x^.
    """
    rng = np.random.default_rng(seed)
    rows = _rows(layer, inputs, values, rng)
    below, above = _around(layer.w, weights)
    lo, hi, nearest = weights.with_codes(below).real, weights.with_codes(above).real, weights.real
    up = _Search(rows, lo, hi, layer.w, rows.losses(nearest)).run(rng)
    better = rows.losses(np.where(up, hi, lo)) < rows.losses(nearest)
    return weights.with_codes(np.where(better, np.where(up, above, below), weights.arrays["w"]))


def _rows(layer, inputs, values, rng) -> Rows:
    """At most MOST_ROWS rows, as many from each batch."""
    xs, wanted = [], []
    for x, quantized in zip(inputs, values, strict=True):
        taken = layer.matrix(np.asarray(quantized, np.float32))
        taken = taken.reshape(-1, *taken.shape[-2 if layer.depthwise else -1 :])
        chosen = rng.permutation(len(taken))[: max(MOST_ROWS // len(inputs), 1)]
        xs.append(taken[chosen])
        wanted.append(layer.run(np.asarray(x, np.float32)).reshape(-1, layer.w.shape[1])[chosen])
    return Rows(np.concatenate(xs), np.concatenate(wanted), layer.bias.astype(np.float32), BOUNDS[layer.activation])


def _around(w, weights):
    """Codes [K, N] of the numbers next below and next above each weight, or of the last one on both sides."""
    high = weights.real > w
    below = np.where(high, next_codes(weights, -1), weights.arrays["w"])
    above = np.where(high, weights.arrays["w"], next_codes(weights, 1))
    return below, above


class _Search:
    """Adam over V, from the V at which w~ is w."""

    def __init__(self, rows, lo, hi, w, nearest_losses):
        self.rows, self.lo, self.step = rows, lo.astype(np.float32), (hi - lo).astype(np.float32)
        part = np.where(self.step > 0, (w - self.lo) / np.where(self.step > 0, self.step, 1), 0)
        inner = (np.clip(part, 0.01, 0.99) - STRETCH[0]) / (STRETCH[1] - STRETCH[0])
        self.v = np.log(inner / (1 - inner)).astype(np.float32)
        usual = np.where(nearest_losses > 0, nearest_losses, 1)
        self.weight = (len(w) / usual).astype(np.float32)

    def run(self, rng) -> np.ndarray:
        """Whether each weight goes up, bool [K, N]."""
        first = second = np.zeros_like(self.v)
        for step in range(1, STEPS + 1):
            chosen = rng.integers(0, len(self.rows.x), min(BATCH, len(self.rows.x)))
            gradient = self._gradient(chosen, (step - 1) / STEPS)
            first = _ADAM[0] * first + (1 - _ADAM[0]) * gradient
            second = _ADAM[1] * second + (1 - _ADAM[1]) * gradient**2
            mean, power = first / (1 - _ADAM[0] ** step), second / (1 - _ADAM[1] ** step)
            self.v -= np.float32(RATE) * (mean / (np.sqrt(power) + _ADAM[2])).astype(np.float32)
        return self._h()[0] >= 0.5

    def _h(self):
        """h(V) and its derivative."""
        sigmoid = 1 / (1 + np.exp(-self.v))
        wide = STRETCH[1] - STRETCH[0]
        stretched = sigmoid * wide + STRETCH[0]
        inside = (stretched > 0) & (stretched < 1)
        return np.clip(stretched, 0, 1), np.where(inside, sigmoid * (1 - sigmoid) * wide, 0)

    def _gradient(self, chosen, progress):
        h, slope = self._h()
        gradient = self.rows.gradient(self.lo + h * self.step, chosen) * self.step * self.weight
        if progress >= WARM:
            beta = BETAS[1] + (BETAS[0] - BETAS[1]) * (1 + np.cos(np.pi * (progress - WARM) / (1 - WARM))) / 2
            centered = 2 * h - 1
            gradient = gradient - WEIGHT * beta * 2 * np.sign(centered) * np.abs(centered) ** (beta - 1)
        return gradient * slope
