"""Constants of a model that scale or shift a tensor on its way: how they broadcast, which are per channel."""

import numpy as np

from ..elementwise import Step
from .affine import Affine
from .node import Node
from .path import Path, told


def fitting(node: Node, path: Path, value: np.ndarray) -> np.ndarray:
    """A constant without the axis that it has for the batch. Raises Unsupported where it broadcasts the tensor."""
    shape = path.shape
    short = value.reshape(value.shape[1:]) if value.ndim > len(shape) and value.shape[0] == 1 else value
    sizes = zip(short.shape[::-1], shape[::-1], strict=False)
    if short.ndim > len(shape) or any(one not in (1, size) for one, size in sizes):
        raise node.refused(f"has a constant {list(value.shape)} for {told(shape)}")
    return short


def as_given(path: Path, value: np.ndarray) -> np.ndarray:
    """A constant against the network's input, whose axes have been named in another order but not moved."""
    return np.transpose(_full(path, value), path.axes) if value.ndim else value


def per_channel(node: Node, path: Path, affine: Affine) -> Affine:
    """Its constants as scalars or [C], C being the last axis of the layers. Raises Unsupported for other ones."""
    return Affine(along_channels(node, path, affine.factor), along_channels(node, path, affine.offset))


def along_channels(node: Node, path: Path, value: np.ndarray) -> np.ndarray:
    """One constant, likewise."""
    return along(node, path, value, path.channels)


def along(node: Node, path: Path, value: np.ndarray, axis: int | None) -> np.ndarray:
    """A constant as a scalar, or [C] along one axis of the tensor, along which alone it varies.

    Raises Unsupported where it does not broadcast with the tensor, or varies along others.
    """
    full = _full(path, fitting(node, path, value))
    for index in range(full.ndim):
        first = full.take([0], index)
        if (full == first).all():
            full = first
        elif index != axis:
            given = f"has a constant {list(value.shape)} that varies along axis {index + 1}"
            raise node.refused(f"{given}; channels lie {place(axis)}")
    return full.reshape(()) if full.size == 1 else full.reshape(-1)


def place(axis: int | None) -> str:
    """Where channels lie, in words; axes are counted with the batch."""
    return "nowhere" if axis is None else f"on axis {axis + 1}"


def along_first(path: Path, value: np.ndarray) -> np.ndarray:
    """Numbers [C] as they broadcast along the first axis of the tensor."""
    return value.reshape(-1, *(1,) * (len(path.shape) - 1))


def _full(path, value):
    """With all axes of an example."""
    return value.reshape((1,) * (len(path.shape) - value.ndim) + value.shape)


def steps(affine: Affine) -> list[Step]:
    """The same as operations on float32."""
    return [Step("mul", (affine.factor,)), Step("add", (affine.offset,))]
