"""How the tensor of a chain lies in an ONNX model, and the layers that move its elements or choose among them."""

import numpy as np

from ..shapes import Reshape, Transpose, Window
from .building import Building

MAPS = (0, 3, 1, 2)


class LaidOut:
    """`shape` is that of one example as the network has it, `axes` which axis of that each axis of the model's is."""

    def __init__(self, building: Building, shape):
        self.building = building
        self.shape = tuple(shape)
        self.axes = self.plain

    @property
    def plain(self) -> tuple[int, ...]:
        """The axes of a tensor that lies as the network has it."""
        return tuple(range(len(self.shape) + 1))

    @property
    def behind(self) -> int:
        """How many axes the model's tensor has behind the channels."""
        return len(self.shape) - self.axes.index(len(self.shape))

    def lie(self, axes, name: str) -> bool:
        """Makes the tensor lie so; whether that took a node."""
        if axes == self.axes:
            return False
        perm = [self.axes.index(one) for one in axes]
        self.building.add("Transpose", name=f"{name}_transpose", perm=perm)
        self.axes = axes
        return True

    def transposed(self, layer: Transpose):
        """Other names for the axes, and no node."""
        self.axes = tuple(layer.axes.index(one) for one in self.axes)
        self.shape = tuple(self.shape[one - 1] for one in layer.axes[1:])

    def reshaped(self, layer: Reshape):
        """Of a tensor that lies plain."""
        self.shape = tuple(int(one) for one in np.empty((1, *self.shape), bool).reshape(1, *layer.shape).shape[1:])
        self.axes = self.plain
        shape = self.building.constant(np.array([0, *self.shape]), f"{layer.name}_shape")
        self.building.add("Reshape", shape, name=layer.name)

    def pooled(self, layer, operator: str, **attributes):
        """The operator on each window of a tensor that lies as MAPS."""
        self.building.add(operator, name=layer.name, **window_attributes(layer.window), **attributes)
        self.windowed(layer.window, self.shape[2])

    def windowed(self, window: Window, channels: int):
        """The shape of what a window leaves."""
        self.shape = (*window.places(self.shape[:2]), channels)


def window_attributes(window: Window) -> dict:
    """Dilations only where there are some: onnxruntime cannot fuse average pools that say so."""
    (top, bottom), (left, right) = window.padding
    found = {"kernel_shape": window.kernel, "strides": window.stride, "pads": [top, left, bottom, right]}
    return found | ({"dilations": window.dilation} if window.dilation != (1, 1) else {})
