"""Other people's numerics, by name: an integer matrix product and its requantization exactly as a platform has them.

    PLATFORMS["tflite-micro"], ...      what each does, and where that is written
    derive       real scales -> the numbers that the platform stores
    requantize   sums -> output codes, with those numbers
    matmul       codes -> output codes
    average_pool, add, rescale, softmax, logistic

Scales are float32 numbers, as models store them. docs/platforms.md compares the platforms.
"""

from types import SimpleNamespace

import numpy as np

from . import fixed_point, float_scale, scale
from .addition import ADDS
from .effective import EFFECTIVE, checked
from .fixed_point import FIXED
from .formats import Integer, parse
from .mac import matmul as exact_matmul
from .platform_table import PLATFORMS, Platform
from .pooling import POOLS
from .rescaling import RESCALES
from .softmax import SOFTMAX, logistic_int8

__all__ = [
    "PLATFORMS",
    "Platform",
    "accumulate",
    "add",
    "average_pool",
    "derive",
    "logistic",
    "matmul",
    "requantize",
    "rescale",
    "softmax",
]

ACTIVATIONS = {None: (None, None), "relu": (0, None), "relu6": (0, 6), "relu_n1_to_1": (-1, 1)}
_INT16, _INT48 = Integer(16, signed=True), Integer(48, signed=True)


def platform(name) -> Platform:
    """The platform of that name. Raises ValueError for a name that no platform has."""
    if isinstance(name, Platform):
        return name
    if name not in PLATFORMS:
        raise ValueError(f"unknown platform {name!r}; known are {', '.join(PLATFORMS)}")
    return PLATFORMS[name]


def derive(name, *, a_scale, w_scale, y_scale) -> dict:
    """The numbers from which a platform scales sums, for float32 scales; w_scale is a scalar or [N].

    {"multiplier", "shift"} (int64, shift to the left, d = multiplier * 2**(shift - 31), for `mult16` 2**(shift - 15)),
    {"scale"} (float32 or float64) or {"product_scale", "y_scale"} (float32), each of the shape of w_scale.
    Raises ValueError where a scale is not positive or out of range, and for platforms that have no such rule.
    """
    p = platform(name)
    if p.effective is None:
        raise ValueError(f"{p.name} has no published rule from scales to what it multiplies with")
    scales = [checked(label, value) for label, value in (("a", a_scale), ("w", w_scale), ("y", y_scale))]
    if scales[0].ndim or scales[2].ndim or scales[1].ndim > 1:
        raise ValueError("a_scale and y_scale must be scalars and w_scale a scalar or [N]")
    if p.effective == "product":
        return {"product_scale": np.float32(scales[0] * scales[1]), "y_scale": np.float32(scales[2])}
    per_tensor = scales[1].ndim == 0
    d = EFFECTIVE[p.effective if per_tensor else p.effective_per_channel or p.effective](*scales)
    if p.scaling not in FIXED:
        return {"scale": d}
    return _encode(p, d)


def _encode(p, d):
    pairs = [fixed_point.encode(p, float(one)) for one in d.reshape(-1)]
    multiplier, shift = (np.array(column, np.int64).reshape(d.shape) for column in zip(*pairs, strict=True))
    return {"multiplier": multiplier, "shift": shift}


def accumulate(name, a, w, *, a_zero_point=0, w_zero_point=0, bias=0) -> np.ndarray:
    """Sums [M, N], int64, of codes a [M, K], w [K, N] less zero points (w_zero_point and bias scalar or [N]).

    Exact, or with the platform's overflow: wrapped to int32, or each pair of products of an unsigned and a signed byte
    saturated to int16.
    """
    p = platform(name)
    a, w = np.asarray(a, np.int64), np.asarray(w, np.int64)
    if p.accumulator == "pairs16":
        return _fit(p, _pairs(a, w, a_zero_point, w_zero_point) + np.asarray(bias, np.int64))
    return _fit(p, exact_matmul(a - a_zero_point, w - w_zero_point) + np.asarray(bias, np.int64))


def _pairs(a, w, a_zero_point, w_zero_point):
    """The sum of saturated pairs (k even, k odd) of raw codes; the zero points' part is exact."""
    if a.min() < 0 or a.max() > 255 or w.min() < -128 or w.max() > 127:
        raise ValueError("pairs saturate in products of uint8 activations and int8 weights; these codes are others")
    total = np.zeros((a.shape[0], w.shape[1]), np.int64)
    for k in range(0, a.shape[1], 2):
        total += _INT16.saturate(a[:, k : k + 2] @ w[k : k + 2])
    rows = a.sum(axis=1, keepdims=True)
    return total - a_zero_point * w.sum(axis=0) - w_zero_point * rows + a.shape[1] * a_zero_point * w_zero_point


