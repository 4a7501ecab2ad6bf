"""Other people's numerics, by name: an integer matrix product and its requantization exactly as a platform has them.

    PLATFORMS["tflite-micro"], ...      what each does, and where that is written
    derive       real scales -> the numbers that the platform stores
    requantize   sums -> output codes, with those numbers
    matmul       codes -> output codes
    average_pool, add, rescale

Scales are float32 numbers, as models store them. docs/platforms.md compares the platforms.
"""

from types import SimpleNamespace

import numpy as np

from . import float_scale, pool_add, scale
from .formats import Integer, parse
from .mac import matmul as exact_matmul
from .platform_table import PLATFORMS, Platform
from .rounding import round_shift

__all__ = ["PLATFORMS", "Platform", "accumulate", "add", "average_pool", "derive", "matmul", "requantize", "rescale"]

FIXED = ("tflite", "double_half_up", "tflite_single", "mult16")
ACTIVATIONS = {None: (None, None), "relu": (0, None), "relu6": (0, 6), "relu_n1_to_1": (-1, 1)}
_INT16 = Integer(16, signed=True)
_MULT16_SHIFTS = (-31, 7)
_TOSA_SHIFTS = (-31, 29)


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
    scales = [_scale(label, value) for label, value in (("a", a_scale), ("w", w_scale), ("y", y_scale))]
    if scales[0].ndim or scales[2].ndim or scales[1].ndim > 1:
        raise ValueError("a_scale and y_scale must be scalars and w_scale a scalar or [N]")
    if p.effective == "product":
        return {"product_scale": np.float32(scales[0] * scales[1]), "y_scale": np.float32(scales[2])}
    per_tensor = scales[1].ndim == 0
    d = EFFECTIVE[p.effective if per_tensor else p.effective_per_channel or p.effective](*scales)
    if p.scaling not in FIXED:
        return {"scale": d}
    return _encode(p, d)


def _scale(label, value):
    value = np.asarray(value)
    value = value if value.dtype == np.float16 else value.astype(np.float32)
    if not (np.isfinite(value) & (value > 0)).all():
        raise ValueError(f"{label}_scale must be positive and finite")
    return value


def _encode(p, d):
    pairs = [scale.encode(float(one)) for one in d.reshape(-1)]
    multiplier, shift = (np.array(column, np.int64).reshape(d.shape) for column in zip(*pairs, strict=True))
    if p.scaling == "mult16":
        multiplier = np.array([scale.reduce_multiplier(m) for m, _ in pairs], np.int64).reshape(d.shape)
    return {"multiplier": multiplier, "shift": shift}


def _f32_chain(a, w, y):
    """a * w / y, rounded to the type of the scales (float32, or float16) after each step."""
    return a * w / y


def _f32_product(a, w, y):
    """float64(float32(a * w)) / y."""
    return np.float64(a * w) / np.float64(y)


def _f64(a, w, y):
    return np.float64(a) * np.float64(w) / np.float64(y)


EFFECTIVE = {"f32_chain": _f32_chain, "f32_product": _f32_product, "f64": _f64}


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
    if p.accumulator == "required32" and (acc != scale.wrap32(acc)).any():
        raise ValueError(f"a sum does not fit int32, which {p.name} leaves unpredictable")
    return scale.wrap32(acc).astype(np.int64)


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
    if p.scaling in FIXED:
        return np.clip(_fixed(p, acc, **parameters) + y_zero_point, *bounds)
    if p.scaling == "shift_add":
        return np.clip(_shift_add(acc, **parameters) + y_zero_point, *bounds)
    if p.scaling == "thresholds":
        return np.clip(_thresholds(parse(y_format).code_range, acc, y_zero_point, **parameters), *bounds)
    if p.scaling is None:
        raise ValueError(f"{p.name} has no published rule for requantization")
    real = getattr(float_scale, p.scaling)(acc, **parameters)
    if p.zero_point == "before":
        return float_scale.round_clipped(real + real.dtype.type(y_zero_point), p.rounding, bounds)
    return np.clip(float_scale.round_real(real, p.rounding) + y_zero_point, *bounds)


