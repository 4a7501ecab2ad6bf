"""Constants of QONNX and FINN models that are codes: behind Quant or BipolarQuant, moved or multiplied behind them."""

from dataclasses import dataclass, field, replace

import numpy as np

from golden.formats import Bipolar, Integer, Ternary
from golden.quantize import quantize

from ..onnx.constants import exact
from ..onnx.graph import OWN_DOMAINS, Graph, Node
from .quant_node import is_quant, quant_node

_MOST_PASSED = 100


@dataclass(frozen=True, eq=False)
class CodedConstant:
    """value = scale * (decoded code - zero_point); codes int64 and scale float32 of one shape."""

    codes: np.ndarray = field(repr=False)
    scale: np.ndarray = field(repr=False)
    fmt: Integer | Bipolar | Ternary
    zero_point: int = 0

    @property
    def values(self) -> np.ndarray:
        """float32, as the nodes give them."""
        decoded = np.asarray(self.fmt.decode(self.codes)).astype(np.float32)
        with np.errstate(over="ignore"):
            return (decoded - np.float32(self.zero_point)) * self.scale

    def moved(self, move) -> "CodedConstant":
        """The same after a change of shape."""
        return replace(self, codes=move(self.codes), scale=move(self.scale))


def coded_constant(graph: Graph, node: Node, position: int, what: str) -> CodedConstant | None:
    """An input of a node that a Quant or BipolarQuant makes of a constant; None where none does. Raises Unsupported.

    Behind the quantizer it may be moved, and multiplied by positive numbers.
    """
    producer, passed = _producer(graph, node, position), []
    while producer is not None and producer.domain in OWN_DOMAINS and producer.operator in _PASSED:
        place = _quantized_input(graph, producer)
        passed.append((producer, place))
        producer = _producer(graph, producer, place)
        if len(passed) > _MOST_PASSED:
            raise node.refused(f"its {what} pass more than {_MOST_PASSED} nodes behind their quantizer")
    if producer is None or not is_quant(producer):
        return None
    found = _quantized(graph, producer)
    for passing, place in reversed(passed):
        found = _PASSED[passing.operator](graph, passing, place, found)
    return found


def _producer(graph, node, position):
    return graph.producer(node.inputs[position]) if position < len(node.inputs) else None


def _quantized_input(graph, node):
    """Which input of a Mul comes from nodes, 0 of other operators."""
    first = _producer(graph, node, 0)
    return int(node.operator == "Mul" and (first is None or first.operator == "Constant"))


def real_constant(graph: Graph, node: Node, position: int, what: str) -> np.ndarray:
    """An input of a node that must be constant, quantized or not, float32. Raises Unsupported."""
    coded = coded_constant(graph, node, position, what)
    return exact(node, graph, node.input(position), what) if coded is None else coded.values


def _quantized(graph, node):
    """What Quant or BipolarQuant makes of a constant."""
    values, given = exact(node, graph, node.input(0), "first input"), quant_node(graph, node)
    wide = _wide(node, values, given.scale)
    scale = np.broadcast_to(wide, values.shape)
    if isinstance(given.fmt, Bipolar):
        with np.errstate(over="ignore"):
            signs = values if node.operator == "BipolarQuant" else values / scale
        return CodedConstant(np.asarray(given.fmt.saturate(signs), np.int64), scale, given.fmt)
    axis = next((axis for axis, size in enumerate(wide.shape) if size > 1), None)
    how = {"narrow": given.narrow, "rounding": given.rounding, "zero_point_first": True}
    codes = quantize(values, wide.reshape(-1), given.zero_point, str(given.fmt), axis=axis, **how)
    fmt = Ternary() if given.bounds == Ternary().code_range else given.fmt
    return CodedConstant(codes, scale, fmt, given.zero_point)


def _wide(node, values, scale):
    """The scale with as many axes as the values, of which one at most has several scales."""
    wide = scale.reshape((1,) * (values.ndim - scale.ndim) + scale.shape)
    fits = wide.ndim == values.ndim and all(n in (1, m) for n, m in zip(wide.shape, values.shape, strict=True))
    if not fits or sum(n > 1 for n in wide.shape) > 1:
        shapes = f"of {list(values.shape)}, not have shape {list(scale.shape)}"
        raise node.refused(f"its scale must be one number or vary along one axis {shapes}")
    return wide


def _identity(graph, node, place, coded):
    return coded


def _transpose(graph, node, place, coded):
    axes = node.order(coded.codes.ndim)
    return coded.moved(lambda x: x.transpose(axes))


def _reshape(graph, node, place, coded):
    shape = [int(one) for one in exact(node, graph, node.input(1), "shape").reshape(-1)]
    try:
        return coded.moved(lambda x: x.reshape(shape))
    except ValueError:
        raise node.refused(f"cannot bring {list(coded.codes.shape)} to shape {shape}") from None


def _multiplied(graph, node, place, coded):
    factor = exact(node, graph, node.input(1 - place), "factor")
    shape = coded.codes.shape
    wide = factor.reshape((1,) * (len(shape) - factor.ndim) + factor.shape)
    if wide.ndim > len(shape) or any(n not in (1, m) for n, m in zip(wide.shape, shape, strict=True)):
        raise node.refused(f"multiplies weights of shape {list(shape)} by a factor of shape {list(factor.shape)}")
    if not (factor > 0).all():
        raise node.refused(f"multiplies weights by {factor.min()!s}; factors must be positive")
    with np.errstate(over="ignore", under="ignore"):
        return replace(coded, scale=coded.scale * wide)


_PASSED = {"Identity": _identity, "Transpose": _transpose, "Reshape": _reshape, "Mul": _multiplied}
