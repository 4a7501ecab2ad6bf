"""What each layer of a network takes, with the cycles of the array that it runs on."""

from dataclasses import dataclass
from math import prod

import numpy as np

from golden.scale_formats import FLOAT32
from network.costs import Memory, layer_costs
from network.dynamic import DynamicProduct
from network.example_shapes import example_shapes, rows
from network.layers import Product
from network.network import Network

from .hardware_costs import placed

MOST_BATCH = 1 << 20
REAL_BITS = FLOAT32.width


@dataclass(frozen=True)
class LayerCosts:
    """One layer: what it keeps, the bits of its outputs and the multiply-accumulates for one example; for a batch the
    cycles on its array where no stream stalls, and how much of the array they use. A layer that is no product runs on
    no array here and has neither."""

    layer: str
    kind: str
    formats: str
    memory: Memory
    output_bits: int
    macs: int = 0
    cycles: int | None = None
    utilization: float | None = None


@dataclass(frozen=True)
class Costs:
    """All layers, and the batch that cycles are of.

    input_bits : of one example. activation_bits : the largest pair of a layer's inputs and outputs, there at once.
    """

    layers: tuple[LayerCosts, ...]
    input_bits: int
    activation_bits: int
    batch: int

    @property
    def memory(self) -> Memory:
        return sum((layer.memory for layer in self.layers), start=Memory())

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def cycles(self) -> int:
        """Of all products, one after the other."""
        return sum(layer.cycles or 0 for layer in self.layers)

    @property
    def memory_bits(self) -> int:
        """All that products keep, and the activations: what a budget of bittrue search counts."""
        return self.memory.bits + self.activation_bits


def costs(network: Network, batch: int = 1) -> Costs:
    """What the network takes, for one example and for a batch of some."""
    shapes, grids = list(example_shapes(network).values()), network.grids
    bits = [prod(shape) * (grid.fmt.width if grid else REAL_BITS) for shape, grid in zip(shapes, grids, strict=True)]
    found, layers = {one.name: one for one in layer_costs(network)}, []
    for layer, before, own in zip(network.layers, shapes, bits[1:], strict=False):
        if isinstance(layer, Product | DynamicProduct):
            layers.append(_of_product(layer, before, found[layer.name], batch))
        else:
            layers.append(LayerCosts(layer.name, _kind(layer), "", Memory(), own))
    activations = max((one.buffers for one in found.values()), default=bits[0])
    return Costs(tuple(layers), bits[0], activations, batch)


def _of_product(layer, shape, cost, batch):
    spec = layer.spec
    cut = placed(spec, batch * rows(layer, shape), *np.shape(layer.arrays["w"]))
    return LayerCosts(
        layer=layer.name,
        kind=_kind(layer),
        formats=f"{spec.activations} x {spec.weights} -> {spec.y}",
        memory=cost.memory,
        output_bits=cost.written,
        macs=cost.macs,
        cycles=cut.cycles,
        utilization=cut.macs / (cut.capacity * cut.cycles),
    )


def _kind(layer):
    name = "".join(f" {char.lower()}" if char.isupper() else char for char in type(layer).__name__).strip()
    if isinstance(layer, Product | DynamicProduct):
        name = "depthwise" if layer.spec.array == "vector" else "conv" if layer.window else "dense"
        name = name if isinstance(layer, Product) else f"dynamic {name}"
    window = getattr(layer, "window", None)
    return name if window is None else f"{name} {window.kernel[0]}x{window.kernel[1]}"
