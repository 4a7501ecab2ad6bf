"""Scales, zero points and quantized constants of an ONNX model."""

from dataclasses import dataclass, field

import numpy as np
import onnx

from golden.formats import Format, Integer
from golden.ops import int_bits
from golden.quantize import quantize

from ..grid import Grid
from ..unsupported import Unsupported, printable
from .constants import real
from .graph import OWN_DOMAINS, Graph
from .node import Node

MICROSOFT = "com.microsoft"
CODE_DOMAINS = (*OWN_DOMAINS, MICROSOFT)
LINEAR_ATTRIBUTES = ("axis", "block_size", "output_dtype", "precision", "saturate")
_TYPES = {
    **{
        f"{'' if signed else 'u'}int{width}": Integer(width, signed)
        for width in (2, 4, 8, 16)
        for signed in (True, False)
    },
    "int32": Integer(32, signed=True),
}
BYTES = _TYPES["uint8"]
_TOLERANCE = 2.0**-20


def code_format(lo: int, hi: int) -> Integer:
    """The narrowest integer format that holds both bounds."""
    return Integer(max(hi.bit_length(), 1), signed=False) if lo >= 0 else Integer(int_bits(lo, hi), signed=True)


def input_format(graph: Graph) -> Integer | None:
    """The format of a model's input; None of real numbers. Raises Unsupported for other types."""
    if graph.input_type == onnx.TensorProto.FLOAT:
        return None
    kind = input_kind(graph)
    if kind not in ("UINT8", "INT8", "UINT16", "INT16"):
        told = f"float32 or integers of 8 or 16 bits, not {kind}"
        raise Unsupported(f"input {printable(graph.input)} must be {told}")
    return _TYPES[kind.lower()]


def input_kind(graph: Graph) -> str:
    """The type of a model's input by ONNX's name, or its number where it is none of ONNX's."""
    names = {number: name for name, number in onnx.TensorProto.DataType.items()}
    return names.get(graph.input_type, str(graph.input_type))


def code_type(node: Node, value: np.ndarray, name: str) -> Integer:
    """The format of an array of codes, by its type. Raises Unsupported for other types."""
    if str(value.dtype) not in _TYPES:
        raise node.refused(f"input {printable(name)} must be of an integer type, not {value.dtype}")
    return _TYPES[str(value.dtype)]


def positive(node: Node, graph: Graph, name: str) -> np.ndarray:
    """Scales: float32, positive and finite, a scalar or [C]. Raises Unsupported."""
    value = graph.constant(node, name)
    if value.dtype != np.float32:
        raise node.refused(f"scale {printable(name)} must be of type float32, not {value.dtype}")
    if not value.size or value.ndim > 1 or not (np.isfinite(value) & (value > 0)).all():
        raise node.refused(f"scale {printable(name)} must be positive and finite, a scalar or [C]")
    return value.reshape(()) if value.size == 1 else value


def zero_points(node: Node, graph: Graph, name: str, scale: np.ndarray, otherwise: Format) -> tuple[Format, np.ndarray]:
    """The format of zero points, and them, int64, a scalar or [C]; 0 of the format `otherwise` where they are left out.

    Raises Unsupported for more of them than scales.
    """
    if not name:
        return otherwise, np.zeros((), np.int64)
    value = graph.constant(node, name)
    fmt = code_type(node, value, name)
    if value.size not in (1, scale.size) or value.ndim > 1:
        raise node.refused(f"zero point {printable(name)} has shape {list(value.shape)}, its scale {list(scale.shape)}")
    codes = value.astype(np.int64)
    return fmt, codes.reshape(()) if codes.size == 1 else codes


def activation_grid(node: Node, graph: Graph, scale: str, point: str, otherwise: Format) -> Grid:
    """The grid of activations, one scale for all, in the format `otherwise` where no zero point says which."""
    value = positive(node, graph, scale)
    if value.ndim:
        raise node.refused(f"scale {printable(scale)} must be one for all activations, not {value.size}")
    fmt, number = zero_points(node, graph, point, value, otherwise)
    return Grid(fmt, value, int(number))


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


def check_linear(node: Node):
    """Raises Unsupported for attributes of QuantizeLinear and DequantizeLinear that are none of the plain ones."""
    node.only_attributes(*LINEAR_ATTRIBUTES)
    for name in ("block_size", "precision", "output_dtype"):
        node.attribute(name, 0, only=(0,))


def check_bias(node: Node, name: str, found: Coded, units: np.ndarray):
    """Raises Unsupported for integer biases that are not in units of the sums: scale of x times that of w."""
    if found.zero_point:
        raise node.refused(f"bias {printable(name)} has zero point {found.zero_point}")
    scale = found.scale.astype(np.float64)
    fits = scale.shape in ((), units.shape) or not units.ndim
    if not fits or (np.abs(scale - units) > _TOLERANCE * units).any():
        raise node.refused(f"bias {printable(name)} has another scale than activations times weights")
