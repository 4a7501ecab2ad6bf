"""The float classifiers as ONNX models, made from their parameters."""

import onnx
from onnx import helper, numpy_helper

from . import mlp
from .float_networks import SHAPE, parameters

OPSET = 17
IR_VERSION = 8
_HALVES = {"kernel_shape": (2, 2), "strides": (2, 2)}
_CNN = (
    ("Conv", "conv1", {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1)}),
    ("Relu", "relu1", {}),
    ("MaxPool", "max_pool", _HALVES),
    ("Conv", "conv2", {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1)}),
    ("Relu", "relu2", {}),
    ("AveragePool", "average_pool", _HALVES),
    ("Flatten", "flatten", {"axis": 1}),
    ("Gemm", "fc", {}),
)


def onnx_model(name) -> onnx.ModelProto:
    """The classifier of that name in float_networks.NAMES: input "x" [B, 1, 8, 8], output "logits" [B, 10]."""
    values, tensor, nodes = parameters(name), "x", []
    steps = _CNN if name == "cnn" else _mlp()
    for index, (operator, node, attributes) in enumerate(steps):
        taken = [tensor, *(one for one in (f"{node}.w", f"{node}.b") if one in values)]
        tensor = "logits" if index == len(steps) - 1 else node
        nodes.append(helper.make_node(operator, taken, [tensor], node, **attributes))
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", *SHAPE])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(value, key) for key, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return model


def _mlp():
    last = mlp.LAYERS[-1]
    steps = [("Flatten", "flatten", {"axis": 1})]
    for name in mlp.LAYERS:
        steps.append(("Gemm", name, {}))
        if name != last:
            steps.append(("Relu", f"{name}_relu", {}))
    return steps