def _fit(p, acc):
    if p.accumulator == "int64":
        return acc.astype(np.int64)
    held = _INT48.wrap(acc) if p.accumulator == "required48" else scale.wrap32(acc)
    if p.is_tosa and (acc != held).any():
        kind = p.accumulator.replace("required", "int")
        raise ValueError(f"a sum does not fit {kind}, which {p.name} leaves unpredictable")
    return held.astype(np.int64)


def requantize(
    name, acc, parameters, *, bias=0, y_zero_point=0, y_format="int8", activation=None, y_scale=None, clip=None
) -> np.ndarray:
    """Output codes, int64, for sums acc [..., N], with the parameters of `derive` or numbers taken from a model.

    bias is a scalar or [N] in units of the sum; `activation` one of ACTIVATIONS (it needs y_scale) and `clip` (lo, hi)
    codes bound the output further. Raises ValueError for what the platform has no rule for.
    """
    p = platform(name)
    bounds = _bounds(p, parse(y_format), activation, y_scale, y_zero_point, clip)
    acc = _fit(p, np.asarray(acc, np.int64) + np.asarray(bias, np.int64))
    if p.scaling is None:
        raise ValueError(f"{p.name} has no published rule for requantization")
    if p.scaling == "thresholds":
        return np.clip(_thresholds(parse(y_format).code_range, acc, y_zero_point, **parameters), *bounds)
    if p.zero_point == "before":
        real = _real(p, acc, parameters)
        return float_scale.round_clipped(real + real.dtype.type(y_zero_point), p.rounding, bounds)
    return np.clip(_scaled(p, acc, parameters) + y_zero_point, *bounds)


def _scaled(p, acc, parameters):
    """Sums scaled and rounded."""
    if p.scaling in FIXED:
        return fixed_point.fixed(p, acc, **parameters)
    if p.scaling == "shift_add":
        return fixed_point.shift_add(acc, **parameters)
    if p.scaling == "rndnu" and np.ndim(parameters["scale"]) == 0:
        return fixed_point.rndnu(acc, parameters["scale"])
    return float_scale.round_real(_real(p, acc, parameters), p.rounding)


def _real(p, acc, parameters):
    return getattr(float_scale, p.scaling_per_channel or p.scaling)(acc, **parameters)


def _thresholds(bounds, acc, y_zero_point, product_scale, y_scale):
    if np.any(y_zero_point):
        raise ValueError("finn has thresholds for zero point 0 only")
    return bounds[0] + float_scale.reached(acc, float_scale.thresholds(y_scale, bounds, product_scale))


def _bounds(p, fmt, activation, y_scale, y_zero_point, clip):
    lo, hi = fmt.code_range
    if activation not in ACTIVATIONS:
        raise ValueError(f"unknown activation {activation!r}; known are relu, relu6, relu_n1_to_1")
    if activation is not None:
        if not p.activations:
            raise ValueError(f"{p.name} has no fused activation; give its bounds as clip")
        if y_scale is None:
            raise ValueError("an activation needs y_scale")
        low, high = ACTIVATIONS[activation]
        lo = lo if low is None else max(lo, activation_code(low, y_scale, y_zero_point))
        hi = hi if high is None else min(hi, activation_code(high, y_scale, y_zero_point))
    if clip is not None:
        lo, hi = max(lo, clip[0]), min(hi, clip[1])
    return lo, hi


def activation_code(bound, y_scale, y_zero_point):
    """Zero point + float32 quotient, ties away. Source: tensorflow/tflite-micro kernel_util.cc."""
    return int(float_scale.round_real(np.float32(bound) / np.float32(y_scale), "half_away")) + y_zero_point


def matmul(
    name, a, w, *, a_scale, w_scale, y_scale, a_zero_point=0, w_zero_point=0, y_zero_point=0, bias=0, **output
) -> np.ndarray:
    """Output codes [M, N], int64, of codes a [M, K] and w [K, N]: accumulate, derive, requantize.

    Scales are float32; w_scale, w_zero_point and bias scalars or [N]. `output`: y_format, activation, clip of
    `requantize`.
    """
    parameters = derive(name, a_scale=a_scale, w_scale=w_scale, y_scale=y_scale)
    acc = accumulate(name, a, w, a_zero_point=a_zero_point, w_zero_point=w_zero_point, bias=bias)
    return requantize(name, acc, parameters, y_zero_point=y_zero_point, y_scale=y_scale, **output)


