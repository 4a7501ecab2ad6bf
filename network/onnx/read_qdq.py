"""Quantized ONNX networks in QDQ format: operators on real numbers between DequantizeLinear and QuantizeLinear.

What such a model computes is up to who runs it. Here it is what onnxruntime makes of it: products of integers, their
sums scaled once, as in its operators QLinearConv, QLinearMatMul, QGemm and QLinearAveragePool (docs/networks.md counts
where others differ). Bounds between a product and its quantizer are bounds on its codes.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx

from ..grid import Grid
from ..network import Network
from .adding import adding
from .coded import Coded, check_bias, dequantized
from .codes import Codes
from .constants import real
from .grids import BYTES, activation_grid, check_linear
from .moves import MOVES
from .node import Node
from .platform_product import CodedProduct
from .scaling import along_channels
from .steps import BOUNDING, LAST, SCALING, clip_bounds, last
from .waiting import WaitingProduct, waiting_mean, waiting_pool, waiting_product
from .weights import CONV_ATTRIBUTES, GEMM_ATTRIBUTES, Weights, column_axis, convolution, dense, gemm, row
from .windows import ATTRIBUTES, pool_window, pooled

_WIDEST = (-(1 << 31), 1 << 31)


def read_qdq(model: onnx.ModelProto, *, platform: str = "onnxruntime") -> Network:
    """The network of a QDQ model, its products and pools by the rules of a platform of golden.platforms.

    Where the model's input or output is codes, the network's is those codes as numbers. Raises Unsupported, one line
    with operator and node, for what is not read, ValueError for a platform that is none.
    """
    return Codes.of(model, platform).network(OPERATORS)


def _quantize(codes: Codes, node: Node):
    check_linear(node)
    codes.quantize(node, activation_grid(node, codes.graph, node.input(1), node.input(2), BYTES))


def _dequantize(codes: Codes, node: Node):
    check_linear(node)
    codes.dequantize(node)


def _weights(codes: Codes, node: Node) -> Coded:
    codes.take_real(node)
    found, axis = dequantized(codes.graph, node.input(1)), column_axis(node)
    if found is None:
        raise node.refused("has weights that no DequantizeLinear gives")
    if found.scale.ndim and found.axis != axis:
        raise node.refused(f"has weights with a scale for each index of axis {found.axis}; it must be axis {axis}")
    return found


def _product(codes: Codes, node: Node, weights: Weights, found: Coded, bias: str):
    name, x = codes.path.names.of(node), codes.take_real(node)
    product = CodedProduct(name, weights.w, x, found.grid, None, weights.window, weights.depthwise)
    plain = waiting_product(node, product, codes.platform)
    codes.wait(_biased(codes, node, product, bias) if bias else plain, weights.shape)


def _biased(codes, node, product, name):
    """The product with a bias: of integers, or of real numbers, which are integers where it has a quantizer."""
    held = dequantized(codes.graph, name)
    value = real(node, codes.graph, name, "bias") if held is None else held.codes
    value = along_channels(node, codes.path, value) if node.operator == "Add" else value
    bias = row(node, value, product.w.shape[1])
    if held is None:
        return waiting_product(node, product, codes.platform, bias)
    check_bias(node, name, held, product.units)
    return waiting_product(node, replace(product, bias=bias), codes.platform)


def _conv(codes: Codes, node: Node):
    node.only_attributes(*CONV_ATTRIBUTES)
    found = _weights(codes, node)
    _product(codes, node, convolution(node, codes.path, found.codes), found, node.input(2))


def _gemm(codes: Codes, node: Node):
    node.only_attributes(*GEMM_ATTRIBUTES)
    for name in ("alpha", "beta"):
        node.attribute(name, 1.0, only=(1.0,))
    found = _weights(codes, node)
    _product(codes, node, gemm(node, codes.path, found.codes), found, node.input(2))


def _matmul(codes: Codes, node: Node):
    node.only_attributes()
    found = _weights(codes, node)
    _product(codes, node, dense(node, codes.path, found.codes), found, "")


def _add(codes: Codes, node: Node):
    """The bias of a product that waits and has none; codes of constants are added as a platform does; else a step."""
    waiting = codes.waiting
    node.only_attributes()
    node.only_inputs(2, least=2)
    name = next(one for one in node.inputs if codes.graph.is_constant(one))
    held = dequantized(codes.graph, name)
    if isinstance(waiting, WaitingProduct) and waiting.takes_bias and codes.path.layers[-1] is waiting:
        codes.replace(_biased(codes, node, waiting.product, name))
    elif held is not None and codes.entry is not None and codes.after is None:
        codes.pending = adding(node, codes, codes.take_real(node), held)
    else:
        _scaled(codes, node)


def _scaled(codes: Codes, node: Node):
    """Where nothing but steps can be."""
    for step in SCALING[node.operator](node, codes):
        codes.step(node, step)


def _bounded(codes: Codes, node: Node):
    """Of real numbers, or of codes, where integers are the bounds."""
    if codes.real or node.operator == "Relu":
        for step in BOUNDING[node.operator](node, codes):
            codes.bound(node, step)
    else:
        lo, hi = (int(np.clip(one, *_WIDEST)) for one in clip_bounds(node, codes.graph))
        codes.bound_codes(node, lo, hi)


def _last(codes: Codes, node: Node):
    for step in last(node, codes):
        codes.step(node, step)


def _average_pool(codes: Codes, node: Node):
    node.only_attributes(*ATTRIBUTES, "ceil_mode", "count_include_pad")
    average(codes, node, codes.take_real(node))


def average(codes: Codes, node: Node, x: Grid):
    """An average pool of codes on grid x that waits; padding does not count."""
    found = pool_window(node, codes.path)
    if node.attribute("count_include_pad", 0, only=(0, 1)) and np.any(found.padding):
        raise node.refused("attribute count_include_pad must be 0 where there is padding")
    waiting = waiting_pool(node, codes.path.names.of(node), found, x, codes.platform)
    codes.wait(waiting, pooled(codes.path, found))


def _global_average_pool(codes: Codes, node: Node):
    node.only_attributes()
    average_of_all(codes, node, codes.take_real(node))


def average_of_all(codes: Codes, node: Node, x: Grid):
    """The mean of a whole map of codes on grid x, which waits."""
    codes.path.map(node)
    shape = codes.path.shape
    waiting = waiting_mean(node, codes.path.names.of(node), shape, x, codes.platform)
    codes.wait(waiting, (shape[0], *(1,) * (len(shape) - 1)))


def _move(codes: Codes, node: Node):
    codes.take_any(node)
    MOVES[node.operator](node, codes.graph, codes.path)


ENDS: dict[str, Callable[[Codes, Node], None]] = {
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    **dict.fromkeys(SCALING, _scaled),
    "Add": _add,
    **dict.fromkeys(BOUNDING, _bounded),
    **dict.fromkeys(LAST, _last),
    **dict.fromkeys(MOVES, _move),
}
OPERATORS = {
    **ENDS,
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average_pool,
}
