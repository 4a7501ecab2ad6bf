"""A checked view of an ONNX model: one chain of nodes from the input to the output, the rest constants.

Models are hostile input: everything that is not understood is refused with the operator and the node, before anything
is made of it.
"""

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from ..unsupported import Unsupported, printable
from .node import Node, node_of
from .tensors import MOST_ELEMENTS, array, prod

MOST_NODES = 10_000
ROOM, ROOM_PER_ELEMENT = 1 << 20, 8
OPSETS = (7, onnx.defs.onnx_opset_version())
OWN_DOMAINS = ("", "ai.onnx")
_BROADCASTING = ("Add", "Div", "Mul", "Pow", "Sub")
COMMUTING = ("Add", "Mul", "Sub", "QLinearAdd")
_MOVING = ("Concat", "Flatten", "Gather", "GatherElements", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze")
FOLDED = (*_BROADCASTING, *_MOVING, "Cast", "Constant", "Identity", "Neg", "Reciprocal", "Sqrt")


class Graph:
    """The nodes, constants, input and output of a model whose batch is the first axis.

    `shape` is that of one example, without the batch. Raises Unsupported for a model that is no single chain of known
    size from one input to one output.
    """

    def __init__(self, model: onnx.ModelProto):
        graph = model.graph
        _check_text(graph)
        self._model = model
        self.name = printable(graph.name) or "network"
        self.opset = _opsets(model)
        if len(graph.node) > MOST_NODES:
            raise Unsupported(f"the model must have at most {MOST_NODES} nodes, not {len(graph.node)}")
        self._constants = _initializers(graph)
        self._room = ROOM + ROOM_PER_ELEMENT * sum(one.size for one in self._constants.values())
        inputs = [one for one in graph.input if one.name not in self._constants]
        if len(inputs) != 1 or len(graph.output) != 1:
            counts = f"{len(inputs)} and {len(graph.output)}"
            raise Unsupported(f"the model must have one input and one output, not {counts}")
        self.input, self.output = inputs[0].name, graph.output[0].name
        self.input_type = inputs[0].type.tensor_type.elem_type
        self.batch, self.shape = _sizes(inputs[0])
        self.nodes = [node_of(one) for one in graph.node]
        self._producers = _producers(self.nodes, {*self._constants, self.input})

    @property
    def version(self) -> int:
        """Of the operators of ONNX itself."""
        return self.opset[""]

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
        """A constant tensor of numbers, computed where nodes make it.

        Raises Unsupported for operators that are not folded, for text, and for what would be too large.
        """
        if name not in self._constants:
            for node in self._missing(name):
                for output, value in zip(node.outputs, self._folded(node), strict=False):
                    self._constants[output] = value
        return self._constants[name]

    def constant(self, node: Node, name: str) -> np.ndarray:
        """The same, for an input of a node. Raises Unsupported where it is left out."""
        if not name:
            raise node.refused("an input is missing")
        return self.value(name)

    def _missing(self, name) -> list[Node]:
        """The nodes that have to be computed for a constant, in order."""
        needed, wanted = [], {name}
        for node in reversed(self.nodes):
            if wanted & set(node.outputs) - set(self._constants):
                needed.append(node)
                wanted |= set(node.inputs) if node.operator != "Shape" else set()
        missing = next((one for one in sorted(wanted) if one in self._from_input or not self._is_known(one)), None)
        if missing is not None:
            raise Unsupported(f"tensor {printable(missing)} is no constant")
        return needed[::-1]

    def _is_known(self, name):
        return not name or name in self._constants or name in self._producers

    def _folded(self, node):
        if node.operator == "Shape":
            return [self._shape_of(node)]
        if node.domain not in OWN_DOMAINS or node.operator not in FOLDED:
            raise node.refused("makes a constant in a way that is not supported")
        given = {name: self._constants[name] for name in node.inputs if name}
        self._room -= _size(node, list(given.values()))
        if self._room < 0:
            raise node.refused("makes constants that are too large")
        try:
            with np.errstate(all="ignore"):
                results = ReferenceEvaluator(self._alone(node, given)).run(None, given)
        except Exception as error:  # the evaluator raises whatever numpy or its own checks do
            raise node.refused(f"cannot be computed: {printable(error)}") from error
        return [_numbers(node, one) for one in results]

    def _shape_of(self, node):
        shape = self._shapes.get(node.inputs[0])
        if shape is None:
            raise node.refused("its input has no known shape")
        start, end = node.integer("start", 0), node.integer("end", len(shape))
        return np.array(shape[start:end], np.int64)

    @cached_property
    def _shapes(self):
        return _static_shapes(self._model, self.input, self.shape)

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
            read = [one for one in node.outputs if one in (*readers, self.output)]
            if len(read) > 1:
                raise node.refused(f"its output {printable(read[1])} is read too, which is not supported")
            name = read[0] if read else node.outputs[0]
        if name in readers:
            raise readers[name].refused("reads the output; networks must be chains")

    def chain_of_firsts(self) -> Iterator[Node]:
        """The same, where each node reads the first output of the one before, into its first input.

        Its inputs may change places where the operator lets them. Raises Unsupported for other chains.
        """
        name, last = self.input, None
        for node in self.chain():
            given = self.data_input(node)
            if last is not None and given != name:
                raise last.refused(f"its output {printable(given)} is read, which is not supported")
            self.check_first(node)
            yield node
            name, last = node.outputs[0], node
        if last is not None and name != self.output:
            raise last.refused(f"its output {printable(self.output)} is read, which is not supported")

    def check_first(self, node):
        """Raises Unsupported where a chain's node takes a constant first and its operator does not let that be."""
        if self.data_input(node) != node.inputs[0] and node.operator not in COMMUTING:
            raise node.refused("takes a constant where activations belong")

    def data_input(self, node) -> str:
        """The input of a chain's node that is none constant."""
        return next(name for name in node.inputs if name in self._from_input)


def _value_info(name, dtype):
    return onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(dtype), None)