def average_pool(
    name,
    windows,
    *,
    x_scale=1.0,
    x_zero_point=0,
    y_scale=1.0,
    y_zero_point=0,
    x_format="int8",
    y_format="int8",
    clip=None,
) -> np.ndarray:
    """Output codes, int64, for windows [..., n] of the n codes that count; padding is left out.

    Raises ValueError where the platform has no rule, or where its rule does not allow the scales.
    """
    p = platform(name)
    if p.pool is None:
        raise ValueError(f"{p.name} has no rule for average pooling")
    given = _given(p, y_scale, y_zero_point, y_format)
    given.x_scale, given.x_zero_point, given.x_bits = x_scale, x_zero_point, parse(x_format).width
    y = POOLS[p.pool](np.asarray(windows, np.int64), given)
    return np.clip(y, *_bounds(p, parse(y_format), None, None, y_zero_point, clip))


def _given(p, y_scale, y_zero_point, y_format):
    width = parse(y_format).width
    return SimpleNamespace(platform=p, y_scale=y_scale, y_zero_point=y_zero_point, y_bits=width)


def add(
    name,
    x1,
    x2,
    *,
    x_scales,
    y_scale,
    x_zero_points=(0, 0),
    y_zero_point=0,
    y_format="int8",
    activation=None,
    clip=None,
) -> np.ndarray:
    """Output codes, int64, for the sum of two quantized tensors of codes with their own scales and zero points.

    All three have the width of y_format. Raises ValueError where the platform has no rule, for the operation or for
    codes of this width and these shapes.
    """
    p = platform(name)
    if p.add is None:
        raise ValueError(f"{p.name} has no rule for addition that is known to the bit")
    given = _given(p, y_scale, y_zero_point, y_format)
    given.x_scales, given.x_zero_points = x_scales, x_zero_points
    y = ADDS[p.add]((np.asarray(x1, np.int64), np.asarray(x2, np.int64)), given)
    return np.clip(y, *_bounds(p, parse(y_format), activation, y_scale, y_zero_point, clip))


def rescale(name, codes, *, x_scale, y_scale, x_zero_point=0, y_zero_point=0, y_format="int8", clip=None) -> np.ndarray:
    """Output codes, int64, for codes of another scale and zero point: TFLite's QUANTIZE of integers, TOSA's RESCALE.

    Raises ValueError where the platform has no rule, or leaves the result unpredictable.
    """
    p = platform(name)
    if p.rescale is None:
        raise ValueError(f"{p.name} has no rule for rescaling codes")
    given = _given(p, y_scale, y_zero_point, y_format)
    given.x_scale, given.x_zero_point = x_scale, x_zero_point
    y = RESCALES[p.rescale](np.asarray(codes, np.int64), given)
    return np.clip(y, *_bounds(p, parse(y_format), None, None, y_zero_point, clip))


def softmax(name, codes, *, x_scale, beta=1.0, x_format="int8") -> np.ndarray:
    """Output codes, int64, of exp(beta * x) over its sum along the last axis, for codes of x.

    Outputs have the format of x: int8 of scale 1/256 and zero point -128, int16 of scale 1/32768 and zero point 0.
    Raises ValueError where the platform has no rule, or where its rule does not allow the scale or the length.
    """
    p = platform(name)
    if p.softmax != x_format:
        raise ValueError(f"{p.name} has no rule for a softmax of {x_format} that is known to the bit")
    return SOFTMAX[x_format](codes, x_scale=x_scale, beta=beta)


def logistic(name, codes, *, x_scale, x_zero_point=0, x_format="int8") -> np.ndarray:
    """Output codes, int64, of 1 / (1 + exp(-x)), for codes of x: int8 of scale 1/256 and zero point -128.

    Raises ValueError where the platform has no rule, or where its rule does not allow the scale.
    """
    p = platform(name)
    if p.logistic != x_format:
        raise ValueError(f"{p.name} has no rule for a logistic function of {x_format} that is known to the bit")
    return logistic_int8(codes, x_scale=x_scale, x_zero_point=x_zero_point)
