"""An ONNX model in the making: nodes and constants of names that are there once, and the tensor that came last."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, IR = 21, 10


class Building:
    """Nodes one after the other. `tensor` is the output of the last one of the chain."""

    def __init__(self, tensor: str):
        self.tensor = tensor
        self.nodes, self.constants = [], []
        self._taken = {tensor: 1}

    def name(self, wanted: str) -> str:
        """The name, numbered where it is taken."""
        self._taken[wanted] = count = self._taken.get(wanted, 0) + 1
        return wanted if count == 1 else self.name(f"{wanted}_{count}")

    def constant(self, value, name: str) -> str:
        """A constant, of the type of the array; floats become float32."""
        value = np.asarray(value)
        value = value.astype(np.float32) if value.dtype.kind == "f" else value
        return self.tensor_of(numpy_helper.from_array(np.ascontiguousarray(value).reshape(value.shape), name))

    def codes(self, value, kind: int, name: str) -> str:
        """Integers as a constant of an ONNX type."""
        value = np.asarray(value, np.int64)
        return self.tensor_of(helper.make_tensor(name, kind, value.shape, value.reshape(-1).tolist()))

    def raw(self, bits, kind: int, name: str) -> str:
        """A constant of a type of 8 bits, from its bits."""
        bits = np.asarray(bits, np.uint8)
        return self.tensor_of(helper.make_tensor(name, kind, bits.shape, bits.tobytes(), raw=True))

    def tensor_of(self, proto: TensorProto) -> str:
        proto.name = self.name(proto.name)
        self.constants.append(proto)
        return proto.name

    def aside(self, operator: str, inputs, name: str, **attributes) -> str:
        """A node beside the chain; its output."""
        name = self.name(name)
        output = self.name(f"{name}_out")
        self.nodes.append(helper.make_node(operator, inputs, [output], name=name, **attributes))
        return output

    def add(self, operator: str, *inputs: str, name: str, **attributes) -> str:
        """A node that reads the tensor, and other inputs behind it."""
        self.tensor = self.aside(operator, [self.tensor, *inputs], name, **attributes)
        return self.tensor

    def model(self, name: str, x, y, metadata: dict[str, str]) -> onnx.ModelProto:
        """The model from input to output: each (name, shape of one example), float32, with a batch of any size."""
        self.nodes.append(helper.make_node("Identity", [self.tensor], [y[0]], name=self.name("last")))
        ends = [helper.make_tensor_value_info(one, TensorProto.FLOAT, ["batch", *shape]) for one, shape in (x, y)]
        graph = helper.make_graph(self.nodes, name, ends[:1], ends[1:], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        model.producer_name = "bittrue"
        helper.set_model_props(model, metadata)
        return model
