"""ONNX networks of real numbers as FloatNetwork: chains of products, activations, pools and shapes.

What scales and shifts channels (BatchNormalization, Mul, Add, ...) is folded into the product before it, or after it.
Activations go into the product before them, past pools that take a maximum. What elementwise operators stand first, or
last, become the network's own steps. docs/networks.md says what else is read, and what is refused.
"""

from dataclasses import replace

import numpy as np
import onnx

from ..elementwise import Step
from ..float_network import FloatAveragePool, FloatNetwork, Linear
from ..layers import BOUNDS
from ..shapes import MaxPool, Reshape, Transpose, Window
from ..unsupported import Unsupported, printable, refusing
from .affine import Affine, batch_norm, folded_after, folded_before, of_steps
from .constants import real
from .graph import OWN_DOMAINS, Graph
from .grids import input_kind
from .moves import MOVES, integers
from .node import Node
from .path import Path, checked, told
from .scaling import along_first, as_given, fitting, per_channel, steps
from .steps import BOUNDING, LAST, SCALING, cast, last, norm_parameters
from .tensors import prod
from .weights import CONV_ATTRIBUTES, GEMM_ATTRIBUTES, Weights, convolution, dense, gemm, row
from .windows import ATTRIBUTES, pool_window, pooled, two

_ACTIVATIONS = {bounds: name for name, bounds in BOUNDS.items() if name != "none"}


def read_float(model: onnx.ModelProto) -> FloatNetwork:
    """The network of a model whose input is float32 [B, ...], laid out as ONNX has it.

    Its `run` gives what the model gives, up to the rounding of float32. Raises Unsupported, one line with operator and
    node, for what is no chain of the operators above.
    """
    graph = Graph(model)
    if graph.input_type != onnx.TensorProto.FLOAT:
        raise Unsupported(f"input {printable(graph.input)} must be float32, not {input_kind(graph)}")
    with np.errstate(over="ignore", invalid="ignore"):  # what is beyond float32 is refused
        return _Reader(graph).network()


