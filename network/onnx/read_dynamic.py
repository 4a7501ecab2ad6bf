"""ONNX networks of dynamic quantization, as onnxruntime's quantize_dynamic makes them: chains of DynamicProducts.

A product is a section of nodes (.dynamic_section); an Add right behind it is its bias, Relu or Clip to [0, 6] its
activation. What elementwise operators stand first, or last, become the steps of entry and exit.
"""

from dataclasses import replace

import numpy as np
import onnx

from golden.spec import Spec

from ..arrays import Array
from ..dynamic import DynamicProduct, RealEntry, RealExit
from ..dynamic_activations import spec_fields
from ..float_network import FloatAveragePool
from ..grid import Grid
from ..layers import BOUNDS
from ..network import Network
from ..quantized_weights import QuantizedWeights
from ..shapes import MaxPool, Reshape, Transpose, Window
from ..unsupported import Unsupported, printable
from .coded import unscaled
from .constants import real
from .dynamic_section import Readers, Section, section
from .graph import COMMUTING, OWN_DOMAINS, Graph
from .grids import code_type
from .moves import MOVES
from .node import Node
from .path import Path, checked
from .scaling import along_channels, as_given, fitting
from .steps import BOUNDING, LAST, SCALING, last
from .weights import CONV_ATTRIBUTES, convolution, dense
from .windows import ATTRIBUTES, pool_window, pooled, two

ACTIVATIONS = "uint8"
_MOST_INT32, _LARGEST_CODE = (1 << 31) - 1, 255
_ACTIVATIONS = {bounds: name for name, bounds in BOUNDS.items() if name != "none"}


def read_dynamic(model: onnx.ModelProto) -> Network:
    """The network of a model whose products quantize their activations by their range, to uint8.

    Its `run` gives what onnxruntime gives without fusions, but for the rounding of means. Raises Unsupported, one line
    with operator and node, for what is no chain of the operators below.
    """
    graph = Graph(model)
    if graph.input_type != onnx.TensorProto.FLOAT:
        raise Unsupported(f"input {printable(graph.input)} must be of type float")
    return _Reader(graph).network()


