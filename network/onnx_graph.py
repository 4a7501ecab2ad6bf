"""A checked view of an ONNX model: one chain of nodes from the input to the output, the rest constants.

Models are hostile input: everything that is not understood is refused with the operator and the node, before anything
is made of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from .unsupported import Unsupported, printable

MOST_NODES = 10_000
MOST_BYTES = 1 << 30
FOLDED = (
    *("Add", "Cast", "Concat", "Constant", "Div", "Flatten", "Gather", "Identity", "Mul", "Neg", "Pow", "Reciprocal"),
    *("Reshape", "Slice", "Sqrt", "Squeeze", "Sub", "Transpose", "Unsqueeze"),
)


@dataclass(frozen=True)
class Node:
    """One operator: inputs and outputs are names of tensors, attributes plain values; "" is an input left out."""

    operator: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict = field(repr=False)
    proto: onnx.NodeProto = field(repr=False, compare=False)

    def __str__(self):
        return f"{self.operator} {printable(self.name or (self.outputs[0] if self.outputs else ''))}"

    def refused(self, reason) -> Unsupported:
        """The error for this node, to be raised."""
        return Unsupported(f"{self}: {reason}")

    def attribute(self, name, default=None, *, only=None):
        """An attribute, or its default. Raises Unsupported where it is none of `only`, if that is given."""
        value = self.attributes.get(name, default)
        if only is not None and value not in only:
            wanted = " or ".join(str(one) for one in only)
            raise self.refused(f"attribute {name} must be {wanted}, not {printable(value)}")
        return value


class Graph:
    """The nodes, constants, input and output of a model whose batch is the first axis.

    `shape` is that of one example, without the batch. Raises Unsupported for a model that is no single chain of known
    size from one input to one output.
    """

    def __init__(self, model: onnx.ModelProto):
        graph = model.graph
        self.name = printable(graph.name) or "network"
        self.opset = {one.domain: one.version for one in model.opset_import}
        if len(graph.node) > MOST_NODES:
            raise Unsupported(f"the model must have at most {MOST_NODES} nodes, not {len(graph.node)}")
        self._constants = {one.name: _array(one) for one in graph.initializer}
        inputs = [one for one in graph.input if one.name not in self._constants]
        if len(inputs) != 1 or len(graph.output) != 1:
            counts = f"{len(inputs)} and {len(graph.output)}"
            raise Unsupported(f"the model must have one input and one output, not {counts}")
        self.input, self.output = inputs[0].name, graph.output[0].name
        self.input_type = inputs[0].type.tensor_type.elem_type
        self.shape = _example_shape(inputs[0])
        self.nodes = [_node(one) for one in graph.node]
        self._producers = _producers(self.nodes, {*self._constants, self.input})
        self._shapes = _static_shapes(model, self.input, self.shape)

    def producer(self, name) -> Node | None:
        """The node that makes a tensor; None for the input and for initializers."""
        return self._producers.get(name)

    @cached_property
    def _from_input(self) -> set[str]:
        """Names of the tensors that depend on values of the input, not only on its shape."""
        found = {self.input}
        for node in self.nodes:
            if node.operator != "Shape" and found & set(node.inputs):
                found |= set(node.outputs)
        return found

    def is_constant(self, name) -> bool:
        """Whether a tensor is the same for every input."""
        return name not in self._from_input

    def value(self, name) -> np.ndarray:
        """A constant tensor, computed where nodes make it. Raises Unsupported for operators that are not folded."""
        if name not in self._constants:
            node = self._producers.get(name)
            if node is None or name in self._from_input:
                raise Unsupported(f"tensor {printable(name)} is no constant")
            for output, value in zip(node.outputs, self._folded(node), strict=False):
                self._constants[output] = np.asarray(value)
        return self._constants[name]

    def _folded(self, node):
        if node.operator == "Shape":
            shape = self._shapes.get(node.inputs[0])
            if shape is None:
                raise node.refused("its input has no known shape")
            return [np.array(shape[node.attribute("start", 0) : node.attribute("end")], np.int64)]
        if node.domain not in ("", "ai.onnx") or node.operator not in FOLDED:
            raise node.refused("makes a constant in a way that is not supported")
        given = {name: self.value(name) for name in node.inputs if name}
        try:
            return ReferenceEvaluator(self._alone(node, given)).run(None, given)
        except Exception as error:  # the evaluator raises whatever numpy or its own checks do
            raise node.refused(f"cannot be computed: {printable(error)}") from error

    def _alone(self, node, given):
        """A model of one node, of the opset that the whole has."""
        inputs = [_value_info(name, value.dtype) for name, value in given.items()]
        outputs = [onnx.ValueInfoProto(name=name) for name in node.outputs]
        graph = onnx.helper.make_graph([node.proto], "folded", inputs, outputs)
        opset = onnx.helper.make_opsetid("", self.opset.get(node.domain, self.opset.get("", 1)))
        return onnx.helper.make_model(graph, opset_imports=[opset])

    def chain(self) -> Iterator[Node]:
        """The nodes from the input to the output, each reading what the one before makes.

        Raises Unsupported where two nodes read a tensor, or a node reads two tensors that depend on the input.
        """
        readers = {}
        for node in self.nodes:
            if set(node.outputs) & self._from_input:
                given = [name for name in node.inputs if name in self._from_input]
                if len(given) != 1:
                    raise node.refused(f"joins {len(given)} branches; networks must be chains")
                if given[0] in readers:
                    raise node.refused(f"branches off where {readers[given[0]]} reads too; networks must be chains")
                readers[given[0]] = node
        name = self.input
        while name != self.output:
            if name not in readers:
                raise Unsupported(f"the output {printable(self.output)} does not depend on the input")
            node = readers[name]
            yield node
            name = next((one for one in node.outputs if one in (*readers, self.output)), node.outputs[0])

    def data_input(self, node) -> str:
        """The input of a chain's node that is none constant."""
        return next(name for name in node.inputs if name in self._from_input)


