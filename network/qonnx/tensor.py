"""A tensor on its way through an ONNX model: its shape, where its channels lie, and the constants that meet it."""

from dataclasses import dataclass
from math import prod

import numpy as np

from ..onnx.graph import Graph, Node

STANDARD = ("", "ai.onnx")


@dataclass(frozen=True)
class Tensor:
    """shape : as in the model, the batch (first) being one. channels : their axis, None where they are mixed."""

    shape: tuple[int, ...]
    channels: int | None

    def operand(self, node: Node, value) -> np.ndarray:
        """A constant of the model that broadcasts with this tensor, as a scalar or [C].

        Raises Unsupported for one that does not broadcast, or that is not the same at all places of a channel.
        """
        value = np.asarray(value)
        wide = value.reshape((1,) * (len(self.shape) - value.ndim) + value.shape)
        if wide.ndim > len(self.shape) or any(n not in (1, m) for n, m in zip(wide.shape, self.shape, strict=True)):
            raise node.refused(f"its operand has shape {list(value.shape)}, its input {list(self.shape)}")
        for axis in range(wide.ndim):
            first = wide.take([0], axis)
            if (wide == first).all():
                wide = first
            elif axis != self.channels:
                at = "nowhere" if self.channels is None else f"on axis {self.channels}"
                raise node.refused(f"its operand varies along axis {axis}; channels lie {at}")
        return wide.reshape(()) if wide.size == 1 else wide.reshape(-1)

    def reshaped(self, shape) -> "Tensor":
        """The same elements in another shape; channels are kept where they are one axis of it."""
        if self.channels is None:
            return Tensor(shape, None)
        before, count = prod(self.shape[: self.channels]), self.shape[self.channels]
        axes = [axis for axis, size in enumerate(shape) if size == count and prod(shape[:axis]) == before]
        return Tensor(shape, axes[-1] if axes else None)

    def transposed(self, axes) -> "Tensor":
        """The axes in another order, axis i being axes[i] before."""
        shape = tuple(self.shape[axis] for axis in axes)
        return Tensor(shape, None if self.channels is None else axes.index(self.channels))


def constant(graph: Graph, node: Node, position: int, what: str, *, finite=True) -> np.ndarray:
    """An input of a node that must be constant, float32.

    Raises Unsupported where it is missing, depends on the input, or holds what is no number, not finite (if `finite`)
    or not in float32.
    """
    if position >= len(node.inputs) or not node.inputs[position]:
        raise node.refused(f"its {what} is missing")
    if not graph.is_constant(node.inputs[position]):
        raise node.refused(f"its {what} must be constant")
    value = graph.value(node.inputs[position])
    if value.dtype.kind not in "fiu":
        raise node.refused(f"its {what} must hold numbers, not {value.dtype}")
    with np.errstate(over="ignore"):
        narrowed = value.astype(np.float32)
    if not value.size or np.isnan(value).any() or (finite and not np.isfinite(value).all()):
        raise node.refused(f"its {what} must be finite numbers")
    if (narrowed != value).any():
        raise node.refused(f"its {what} must be float32 numbers, not {value.dtype}")
    return narrowed


def scalar(node: Node, value, what: str) -> np.ndarray:
    """The only value of an array, or of one whose elements are all the same, float32. Raises Unsupported."""
    values = np.unique(value)
    if values.size != 1:
        raise node.refused(f"its {what} must be one for the whole tensor, not {values.size} values")
    return np.asarray(values[0], np.float32)
