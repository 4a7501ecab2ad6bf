"""Windows of ONNX's convolutions and pools: kernel, strides, dilations and padding, and how the places come out."""

from dataclasses import replace

import numpy as np

from ..shapes import Window
from .node import Node
from .path import Path
from .tensors import MOST_ELEMENTS, prod

ATTRIBUTES = ("auto_pad", "dilations", "kernel_shape", "pads", "strides")
_PADS = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")


def window(node: Node, path: Path, kernel: tuple[int, ...]) -> Window:
    """How a kernel moves over the map (or the signal, as a map of height 1) that the path has come to.

    Raises Unsupported for attributes of wrong kinds or lengths, sizes out of range, and kernels larger than the map.
    """
    axes, size = len(kernel), path.shape[1:]
    if axes != len(size):
        raise node.refused(f"has a kernel of {axes} axes on a tensor of {len(size)}")
    stride, dilation = (node.integers(name, (1,) * axes, least=1) for name in ("strides", "dilations"))
    bare = Window(two(kernel), two(stride), two(dilation))
    return checked(node, _padded(node, bare, size), two(size), path.shape[0])


def pool_window(node: Node, path: Path) -> Window:
    """That of a pool; the path is made a map.

    Raises Unsupported also for pools that round places up to more of them, or have windows of padding alone.
    """
    path.map(node)
    found = window(node, path, node.integers("kernel_shape", least=1))
    size = two(path.shape[1:])
    if node.attribute("ceil_mode", 0, only=(0, 1)):
        sides = zip(found.padded(size), found.reach, found.stride, strict=True)
        if any((n - reach) % stride for n, reach, stride in sides):
            raise node.refused("attribute ceil_mode 1 adds windows that reach beyond the padding")
    _check_reached(node, found, size)
    return found


def two(each: tuple[int, ...]) -> tuple[int, int]:
    """Down and across; a signal runs across."""
    return (1, each[0]) if len(each) == 1 else (each[0], each[1])


def pooled(path: Path, found: Window) -> tuple[int, ...]:
    """The shape of one example after a pool."""
    channels, *size = path.shape
    return (channels, *found.places(two(tuple(size)))[-len(size) :])


def _padded(node, bare, size) -> Window:
    """The window with its padding, by pads or auto_pad."""
    axes = len(size)
    pads = node.integers("pads", (0,) * (2 * axes), least=0)
    kind = node.attribute("auto_pad", "NOTSET", only=_PADS)
    if kind == "NOTSET":
        around = tuple(zip(pads[:axes], pads[axes:], strict=True))
        return replace(bare, padding=((0, 0), *around)[-2:])
    if any(pads):
        raise node.refused(f"attribute pads must be zeros beside auto_pad {kind}, not {list(pads)}")
    if kind == "VALID":
        return bare
    found = bare.covering(two(size))
    down, across = found.padding
    return found if kind == "SAME_UPPER" else replace(found, padding=(down[::-1], across[::-1]))


def checked(node: Node, found: Window, size: tuple[int, int], channels: int) -> Window:
    """The window, if it fits into a map. Raises Unsupported where it does not, and where all together are too large."""
    for reach, there in zip(found.reach, found.padded(size), strict=True):
        if there < reach:
            raise node.refused(f"has windows that reach over {reach} places; its input with padding has {there}")
    taken = prod(found.places(size)) * prod(found.kernel) * channels
    if taken > MOST_ELEMENTS:
        raise node.refused(f"takes {taken} elements into its windows, which is more than {MOST_ELEMENTS}")
    return found


def _check_reached(node, found, size):
    """Raises Unsupported for windows of padding alone."""
    places = found.places(size)
    for axis, around in enumerate(found.padding):
        starts = np.arange(places[axis]) * found.stride[axis] - around[0]
        reached = starts[:, None] + np.arange(found.kernel[axis]) * found.dilation[axis]
        if not ((reached >= 0) & (reached < size[axis])).any(axis=1).all():
            raise node.refused("has windows of padding alone")
