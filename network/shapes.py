"""Layers that move elements or choose among them, and compute nothing: the same for codes and for real numbers."""

from dataclasses import dataclass, replace

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

    @property
    def reach(self) -> tuple[int, int]:
        """How many places there are from its first to its last one."""
        down, across = ((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))
        return down, across

    def padded(self, size) -> tuple[int, int]:
        """Places of a map of size (H, W) with its padding."""
        down, across = (n + sum(around) for n, around in zip(size, self.padding, strict=True))
        return down, across

    def places(self, size) -> tuple[int, int]:
        """(OH, OW): windows down and across a map of size (H, W)."""
        sides = zip(self.padded(size), self.reach, self.stride, strict=True)
        down, across = ((n - reach) // s + 1 for n, reach, s in sides)
        return down, across

    def covering(self, size) -> "Window":
        """The same with the padding that ceil(size / stride) windows need; an odd one goes behind the map."""
        sides = zip(size, self.stride, self.reach, strict=True)
        down, across = (max((-(-n // stride) - 1) * stride + reach - n, 0) for n, stride, reach in sides)
        return replace(self, padding=((down // 2, down - down // 2), (across // 2, across - across // 2)))


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
