"""ONNX operators on each element as float32 steps, in the order and precision of ONNX Runtime."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import onnx

from ..elementwise import Step
from .constants import given, scalar
from .graph import Graph
from .node import Node
from .path import Path
from .scaling import along_first

LAST = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid", "Tanh": "tanh"}


class Reader(Protocol):
    """What reads a model: its graph, and the tensor on its way. Its methods raise Unsupported."""

    graph: Graph
    path: Path

    def constant(self, node: Node, index: int, what: str) -> np.ndarray:
        """An input that must be constant, float32."""
        ...

    def placed(self, node: Node, value: np.ndarray) -> np.ndarray:
        """A constant that broadcasts with the tensor, as steps take it."""
        ...


def arithmetic(node: Node, reader: Reader) -> list[Step]:
    """Add, Sub, Mul or Div with a constant. Raises Unsupported."""
    node.only_attributes()
    node.only_inputs(2, least=2)
    first = reader.graph.data_input(node) == node.inputs[0]
    operand = reader.placed(node, reader.constant(node, int(first), "operand"))
    if node.operator == "Div" and not operand.all():
        raise node.refused("divides by zero")
    if first or node.operator in ("Add", "Mul"):
        return [Step(node.operator.lower(), (operand,))]
    return [*negation(node, reader), Step("add", (operand,))]


def negation(node: Node, reader: Reader) -> list[Step]:
    """Neg, and what Sub does to its second input."""
    return [Step("mul", (-1,))]


def batch_norm(node: Node, reader: Reader) -> list[Step]:
    """x * factor + offset, as onnxruntime and FINN's BatchNormToAffine have it, not the quotient of ONNX's text.

        factor = gamma * (1 / sqrt(variance + epsilon)),    offset = beta - mean * factor

    Raises Unsupported. Source: microsoft/onnxruntime core/providers/cpu/nn/batch_norm.h.
    """
    (gamma, beta, mean, variance), epsilon = norm_parameters(node, reader)
    with np.errstate(all="ignore"):
        factor = gamma * (np.float32(1) / np.sqrt(variance + np.float32(epsilon)))
        offset = beta - mean * factor
    if not np.isfinite([factor, offset]).all():
        raise node.refused("its factors must be finite")
    factor, offset = (reader.placed(node, along_first(reader.path, one)) for one in (factor, offset))
    return [Step("mul", (factor,)), Step("add", (offset,))]


def norm_parameters(node: Node, reader: Reader) -> tuple[list[np.ndarray], float]:
    """(gamma, beta, mean and variance, each [C], and epsilon) of a BatchNormalization. Raises Unsupported."""
    node.only_attributes("epsilon", "momentum", "spatial", "training_mode")
    for name, value in (("training_mode", 0), ("spatial", 1)):
        node.attribute(name, value, only=(value,))
    channels = reader.path.shape[0]
    names = ("scale", "bias", "mean", "variance")
    found = [reader.constant(node, index, name) for index, name in enumerate(names, start=1)]
    if any(one.shape != (channels,) for one in found):
        raise node.refused(f"its parameters must have shape [{channels}]")
    epsilon = node.number("epsilon", 1e-5)
    if not (found[3].astype(np.float64) + epsilon > 0).all():
        raise node.refused("variance and epsilon must sum to a positive number")
    return found, epsilon


def cast(node: Node, reader: Reader) -> list[Step]:
    """Numbers that are float32, or that it holds. Raises Unsupported for other types than float32."""
    node.attribute("to", None, only=(onnx.TensorProto.FLOAT,))
    return []


def relu(node: Node, reader: Reader) -> list[Step]:
    """Raises Unsupported for attributes."""
    node.only_attributes()
    return [Step("relu")]


def clip(node: Node, reader: Reader) -> list[Step]:
    """Raises Unsupported for bounds that are no constants, or cross."""
    return [Step("clip", clip_bounds(node, reader.graph))]


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


def last(node: Node, reader: Reader) -> list[Step]:
    """Softmax and its kind. Raises Unsupported for a Softmax or LogSoftmax along another axis than the last."""
    node.only_attributes("axis")
    if node.operator in ("Softmax", "LogSoftmax"):
        axis, rank = node.integer("axis", 1 if reader.graph.version < 13 else -1), len(reader.path.shape) + 1
        if axis not in (-1, rank - 1):
            raise node.refused(f"attribute axis must be the last of {rank}, not {axis}")
    return [Step(LAST[node.operator])]


Reading = Callable[[Node, Reader], list[Step]]
SCALING: dict[str, Reading] = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), arithmetic),
    "Neg": negation,
    "BatchNormalization": batch_norm,
}
BOUNDING: dict[str, Reading] = {"Relu": relu, "Clip": clip}
