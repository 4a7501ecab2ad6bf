"""Constants that nodes of QONNX and FINN models take: numbers that float32 holds exactly."""

import numpy as np

from ..onnx.graph import Graph, Node


def constant(graph: Graph, node: Node, position: int, what: str, *, finite=True) -> np.ndarray:
    """An input of a node that must be constant, float32.

    Raises Unsupported where it is missing, depends on the input, or holds what is no number, not finite (if `finite`)
    or not in float32.
    """
    name = node.input(position)
    if not name:
        raise node.refused(f"its {what} is missing")
    if not graph.is_constant(name):
        raise node.refused(f"its {what} must be constant")
    value = graph.value(name)
    if value.dtype.kind not in "fiu":
        raise node.refused(f"its {what} must hold numbers, not {value.dtype}")
    with np.errstate(over="ignore"):
        narrowed = value.astype(np.float32)
    if not value.size or np.isnan(value).any() or (finite and not np.isfinite(value).all()):
        raise node.refused(f"its {what} must be finite numbers")
    if (narrowed != value).any():
        raise node.refused(f"its {what} must be float32 numbers, not {value.dtype}")
    return narrowed


def scalar(node: Node, value, what: str) -> np.ndarray:
    """The only value of an array, or of one whose elements are all the same, float32. Raises Unsupported."""
    values = np.unique(value)
    if values.size != 1:
        raise node.refused(f"its {what} must be one for the whole tensor, not {values.size} values")
    return np.asarray(values[0], np.float32)
