"""Quantized ONNX networks in QOperator format: operators on codes, QLinearConv and its kind.

Those of ONNX and of com.microsoft; real numbers are at both ends, and where a part of the model is in QDQ format.
"""

from dataclasses import replace

import numpy as np
import onnx

from ..network import Network
from ..unsupported import printable
from .adding import adding
from .coded import Coded, coded, unscaled
from .codes import Codes
from .node import Node
from .platform_product import CodedProduct
from .read_qdq import OPERATORS as QDQ
from .read_qdq import average, average_of_all
from .waiting import waiting_product
from .weights import CONV_ATTRIBUTES, Weights, column_axis, convolution, dense, gemm, row
from .windows import ATTRIBUTES


def read_qoperator(model: onnx.ModelProto, *, platform: str = "onnxruntime") -> Network:
    """The network of a QOperator model, its products and pools by the rules of a platform of golden.platforms.

    With "onnxruntime" every layer gives the codes that onnxruntime gives. Where the model's input or output is codes,
    the network's is those codes as numbers. Raises Unsupported, one line with operator and node, for what is not read,
    ValueError for a platform that is none.
    """
    return Codes.of(model, platform).network(OPERATORS)


def _weights(codes: Codes, node: Node, first: int, axis: int) -> Coded:
    return coded(node, codes.graph, (node.input(first), node.input(first + 1), node.input(first + 2)), axis)


def _bias(codes: Codes, node: Node, index: int, columns: int):
    name = node.input(index)
    if not name:
        return None
    value = codes.graph.constant(node, name)
    if value.dtype != np.int32:
        raise node.refused(f"bias {printable(name)} must be of type int32, not {value.dtype}")
    return row(node, value.astype(np.int64), columns)


def _product(codes: Codes, node: Node, weights: Weights, found: Coded, bias: int) -> CodedProduct:
    x, name = codes.grid, codes.path.names.of(node)
    assert x is not None
    integers = _bias(codes, node, bias, weights.columns) if bias else None
    return CodedProduct(name, weights.w, x, found.grid, integers, weights.window, weights.depthwise)


def _put(codes, node, weights, product, y):
    codes.wait(waiting_product(node, product, codes.platform), weights.shape)
    codes.finish_waiting(y)


def _conv(codes: Codes, node: Node):
    """x, its scale and zero point, w, its scale and zero point, those of y, bias."""
    node.only_attributes(*CONV_ATTRIBUTES)
    codes.take_codes(node, 1, 2)
    found = _weights(codes, node, 3, column_axis(node))
    weights = convolution(node, codes.path, found.codes)
    _put(codes, node, weights, _product(codes, node, weights, found, bias=8), codes.grid_of(node, 6, 7))


def _matmul(codes: Codes, node: Node):
    """a, its scale and zero point, b, its scale and zero point, those of y."""
    node.only_attributes()
    codes.take_codes(node, 1, 2)
    found = _weights(codes, node, 3, column_axis(node))
    weights = dense(node, codes.path, found.codes)
    _put(codes, node, weights, _product(codes, node, weights, found, bias=0), codes.grid_of(node, 6, 7))


def _gemm(codes: Codes, node: Node):
    """a, its scale and zero point, b, its scale and zero point, bias, those of y; without a scale of y real sums."""
    node.only_attributes("alpha", "transA", "transB")
    node.attribute("alpha", 1.0, only=(1.0,))
    codes.take_codes(node, 1, 2)
    found = _weights(codes, node, 3, column_axis(node))
    weights = gemm(node, codes.path, found.codes)
    product = _product(codes, node, weights, found, bias=6)
    if node.input(7):
        _put(codes, node, weights, product, codes.grid_of(node, 7, 8))
    else:
        codes.wait(waiting_product(node, product, codes.platform), weights.shape)


def _add(codes: Codes, node: Node):
    """a, its scale and zero point, b, its scale and zero point, those of y: a constant is one of the two."""
    node.only_attributes()
    first = codes.graph.is_constant(node.inputs[0])
    held = _weights(codes, node, 0 if first else 3, axis=0)
    x = codes.take_codes(node, *((4, 5) if first else (1, 2)))
    codes.compose(*adding(node, codes, x, held), codes.grid_of(node, 6, 7))


def _matmul_integer(codes: Codes, node: Node):
    """a and b, their zero points: exact sums, which are real numbers behind a Cast."""
    node.only_attributes()
    x = codes.take_unscaled(node, 2)
    each = np.asarray(1 / x.scale)
    found = unscaled(node, codes.graph, (node.input(1), node.input(3)), each, axis=1)
    weights = dense(node, codes.path, found.codes)
    product = replace(_product(codes, node, weights, found, bias=0), unit=np.ones((), np.float32))
    codes.wait(waiting_product(node, product, codes.platform), weights.shape)
    codes.to_sums()
    codes.real = False


def _cast(codes: Codes, node: Node):
    """Exact sums as real numbers."""
    node.only_attributes("to", "saturate")
    node.attribute("to", None, only=(onnx.TensorProto.FLOAT,))
    if codes.after != [] or codes.real:
        raise node.refused("takes sums of MatMulInteger, and nothing else")
    codes.real = True


def _average_pool(codes: Codes, node: Node):
    """x, its scale and zero point, those of y."""
    node.only_attributes(*ATTRIBUTES, "ceil_mode", "channels_last", "count_include_pad")
    node.attribute("channels_last", 0, only=(0,))
    average(codes, node, codes.take_codes(node, 1, 2))
    codes.finish_waiting(codes.grid_of(node, 3, 4))


def _global_average_pool(codes: Codes, node: Node):
    """x, its scale and zero point, those of y."""
    node.only_attributes("channels_last")
    node.attribute("channels_last", 0, only=(0,))
    average_of_all(codes, node, codes.take_codes(node, 1, 2))
    codes.finish_waiting(codes.grid_of(node, 3, 4))


OPERATORS = {
    **QDQ,
    "QLinearConv": _conv,
    "QLinearMatMul": _matmul,
    "QGemm": _gemm,
    "QLinearAdd": _add,
    "MatMulInteger": _matmul_integer,
    "Cast": _cast,
    "QLinearAveragePool": _average_pool,
    "QLinearGlobalAveragePool": _global_average_pool,
}
