"""Nodes of an ONNX model that move elements or choose among them, in the order of elements that the model has."""

from dataclasses import dataclass
from math import prod

import numpy as np

from ..onnx.graph import Graph, Node
from ..onnx.windows import two
from ..shapes import Window
from .tensor import STANDARD, Tensor
from .window import window


@dataclass(frozen=True)
class Reshaped:
    """Each example in another shape."""

    node: Node
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Transposed:
    """Axes in another order, the batch first."""

    node: Node
    axes: tuple[int, ...]


@dataclass(frozen=True)
class Pooled:
    """The largest of each window of a map [B, C, H, W]."""

    node: Node
    window: Window


Move = Reshaped | Transposed | Pooled


def is_move(node: Node) -> bool:
    return node.domain in STANDARD and node.operator in _READERS


def moved(graph: Graph, node: Node, tensor: Tensor, batch: int) -> tuple[Tensor, Move]:
    """The tensor after such a node, and the move. `batch` is the size of the batch in the model. Raises Unsupported."""
    if graph.data_input(node) != node.inputs[0]:
        raise node.refused("its first input must depend on the network's input, the others must not")
    found, move = _READERS[node.operator](graph, node, tensor, batch)
    if found.shape[0] != 1:
        raise node.refused(f"must keep the batch apart, not give shape {list(found.shape)}")
    return found, move


def _flatten(graph, node, tensor, batch):
    node.attribute("axis", 1, only=(1, 1 - len(tensor.shape)))
    return _reshaped(node, tensor, (1, prod(tensor.shape[1:])))


def _reshape(graph, node, tensor, batch):
    target = _integers(graph, node, "shape")
    if node.attribute("allowzero", 0, only=(0, 1)) and 0 in target:
        raise node.refused(f"gives a shape without elements, {target}")
    if not 2 <= len(target) <= 8 or min(target) < -1 or target.count(-1) > 1:
        raise node.refused(f"its shape must be 2 to 8 sizes, one of them -1 at most, not {target}")
    if target[0] not in (0, 1, -1, batch):
        raise node.refused(f"must keep the batch apart, not give shape {target}")
    if len(target) > len(tensor.shape) and 0 in target[len(tensor.shape) :]:
        raise node.refused(f"its shape copies a size that its input {list(tensor.shape)} does not have")
    sizes = [1] + [tensor.shape[i] if one == 0 else one for i, one in enumerate(target) if i]
    known, whole = prod(one for one in sizes if one > 0), prod(tensor.shape)
    sizes = [whole // known if one == -1 else one for one in sizes]
    if prod(sizes) != whole:
        raise node.refused(f"cannot bring {list(tensor.shape)} to shape {target}")
    return _reshaped(node, tensor, tuple(sizes))


def _squeeze(graph, node, tensor, batch):
    axes = _axes(graph, node, len(tensor.shape))
    if any(tensor.shape[axis] != 1 for axis in axes):
        raise node.refused(f"squeezes axes {axes} of shape {list(tensor.shape)}")
    return _reshaped(node, tensor, tuple(n for axis, n in enumerate(tensor.shape) if axis not in axes))


def _unsqueeze(graph, node, tensor, batch):
    rank = len(tensor.shape) + len(_integers(graph, node, "axes"))
    axes, sizes = _axes(graph, node, rank), iter(tensor.shape)
    return _reshaped(node, tensor, tuple(1 if axis in axes else next(sizes) for axis in range(rank)))


def _axes(graph, node, rank):
    axes = sorted(axis + rank if axis < 0 else axis for axis in _integers(graph, node, "axes"))
    if len(set(axes)) < len(axes) or not all(0 < axis < rank for axis in axes):
        raise node.refused(f"its axes must be different ones from 1 to {rank - 1}, not {axes}")
    return axes


def _integers(graph, node, what):
    """Integers in the second input, or in an attribute as old opsets have it."""
    value = graph.value(node.inputs[1]) if len(node.inputs) > 1 else np.asarray(node.attribute(what, []))
    if value.dtype.kind not in "iu" or not 1 <= value.size <= 8:
        raise node.refused(f"its {what} must be 1 to 8 integers")
    return [int(one) for one in value.reshape(-1)]


def _reshaped(node, tensor, shape):
    return tensor.reshaped(shape), Reshaped(node, shape[1:])


def _transpose(graph, node, tensor, batch):
    axes = node.order(len(tensor.shape))
    if axes[0] != 0:
        raise node.refused(f"must keep the batch first, not put axes in the order {list(axes)}")
    return tensor.transposed(axes), Transposed(node, axes)


def _max_pool(graph, node, tensor, batch):
    for name in ("ceil_mode", "storage_order"):
        node.attribute(name, 0, only=(0,))
    if len(tensor.shape) != 4:
        raise node.refused(f"must pool a map of 4 axes, not shape {list(tensor.shape)}")
    taken = window(node, two(node.integers("kernel_shape", count=2, least=1)), (tensor.shape[2], tensor.shape[3]))
    return Tensor((*tensor.shape[:2], *taken.places(tensor.shape[2:])), tensor.channels), Pooled(node, taken)


_READERS = {
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "MaxPool": _max_pool,
}
