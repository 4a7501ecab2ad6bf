"""Layers that move elements or choose among them, and compute nothing: the same for codes and for real numbers."""

from dataclasses import dataclass

import numpy as np

from golden.depthwise import windows


@dataclass(frozen=True)
class Window:
    """How a kernel moves over a map [B, H, W, C]; sizes are (down, across), padding ((top, bottom), (left, right))."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))

    def taken(self, x, pad: float = 0) -> np.ndarray:
        """What each window covers, [B, OH, OW, places, C], places in the order of the kernel [KH, KW]; `pad` beyond.

        Raises ValueError for x that is no map, or smaller than one window.
        """
        x = np.asarray(x)
        if x.ndim != 4:
            raise ValueError(f"x must have shape [B, H, W, C], not {list(x.shape)}")
        batch, channels = x.shape[0], x.shape[3]
        flat = np.moveaxis(x, 0, 2).reshape(*x.shape[1:3], batch * channels)
        options = {"stride": self.stride, "dilation": self.dilation, "padding": self.padding}
        taken = windows(flat, self.kernel, **options, pad_code=pad)
        return np.moveaxis(taken.reshape(*self.places(x.shape[1:3]), -1, batch, channels), 3, 0)

    def places(self, size) -> tuple[int, int]:
        """(OH, OW): windows down and across a map of size (H, W)."""
        sides = zip(size, self.kernel, self.stride, self.dilation, self.padding, strict=True)
        down, across = ((n + sum(around) - (k - 1) * d - 1) // s + 1 for n, k, s, d, around in sides)
        return down, across


@dataclass(frozen=True)
class MaxPool:
    """The largest of each window of a map [B, H, W, C]; padding counts as less than anything."""

    name: str
    window: Window

    def run(self, x) -> np.ndarray:
        x = np.asarray(x)
        least = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
        return self.window.taken(x, least).max(axis=3)


@dataclass(frozen=True)
class Transpose:
    """Axes in another order; the batch stays first."""

    name: str
    axes: tuple[int, ...]

    def run(self, x) -> np.ndarray:
        return np.transpose(x, self.axes)


@dataclass(frozen=True)
class Reshape:
    """Each example in another shape, the elements in the same order: (-1,) flattens."""

    name: str
    shape: tuple[int, ...]

    def run(self, x) -> np.ndarray:
        return np.reshape(x, (len(x), *self.shape))


Shape = MaxPool | Transpose | Reshape