def _value_info(name, dtype):
    return onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(dtype), None)


def _array(tensor):
    if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise Unsupported(f"tensor {printable(tensor.name)} lies in another file, which was not read")
    size = int(np.prod([int(one) for one in tensor.dims], dtype=object)) if tensor.dims else 1
    if any(one < 0 for one in tensor.dims) or size * 8 > MOST_BYTES:
        raise Unsupported(f"tensor {printable(tensor.name)} must have at most {MOST_BYTES // 8} elements, not {size}")
    try:
        return numpy_helper.to_array(tensor)
    except Exception as error:  # damaged tensors: numpy's and onnx's own errors
        raise Unsupported(f"tensor {printable(tensor.name)} cannot be read: {printable(error)}") from error


def _example_shape(value) -> tuple[int, ...]:
    sizes = [one.dim_value if one.HasField("dim_value") else None for one in value.type.tensor_type.shape.dim]
    if len(sizes) < 2 or any(size is None or not 0 < size <= MOST_BYTES for size in sizes[1:]):
        told = "x".join("?" if size is None else str(size) for size in sizes)
        raise Unsupported(f"input {printable(value.name)} must have a batch and known sizes beyond it, not [{told}]")
    return tuple(size for size in sizes[1:] if size)


def _node(proto):
    try:
        attributes = {one.name: onnx.helper.get_attribute_value(one) for one in proto.attribute}
    except ValueError as error:
        raise Unsupported(f"{printable(proto.op_type)} {printable(proto.name)}: {printable(error)}") from error
    kept = {
        name: value.decode(errors="replace") if isinstance(value, bytes) else value
        for name, value in attributes.items()
    }
    return Node(proto.op_type, proto.domain, proto.name, tuple(proto.input), tuple(proto.output), kept, proto)


def _producers(nodes, known):
    """Which node makes each tensor. Raises Unsupported for cycles, for tensors that nothing makes or two nodes make."""
    known, found = {"", *known}, {}
    for node in nodes:
        for name in node.inputs:
            if name not in known:
                raise node.refused(f"reads {printable(name)}, which no node before it makes")
        for name in node.outputs:
            if name in known and name:
                raise node.refused(f"makes {printable(name)}, which is there already")
            known.add(name)
            found[name] = node
    return found


def _static_shapes(model, name, shape):
    """Shapes of tensors, by name, as far as onnx infers them, the batch being one: that of the input at least."""
    single = onnx.ModelProto()
    single.CopyFrom(model)
    for value in single.graph.input:
        if value.name == name:
            value.type.tensor_type.shape.dim[0].dim_value = 1
    del single.graph.value_info[:]
    try:
        inferred = list(onnx.shape_inference.infer_shapes(single).graph.value_info)
    except (
        Exception
    ):  # operators that onnx does not know, or sizes that contradict each other: who needs one is refused
        inferred = []
    found: dict[str, tuple[int, ...]] = {name: (1, *shape)}
    for value in inferred:
        dims = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(one.HasField("dim_value") for one in dims):
            found[value.name] = tuple(one.dim_value for one in dims)
    return found
