"""Elementwise nodes of an ONNX model as float32 steps, in the order and precision of ONNX Runtime."""

import numpy as np
import onnx

from ..elementwise import Step
from ..onnx.constants import exact, scalar
from ..onnx.graph import OWN_DOMAINS, Graph, Node
from ..onnx.path import Path
from ..onnx.scaling import along, place

_BINARY = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div"}


def is_elementwise(node: Node) -> bool:
    return node.domain in OWN_DOMAINS and node.operator in (*_BINARY, *_READERS)


def steps_of(graph: Graph, node: Node, path: Path) -> tuple[Step, ...]:
    """What an elementwise node does to the tensor; operands are scalars or [C]. Raises Unsupported."""
    if node.operator in _BINARY:
        return _binary(graph, node, path)
    return _READERS[node.operator](graph, node, path)


def _binary(graph, node, path):
    first = graph.data_input(node) == node.inputs[0]
    operand = along(node, path, exact(node, graph, node.input(int(first)), "operand"), path.columns)
    operation = _BINARY[node.operator]
    if operation == "sub" and not first:
        return (Step("mul", (-1,)), Step("add", (operand,)))
    if operation == "div" and not first:
        raise node.refused("divides by the network's input")
    if operation == "div" and not operand.all():
        raise node.refused("divides by zero")
    return (Step(operation, (operand,)),)


def _cast(graph, node, path):
    node.attribute("to", None, only=(onnx.TensorProto.FLOAT,))
    return ()


def _relu(graph, node, path):
    return (Step("relu"),)


def _neg(graph, node, path):
    return (Step("mul", (-1,)),)


def _clip(graph, node, path):
    """HardTanh and ReLU6 too; bounds are attributes before opset 11."""
    return (Step("clip", (_bound(graph, node, 1, "min", -np.inf), _bound(graph, node, 2, "max", np.inf))),)


def _bound(graph, node, position, name, end):
    if position < len(node.inputs) and node.inputs[position]:
        return scalar(node, exact(node, graph, node.input(position), name, finite=False), name)
    return node.number(name, 0) if name in node.attributes else end


def _batch_normalization(graph, node, path):
    """x * factor + offset, as onnxruntime and FINN's BatchNormToAffine have it, not the quotient of ONNX's text.

        factor = gamma * (1 / sqrt(variance + epsilon)),    offset = beta - mean * factor

    Source: microsoft/onnxruntime core/providers/cpu/nn/batch_norm.h.
    """
    node.attribute("training_mode", 0, only=(0,))
    if path.columns != 0:
        raise node.refused(f"normalizes axis 1; channels lie {place(path.columns)}")
    names = ("scale", "bias", "mean", "variance")
    gamma, beta, mean, variance = (exact(node, graph, node.input(i), name) for i, name in enumerate(names, start=1))
    if any(one.shape != (path.shape[0],) for one in (gamma, beta, mean, variance)):
        raise node.refused(f"its parameters must have shape [{path.shape[0]}]")
    variance = variance + np.float32(node.number("epsilon", 1e-5))
    if not (variance > 0).all():
        raise node.refused("variance and epsilon must sum to a positive number")
    with np.errstate(all="ignore"):
        factor = gamma * (np.float32(1) / np.sqrt(variance))
        offset = beta - mean * factor
    if not np.isfinite([factor, offset]).all():
        raise node.refused("its factors must be finite")
    return (Step("mul", (factor,)), Step("add", (offset,)))


_READERS = {"Cast": _cast, "Relu": _relu, "Neg": _neg, "Clip": _clip, "BatchNormalization": _batch_normalization}