class _Reader:
    """`open` says whether the last layer is a product without a bias of its own yet."""

    def __init__(self, graph: Graph):
        self.graph, self.readers = graph, Readers(graph)
        self.path = Path(graph.shape)
        self.entry = self.path.names.name("entry")
        self.before, self.after = [], []
        self.open = False

    def network(self) -> Network:
        tensor = self.graph.input
        while tensor != self.graph.output:
            tensor = self._step(self._next(tensor))
        self.path.plain()
        if not any(isinstance(layer, DynamicProduct) for layer in self.path.layers):
            raise Unsupported("the model has no products")
        ends = RealEntry(self.entry, tuple(self.before)), RealExit(self.path.names.name("exit"), tuple(self.after))
        name = self.path.names.name(self.graph.name)
        return Network(name, self.graph.shape, ends[0], tuple(self.path.layers), ends[1])

    def _next(self, tensor) -> Node:
        found = self.readers.of(tensor)
        if not found:
            raise Unsupported(f"the output {printable(self.graph.output)} does not depend on the input")
        if len(found) > 1:
            raise found[1].refused(f"branches off where {found[0]} reads too; networks must be chains")
        return found[0]

    def _step(self, node) -> str:
        """Takes in a node; the tensor that comes next."""
        if node.domain not in OWN_DOMAINS or node.operator not in OPERATORS:
            raise node.refused("is not supported in networks of dynamic quantization")
        if self.after and node.operator not in ELEMENTWISE:
            raise node.refused(f"follows {self.after[-1].operation}, which only elementwise operators may")
        if sum(not self.graph.is_constant(name) for name in node.inputs if name) != 1:
            raise node.refused("joins branches; networks must be chains")
        if self.graph.is_constant(node.inputs[0]) and node.operator not in COMMUTING:
            raise node.refused("takes a constant where activations belong")
        return OPERATORS[node.operator](self, node) or node.outputs[0]

    # products

    def product(self, node) -> str:
        found = section(node, self.graph, self.readers)
        made = self._convolved if found.product.operator == "ConvInteger" else self._multiplied
        made(found.product)
        self._scale(found)
        self.open = True
        return found.output

    def _convolved(self, node):
        node.only_attributes(*CONV_ATTRIBUTES)
        coded = self._coded(node, axis=0)
        self._add(node, coded, convolution(node, self.path, coded.codes))

    def _multiplied(self, node):
        node.only_attributes()
        coded = self._coded(node, axis=1)
        self._add(node, coded, dense(node, self.path, coded.codes))

    def _coded(self, node, axis):
        name = node.input(1)
        if (fmt := code_type(node, self.graph.constant(node, name), name)).width != 8:
            raise node.refused(f"weights {printable(name)} must be of type int8 or uint8, not {fmt}")
        return unscaled(node, self.graph, (name, node.input(3)), np.ones((), np.float32), axis)

    def _add(self, node, coded, weights):
        most = _LARGEST_CODE * int(np.abs(weights.w - coded.zero_point).sum(axis=0).max())
        if most > _MOST_INT32:
            raise node.refused(f"has sums of up to {most}, which int32 does not hold")
        array = Array().fields(weights.columns, depthwise=weights.depthwise)
        fields = {**spec_fields(ACTIVATIONS), **array, "w_zero_point": coded.zero_point != 0, "depth": len(weights.w)}
        own = QuantizedWeights({"weights": coded.fmt}, {"w": weights.w}, coded.grid)
        try:
            spec = Spec(**fields, weights=coded.fmt)
        except ValueError as error:
            raise node.refused(str(error)) from None
        name, bias = self.path.names.of(node), np.zeros(weights.columns, np.float32)
        layer = DynamicProduct(name, spec, ACTIVATIONS, own, bias, window=weights.window)
        self.path.add(layer, checked(node, weights.shape))

    def _scale(self, found: Section):
        """The scales of the weights, one for all or one per channel of the product's output."""
        layer, node = self.path.layers[-1], found.scales
        value = self.graph.constant(node, found.w_scale)
        if value.dtype != np.float32 or not (np.isfinite(value) & (value > 0)).all() or not value.size:
            raise node.refused(f"scale {printable(found.w_scale)} must be positive and finite numbers of type float32")
        grid = layer.weights.grid
        grid = Grid(grid.fmt, along_channels(node, self.path, value), grid.zero_point)
        self.path.layers[-1] = replace(layer, weights=replace(layer.weights, grid=grid))

    # elementwise

    def constant(self, node, index, what) -> np.ndarray:
        return real(node, self.graph, node.input(index), what)

    def placed(self, node, value) -> np.ndarray:
        """As it broadcasts against the tensor in ONNX's layout, or against the network's input."""
        value = fitting(node, self.path, value)
        return value if self.path.layers else as_given(self.path, value)

    def scaled(self, node):
        """Add right behind a product is its bias."""
        if self.open and node.operator == "Add":
            self._bias(node)
            return
        for step in SCALING[node.operator](node, self):
            self._elementwise(step)

    def _bias(self, node):
        node.only_attributes()
        node.only_inputs(2, least=2)
        value = self.constant(node, int(not self.graph.is_constant(node.inputs[0])), "operand")
        layer, own = self.path.layers[-1], along_channels(node, self.path, value)
        self.path.layers[-1] = replace(layer, bias=np.array(np.broadcast_to(own, layer.bias.shape)))
        self.open = False

    def bounded(self, node):
        (step,) = BOUNDING[node.operator](node, self)
        bounds = tuple(float(one) for one in step.operands) or BOUNDS["relu"]
        self._activate(_ACTIVATIONS.get(bounds), step)

    def _activate(self, activation, step):
        """The activation of the product before, past what moves elements or takes the largest."""
        index = len(self.path.layers) - 1
        while index > 0 and isinstance(self.path.layers[index], MaxPool | Reshape | Transpose):
            index -= 1
        layer = self.path.layers[index] if self.path.layers else None
        if self.after or activation is None or not isinstance(layer, DynamicProduct) or layer.activation != "none":
            self._elementwise(step)
            return
        self.path.layers[index] = replace(layer, activation=activation)
        self.open = False

    def last(self, node):
        if not self.path.layers:
            raise node.refused("stands before all products")
        for step in last(node, self):
            self._elementwise(step)

    def _elementwise(self, step):
        if not self.path.layers:
            self.before.append(step)
            return
        self.path.plain()
        self.after.append(step)
        self.open = False

    # pools, and what moves elements

    def move(self, node):
        MOVES[node.operator](node, self.graph, self.path)
        self.open = self.open and node.operator in ("Identity", "Dropout")

    def average_pool(self, node):
        node.only_attributes(*ATTRIBUTES, "ceil_mode", "count_include_pad")
        found = pool_window(node, self.path)
        if node.attribute("count_include_pad", 0, only=(0, 1)) and np.any(found.padding):
            raise node.refused("attribute count_include_pad must be 0 where there is padding")
        self._averaged(node, found)

    def global_average_pool(self, node):
        node.only_attributes()
        self.path.map(node)
        self._averaged(node, Window(two(self.path.shape[1:])))

    def _averaged(self, node, found):
        self.path.add(FloatAveragePool(self.path.names.of(node), found), pooled(self.path, found))
        self.open = False


ELEMENTWISE = {
    **dict.fromkeys(("Identity", "Dropout"), _Reader.move),
    **dict.fromkeys(SCALING, _Reader.scaled),
    **dict.fromkeys(BOUNDING, _Reader.bounded),
    **dict.fromkeys(LAST, _Reader.last),
}
OPERATORS = {
    **dict.fromkeys(MOVES, _Reader.move),
    **ELEMENTWISE,
    "DynamicQuantizeLinear": _Reader.product,
    "AveragePool": _Reader.average_pool,
    "GlobalAveragePool": _Reader.global_average_pool,
}
