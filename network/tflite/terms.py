"""What tensors and options of a TFLite operator stand for: grids, windows, bounds of activations."""

from contextlib import contextmanager
from math import prod

import numpy as np
import tflite

from golden.formats import Integer
from golden.platforms import activation_code

from ..grid import Grid
from ..layers import BOUNDS
from ..shapes import Window
from ..unsupported import refusing
from .model import Operator, Tensor

MOST_TAKEN = 1 << 25
FORMATS = {"INT8": Integer(8, signed=True), "INT16": Integer(16, signed=True), "UINT8": Integer(8, signed=False)}
FUSED = {
    tflite.ActivationFunctionType.NONE: "none",
    tflite.ActivationFunctionType.RELU: "relu",
    tflite.ActivationFunctionType.RELU6: "relu6",
    tflite.ActivationFunctionType.RELU_N1_TO_1: "relu_n1_to_1",
}
_BOUNDS = {**BOUNDS, "relu_n1_to_1": (-1, 1)}


@contextmanager
def refusing_overflow(operator: Operator):
    """What golden refuses, and numbers that overflow, is refused for the operator."""
    try:
        with refusing(operator), np.errstate(over="raise", divide="raise", invalid="raise"):
            yield
    except (FloatingPointError, OverflowError) as error:
        raise operator.refused("its scales are too large or too small together") from error


def check_kind(operator: Operator, what: str, tensor: Tensor, kinds):
    """Raises Unsupported unless a tensor has one of these types."""
    if tensor.kind not in kinds:
        raise operator.refused(f"{what} ({tensor}) must be {' or '.join(kinds)}, not {tensor.kind}")


def check_scales(operator: Operator, what: str, tensor: Tensor):
    """Raises Unsupported unless all scales are positive and finite, and there are as many zero points."""
    if len(tensor.scale) != len(tensor.zero_point):
        counts = f"{len(tensor.scale)} and {len(tensor.zero_point)}"
        raise operator.refused(f"{what} ({tensor}) must have as many scales as zero points, not {counts}")
    wrong = ~(np.isfinite(tensor.scale) & (tensor.scale > 0))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise operator.refused(f"{what} ({tensor}) must have positive scales, not {tensor.scale[first]} at [{first}]")


def grid(operator: Operator, what: str, tensor: Tensor, kinds=("INT8", "INT16")) -> Grid:
    """The grid of activations: one scale, and one zero point, which is 0 in 16 bits. Raises Unsupported."""
    check_kind(operator, what, tensor, kinds)
    check_scales(operator, what, tensor)
    if len(tensor.scale) != 1:
        raise operator.refused(f"{what} ({tensor}) must have one scale, not {len(tensor.scale)}")
    fmt, zero_point = FORMATS[tensor.kind], int(tensor.zero_point[0])
    lo, hi = (0, 0) if tensor.kind == "INT16" else fmt.code_range
    if not lo <= zero_point <= hi:
        raise operator.refused(f"{what} ({tensor}) must have a zero point of {lo} to {hi}, not {zero_point}")
    return Grid(fmt, tensor.scale[0], zero_point)


def same_grid(operator: Operator) -> Grid:
    """The grid that input and output share. Raises Unsupported where they do not."""
    x, y = grid(operator, "its input", operator.x), grid(operator, "its output", operator.output)
    if not x.equals(y):
        raise operator.refused("must have the same type, scale and zero point at its input and its output")
    return x


def fused(operator: Operator) -> str:
    """The fused activation: none, relu, relu6 or relu_n1_to_1. Raises Unsupported for others."""
    number = operator.options["FusedActivationFunction"]
    if number not in FUSED:
        raise operator.refused(f"its fused activation must be {', '.join(FUSED.values())}, not number {number}")
    return FUSED[number]


def bounds(activation: str, y: Grid) -> tuple[int, int]:
    """(least, largest) code that an activation leaves."""
    lo, hi = y.fmt.code_range
    low, high = _BOUNDS[activation]
    lo = max(lo, activation_code(low, y.scale, y.zero_point)) if low > -np.inf else lo
    return lo, min(hi, activation_code(high, y.scale, y.zero_point)) if high < np.inf else hi


def window(operator: Operator, kernel: tuple[int, int], dilation: tuple[int, int] = (1, 1)) -> Window:
    """How a kernel (down, across) moves over a map [B, H, W, C]. Raises Unsupported for sizes that make no sense."""
    x, options = operator.x, operator.options
    stride = options["StrideH"], options["StrideW"]
    for what, pair in (("kernel", kernel), ("stride", stride), ("dilation", dilation)):
        if min(pair) < 1:
            raise operator.refused(f"its {what} must be positive, not {pair[0]} x {pair[1]}")
    if len(x.shape) != 4:
        raise operator.refused(f"its input ({x}) must be a map of 4 axes, not {list(x.shape)}")
    if (padding := options["Padding"]) not in (tflite.Padding.SAME, tflite.Padding.VALID):
        raise operator.refused(f"its padding must be SAME or VALID, not number {padding}")
    size, bare = x.shape[1:3], Window(kernel, stride, dilation)
    found = bare.covering(size) if padding == tflite.Padding.SAME else bare
    for places, reach, whole in zip(size, found.reach, found.padded(size), strict=True):
        if reach > whole:
            raise operator.refused(f"its kernel reaches over {reach} places of {places}")
    if max(prod(found.padded(size)), prod(found.places(size)) * prod(kernel)) * x.shape[3] > MOST_TAKEN:
        raise operator.refused(f"its windows must cover at most {MOST_TAKEN} elements of an example")
    return found


def check_shape(operator: Operator, *shape):
    """Raises Unsupported unless the output has this shape."""
    if operator.output.shape != shape:
        own = list(operator.output.shape)
        raise operator.refused(f"its output ({operator.output}) must have shape {list(shape)}, not {own}")
