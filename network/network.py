"""A quantized network: a quantizer of real inputs, layers in a chain, and what makes real outputs of codes."""

from dataclasses import dataclass

import numpy as np

from .dynamic import DynamicProduct, RealEntry, RealExit
from .float_network import FloatAveragePool
from .grid import Grid
from .layers import Dequantize, Layer, Product, Quantize


@dataclass(frozen=True, eq=False)
class Network:
    """Layers one after the other, from real x [B, *shape] to real outputs; codes between, or real numbers where the
    layers are those of network.dynamic.

    Raises ValueError for names that are there twice, and for a layer whose codes are not those of the one before.
    """

    name: str
    shape: tuple[int, ...]
    entry: Quantize | RealEntry
    layers: tuple[Layer | DynamicProduct | FloatAveragePool, ...]
    exit: Dequantize | RealExit

    def __post_init__(self):
        names = [layer.name for layer in self.steps]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"layer {name}: the name is there {names.count(name)} times")
        for layer, grid in zip(self.steps[1:], self.grids, strict=True):
            own = getattr(layer, "x", grid)
            if not (own is grid or (own and grid and own.equals(grid))):
                raise ValueError(f"layer {layer.name}: its codes are {_told(own)}, those before it {_told(grid)}")

    @property
    def steps(self) -> tuple:
        return (self.entry, *self.layers, self.exit)

    @property
    def grids(self) -> tuple[Grid | None, ...]:
        """The grid of the codes after the entry and after each layer; None where these are real numbers."""
        grids: list[Grid | None] = [self.entry.y]
        for layer in self.layers:
            grids.append(getattr(layer, "y", grids[-1]))
        return tuple(grids)

    @property
    def products(self) -> tuple[Product, ...]:
        return tuple(layer for layer in self.layers if isinstance(layer, Product))

    @property
    def on_arrays(self) -> tuple[Product | DynamicProduct, ...]:
        """The layers that run on arrays, those of real numbers too."""
        return tuple(layer for layer in self.layers if isinstance(layer, Product | DynamicProduct))

    def trace(self, codes) -> dict[str, np.ndarray]:
        """Codes after each layer, by its name, for codes [B, *shape] of the entry. Raises ValueError."""
        found = {}
        for layer in self.layers:
            codes = found[layer.name] = layer.run(codes)
        return found

    def run(self, x) -> np.ndarray:
        """Real outputs, float32 [B, ...], of real inputs [B, *shape]."""
        for step in self.steps:
            x = step.run(x)
        return x

    def fake(self, x) -> np.ndarray:
        """The same by fake quantization: real numbers on the grids, sums in float64."""
        for step in self.steps:
            x = getattr(step, "fake", step.run)(x)
        return x


def _told(grid):
    if grid is None:
        return "real numbers"
    return f"{grid.fmt}, scale {np.asarray(grid.scale)}, zero point {grid.zero_point}"
