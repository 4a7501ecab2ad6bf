"""FULLY_CONNECTED, CONV_2D and DEPTHWISE_CONV_2D of a TFLite file as products on an array."""

from dataclasses import replace
from math import prod

import numpy as np

from golden.checks import requantizer_of
from golden.derive import derived
from golden.formats import Integer
from golden.platform_sums import with_platform_sums
from golden.platform_table import PLATFORMS
from golden.spec import Spec
from golden.tensors import operands

from ..arrays import Array
from ..grid import Grid
from ..layers import Product
from ..shapes import Reshape, Window
from .model import Operator, Tensor
from .terms import bounds, check_kind, check_scales, check_shape, fused, grid, refusing_overflow, window

INT8 = Integer(8, signed=True)
BIAS_KINDS = {"INT8": "INT32", "INT16": "INT64"}
BIAS_BITS = (32, 48)
AT_A_TIME = 256
BIAS_SCALE = 0.02  # of a step of the output: what tensorflow/tflite-micro, kernels/kernel_util.cc, allows


def dense(operator: Operator, platform: str) -> list:
    """Layers of a FULLY_CONNECTED: the product, and what flattens each example for it."""
    x, w = operator.x, _constants(operator)[0]
    if (options := operator.options)["WeightsFormat"]:
        raise operator.refused("its weights must be in the default format")
    columns, depth = _weights_shape(operator, w, 2)
    outer = x.shape[:-1] if options["KeepNumDims"] else x.shape[:1]
    if prod(x.shape[len(outer) :]) != depth:
        raise operator.refused(f"its input ({x}) must have {depth} elements per row, not shape {list(x.shape)}")
    check_shape(operator, *outer, columns)
    per_channel = len(w.scale) > 1
    made = _product(operator, w.data.T, platform, per_channel, axis=0)
    return [made] if len(x.shape) == len(outer) + 1 else [Reshape(f"flatten_{operator.index}", (-1,)), made]


def convolution(operator: Operator, platform: str) -> list:
    """Layers of a CONV_2D, which scales per channel even where one scale is given."""
    x, w = operator.x, _constants(operator)[0]
    count, high, wide, channels = _weights_shape(operator, w, 4)
    taken = _window(operator, (high, wide), count)
    if x.shape[3] != channels:
        raise operator.refused(f"its weights ({w}) must have {x.shape[3]} channels, as its input has, not {channels}")
    columns = w.data.transpose(1, 2, 3, 0).reshape(-1, count)
    return [_product(operator, columns, platform, True, axis=0, taken=taken)]


def depthwise(operator: Operator, platform: str) -> list:
    """Layers of a DEPTHWISE_CONV_2D: channels of their own on the vector unit."""
    x, w = operator.x, _constants(operator)[0]
    one, high, wide, count = _weights_shape(operator, w, 4)
    taken = _window(operator, (high, wide), count)
    more = operator.options["DepthMultiplier"]
    if one != 1 or count != x.shape[3] * more:
        given = f"{list(w.shape)} with multiplier {more} for {x.shape[3]} channels"
        raise operator.refused(f"its weights ({w}) must be [1, H, W, channels * multiplier], not {given}")
    columns = w.data.reshape(-1, count)
    return [_product(operator, columns, platform, True, axis=3, taken=taken, depthwise=True)]


def _constants(operator) -> tuple[Tensor, Tensor | None]:
    """Weights and bias, of the types that belong to the activations."""
    w, bias, *others = (*operator.constants, None, None)[: max(len(operator.constants), 2)]
    if w is None or others:
        raise operator.refused(f"must have weights and perhaps a bias, not {len(operator.constants)} constants")
    check_kind(operator, "its input", operator.x, tuple(BIAS_KINDS))
    check_kind(operator, "its weights", w, ("INT8",))
    if bias is not None:
        check_kind(operator, "its bias", bias, (BIAS_KINDS[operator.x.kind],))
    return w, bias


def _weights_shape(operator, w, axes):
    if len(w.shape) != axes:
        raise operator.refused(f"its weights ({w}) must have {axes} axes, not {list(w.shape)}")
    return w.shape


def _window(operator, kernel, count) -> Window:
    found = window(operator, kernel, (operator.options["DilationHFactor"], operator.options["DilationWFactor"]))
    check_shape(operator, operator.x.shape[0], *found.places(operator.x.shape[1:3]), count)
    return found


