"""Depthwise convolutions as products that keep channels apart: y[m, n] = sum_k a[m, k, n] * w[k, n]."""

import numpy as np


def windows(x, kernel, *, stride=1, dilation=1, padding=0, pad_code: float = 0):
    """The activations a [M, K, C] of a depthwise convolution over a feature map x [H, W, C].

    Row m = i * (output width) + j holds the window whose first place is (i, j) * stride; k = u * (kernel width) + v is
    place (u, v) * dilation within it. kernel [kh, kw, C] reshaped to [kh * kw, C] are the weights, and y [M, C]
    reshaped to [output height, output width, C] is the result.

    kernel : (height, width). stride, dilation : an integer, or (down, across). padding : an integer, or (down, across),
    or ((top, bottom), (left, right)): rows and columns of `pad_code`, which is the zero point for a padding of zero.

    The codes keep their dtype. Raises ValueError for a map that is not [H, W, C] or smaller than one window, and for
    sizes that are not positive.
    """
    x = np.asarray(x)
    if x.ndim != 3:
        raise ValueError(f"x must have shape [H, W, C], not {list(x.shape)}")
    sides = padding if isinstance(padding, tuple | list) and len(padding) == 2 else (padding, padding)
    around = [_two(side, "padding", least=0) for side in sides]
    x = np.pad(x, (*around, (0, 0)), constant_values=pad_code)
    steps = zip(_two(kernel, "kernel"), _two(stride, "stride"), _two(dilation, "dilation"), strict=True)
    down, across = (_places(size, *step) for size, step in zip(x.shape[:2], steps, strict=True))
    taken = x[down[:, None, :, None], across[None, :, None, :]]
    return taken.reshape(len(down) * len(across), down.shape[1] * across.shape[1], x.shape[2])


def _places(size, kernel, stride, dilation):
    """Index of each place of each window along one direction, [windows, kernel]."""
    reach = (kernel - 1) * dilation + 1
    if size < reach:
        raise ValueError(f"x with its padding has {size} places where a window reaches over {reach}")
    starts = np.arange(0, size - reach + 1, stride)
    return starts[:, None] + np.arange(kernel) * dilation


def _two(value, name, least=1):
    """A value for each of two directions or sides: two that are given, or one twice."""
    both = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(both) != 2 or any(type(one) is not int or one < least for one in both):
        raise ValueError(f"{name} must be one or two integers of at least {least}, not {value!r}")
    return both
