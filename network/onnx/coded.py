"""Constants of an ONNX model that are codes: with scales and zero points beside them, or behind DequantizeLinear."""

from dataclasses import dataclass, field

import numpy as np

from golden.formats import Format
from golden.quantize import quantize

from ..grid import Grid
from ..unsupported import printable
from .constants import real
from .graph import OWN_DOMAINS, Graph
from .grids import BYTES, CODE_DOMAINS, check_linear, code_format, code_type, positive, zero_points
from .node import Node

_TOLERANCE = 2.0**-20


@dataclass(frozen=True, eq=False)
class Coded:
    """Constant codes, int64, in ONNX's layout; the scale a scalar, or one for each index of `axis`."""

    codes: np.ndarray = field(repr=False)
    fmt: Format
    scale: np.ndarray
    zero_point: int
    axis: int

    @property
    def grid(self) -> Grid:
        """Of the codes as a matrix w [K, N]."""
        return Grid(self.fmt, self.scale, self.zero_point)


def coded(node: Node, graph: Graph, names: tuple[str, str, str], axis: int) -> Coded:
    """Codes, scale and zero point of three inputs; `axis` is where each channel may have its own."""
    codes = graph.constant(node, names[0])
    fmt = code_type(node, codes, names[0])
    scale = positive(node, graph, names[1])
    own, points = zero_points(node, graph, names[2], scale, fmt)
    if own != fmt:
        raise node.refused(f"zero point {printable(names[2])} is of type {own}, its codes of {fmt}")
    return _coded(node, codes.astype(np.int64), fmt, scale, points, axis)


def unscaled(node: Node, graph: Graph, names: tuple[str, str], scale: np.ndarray, axis: int) -> Coded:
    """Codes and zero point of two inputs, where no input is a scale."""
    codes = graph.constant(node, names[0])
    fmt = code_type(node, codes, names[0])
    channels = np.empty(codes.shape[axis] if axis < codes.ndim else 1)
    own, points = zero_points(node, graph, names[1], channels, fmt)
    if own != fmt:
        raise node.refused(f"zero point {printable(names[1])} is of type {own}, its codes of {fmt}")
    return _coded(node, codes.astype(np.int64), fmt, scale, points, axis)


def _coded(node, codes, fmt, scale, points, axis):
    """Zero points that differ are taken off the codes, which then need a wider format, and have zero point 0."""
    _check_axis(node, codes, scale, axis)
    axis = axis % max(codes.ndim, 1)
    if points.ndim and len(set(points.tolist())) > 1:
        codes = codes - points.reshape(-1, *(1,) * (codes.ndim - 1 - axis))
        return Coded(codes, code_format(int(codes.min()), int(codes.max())), scale, 0, axis)
    return Coded(codes, fmt, scale, int(points.reshape(-1)[0]), axis)


def _check_axis(node, codes, scale, axis):
    if not codes.size:
        raise node.refused("has no codes")
    if scale.ndim and not -codes.ndim <= axis < codes.ndim:
        raise node.refused(f"has axis {axis} on codes of {codes.ndim} axes")
    if scale.ndim and codes.shape[axis] != scale.size:
        raise node.refused(f"has {scale.size} scales for axis {axis} of codes {list(codes.shape)}")


def dequantized(graph: Graph, name: str) -> Coded | None:
    """What DequantizeLinear makes a constant of, transposed where that follows; None where nothing of the kind does.

    Codes that QuantizeLinear makes of real constants are computed as it does. Raises Unsupported for blocks.
    """
    node = graph.producer(name)
    if node is None or not graph.is_constant(name):
        return None
    if node.domain in OWN_DOMAINS and node.operator == "Transpose":
        return _transposed(node, dequantized(graph, node.inputs[0]))
    if node.domain not in CODE_DOMAINS or node.operator != "DequantizeLinear":
        return None
    check_linear(node)
    made = graph.producer(node.inputs[0])
    names = (node.inputs[0], node.input(1), node.input(2))
    if made is None or made.operator != "QuantizeLinear":
        return coded(node, graph, names, node.integer("axis", 1))
    return _quantized(made, graph)


def _transposed(node, found):
    if found is None:
        return None
    axes = node.order(found.codes.ndim)
    return Coded(found.codes.transpose(axes), found.fmt, found.scale, found.zero_point, axes.index(found.axis))


def _quantized(node, graph):
    check_linear(node)
    values = real(node, graph, node.inputs[0], "first input")
    scale, axis = positive(node, graph, node.input(1)), node.integer("axis", 1)
    fmt, points = zero_points(node, graph, node.input(2), scale, BYTES)
    _check_axis(node, values, scale, axis)
    codes = quantize(values, scale, points, fmt.name, axis=axis if scale.ndim else None)
    return _coded(node, codes, fmt, scale, points, axis)


def check_bias(node: Node, name: str, found: Coded, units: np.ndarray):
    """Raises Unsupported for integer biases that are not in units of the sums: scale of x times that of w."""
    if found.zero_point:
        raise node.refused(f"bias {printable(name)} has zero point {found.zero_point}")
    scale = found.scale.astype(np.float64)
    fits = scale.shape in ((), units.shape) or not units.ndim
    if not fits or (np.abs(scale - units) > _TOLERANCE * units).any():
        raise node.refused(f"bias {printable(name)} has another scale than activations times weights")
