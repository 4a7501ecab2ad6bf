"""MatMul, Gemm and Conv of QONNX and FINN networks, and Im2Col before a MatMul: weights, windows, biases."""

from dataclasses import dataclass

import numpy as np

from ..elementwise import Step
from ..onnx.graph import Graph, Node
from ..onnx.windows import two
from ..shapes import Window
from .quant_node import DOMAINS
from .tensor import STANDARD, Tensor
from .threshold_product import Linear
from .weights import coded_weights, columns, real_constant
from .window import checked, paddings, window


@dataclass(frozen=True, eq=False)
class ReadProduct:
    """A product of the model: what it computes, its bias as a step, the tensor after it, whether it takes a map."""

    node: Node
    linear: Linear
    bias: tuple[Step, ...]
    tensor: Tensor
    is_map: bool


def is_product(node: Node) -> bool:
    return node.domain in STANDARD and node.operator in _READERS


def is_im2col(node: Node) -> bool:
    return node.domain in DOMAINS and node.operator == "Im2Col"


def read_product(graph: Graph, node: Node, tensor: Tensor, taken: Window | None) -> ReadProduct:
    """A product of a tensor and constant weights; `taken` is the window of an Im2Col before it. Raises Unsupported."""
    if graph.data_input(node) != node.inputs[0]:
        raise node.refused("its first input must depend on the network's input, the others must not")
    if taken is not None and node.operator != "MatMul":
        raise node.refused("follows Im2Col; only MatMul may")
    return _READERS[node.operator](graph, node, tensor, taken)


def read_im2col(node: Node, tensor: Tensor) -> tuple[Window, Tensor]:
    """The window of an Im2Col on a map [B, H, W, C], and the tensor [B, OH, OW, K] after it. Raises Unsupported.

    Source: fastmachinelearning/qonnx custom_op/general/im2col.py.
    """
    if len(tensor.shape) != 4:
        raise node.refused(f"takes a map of 4 axes, not shape {list(tensor.shape)}")
    node.attribute("pad_value", 0, only=(0,))
    kernel, stride = (two(node.integers(name, count=2, least=1)) for name in ("kernel_size", "stride"))
    found = Window(kernel, stride, two(node.integers("dilations", (1, 1), least=1)), paddings(node, "pad_amount"))
    size, channels = (tensor.shape[1], tensor.shape[2]), tensor.shape[3]
    checked(node, found, size)
    return found, Tensor((1, *found.places(size), kernel[0] * kernel[1] * channels), 3)


def _matmul(graph, node, tensor, taken):
    coded = coded_weights(graph, node, 1)
    return _dense(node, coded, tensor, taken, ())


def _gemm(graph, node, tensor, taken):
    for name in ("alpha", "beta"):
        if node.number(name, 1.0) != 1:
            raise node.refused(f"attribute {name} must be 1, not {node.attribute(name)}")
    node.attribute("transA", 0, only=(0,))
    coded = coded_weights(graph, node, 1)
    if node.attribute("transB", 0, only=(0, 1)):
        coded = coded.moved(np.transpose)
    if len(tensor.shape) != 2:
        raise node.refused(f"takes vectors, not shape {list(tensor.shape)}")
    return _dense(node, coded, tensor, taken, _bias(graph, node, (1, coded.codes.shape[-1])))


def _dense(node, coded, tensor, taken, bias):
    shape = coded.codes.shape
    if len(shape) != 2 or shape[0] != tensor.shape[-1]:
        raise node.refused(f"multiplies {list(tensor.shape)} by weights of shape {list(shape)}")
    out = Tensor((*tensor.shape[:-1], shape[1]), len(tensor.shape) - 1)
    return ReadProduct(node, Linear(columns(node, coded), taken), bias, out, False)


def _conv(graph, node, tensor, taken):
    coded = coded_weights(graph, node, 1)
    shape = coded.codes.shape
    if len(tensor.shape) != 4 or len(shape) != 4:
        raise node.refused(f"convolves {list(tensor.shape)} by weights of shape {list(shape)}; both must have 4 axes")
    kernel = node.integers("kernel_shape", shape[2:], least=1)
    if kernel != shape[2:]:
        raise node.refused(f"attribute kernel_shape must be that of its weights, {list(shape[2:])}")
    group, channels = node.attribute("group", 1), tensor.shape[1]
    if group not in (1, channels) or shape[1] * group != channels or shape[0] % group:
        raise node.refused(
            f"convolves {channels} channels by weights of shape {list(shape)} in {group} groups; there must be one "
            "group or one for each channel"
        )
    size = (tensor.shape[2], tensor.shape[3])
    found = window(node, two(kernel), size)
    matrix = columns(node, coded.moved(lambda x: x.transpose(2, 3, 1, 0).reshape(-1, shape[0])))
    out = Tensor((1, shape[0], *found.places(size)), 1)
    bias = _bias(graph, node, (1, shape[0], 1, 1))
    return ReadProduct(node, Linear(matrix, found, group > 1), bias, out, True)


def _bias(graph, node, shape):
    """The third input, added to the float32 sum."""
    if len(node.inputs) < 3 or not node.inputs[2]:
        return ()
    bias = real_constant(graph, node, 2, "bias")
    if node.operator == "Conv":
        if bias.shape != shape[1:2]:
            raise node.refused(f"its bias must have shape [{shape[1]}], not {list(bias.shape)}")
        bias = bias.reshape(shape)
    return (Step("add", (Tensor(shape, 1).operand(node, bias),)),)


_READERS = {"MatMul": _matmul, "Gemm": _gemm, "Conv": _conv}
