"""What a quantized network takes: bits of its parameters and of its activations, products to be formed."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

import numpy as np

from golden.extras import axis_sizes, extras
from golden.sparsity import GROUP, KEPT
from golden.trits import packed_bytes

from .dynamic import DynamicProduct
from .example_shapes import example_shapes, rows
from .float_network import FloatAveragePool
from .layers import AveragePool, Product
from .network import Network
from .shapes import MaxPool

REAL_BITS = 32  # of activations that are real numbers
POSITION_BITS = 2  # of a kept weight in its group of four
_OF_WEIGHTS = ("w_codebook", "w_block_scale", "w_block_zero_point")


@dataclass(frozen=True)
class Memory:
    """Bits that a product keeps.

    weights : its codes [K, N]: both of residual ones, five trits in a byte where the design packs them, the kept
        ones and their places where they are sparse.
    scales : of blocks along K: scales and zero points; of codebooks: their tables.
    parameters : what each column takes: bias, multiplier, shift, zero points, thresholds, in the design's formats.
    table : of a function of one code.
    """

    weights: int = 0
    scales: int = 0
    parameters: int = 0
    table: int = 0

    def __add__(self, other: "Memory") -> "Memory":
        return Memory(*(one + another for one, another in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def bits(self) -> int:
        return sum(vars(self).values())


def memory(layer: Product | DynamicProduct) -> Memory:
    """Of one product."""
    spec, (depth, columns) = layer.spec, np.shape(layer.arrays["w"])
    parameters = sum(fmt.width * max(_each(name, spec), 1) for name, fmt in spec.parameter_formats.items())
    table = len(spec.table) * spec.y.width if spec.table else 0
    return Memory(_weights(spec, depth, columns), _scales(spec, depth, columns), columns * parameters, table)


def _each(name, spec):
    return spec.threshold_count if name == "thresholds" else 1


def _weights(spec, depth, columns):
    if spec.w_packing == "trits":
        return 8 * packed_bytes(depth * columns)
    width = spec.weights.width
    if spec.sparsity != "none":
        return -(-depth // GROUP) * KEPT * columns * (width + POSITION_BITS)
    codes = 2 if spec.residual and spec.residual_of == "weights" else 1
    return codes * depth * columns * width


def _scales(spec, depth, columns):
    sizes = axis_sizes(spec, 1, depth, columns)
    taken = [extra for name, extra in extras(spec).items() if name in _OF_WEIGHTS]
    return sum(prod(sizes[axis] for axis in extra.axes) * extra.fmt.width for extra in taken)


@dataclass(frozen=True)
class LayerCost:
    """What one layer takes for one example: products, bits kept, bits of the activations that it reads and writes."""

    name: str
    macs: int
    memory: Memory
    read: int
    written: int

    @property
    def buffers(self) -> int:
        """Bits of both activations, which are there at once."""
        return self.read + self.written


def layer_costs(network: Network) -> tuple[LayerCost, ...]:
    """Of each layer that computes, in order; others leave their activations where they are."""
    shapes, before = example_shapes(network), network.entry.name
    sizes = dict(zip((before, *(layer.name for layer in network.layers)), network.grids, strict=True))
    bits = {name: prod(shapes[name]) * (grid.fmt.width if grid else REAL_BITS) for name, grid in sizes.items()}
    found = []
    for layer in network.layers:
        if isinstance(layer, Product | DynamicProduct):
            macs = rows(layer, shapes[before]) * int(np.size(layer.arrays["w"]))
            found.append(LayerCost(layer.name, macs, memory(layer), bits[before], bits[layer.name]))
        elif isinstance(layer, AveragePool | FloatAveragePool | MaxPool):
            found.append(LayerCost(layer.name, 0, Memory(), bits[before], bits[layer.name]))
        before = layer.name
    return tuple(found)


@dataclass(frozen=True)
class Charge:
    """What one product, with the layers after it that compute without weights, adds to a cost.

    A cost is the sum of all that is `added`, and the largest `peak` on top.
    """

    added: int
    peak: int = 0


def total(charges: Iterable[Charge]) -> int:
    """The cost that the charges of all products make."""
    charges = list(charges)
    return sum(one.added for one in charges) + max((one.peak for one in charges), default=0)


def memory_charges(network: Network) -> tuple[Charge, ...]:
    """Bits of memory: of each product what it keeps, and as its peak the activations of the layer that has most."""
    groups: list[list[LayerCost]] = []
    for cost in layer_costs(network):
        starts = cost.macs and (not groups or any(one.macs for one in groups[-1]))
        if starts or not groups:
            groups.append([])
        groups[-1].append(cost)
    return tuple(Charge(sum(one.memory.bits for one in group), max(one.buffers for one in group)) for group in groups)


def memory_bits(network: Network) -> int:
    """Bits that the network takes: all that its products keep, and the largest pair of activations of a layer."""
    return total(memory_charges(network))
