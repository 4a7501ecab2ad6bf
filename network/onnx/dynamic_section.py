"""A product of codes that DynamicQuantizeLinear makes, among the nodes that onnxruntime's quantize_dynamic puts there:

    codes, a_scale, a_zero_point = DynamicQuantizeLinear(x)
    y = Cast(MatMulInteger(codes, w, a_zero_point, w_zero_point)) * (a_scale * w_scale)

with ConvInteger likewise.
"""

from dataclasses import dataclass

import onnx

from ..unsupported import printable
from .graph import OWN_DOMAINS, Graph
from .node import Node

PRODUCTS = ("MatMulInteger", "ConvInteger")


@dataclass(frozen=True)
class Section:
    """The product's node, that which multiplies scales, the name of w_scale, and of y."""

    product: Node
    scales: Node
    w_scale: str
    output: str


class Readers:
    """Which nodes read a tensor; those that look at its shape alone do not count."""

    def __init__(self, graph: Graph):
        self._of: dict[str, list[Node]] = {}
        for node in graph.nodes:
            for name in dict.fromkeys(node.inputs) if node.operator != "Shape" else ():
                self._of.setdefault(name, []).append(node)

    def of(self, name: str) -> list[Node]:
        return self._of.get(name, [])

    def only(self, node: Node, index: int, *operators: str) -> Node:
        """The one reader of an output of a node, which must be one of some operators of ONNX. Raises Unsupported."""
        name = node.outputs[index] if index < len(node.outputs) else ""
        found = self.of(name) if name else []
        if len(found) != 1:
            raise node.refused(f"its output {printable(name)} must be read once, not {len(found)} times")
        if found[0].operator not in operators or found[0].domain not in OWN_DOMAINS:
            raise node.refused(f"its output {printable(name)} must go to {' or '.join(operators)}, not {found[0]}")
        return found[0]


def section(node: Node, graph: Graph, readers: Readers) -> Section:
    """What follows a DynamicQuantizeLinear. Raises Unsupported for anything but the nodes above."""
    node.only_attributes()
    product = readers.only(node, 0, *PRODUCTS)
    if readers.only(node, 2, *PRODUCTS) is not product or product.input(0) != node.outputs[0]:
        raise product.refused(f"must take the codes of {node}, and their zero point")
    if product.input(2) != node.outputs[2]:
        raise product.refused(f"must have the zero point of {node} as its third input")
    cast, scales = readers.only(product, 0, "Cast"), readers.only(node, 1, "Mul")
    cast.only_attributes("to", "saturate")
    cast.attribute("to", None, only=(onnx.TensorProto.FLOAT,))
    scaled = readers.only(cast, 0, "Mul")
    if readers.only(scales, 0, "Mul") is not scaled or {*scaled.inputs} != {cast.outputs[0], scales.outputs[0]}:
        raise scaled.refused(f"must multiply what {cast} and {scales} give")
    return Section(product, scales, _other(scales, node.outputs[1], graph), scaled.outputs[0])


def _other(scales, a_scale, graph):
    """The constant that the scale of activations is multiplied with."""
    names = [name for name in scales.inputs if name != a_scale]
    if len(names) != 1 or not graph.is_constant(names[0]):
        raise scales.refused("must multiply the scale of activations with a constant")
    return names[0]
