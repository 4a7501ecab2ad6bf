"""A network of real numbers as a chain of layers: what post-training quantization starts from."""

from dataclasses import dataclass, field

import numpy as np

from .elementwise import Step, applied
from .layers import BOUNDS, mean
from .shapes import Shape, Window

ACTIVATIONS = tuple(BOUNDS)


def rows_of(x, window: Window | None, channels: int | None = None) -> np.ndarray:
    """Rows [B, ..., K] of real x that meet a layer's weights; [B, OH, OW, K, N] where N channels are kept apart."""
    x = np.asarray(x)
    if window is None:
        return x
    taken = window.taken(x, x.dtype.type(0))
    if channels is not None:
        return np.repeat(taken, channels // taken.shape[-1], axis=-1)
    return taken.reshape(*taken.shape[:3], -1)


@dataclass(frozen=True, eq=False)
class Linear:
    """x @ w + bias and an activation; with a window a convolution, K and maps as in network.layers.Product.

    w is [K, N], bias [N], float32. Depthwise: w is [KH * KW, N], and output channel n looks at input n // (N / C).
    """

    name: str
    w: np.ndarray = field(repr=False)
    bias: np.ndarray = field(repr=False)
    activation: str = "none"
    window: Window | None = None
    depthwise: bool = False

    def __post_init__(self):
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, not {self.activation!r}")

    def matrix(self, x) -> np.ndarray:
        """Rows that meet the weights: [B, ..., K], or [B, OH, OW, K, N] of a depthwise convolution."""
        return rows_of(x, self.window, self.w.shape[1] if self.depthwise else None)

    def sums(self, x) -> np.ndarray:
        """Before the activation, in the float type of x."""
        x = self.matrix(x)
        w = self.w.astype(x.dtype)
        return (np.einsum("...kn,kn->...n", x, w) if self.depthwise else x @ w) + self.bias.astype(x.dtype)

    def run(self, x) -> np.ndarray:
        sums = self.sums(x)
        if self.activation == "none":
            return sums
        return np.clip(sums, *BOUNDS[self.activation])


@dataclass(frozen=True)
class FloatAveragePool:
    """The mean of each window of a map; padding does not count."""

    name: str
    window: Window

    def run(self, x) -> np.ndarray:
        return mean(self.window, x).astype(np.asarray(x).dtype)


FloatLayer = Linear | FloatAveragePool | Shape


@dataclass(frozen=True, eq=False)
class FloatNetwork:
    """Layers one after the other, from x [B, *shape]; float32 steps before them and after them."""

    name: str
    shape: tuple[int, ...]
    layers: tuple[FloatLayer, ...]
    before: tuple[Step, ...] = ()
    after: tuple[Step, ...] = ()

    def trace(self, x) -> dict[str, np.ndarray]:
        """float32 [B, ...] after each layer, by its name."""
        x, found = applied(self.before, x), {}
        for layer in self.layers:
            x = found[layer.name] = layer.run(x)
        return found

    def run(self, x) -> np.ndarray:
        """float32 [B, ...]"""
        return applied(self.after, list(self.trace(x).values())[-1])

    @property
    def linears(self) -> tuple[Linear, ...]:
        return tuple(layer for layer in self.layers if isinstance(layer, Linear))
