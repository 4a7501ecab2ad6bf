"""Small QONNX and FINN models, node by node."""

import numpy as np
import onnx
from onnx import TensorProto, helper

GENERAL = "qonnx.custom_op.general"
OPSETS = {"": 13, GENERAL: 1, "onnx.brevitas": 1, "finn.custom_op.general": 1}


class Chain:
    """Nodes of which each takes what the one before gave; `x` names that. Constants get names of their own.

    `quantized` are the outputs of quantizers of activations.
    """

    def __init__(self):
        self.nodes, self.constants, self.x, self.quantized = [], [], "x", []

    def constant(self, value):
        """The name of a new initializer."""
        name = f"c{len(self.constants)}"
        self.constants.append(onnx.numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, operator, *inputs, domain="", name=None, outputs=None, **attributes):
        """A node with these inputs, names of tensors; returns its output's name."""
        name = name or f"{operator}_{len(self.nodes)}"
        outputs = outputs or [f"{name}_out"]
        self.nodes.append(helper.make_node(operator, list(inputs), outputs, name=name, domain=domain, **attributes))
        return outputs[0]

    def then(self, operator, *constants, **attributes):
        """The next node of the chain, with constants (arrays) behind its first input."""
        self.x = self.add(operator, self.x, *(self.constant(one) for one in constants), **attributes)
        return self

    def quant(self, scale, bits, zero_point=0, *, domain=GENERAL, operator="Quant", **attributes):
        attributes = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND", **attributes}
        given = (np.float32(one) for one in (scale, zero_point, bits))
        self.then(operator, *given, domain=domain, **attributes)
        self.quantized.append(self.x)
        return self

    def bipolar(self, scale=1.0):
        self.then("BipolarQuant", np.float32(scale), domain="onnx.brevitas")
        self.quantized.append(self.x)
        return self

    def multi_threshold(self, levels, **attributes):
        attributes = {"out_dtype": "", **attributes}
        self.then("MultiThreshold", np.float32(levels), domain="finn.custom_op.general", **attributes)
        self.quantized.append(self.x)
        return self

    def weights(self, w, scale, bits, *, narrow=1, signed=1):
        """The name of weights behind their Quant."""
        given = [self.constant(np.float32(one)) for one in (w, scale, 0, bits)]
        return self.add("Quant", *given, domain=GENERAL, signed=signed, narrow=narrow, rounding_mode="ROUND")

    def product(self, operator, weights, *more, **attributes):
        """A product with weights that have a name."""
        self.x = self.add(operator, self.x, weights, *more, **attributes)
        return self

    def batch_norm(self, gamma, beta, mean, variance, **attributes):
        given = (np.float32(one) for one in (gamma, beta, mean, variance))
        return self.then("BatchNormalization", *given, epsilon=1e-5, **attributes)

    def model(self, shape, out=None, annotations=(), opsets=OPSETS, kind=TensorProto.FLOAT, name="chain"):
        """The whole, for inputs of a shape with the batch; `annotations` are FINN's data types by tensor."""
        x = helper.make_tensor_value_info("x", kind, shape)
        y = helper.make_tensor_value_info(self.x, TensorProto.FLOAT, out)
        graph = helper.make_graph(self.nodes, name, [x], [y], self.constants)
        for tensor, data_type in dict(annotations).items():
            pair = onnx.StringStringEntryProto(key="finn_datatype", value=data_type)
            graph.quantization_annotation.append(
                onnx.TensorAnnotation(tensor_name=tensor, quant_parameter_tensor_names=[pair])
            )
        imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
        return helper.make_model(graph, opset_imports=imports, ir_version=8)


def whole():
    """A model of every kind of node, to be damaged."""
    chain = Chain().then("Mul", np.float32(0.5)).quant(0.25, 4, 1)
    chain.product("Conv", chain.weights(np.ones((3, 2, 2, 2)), np.ones((3, 1, 1, 1)), 3), kernel_shape=[2, 2])
    chain.batch_norm([1, -1, 0], [0, 1, 2], [1, 1, 1], [1, 2, 3]).then("Relu").quant(0.5, 3, signed=0)
    chain.then("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).then("Flatten")
    chain.product("MatMul", chain.constant(np.ones((18, 4), np.float32)))
    chain.multi_threshold([[1, 2, 3]], out_scale=0.5, out_bias=-0.5).then("Clip", np.float32(-1), np.float32(1))
    chain.then("Reshape", np.int64([1, 2, 2]))
    return chain.model((1, 2, 6, 7))
