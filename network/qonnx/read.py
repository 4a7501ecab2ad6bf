"""Networks of QONNX and FINN: Quant, BipolarQuant and MultiThreshold around MatMul, Gemm and Conv."""

from dataclasses import replace

import numpy as np
import onnx

from golden.formats import Bipolar

from ..elementwise import Step
from ..grid import Grid
from ..layers import Dequantize, Product, Quantize
from ..network import Network
from ..onnx.constants import exact
from ..onnx.graph import OWN_DOMAINS, Graph, Node
from ..onnx.grids import input_format
from ..onnx.moves import MOVES
from ..onnx.path import Path
from ..onnx.scaling import along, along_first
from ..onnx.steps import BOUNDING, LAST, SCALING, Reading, cast, last
from ..shapes import Window
from ..unsupported import Unsupported, printable, refusing
from .ends import check_label, input_grid, is_label
from .products import bias, is_im2col, is_product, read_im2col, read_product
from .quantizers import is_quantizer, quantizer
from .section import Applied, Multiplied, Pooled, Section
from .threshold_product import Linear, exact_product, threshold_product


def read_qonnx(model: onnx.ModelProto) -> Network:
    """The network of a QONNX or FINN model: products with thresholds, inputs and outputs as the model has them.

    Each product goes on with the float operations after it up to the last quantizer before the next product, which
    become its thresholds (.threshold_product has the definition). Where no quantizer follows, the exact sums
    leave, and the operations are those of the exit. Labels at the end, TopK of one or ArgMax, are left out: the network
    gives the scores that they choose from.

    Raises Unsupported, a ValueError, naming operator and node, for everything that it does not read.
    """
    return _Reader(model).network()


STEPS: dict[str, Reading] = {**SCALING, **BOUNDING, "Cast": cast}


class _Reader:
    """What has been read, and the section that is being read, which lies among the layers until its product is made."""

    def __init__(self, model: onnx.ModelProto):
        self.model, self.graph = model, Graph(model)
        input_format(self.graph)
        self.path = Path(self.graph.shape)
        self.title = self.path.names.name(self.graph.name)
        self.section = Section(None)
        self.entry: Quantize | None = None
        self.im2col: tuple[Node, Window] | None = None
        self.end: Node | None = None

    def network(self) -> Network:
        for node in self.graph.chain():
            self._check_follows(node)
            self._take(node)
        if self.im2col is not None:
            raise self.im2col[0].refused("must be followed by a MatMul")
        grid = self._finished(None)
        after = self.section.steps_at_the_end(self.path, grid)
        self.path.plain()
        assert self.entry is not None
        output = Dequantize(self.path.names.name("values"), grid, after)
        return Network(self.title, self.graph.shape, self.entry, tuple(self.path.layers), output)

    def _check_follows(self, node):
        if self.end is not None:
            raise node.refused(f"follows {self.end}, which must come last")
        if self.im2col is not None and not is_product(node):
            raise self.im2col[0].refused(f"must be followed by a MatMul, not by {node}")
        self.graph.check_first(node)

    def _take(self, node):
        if is_product(node):
            self._multiply(node)
        elif is_quantizer(node):
            self.section.events.append(quantizer(self.graph, node, self.path))
        elif node.domain in OWN_DOMAINS and node.operator in MOVES:
            self._move(node)
        elif node.domain in OWN_DOMAINS and node.operator in STEPS:
            self._apply(node, STEPS[node.operator](node, self))
        elif is_im2col(node):
            self.im2col = node, read_im2col(node, self.path)
        else:
            self._take_end(node)

    def _take_end(self, node):
        if node.domain in OWN_DOMAINS and node.operator in LAST:
            self._apply(node, last(node, self))
        elif is_label(node):
            check_label(self.graph, node, self.path)
        elif node.domain in OWN_DOMAINS:
            raise node.refused("is not read in QONNX networks")
        else:
            raise node.refused(f"of domain {printable(node.domain)} is not read in QONNX networks")
        self.end = node

    def _apply(self, node, steps):
        self.section.events.append(Applied(node, tuple(steps)))

    def constant(self, node, index, what) -> np.ndarray:
        return exact(node, self.graph, node.input(index), what)

    def placed(self, node, value) -> np.ndarray:
        """A scalar or [C] along the columns."""
        return along(node, self.path, value, self.path.columns)

    def _move(self, node):
        MOVES[node.operator](node, self.graph, self.path)
        if node.operator == "MaxPool":
            self.section.events.append(Pooled(node))

    def _multiply(self, node):
        """A product: the section before it is over, and its own begins."""
        before = self.section
        if before.product is not None and before.quantizer is None:
            raise before.product.node.refused("no quantizer stands between it and the next product")
        x, factor = self._finished(node), before.factor
        linear, shape = read_product(self.graph, node, self.path, self.im2col and self.im2col[1])
        _check_padding(node, linear.window, x)
        product = Multiplied(node, self.path.names.of(node), x, _scaled(node, linear, factor))
        self.im2col, self.section = None, Section(product)
        self.path.add_product(self.section, shape)
        added = bias(self.graph, node, len(linear.weights.codes[0]))
        if added is not None:
            self._apply(node, [Step("add", (self.placed(node, along_first(self.path, added)),))])

    def _finished(self, node: Node | None) -> Grid:
        """The grid of the codes after the section, which is over; `node` is the product after it."""
        self.section.check_pools()
        if self.section.product is None:
            self.entry = self._entry(node)
            return self.entry.y
        layer = _product(self.section)
        self.path.layers[self.path.layers.index(self.section)] = layer
        return layer.y

    def _entry(self, node) -> Quantize:
        """The first quantizer, or integers as they are."""
        last, names = self.section.quantizer, self.path.names
        if last is not None:
            behind = len(self.graph.shape) - 1
            steps = tuple(step.ahead_of(behind) for step in (*self.section.before, *last.before))
            return Quantize(names.of(last.node), last.y, "qonnx", steps, last.narrow)
        if node is None:
            raise Unsupported("the model has neither a quantizer nor a product with weights")
        return Quantize(names.name("integers"), input_grid(self.graph, self.model, node))


def _check_padding(node, window, x):
    if window is not None and np.any(window.padding) and isinstance(x.fmt, Bipolar):
        raise node.refused("pads with zeros, which bipolar activations do not have")


def _scaled(node, linear: Linear, factor: float) -> Linear:
    """For activations that are `factor` times what their grid says."""
    with np.errstate(over="ignore", under="ignore"):
        scale = np.asarray(np.float64(linear.weights.scale) * factor).astype(np.float32)
    with refusing(node):
        Grid(linear.weights.fmt, scale)
    return replace(linear, weights=replace(linear.weights, scale=scale))


def _product(section: Section) -> Product:
    """The product of a section, with the codes of its last quantizer, or its sums."""
    of, last = section.product, section.quantizer
    assert of is not None
    if last is None:
        with refusing(of.node):
            return exact_product(of.name, of.x, of.linear)
    with refusing(last.node):
        real = Quantize(of.name, last.y, "qonnx", (*section.before, *last.before), last.narrow)
        return threshold_product(of.name, of.x, of.linear, real, last.bounds)