class _Reader:
    def __init__(self, graph: Graph):
        self.graph = graph
        self.path = Path(graph.shape)
        self.before, self.after = [], []
        self.pending: tuple[Node, Affine] | None = None

    def network(self) -> FloatNetwork:
        for node in self.graph.chain_of_firsts():
            self._check(node)
            OPERATORS[node.operator](self, node)
        if self.pending is not None:
            self._last([step.ahead_of(self.path.behind) for step in steps(self.pending[1])])
        self.path.plain()
        linears = [layer for layer in self.path.layers if isinstance(layer, Linear)]
        if not linears:
            raise Unsupported("the model has no products")
        for layer in linears:
            if not (np.isfinite(layer.w).all() and np.isfinite(layer.bias).all()):
                raise Unsupported(f"layer {layer.name}: weights are beyond float32")
        name = self.path.names.name(self.graph.name)
        return FloatNetwork(name, self.graph.shape, tuple(self.path.layers), tuple(self.before), tuple(self.after))

    def _check(self, node):
        if node.domain not in OWN_DOMAINS or node.operator not in OPERATORS:
            raise node.refused("is not supported in float networks")
        if self.after and node.operator not in ELEMENTWISE:
            raise node.refused(f"follows {self.after[-1].operation}, which only elementwise operators may")
        if self.pending is not None and node.operator not in (*SCALED, *PRODUCTS, *NOTHING):
            raise _unfolded(self.pending[0])

    # products

    def constant(self, node, index, what) -> np.ndarray:
        return real(node, self.graph, node.input(index), what)

    def bias(self, node, columns) -> np.ndarray:
        """[N], zeros where it is left out."""
        return row(node, self.constant(node, 2, "bias"), columns) if node.input(2) else np.zeros(columns)

    def multiplied(self, node, weights: Weights, bias, along):
        """A product along an axis of `path.shape`."""
        if self.pending is not None and self.path.channels != along:
            raise _unfolded(self.pending[0])
        name = self.path.names.of(node)
        w = np.ascontiguousarray(weights.w, np.float32)
        linear = Linear(name, w, np.asarray(bias, np.float32), "none", weights.window, weights.depthwise)
        if self.pending is not None:
            scaling, affine = self.pending
            with refusing(scaling):
                linear = folded_before(affine, linear)
            self.pending = None
        self.path.add(linear, checked(node, weights.shape))

    def conv(self, node):
        node.only_attributes(*CONV_ATTRIBUTES)
        weights = convolution(node, self.path, self.constant(node, 1, "weights"))
        self.multiplied(node, weights, self.bias(node, weights.columns), along=0)

    def gemm(self, node):
        node.only_attributes(*GEMM_ATTRIBUTES)
        weights = gemm(node, self.path, self.constant(node, 1, "weights"))
        alpha, beta = node.number("alpha", 1.0), node.number("beta", 1.0)
        scaled = replace(weights, w=weights.w.astype(np.float64) * alpha)
        self.multiplied(node, scaled, self.bias(node, weights.columns).astype(np.float64) * beta, along=0)

    def matmul(self, node):
        node.only_attributes()
        weights = dense(node, self.path, self.constant(node, 1, "weights"))
        self.multiplied(node, weights, np.zeros(weights.columns), along=len(self.path.shape) - 1)

    # scaling and shifting

    def placed(self, node, value) -> np.ndarray:
        """As it broadcasts against the tensor in ONNX's layout."""
        return fitting(node, self.path, value)

    def batch_norm(self, node):
        parameters, epsilon = norm_parameters(node, self)
        affine = batch_norm(*parameters, epsilon=epsilon)
        affine = Affine(along_first(self.path, affine.factor), along_first(self.path, affine.offset))
        self._scale(node, affine, steps(affine))

    def scaled(self, node):
        made = SCALING[node.operator](node, self)
        self._scale(node, of_steps(made), made)

    def _scale(self, node, affine: Affine, made: list[Step]):
        """affine, as it broadcasts against the tensor in ONNX's layout, and the same as operations on float32."""
        if self.after:
            self.after += made
        elif not self.path.layers:
            given = (Step(one.operation, tuple(as_given(self.path, each) for each in one.operands)) for one in made)
            self.before += given
        else:
            self._fold(node, per_channel(node, self.path, affine))

    def _fold(self, node, affine):
        layer = self.path.layers[-1]
        if self.pending is not None:
            self.pending = node, self.pending[1].then(affine)
        elif isinstance(layer, Linear) and layer.activation == "none":
            self.path.layers[-1] = folded_after(layer, affine)
        else:
            self.pending = node, affine

    # activations

    def bounded(self, node):
        (step,) = BOUNDING[node.operator](node, self)
        bounds = tuple(float(one) for one in step.operands) or BOUNDS["relu"]
        self._activate(_ACTIVATIONS.get(bounds), step)

    def _activate(self, activation, step):
        if self.after:
            self.after.append(step)
            return
        if not self.path.layers:
            self.before.append(step)
            return
        index = len(self.path.layers) - 1
        while index > 0 and isinstance(self.path.layers[index], MaxPool | Reshape | Transpose):
            index -= 1
        layer = self.path.layers[index]
        if activation is None or not isinstance(layer, Linear):
            self._last([step])
            return
        strongest = activation if layer.activation != "relu6" else "relu6"
        self.path.layers[index] = replace(layer, activation=strongest)

    def last(self, node):
        """Softmax and its kind, which nothing but elementwise operators may follow."""
        self._last(last(node, self))

    def _last(self, steps):
        self.path.plain()
        self.after += steps

    # pools

    def average_pool(self, node):
        node.only_attributes(*ATTRIBUTES, "ceil_mode", "count_include_pad")
        found = pool_window(node, self.path)
        counted = node.attribute("count_include_pad", 0, only=(0, 1)) and np.any(found.padding)
        self._averaged(node, found, counted)

    def global_average_pool(self, node):
        node.only_attributes()
        self._whole(node)

    def reduce_mean(self, node):
        """Of a whole map: a pool, without its axes where keepdims says so."""
        node.only_attributes("axes", "keepdims", "noop_with_empty_axes")
        given = integers(node, self.graph, node.input(1)) if node.input(1) else node.integers("axes")
        rank = len(self.path.shape) + 1
        kept = node.attribute("keepdims", 1, only=(0, 1))
        if rank not in (3, 4) or sorted(one % rank for one in given) != list(range(2, rank)):
            raise node.refused(f"takes the mean of {told(self.path.shape)} over axes {list(given)}, not of whole maps")
        self._whole(node)
        if not kept:
            self.path.reshape(self.path.shape[:1], node)

    def _whole(self, node):
        self.path.map(node)
        size = self.path.shape[1:]
        self._averaged(node, Window(two(size)), counted=False)

    def _averaged(self, node, found, counted):
        name = self.path.names.of(node)
        layer, channels = FloatAveragePool(name, found), self.path.shape[0]
        if counted:
            w = np.full((prod(found.kernel), channels), 1 / prod(found.kernel), np.float32)
            layer = Linear(name, w, np.zeros(channels, np.float32), "none", found, depthwise=True)
        self.path.add(layer, pooled(self.path, found))


def _unfolded(node):
    return node.refused("stands where neither the product before nor the one after can take it in")


def _moved(reader, node):
    MOVES[node.operator](node, reader.graph, reader.path)


NOTHING = {**dict.fromkeys(("Identity", "Dropout"), _moved), "Cast": lambda reader, node: cast(node, reader)}
PRODUCTS = {"Conv": _Reader.conv, "Gemm": _Reader.gemm, "MatMul": _Reader.matmul}
SCALED = {**dict.fromkeys(SCALING, _Reader.scaled), "BatchNormalization": _Reader.batch_norm}
ELEMENTWISE = {
    **SCALED,
    **NOTHING,
    **dict.fromkeys(BOUNDING, _Reader.bounded),
    **dict.fromkeys(LAST, _Reader.last),
}
OPERATORS = {
    **dict.fromkeys(MOVES, _moved),
    **ELEMENTWISE,
    **PRODUCTS,
    "AveragePool": _Reader.average_pool,
    "GlobalAveragePool": _Reader.global_average_pool,
    "ReduceMean": _Reader.reduce_mean,
}
