"""The ends of QONNX and FINN networks: inputs that are integers already, scores, and labels, which are left out."""

import numpy as np
import onnx

from ..grid import Grid
from ..onnx.graph import OWN_DOMAINS, Graph, Node
from ..onnx.grids import input_format
from ..onnx.path import Path
from ..unsupported import printable
from .types import data_type


def input_grid(graph: Graph, model: onnx.ModelProto, product: Node) -> Grid:
    """The grid of an input that no quantizer takes: integers, by its type or by FINN's annotation.

    Raises Unsupported where it has neither.
    """
    fmt = input_format(graph)
    for one in model.graph.quantization_annotation:
        if one.tensor_name == graph.input:
            named = {pair.key: pair.value for pair in one.quant_parameter_tensor_names}
            fmt = data_type(named.get("finn_datatype", "")) or fmt
    if fmt is None:
        raise product.refused("takes the network's input, which neither a quantizer nor its type makes integers")
    return Grid(fmt)


def is_label(node: Node) -> bool:
    return node.domain in OWN_DOMAINS and node.operator in ("TopK", "ArgMax")


def check_label(graph: Graph, node: Node, path: Path):
    """Raises Unsupported for anything but the index of the largest along the last axis."""
    last = (-1, len(path.shape))
    if node.operator == "ArgMax":
        node.attribute("axis", 0, only=last)
        node.attribute("select_last_index", 0, only=(0,))
        return
    node.attribute("axis", -1, only=last)
    node.attribute("largest", 1, only=(1,))
    count = graph.value(node.inputs[1]) if len(node.inputs) > 1 else np.asarray(node.attribute("k", 0))
    if count.reshape(-1).tolist() != [1]:
        raise node.refused(f"must give one label, not {printable(count.reshape(-1).tolist())}")
    if graph.output not in node.outputs[1:]:
        raise node.refused("must give the index; its value is the output here")
