"""ONNX operators on each element that become steps: which, and what their attributes must be."""

import numpy as np

from .constants import given, scalar
from .graph import Graph
from .node import Node

LAST = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid", "Tanh": "tanh"}


def check_last(node: Node, graph: Graph, rank: int):
    """Raises Unsupported for a Softmax or LogSoftmax along another axis than the last of `rank`."""
    node.only_attributes("axis")
    if node.operator in ("Softmax", "LogSoftmax"):
        axis = node.integer("axis", 1 if graph.version < 13 else -1)
        if axis not in (-1, rank - 1):
            raise node.refused(f"attribute axis must be the last of {rank}, not {axis}")


def clip_bounds(node: Node, graph: Graph) -> tuple[float, float]:
    """What Clip clips to: attributes, or constant inputs since opset 11. Raises Unsupported for bounds that cross."""
    node.only_attributes("min", "max")
    lo, hi = _bound(node, graph, "min", 1, -np.inf), _bound(node, graph, "max", 2, np.inf)
    if not lo <= hi:
        raise node.refused(f"clips to [{lo}, {hi}], where there is nothing")
    return lo, hi


def _bound(node, graph, name, index, none) -> float:
    if name in node.attributes:
        return node.number(name, none)
    if not node.input(index):
        return none
    return float(scalar(node, given(node, graph, node.input(index), name), name))
