"""ONNX operators that move elements or choose among them: the same for codes and for real numbers."""

from collections.abc import Callable

import numpy as np

from ..shapes import MaxPool
from ..unsupported import printable
from .graph import Graph
from .node import Node
from .path import Path, checked, told
from .tensors import prod
from .windows import ATTRIBUTES, pool_window, pooled


def _identity(node, graph, path):
    node.only_attributes()


def _dropout(node, graph, path):
    """Nothing, as networks are run and not trained."""
    node.only_attributes("ratio", "seed", "is_test")
    node.attribute("is_test", 1, only=(1,))
    if node.input(2) and np.any(graph.constant(node, node.input(2))):
        raise node.refused("trains")


def _max_pool(node, graph, path):
    node.only_attributes(*ATTRIBUTES, "ceil_mode", "storage_order")
    if any(node.outputs[1:]):
        raise node.refused("gives indices, which is not supported")
    found = pool_window(node, path)
    path.add(MaxPool(path.names.of(node), found), pooled(path, found))


def _transpose(node, graph, path):
    node.only_attributes("perm")
    axes = node.order(len(path.shape) + 1)
    if axes[0] != 0:
        raise node.refused(f"must keep the batch first, not put axes in the order {list(axes)}")
    path.transpose(tuple(one - 1 for one in axes[1:]))


def _flatten(node, graph, path):
    node.only_attributes("axis")
    rank, axis = len(path.shape) + 1, node.integer("axis", 1)
    axis = axis + rank if axis < 0 else axis
    if not 0 < axis <= rank or prod(path.shape[: axis - 1]) != 1:
        raise node.refused(f"attribute axis must be 1 on {told(path.shape)}, not {node.integer('axis', 1)}")
    path.reshape((prod(path.shape),), node)


def _reshape(node, graph, path):
    node.only_attributes("allowzero")
    wanted = integers(node, graph, node.input(1))
    copied = not node.attribute("allowzero", 0, only=(0, 1))
    sizes = [_size(node, path, axis, one, copied) for axis, one in enumerate(wanted)]
    total = prod(path.shape)
    kept = sizes and (sizes[0] in (1, graph.batch) or sizes[0] == -1)
    known = prod(one for one in sizes[1:] if one != -1)
    if -1 in sizes[1:] and sizes[0] != -1 and known > 0 and total % known == 0:
        sizes[sizes.index(-1, 1)] = total // known
    if not kept:
        raise node.refused(f"makes {list(wanted)} of {told(path.shape)}; the batch must stay as it is")
    if -1 in sizes[1:] or len(sizes) < 2 or prod(sizes[1:]) != total:
        raise node.refused(f"cannot make {list(wanted)} of {told(path.shape)}")
    path.reshape(checked(node, sizes[1:]), node)


def _size(node, path, axis, size, copied):
    """A wanted size, 0 replaced by the size that is there; the batch counts as 1."""
    if size < -1 or (size == 0 and (not copied or axis > len(path.shape))):
        raise node.refused(f"has no size for axis {axis} of its output: {size}")
    if size == 0:
        return path.shape[axis - 1] if axis else 1
    return size


def _squeeze(node, graph, path):
    rank = len(path.shape) + 1
    axes = _axes(node, graph, rank, tuple(k + 1 for k, one in enumerate(path.shape) if one == 1))
    if 0 in axes or any(path.shape[one - 1] != 1 for one in axes):
        raise node.refused(f"takes axes {sorted(axes)} away from {told(path.shape)}, where not all are of size 1")
    path.reshape(checked(node, [one for k, one in enumerate(path.shape) if k + 1 not in axes]), node)


def _unsqueeze(node, graph, path):
    given = _axes(node, graph, None, ())
    rank = len(path.shape) + 1 + len(given)
    axes = _axes(node, graph, rank, ())
    if 0 in axes:
        raise node.refused("puts an axis before the batch")
    sizes = iter(path.shape)
    path.reshape(checked(node, [1 if axis in axes else next(sizes) for axis in range(1, rank)]), node)


def _axes(node, graph, rank, default):
    """Axes of an attribute, or of an input since opset 13; counted from the first where the rank is known."""
    node.only_attributes("axes")
    if node.input(1):
        axes = integers(node, graph, node.input(1))
    else:
        axes = node.integers("axes") if "axes" in node.attributes else default
    if rank is None:
        return axes
    if any(not -rank <= one < rank for one in axes):
        raise node.refused(f"has axes {list(axes)} for a tensor of {rank} axes")
    found = {one % rank for one in axes}
    if len(found) != len(axes):
        raise node.refused(f"has an axis twice: {list(axes)}")
    return found


def integers(node: Node, graph: Graph, name) -> tuple[int, ...]:
    """A constant list of integers, at most as many as tensors have axes. Raises Unsupported."""
    value = graph.constant(node, name)
    if value.dtype.kind not in "iu" or value.ndim > 1 or value.size > 8:
        raise node.refused(f"input {printable(name)} must be a list of at most 8 integers")
    return tuple(int(one) for one in value.reshape(-1))


MOVES: dict[str, Callable[[Node, Graph, Path], None]] = {
    "Identity": _identity,
    "Dropout": _dropout,
    "MaxPool": _max_pool,
    "Transpose": _transpose,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
}