def _product(operator, columns, platform, per_channel, *, axis, taken=None, depthwise=False) -> Product:
    """The product of a matrix of weights [K, N], int8."""
    x, y = grid(operator, "its input", operator.x), grid(operator, "its output", operator.output)
    if x.fmt != y.fmt:
        raise operator.refused(f"its output ({operator.output}) must be {operator.x.kind}, as its input is")
    columns = np.ascontiguousarray(columns)
    w = _weights_grid(operator, columns.shape[1], per_channel, axis)
    arrays = {"w": columns, **_bias(operator, x, w, y)}
    fields = Array().fields(columns.shape[1], depthwise=depthwise)
    with refusing_overflow(operator):
        spec = _spec(operator, fields, len(columns), platform, x, y, arrays)
        made = Product(operator.name, spec, arrays, x, w, y, taken)
        return _checked(made)


def _spec(operator, fields, depth, platform, x, y, arrays):
    activation = fused(operator)
    requantize = requantizer_of(PLATFORMS[platform])
    inside = requantize == "thresholds"
    spec = Spec(
        name=operator.name,
        activations=x.fmt,
        weights=INT8,
        depth=depth,
        a_zero_point=x.zero_point != 0,
        bias=None if inside or "bias" not in arrays else _bias_format(operator, arrays["bias"]),
        requantize=requantize,
        activation="none" if activation == "relu_n1_to_1" else activation,
        clip=bounds(activation, y) if activation == "relu_n1_to_1" else None,
        y_zero_point=not inside and y.zero_point != 0,
        output=y.fmt,
        platform=platform,
        **fields,
    )
    return with_platform_sums(spec)


def _weights_grid(operator, count, per_channel, axis) -> Grid:
    """The grid of the weights: one scale for all, or one for each of `count` columns; no zero point."""
    w = _constants(operator)[0]
    check_scales(operator, "its weights", w)
    if len(w.scale) not in (1, count):
        raise operator.refused(f"its weights ({w}) must have one scale or {count}, not {len(w.scale)}")
    if w.zero_point.any():
        first = int(np.flatnonzero(w.zero_point)[0])
        raise operator.refused(f"its weights ({w}) must have zero point 0, not {w.zero_point[first]} at [{first}]")
    if len(w.scale) > 1 and w.axis != axis:
        raise operator.refused(f"its weights ({w}) must have their scales along axis {axis}, not {w.axis}")
    return Grid(INT8, np.broadcast_to(w.scale, (count,)) if per_channel else w.scale[0])


def _bias(operator, x, w, y) -> dict:
    """The bias by its name in arrays, in units of the sums; nothing where there is none."""
    weights, bias = _constants(operator)
    if bias is None:
        return {}
    columns = operator.output.shape[-1]
    if bias.shape != (columns,):
        raise operator.refused(f"its bias ({bias}) must have shape [{columns}], not {list(bias.shape)}")
    check_scales(operator, "its bias", bias)
    if bias.zero_point.any():
        raise operator.refused(f"its bias ({bias}) must have zero point 0")
    if len(bias.scale) not in (0, 1, len(weights.scale)):
        raise operator.refused(f"its bias ({bias}) must have as many scales as the weights, not {len(bias.scale)}")
    expected = x.scale.astype(np.float64) * w.scale
    if len(bias.scale) and (abs(bias.scale - expected) > BIAS_SCALE * y.scale.astype(np.float64)).any():
        raise operator.refused(f"its bias ({bias}) must have the scales of activations times weights")
    return {"bias": bias.data.astype(np.int64)}


def _bias_format(operator, bias) -> Integer:
    """32 bits, or the 48 bits that sums of int16 have, where the values need them."""
    for width in BIAS_BITS:
        lo, hi = (fmt := Integer(width, signed=True)).code_range
        if lo <= bias.min() and bias.max() <= hi:
            return fmt
    raise operator.refused(f"its bias ({operator.constants[1]}) must have at most {BIAS_BITS[-1]} bits")


def _checked(product: Product) -> Product:
    """The product, its thresholds found where it has some. Raises ValueError where its scales make no design."""
    spec = product.spec
    one = np.full((1, len(product.arrays["w"])), product.x.zero_point)
    if spec.array == "vector":
        one = np.repeat(one[..., None], product.columns, axis=-1)
    if spec.requantize == "thresholds":
        product = replace(product, arrays={**product.arrays, "thresholds": _thresholds(product)})
    operands(spec, {**product.complete_arrays, "a": one})
    return product


def _thresholds(product: Product) -> np.ndarray:
    """The thresholds [N, T] of a product, a few columns at a time, as the search for them takes memory."""
    whole = {"y_zero_point": product.y.zero_point, **product.complete_arrays}
    parts = []
    for first in range(0, product.columns, AT_A_TIME):
        some = slice(first, first + AT_A_TIME)
        given = {name: value[some] if np.ndim(value) == 1 else value for name, value in whole.items() if name != "w"}
        count = min(AT_A_TIME, product.columns - first)
        parts.append(derived(product.spec, given, count)["thresholds"])
    return np.concatenate(parts)
