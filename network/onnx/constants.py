"""Constants that nodes of an ONNX model take, as float32.

Each function takes the name of an input, and a word for the line that refuses it.
"""

import numpy as np

from .graph import Graph
from .node import Node


def given(node: Node, graph: Graph, name: str, what: str) -> np.ndarray:
    """A constant. Raises Unsupported where it is left out, depends on the network's input, or holds no numbers."""
    if not name:
        raise node.refused(f"has no {what}")
    if not graph.is_constant(name):
        raise node.refused(f"its {what} must be constant")
    value = graph.value(name)
    if value.dtype.kind not in "fiu":
        raise node.refused(f"its {what} must hold numbers, not {value.dtype}")
    if not value.size or np.isnan(value).any():
        raise node.refused(f"its {what} must be finite numbers")
    return value


def real(node: Node, graph: Graph, name: str, what: str) -> np.ndarray:
    """Real numbers, rounded to float32. Raises Unsupported for other types, and what is beyond float32."""
    value = given(node, graph, name, what)
    if value.dtype.kind != "f":
        raise node.refused(f"its {what} must be of a float type, not {value.dtype}")
    narrowed = _float32(value)
    _check_finite(node, narrowed, what)
    return narrowed


def exact(node: Node, graph: Graph, name: str, what: str, *, finite=True) -> np.ndarray:
    """Numbers of any type that float32 holds. Raises Unsupported for others, and for infinities if `finite`."""
    value = given(node, graph, name, what)
    if finite:
        _check_finite(node, value, what)
    narrowed = _float32(value)
    if (narrowed != value).any():
        raise node.refused(f"its {what} must be float32 numbers, not {value.dtype}")
    return narrowed


def scalar(node: Node, value, what: str) -> np.ndarray:
    """The only value of an array, or of one whose elements are all the same, float32. Raises Unsupported."""
    values = np.unique(value)
    if values.size != 1:
        raise node.refused(f"its {what} must be one for the whole tensor, not {values.size} values")
    return np.asarray(values[0], np.float32)


def _float32(value):
    with np.errstate(over="ignore"):
        return value.astype(np.float32)


def _check_finite(node, value, what):
    if not np.isfinite(value).all():
        raise node.refused(f"its {what} must be finite numbers")
