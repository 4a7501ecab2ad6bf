"""Small ONNX models made for tests: chains of nodes with constants, and what onnx's reference evaluator gives."""

import warnings

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

TYPES = {"float": TensorProto.FLOAT, "uint8": TensorProto.UINT8, "int8": TensorProto.INT8}


class Chain:
    """Nodes one after the other on one tensor: `chain.add("Conv", w, b, strides=[2, 2])` reads the node before.

    Arrays become initializers, None an input left out; `first=1` puts the tensor in the second place.
    """

    def __init__(self, shape, kind="float", batch="B"):
        self.input = helper.make_tensor_value_info("x", TYPES[kind], [batch, *shape])
        self.nodes, self.constants, self.last = [], [], "x"
        self.domains = {"": 21}

    def constant(self, value) -> str:
        if isinstance(value, str):
            return value
        if value is None:
            return ""
        name = f"c{len(self.constants)}"
        made = value if isinstance(value, TensorProto) else numpy_helper.from_array(np.asarray(value))
        kept = TensorProto()
        kept.CopyFrom(made)
        kept.name = name
        self.constants.append(kept)
        return name

    def aside(self, operator, *inputs, **attributes) -> str:
        """A node beside the chain, of constants; the name of its output, to be given to `add`."""
        output = f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, [self.constant(one) for one in inputs], [output], **attributes))
        return output

    def add(self, operator, *inputs, first=0, name=None, domain="", **attributes):
        given = [self.constant(one) for one in inputs]
        given.insert(first, self.last)
        self.last = f"t{len(self.nodes)}"
        name = f"{operator.lower()}{len(self.nodes)}" if name is None else name
        self.nodes.append(helper.make_node(operator, given, [self.last], name=name, domain=domain, **attributes))
        self.domains.setdefault(domain, 1)
        return self

    def model(self, opset=21, kind="float"):
        output = helper.make_tensor_value_info(self.last, TYPES[kind], None)
        graph = helper.make_graph(self.nodes, "net", [self.input], [output], self.constants)
        opsets = [helper.make_opsetid(name, opset if not name else version) for name, version in self.domains.items()]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def reference(model: onnx.ModelProto, x) -> np.ndarray:
    """What onnx's own evaluator gives; it pads with NaN, integers too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ReferenceEvaluator(model).run(None, {model.graph.input[0].name: x})[0]


class Coded(Chain):
    """A chain with quantizers. `quantize` and `dequantize` add them; codes of weights are drawn."""

    def __init__(self, shape, seed, kind="float", batch="B"):
        super().__init__(shape, kind, batch)
        self.rng = np.random.default_rng(seed)
        self.grid = None

    def quantize(self, scale, point):
        """QuantizeLinear to the type of `point`."""
        self.grid = np.float32(scale), point
        return self.add("QuantizeLinear", *self.grid)

    def dequantize(self):
        return self.add("DequantizeLinear", *self.grid)

    def codes(self, shape, kind="int8", near=None):
        """Random codes of the whole type, or near zero."""
        ends = np.iinfo(kind)
        lo, hi = (ends.min, ends.max) if near is None else (max(ends.min, -near), near)
        return self.rng.integers(lo, hi + 1, shape).astype(kind)

    def weights(self, w, scale, point=None, axis=0) -> str:
        """DequantizeLinear of constant codes; its output."""
        given = [w, np.asarray(scale, np.float32), *([] if point is None else [point])]
        return self.aside("DequantizeLinear", *given, axis=axis)
