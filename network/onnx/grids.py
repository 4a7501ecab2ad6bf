"""Types, scales and zero points of codes in an ONNX model."""

import numpy as np
import onnx

from golden.formats import Format, Integer
from golden.ops import int_bits

from ..grid import Grid
from ..unsupported import Unsupported, printable
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


def check_linear(node: Node):
    """Raises Unsupported for attributes of QuantizeLinear and DequantizeLinear that are none of the plain ones."""
    node.only_attributes(*LINEAR_ATTRIBUTES)
    for name in ("block_size", "precision", "output_dtype"):
        node.attribute(name, 0, only=(0,))
