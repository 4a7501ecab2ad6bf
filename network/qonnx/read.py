"""Networks of QONNX and FINN: Quant, BipolarQuant and MultiThreshold around MatMul, Gemm and Conv."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import onnx

from golden.formats import Bipolar

from ..elementwise import Step
from ..grid import Grid
from ..layers import Dequantize, Quantize
from ..network import Network
from ..onnx.graph import Graph, Node
from ..onnx.layer_names import LayerNames
from ..unsupported import Unsupported
from .ends import input_grid
from .layout import Layout
from .products import ReadProduct
from .sections import Section, sections
from .tensor import Tensor
from .threshold_product import exact_product, threshold_product


def read_qonnx(model: onnx.ModelProto) -> Network:
    """The network of a QONNX or FINN model: products with thresholds, inputs and outputs as the model has them.

    Each product goes on with the float operations after it up to the last quantizer before the next product, which
    become its thresholds (.threshold_product has the definition). Where no quantizer follows, the exact sums
    leave, and the operations are those of the exit. Labels at the end, TopK of one or ArgMax, are left out: the network
    gives the scores that they choose from.

    Raises Unsupported, a ValueError, naming operator and node, for everything that it does not read.
    """
    graph = Graph(model)
    first, rest = sections(graph, model)
    names = LayerNames()
    title, entry = names.name(graph.name), _entry(graph, model, first, rest, names)
    building = _Building(Layout(graph.shape, names), entry.y)
    building.move(first)
    before = first
    for read, section in rest:
        if section.quantizer is None and section is not rest[-1][1]:
            raise read.node.refused("no quantizer stands between it and the next product")
        building.multiply(read, section, _factor(before))
        before = section
    building.layout.as_in_model()
    output = Dequantize(names.name("values"), building.grid, _after(before, building.grid))
    return Network(title, graph.shape, entry, tuple(building.layout.layers), output)


def _entry(graph, model, first, rest, names):
    """The first quantizer, or integers as they are."""
    last = first.quantizer
    if last is not None:
        steps = _spread((*first.before, *last.before), Tensor((1, *graph.shape), 1))
        return Quantize(names.of(last.node), last.y, "qonnx", steps, last.narrow)
    if not rest:
        raise Unsupported("the model has neither a quantizer nor a product with weights")
    return Quantize(names.name("integers"), input_grid(graph, model, rest[0][0].node))


class _Building:
    """Layers so far, and the grid of the codes after them."""

    def __init__(self, layout: Layout, grid: Grid):
        self.layout, self.grid = layout, grid

    def move(self, section: Section):
        """What moves codes in a section."""
        for move in section.moves:
            self.layout.move(move)

    def multiply(self, read: ReadProduct, section: Section, factor: float):
        """A product of activations that are `factor` times what their grid says, and its section."""
        self._check_padding(read)
        (self.layout.as_map if read.is_map else self.layout.as_in_model)(read.node)
        name, linear = self.layout.names.of(read.node), self._linear(read, factor)
        last = section.quantizer
        if last is None:
            with _refusing(read.node):
                layer = exact_product(name, self.grid, linear)
        else:
            with _refusing(last.node):
                real = Quantize(name, last.y, "qonnx", (*section.before, *last.before), last.narrow)
                layer = threshold_product(name, self.grid, linear, real, last.bounds)
        self.layout.put(layer, read.tensor.shape[1:], last=read.is_map)
        self.grid = layer.y
        self.move(section)

    def _linear(self, read, factor):
        weights = read.linear.weights
        with np.errstate(over="ignore", under="ignore"):
            scale = np.asarray(np.float64(weights.scale) * factor).astype(np.float32)
        with _refusing(read.node):
            Grid(weights.fmt, scale)
        return replace(read.linear, weights=replace(weights, scale=scale))

    def _check_padding(self, read):
        window = read.linear.window
        if window is not None and np.any(window.padding) and isinstance(self.grid.fmt, Bipolar):
            raise read.node.refused("pads with zeros, which bipolar activations do not have")


def _after(section: Section, grid: Grid) -> tuple[Step, ...]:
    """The steps of the exit. Raises Unsupported where it cannot tell which channel a place of its tensor belongs to."""
    tensor = section.tensor
    if grid.scale.ndim and tensor.channels != len(tensor.shape) - 1:
        raise Unsupported("sums whose columns have scales of their own must end with the columns as the last axis")
    for applied in section.after:
        if tensor.channels is None and any(one.size > 1 for step in applied.steps for one in step.operands):
            raise applied.node.refused("has numbers for each channel; the network ends with channels mixed")
    return _spread([step for applied in section.after for step in applied.steps], tensor)


def _factor(section: Section) -> float:
    """What the values of codes are multiplied by on their way to the next product. Raises Unsupported for all else."""
    factor = 1.0
    for applied in section.after:
        for step in applied.steps:
            operand = step.operands[0] if step.operation in ("mul", "div") else np.zeros(())
            if operand.ndim or not operand > 0:
                raise applied.node.refused("only one positive factor may stand between a quantizer and a product")
            factor = factor * float(operand) if step.operation == "mul" else factor / float(operand)
    return factor


def _spread(steps, tensor) -> tuple[Step, ...]:
    """Steps on a tensor as the model has it, whose channels may not be the last axis."""
    behind = 0 if tensor.channels is None else len(tensor.shape) - 1 - tensor.channels
    return tuple(step.ahead_of(behind) for step in steps)


@contextmanager
def _refusing(node: Node):
    """Errors of golden are errors of this node."""
    try:
        yield
    except Unsupported:
        raise
    except ValueError as error:
        raise node.refused(error) from error
