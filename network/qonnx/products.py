"""MatMul, Gemm and Conv of QONNX and FINN networks, and Im2Col before a MatMul: weights, windows, biases."""

import numpy as np

from ..onnx import weights as matrices
from ..onnx.graph import OWN_DOMAINS, Graph, Node
from ..onnx.path import Path, told
from ..onnx.tensors import prod
from ..onnx.windows import checked, two
from ..shapes import Window
from .coded import real_constant
from .quant_node import DOMAINS
from .threshold_product import Linear
from .weights import coded_weights, columns


def is_product(node: Node) -> bool:
    return node.domain in OWN_DOMAINS and node.operator in _READERS


def is_im2col(node: Node) -> bool:
    return node.domain in DOMAINS and node.operator == "Im2Col"


def read_product(graph: Graph, node: Node, path: Path, taken: Window | None) -> tuple[Linear, tuple[int, ...]]:
    """A product of the tensor, made to lie as it wants it, and constant weights; the shape of an example after it.

    taken : the window of an Im2Col before it. Raises Unsupported.
    """
    coded = coded_weights(graph, node, 1)
    if taken is not None:
        found = _lowered(node, path, coded.codes, taken)
    else:
        found = _READERS[node.operator](node, path, coded.codes)
    weights = columns(node, coded, found.w, matrices.column_axis(node))
    return Linear(weights, found.window, found.depthwise), found.shape


def read_im2col(node: Node, path: Path) -> Window:
    """The window of an Im2Col on a map [B, H, W, C]. Raises Unsupported.

    Source: fastmachinelearning/qonnx custom_op/general/im2col.py.
    """
    if len(path.shape) != 3:
        raise node.refused(f"takes [B, H, W, C], not {told(path.shape)}")
    node.attribute("pad_value", 0, only=(0,))
    kernel, stride = (two(node.integers(name, count=2, least=1)) for name in ("kernel_size", "stride"))
    dilation = two(node.integers("dilations", (1, 1), least=1))
    top, left, bottom, right = node.integers("pad_amount", (0, 0, 0, 0), least=0)
    *size, channels = path.shape
    found = Window(kernel, stride, dilation, ((top, bottom), (left, right)))
    return checked(node, found, two(tuple(size)), channels)


def _lowered(node, path, w, taken):
    """A MatMul of what Im2Col takes of a map."""
    if node.operator != "MatMul":
        raise node.refused("follows Im2Col; only MatMul may")
    path.plain()
    places = taken.places(path.shape[:2])
    depth = prod(taken.kernel) * path.shape[2]
    if w.ndim != 2 or len(w) != depth:
        raise node.refused(f"has weights {list(w.shape)} for {told((*places, depth))}")
    return matrices.Weights(w, (*places, w.shape[1]), taken)


def _gemm(node, path, w):
    for name in ("alpha", "beta"):
        if node.number(name, 1.0) != 1:
            raise node.refused(f"attribute {name} must be 1.0, not {node.attribute(name)}")
    return matrices.gemm(node, path, w)


def bias(graph: Graph, node: Node, columns: int) -> np.ndarray | None:
    """The third input of a product, [N]; None where it is left out. Raises Unsupported."""
    return matrices.row(node, real_constant(graph, node, 2, "bias"), columns) if node.input(2) else None


_READERS = {"MatMul": matrices.dense, "Gemm": _gemm, "Conv": matrices.convolution}