def _size(node, given) -> int:
    """Most elements that a constant can come to: broadcast, gathered, or put together."""
    sizes = [one.size for one in given]
    if node.operator in _BROADCASTING:
        ranks = range(-max((one.ndim for one in given), default=0), 0)
        axes = [[one.shape[axis] for one in given if one.ndim >= -axis] for axis in ranks]
        return prod(max(lengths) for lengths in axes)
    return prod(sizes) if node.operator == "Gather" else sum(sizes)


def _numbers(node, value):
    """A computed constant as an array of numbers."""
    value = np.asarray(value)
    if value.dtype.kind not in "biufV" or value.dtype.names:
        raise node.refused("makes a constant that holds no numbers")
    return value


def _check_text(graph):
    """Raises Unsupported for names that are no text: protobuf gives them as bytes."""
    values = (*graph.input, *graph.output, *graph.initializer)
    names = [graph.name, *(one.name for one in values)]
    for node in graph.node:
        names += [node.name, node.op_type, node.domain, *node.input, *node.output]
        names += [one.name for one in node.attribute]
    if any(not isinstance(one, str) for one in names):
        raise Unsupported("the model has a name that is no text")


def _opsets(model):
    """The version of each domain's operators; "" is ONNX's own."""
    if model.functions:
        raise Unsupported(f"the model defines function {printable(model.functions[0].name)}; none are supported")
    found = {"" if one.domain in OWN_DOMAINS else one.domain: one.version for one in model.opset_import}
    lo, hi = OPSETS
    if not lo <= found.get("", 0) <= hi:
        raise Unsupported(f"the model's opset must be {lo} to {hi}, not {found.get('', 'missing')}")
    return found


def _initializers(graph):
    if graph.sparse_initializer:
        name = printable(graph.sparse_initializer[0].values.name)
        raise Unsupported(f"tensor {name} is sparse, which is not supported")
    found = {}
    for one in graph.initializer:
        if one.name in found:
            raise Unsupported(f"tensor {printable(one.name)} is there twice")
        found[one.name] = array(one)
    return found


def _sizes(value) -> tuple[int | None, tuple[int, ...]]:
    """The batch, None where it is open, and the sizes of one example."""
    sizes = [one.dim_value if one.HasField("dim_value") else None for one in value.type.tensor_type.shape.dim]
    known = [size for size in sizes[1:] if size is not None and 0 < size <= MOST_ELEMENTS]
    if len(sizes) < 2 or len(known) < len(sizes) - 1:
        told = "x".join("?" if size is None else str(size) for size in sizes)
        raise Unsupported(f"input {printable(value.name)} must have a batch and known sizes beyond it, not [{told}]")
    if (total := prod(known)) > MOST_ELEMENTS:
        raise Unsupported(f"input {printable(value.name)} must have at most {MOST_ELEMENTS} elements, not {total}")
    return sizes[0] or None, tuple(known)


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
    except Exception:  # operators that onnx does not know, sizes that contradict each other: who needs one is refused
        inferred = []
    found: dict[str, tuple[int, ...]] = {name: (1, *shape)}
    for value in inferred:
        dims = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(one.HasField("dim_value") for one in dims):
            found[value.name] = tuple(one.dim_value for one in dims)
    return found
