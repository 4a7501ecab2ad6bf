"""One node of an ONNX model, its attributes of kinds that are checked."""

from dataclasses import dataclass, field

import numpy as np
import onnx

from ..unsupported import Unsupported, printable, refusing
from .tensors import is_external

MOST = 1 << 16


@dataclass(frozen=True)
class Node:
    """One operator: inputs and outputs are names of tensors, attributes plain values; "" is an input left out.

    All methods but `refused` raise Unsupported, naming operator, node and attribute.
    """

    operator: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict = field(repr=False)
    proto: onnx.NodeProto = field(repr=False, compare=False)

    def __str__(self):
        return f"{printable(self.operator)} {printable(self.name or (self.outputs[0] if self.outputs else ''))}"

    def refused(self, reason) -> Unsupported:
        """The error for this node, to be raised."""
        return Unsupported(f"{self}: {reason}")

    def input(self, index) -> str:
        """The name of an input; "" where it is left out."""
        return self.inputs[index] if index < len(self.inputs) else ""

    def only_inputs(self, most: int, least: int = 1):
        """Refuses fewer or more inputs."""
        if not least <= len(self.inputs) <= most:
            told = f"{most}" if least == most else f"{least} to {most}"
            raise self.refused(f"must have {told} inputs, not {len(self.inputs)}")

    def only_attributes(self, *names):
        """Refuses an attribute of another name, which may change what the operator does."""
        if unknown := sorted(set(self.attributes) - set(names)):
            raise self.refused(f"attribute {printable(unknown[0])} is not supported")

    def attribute(self, name, default=None, *, only=None):
        """An attribute, or its default; one of `only`, if that is given."""
        value = self.attributes.get(name, default)
        if only is not None and not any(type(value) is type(one) and value == one for one in only):
            wanted = " or ".join(str(one) for one in only)
            raise self.refused(f"attribute {name} must be {wanted}, not {printable(value)}")
        return value

    def integer(self, name, default) -> int:
        """An attribute that must be an integer."""
        value = self.attributes.get(name, default)
        if type(value) is not int:
            raise self.refused(f"attribute {name} must be an integer, not {printable(value)}")
        return value

    def integers(self, name, default=None, *, count=None, least: int | None = None) -> tuple[int, ...]:
        """An attribute that must be integers: `count` of them, or as many as its default has; from `least` to MOST."""
        value = self.attributes.get(name, default)
        count = len(default) if count is None and default is not None else count
        found = value if isinstance(value, list | tuple) and all(type(one) is int for one in value) else None
        outside = least is not None and any(not least <= one <= MOST for one in found or ())
        if found is None or outside or count not in (None, len(found)):
            wanted = "integers" if count is None else f"{count} integer{'s' * (count != 1)}"
            wanted += "" if least is None else f" from {least} to {MOST}"
            raise self.refused(f"attribute {name} must be {wanted}, not {printable(value)}")
        return tuple(found)

    def order(self, rank: int) -> tuple[int, ...]:
        """Attribute perm of a Transpose: each of `rank` axes once; the last first where it is left out."""
        axes = self.integers("perm", tuple(range(rank))[::-1])
        if sorted(axes) != list(range(rank)):
            raise self.refused(f"attribute perm must name each of {rank} axes once, not {list(axes)}")
        return axes

    def number(self, name, default) -> float:
        """An attribute that must be a finite number."""
        value = self.attributes.get(name, default)
        if type(value) not in (int, float) or not np.isfinite(value):
            raise self.refused(f"attribute {name} must be a finite number, not {printable(value)}")
        return float(value)


def node_of(proto: onnx.NodeProto) -> Node:
    """The node of a model. Raises Unsupported for graphs, sparse tensors and other files in its attributes."""
    bare = Node(proto.op_type, proto.domain, proto.name, tuple(proto.input), tuple(proto.output), {}, proto)
    kept = {}
    for one in proto.attribute:
        _check(bare, one)
        with refusing(bare):
            value = onnx.helper.get_attribute_value(one)
        kept[one.name] = value.decode(errors="replace") if isinstance(value, bytes) else value
    return Node(bare.operator, bare.domain, bare.name, bare.inputs, bare.outputs, kept, proto)


def _check(node, attribute):
    kind = onnx.AttributeProto
    if attribute.type in (kind.GRAPH, kind.GRAPHS):
        raise node.refused("holds a graph of its own, which is not supported")
    if attribute.type in (kind.SPARSE_TENSOR, kind.SPARSE_TENSORS):
        raise node.refused("holds a sparse tensor, which is not supported")
    if any(is_external(tensor) for tensor in (attribute.t, *attribute.tensors)):
        raise node.refused("holds a tensor that lies in another file, which was not read")
