"""Float networks as ONNX models, for tools that quantize those."""

import numpy as np

from network.float_network import FloatNetwork, Linear
from network.shapes import MaxPool, Reshape


def model(network: FloatNetwork, dense="Gemm"):
    """Dense layers as Gemm, or as MatMul and Add; convolutions as Conv. Maps are channels-first there."""
    import onnx
    from onnx import helper

    nodes, constants, name, shape = [], [], "x", list(network.shape)
    if len(shape) == 3:
        shape = [shape[2], *shape[:2]]
    given = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", *shape])
    for layer in network.layers:
        made, more = _layer(layer, name, dense)
        nodes, constants, name = nodes + made, constants + more, layer.name
    result = helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, network.name, [given], [result], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def _layer(layer, name, dense):
    from onnx import helper

    if isinstance(layer, Reshape):
        return [helper.make_node("Flatten", [name], [layer.name])], []
    if isinstance(layer, MaxPool):
        kernel, stride = list(layer.window.kernel), list(layer.window.stride)
        return [helper.make_node("MaxPool", [name], [layer.name], kernel_shape=kernel, strides=stride)], []
    assert isinstance(layer, Linear)
    linear = layer.name if layer.activation == "none" else f"{layer.name}.sum"
    nodes, constants = _convolution(layer, name, linear) if layer.window else _dense(layer, name, linear, dense)
    if layer.activation == "relu":
        nodes.append(helper.make_node("Relu", [linear], [layer.name]))
    return nodes, constants


def _dense(layer, name, result, kind):
    from onnx import helper, numpy_helper

    w, b = f"{layer.name}.w", f"{layer.name}.b"
    constants = [numpy_helper.from_array(layer.w, w), numpy_helper.from_array(layer.bias, b)]
    if kind == "Gemm":
        return [helper.make_node("Gemm", [name, w, b], [result], name=f"{layer.name}.gemm")], constants
    product = helper.make_node("MatMul", [name, w], [f"{layer.name}.product"], name=f"{layer.name}.matmul")
    return [product, helper.make_node("Add", [f"{layer.name}.product", b], [result])], constants


def _convolution(layer, name, result):
    from onnx import helper, numpy_helper

    window, (w, b) = layer.window, (f"{layer.name}.w", f"{layer.name}.b")
    kernel = np.moveaxis(layer.w.reshape(*window.kernel, -1, layer.w.shape[1]), (3, 2), (0, 1))
    group = 1
    if layer.depthwise:
        kernel, group = np.moveaxis(layer.w.reshape(*window.kernel, 1, -1), (3, 2), (0, 1)), layer.w.shape[1]
    constants = [
        numpy_helper.from_array(np.ascontiguousarray(kernel), w),
        numpy_helper.from_array(layer.bias, b),
    ]
    (top, bottom), (left, right) = window.padding
    fields = {"pads": [top, left, bottom, right], "strides": list(window.stride), "group": group}
    return [helper.make_node("Conv", [name, w, b], [result], name=f"{layer.name}.conv", **fields)], constants
