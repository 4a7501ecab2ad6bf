"""The window of a convolution or a pool in an ONNX model."""

from ..onnx.graph import Node
from ..onnx.windows import two
from ..shapes import Window

_AUTO = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")


def window(node: Node, kernel: tuple[int, int], size: tuple[int, int]) -> Window:
    """Attributes strides, dilations, pads and auto_pad for a kernel on a map of size (H, W).

    Raises Unsupported for values that are none, padding that a window does not reach over, and maps smaller than one
    window.
    """
    stride, dilation = (two(node.integers(name, (1, 1), least=1)) for name in ("strides", "dilations"))
    automatic = node.attribute("auto_pad", "NOTSET", only=_AUTO)
    padding = paddings(node, "pads") if automatic == "NOTSET" else ((0, 0), (0, 0))
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        down, across = (_same(automatic, *side) for side in zip(size, kernel, dilation, stride, strict=True))
        padding = (down, across)
    return checked(node, Window(kernel, stride, dilation, padding), size)


def paddings(node: Node, name: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """An attribute [top, left, bottom, right] as ((top, bottom), (left, right)). Raises Unsupported."""
    top, left, bottom, right = node.integers(name, (0, 0, 0, 0), least=0)
    return (top, bottom), (left, right)


def checked(node: Node, found: Window, size: tuple[int, int]) -> Window:
    """The window, if it fits into a map of size (H, W) and reaches beyond its padding. Raises Unsupported."""
    for n, k, d, around in zip(size, found.kernel, found.dilation, found.padding, strict=True):
        reach = (k - 1) * d + 1
        if max(around) >= reach:
            raise node.refused(f"a window reaches over {reach} places; padding must be less, not {max(around)}")
        if n + sum(around) < reach:
            raise node.refused(f"a window reaches over {reach} places, its map with padding has {n + sum(around)}")
    return found


def _same(automatic, size, kernel, dilation, stride):
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    less, more = total // 2, total - total // 2
    return (less, more) if automatic == "SAME_UPPER" else (more, less)