def _fixed(p, acc, multiplier, shift):
    lo, hi = _MULT16_SHIFTS if p.scaling == "mult16" else _TOSA_SHIFTS if p.is_tosa else scale.SHIFTS
    multiplier, shift = np.asarray(multiplier, np.int64), np.asarray(shift, np.int64)
    bits = 15 if p.scaling == "mult16" else scale.MULTIPLIER_BITS
    if (shift < lo).any() or (shift > hi).any():
        raise ValueError(f"shift must be {lo} to {hi} on {p.name}")
    if (multiplier < 0).any() or (multiplier >> bits).any():
        raise ValueError(f"multiplier must have at most {bits} bits and no sign on {p.name}")
    if p.is_tosa and (np.abs(2 * acc + 1) > 1 << (31 - shift)).any():
        raise ValueError(f"a sum is outside 2**(30 - shift), which {p.name} leaves unpredictable")
    if p.scaling == "mult16" and (np.abs(acc) >= 1 << 47).any():
        raise ValueError(f"a sum is outside 48 bits, which {p.name} does not scale")
    return getattr(scale, p.scaling)(acc, multiplier, shift)


def _shift_add(acc, multiplier, shift, add=0):
    """(acc * multiplier + add) / 2**shift to the right, ties up. Source: pulp-platform/Deeploy, RequantShift_s8.c."""
    product = acc * np.asarray(multiplier, np.int64) + np.asarray(add, np.int64)
    return round_shift(product, np.asarray(shift, np.int64), "half_up")


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
        lo = lo if low is None else max(lo, _activation_code(low, y_scale, y_zero_point))
        hi = hi if high is None else min(hi, _activation_code(high, y_scale, y_zero_point))
    if clip is not None:
        lo, hi = max(lo, clip[0]), min(hi, clip[1])
    return lo, hi


def _activation_code(bound, y_scale, y_zero_point):
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
    name, windows, *, x_scale=1.0, x_zero_point=0, y_scale=1.0, y_zero_point=0, y_format="int8", clip=None
) -> np.ndarray:
    """Output codes, int64, for windows [..., n] of the n codes that count; padding is left out.

    Raises ValueError where the platform has no rule, or where its rule does not allow the scales.
    """
    p = platform(name)
    if p.pool is None:
        raise ValueError(f"{p.name} has no rule for average pooling")
    given = SimpleNamespace(x_scale=x_scale, x_zero_point=x_zero_point, y_scale=y_scale, y_zero_point=y_zero_point)
    y = pool_add.POOLS[p.pool](np.asarray(windows, np.int64), given)
    return np.clip(y, *_bounds(p, parse(y_format), None, None, y_zero_point, clip))


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

    Raises ValueError where the platform has no rule.
    """
    p = platform(name)
    if p.add is None:
        raise ValueError(f"{p.name} has no rule for addition that is known to the bit")
    fmt = parse(y_format)
    given = SimpleNamespace(
        x_scales=x_scales, x_zero_points=x_zero_points, y_scale=y_scale, y_zero_point=y_zero_point, y_bits=fmt.width
    )
    y = pool_add.ADDS[p.add]((np.asarray(x1, np.int64), np.asarray(x2, np.int64)), given)
    return np.clip(y, *_bounds(p, fmt, activation, y_scale, y_zero_point, clip))


def rescale(name, codes, *, x_scale, y_scale, x_zero_point=0, y_zero_point=0, y_format="int8", clip=None) -> np.ndarray:
    """Output codes, int64, for codes of another scale and zero point: TFLite's QUANTIZE from integers to integers.

    Raises ValueError where the platform has no rule.
    """
    p = platform(name)
    if p.rescale is None:
        raise ValueError(f"{p.name} has no rule for rescaling codes")
    given = SimpleNamespace(x_scale=x_scale, x_zero_point=x_zero_point, y_scale=y_scale, y_zero_point=y_zero_point)
    y = pool_add.RESCALES[p.rescale](np.asarray(codes, np.int64), given)
    return np.clip(y, *_bounds(p, parse(y_format), None, None, y_zero_point, clip))
