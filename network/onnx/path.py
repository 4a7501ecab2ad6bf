"""The way of one tensor through a chain of ONNX nodes: the layers made of them, and how the tensor lies in these.

ONNX has maps as [B, C, H, W] and signals as [B, C, L]; layers have maps as [B, H, W, C]. What lies otherwise than the
next layer wants it is moved by a Transpose or a Reshape of its own, and only then.
"""

from ..shapes import Reshape, Transpose
from .layer_names import LayerNames
from .node import Node
from .tensors import MOST_ELEMENTS, prod

ADDED = -1
Axes = tuple[int, ...]


class Path:
    """Layers so far, and the tensor that leaves them.

    shape : one example as ONNX has it, without the batch.
    axes : for each axis of an example as the layers have it, which axis of `shape` it is; ADDED: one of size 1 more.
    columns : which axis of `shape` the columns of the last product are, or the channels of the input; None where they
        are mixed with others.
    """

    def __init__(self, shape: tuple[int, ...]):
        self.layers = []
        self.names = LayerNames()
        self.shape = shape
        self.axes: Axes = tuple(range(len(shape)))
        self.columns: int | None = 0
        self._reshaped: list[Axes] = []

    @property
    def channels(self) -> int:
        """Which axis of `shape` is the last one in the layers."""
        return self.axes[-1]

    @property
    def behind(self) -> int:
        """How many axes of `shape` lie behind that one."""
        return len(self.shape) - 1 - self.channels

    def add(self, layer, shape: tuple[int, ...]):
        """One more layer, whose outputs lie as its inputs do, and their shape as ONNX has it."""
        self.layers.append(layer)
        self.shape = shape

    def add_product(self, layer, shape: tuple[int, ...]):
        """The same for a product."""
        self.add(layer, shape)
        self.columns = self.channels

    def plain(self):
        """Makes the tensor lie as ONNX has it."""
        self.to(tuple(range(len(self.shape))))

    def map(self, node: Node):
        """Makes it lie as a map [B, H, W, C], signals as maps of height 1. Raises Unsupported for other tensors."""
        if len(self.shape) not in (2, 3):
            raise node.refused(f"takes [B, C, H, W] or [B, C, L], not {told(self.shape)}")
        self.to((1, 2, 0) if len(self.shape) == 3 else (ADDED, 1, 0))

    def to(self, axes: Axes):
        """Makes it lie as `axes` say."""
        if self._order(self.axes) == self._order(axes):
            self._reshape(self._sizes(axes))
        else:
            own, wanted = ([one for one in some if one != ADDED] for some in (self.axes, axes))
            self._reshape(self._sizes(own))
            self._transpose((0, *(own.index(one) + 1 for one in wanted)))
            self.axes = tuple(wanted)
            self._reshape(self._sizes(axes))
        self.axes = axes

    def reshape(self, shape: tuple[int, ...], node: Node):
        """Elements in the order that ONNX has them in, in another shape, by a layer named after a node."""
        if shape == self.shape and self.axes != tuple(range(len(shape))):
            return
        self.plain()
        self._reshape(shape, node.name or node.operator)
        self.columns = self._kept(shape)
        self.shape, self.axes = shape, tuple(range(len(shape)))

    def transpose(self, axes: tuple[int, ...]):
        """Axes of `shape` in another order; nothing moves until a layer wants it."""
        self.shape = tuple(self.shape[one] for one in axes)
        self.axes = tuple(one if one == ADDED else axes.index(one) for one in self.axes)
        self.columns = None if self.columns is None else axes.index(self.columns)

    def _kept(self, shape) -> int | None:
        """Which axis of another shape has all the columns, and nothing but them."""
        if self.columns is None:
            return None
        before, count = prod(self.shape[: self.columns]), self.shape[self.columns]
        found = [axis for axis, size in enumerate(shape) if size == count and prod(shape[:axis]) == before]
        return found[-1] if found else None

    def _reshape(self, sizes, name=""):
        """Two that follow each other are one, of the name that a node gave, or none where they undo each other."""
        last = self.layers.pop() if self.layers and isinstance(self.layers[-1], Reshape) else None
        before = self._sizes(self.axes) if last is None else self._reshaped.pop()
        if sizes != before:
            named = last.name if last is not None and not name else self.names.name(name or "reshape")
            self.layers.append(Reshape(named, sizes))
            self._reshaped.append(before)

    def _transpose(self, axes):
        """Likewise."""
        last = self.layers.pop() if self.layers and isinstance(self.layers[-1], Transpose) else None
        moved = axes if last is None else tuple(last.axes[one] for one in axes)
        if moved != tuple(range(len(moved))):
            self.layers.append(Transpose(self.names.name("transpose") if last is None else last.name, moved))

    def _sizes(self, axes) -> tuple[int, ...]:
        return tuple(1 if one == ADDED else self.shape[one] for one in axes)

    def _order(self, axes):
        """The axes along which there is something to move."""
        return [one for one in axes if one != ADDED and self.shape[one] > 1]


def checked(node: Node, shape) -> tuple[int, ...]:
    """The sizes of one example. Raises Unsupported where they are not positive, or too large together."""
    shape = tuple(int(one) for one in shape)
    if not shape or min(shape) < 1 or prod(shape) > MOST_ELEMENTS:
        raise node.refused(f"makes {told(shape)}, where each size must be positive and all at most {MOST_ELEMENTS}")
    return shape


def told(shape) -> str:
    """A shape in words, the batch included."""
    return f"[{', '.join(('B', *map(str, shape)))}]"
