"""Layers of a model whose maps are channels-first, on codes whose maps are channels-last."""

from math import prod

from ..onnx.graph import Node
from ..onnx.layer_names import LayerNames
from ..shapes import MaxPool, Reshape, Transpose
from .moves import Move, Pooled, Reshaped, Transposed

_TO_LAST, _TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


class Layout:
    """Layers one after the other, and the shape of an example after them as the model has it.

    `last` says that the codes are a map [B, H, W, C] where the model has [B, C, H, W].
    """

    def __init__(self, shape: tuple[int, ...], names: LayerNames):
        self.layers, self.shape, self.names, self.last = [], shape, names, False
        self._reshaped: Reshaped | None = None

    def put(self, layer, shape: tuple[int, ...], *, last: bool):
        """A layer that computes, and the shape after it."""
        self.layers.append(layer)
        self.shape, self.last = shape, last

    def move(self, move: Move):
        """What the model does to the order of elements. Reshapes that follow each other are one."""
        match move:
            case Reshaped():
                self._reshaped = move
            case Transposed():
                self._transpose(move)
            case Pooled():
                self.as_map(move.node)
                down, across = move.window.places(self.shape[1:])
                self.put(MaxPool(self.names.of(move.node), move.window), (self.shape[0], down, across), last=True)

    def as_map(self, node: Node):
        """Brings codes of a shape [C, H, W] to [H, W, C], for a node that takes a map."""
        self._settle()
        if not self.last:
            self.layers.append(Transpose(self.names.name(f"{node.name}_channels_last"), _TO_LAST))
            self.last = True

    def as_in_model(self, node: Node | None = None):
        """Brings codes into the order that the model has, for a node or for the end."""
        self._settle()
        if self.last:
            before = f"{node.name}_" if node else ""
            self.layers.append(Transpose(self.names.name(f"{before}channels_first"), _TO_FIRST))
            self.last = False

    def _settle(self):
        move, self._reshaped = self._reshaped, None
        if move is None or move.shape == self.shape:
            return
        if self.last and self.shape[0] != 1 and prod(self.shape[1:]) != 1:
            self.as_in_model(move.node)
        self.put(Reshape(self.names.of(move.node), move.shape), move.shape, last=False)

    def _transpose(self, move):
        self._settle()
        shape = tuple(self.shape[axis - 1] for axis in move.axes[1:])
        if self.last and move.axes == _TO_LAST:
            self.shape, self.last = shape, False
        elif not self.last and move.axes == _TO_FIRST:
            self.shape, self.last = shape, True
        elif move.axes != tuple(range(len(move.axes))):
            self.as_in_model(move.node)
            self.put(Transpose(self.names.of(move.node), move.axes), shape, last=False)
