"""Real values to codes and back, and the choice of scale and zero point, as platforms do each.

    code = saturate(round(x / scale) + zero_point),    x' = (code - zero_point) * scale

In the float type of the scale (float32 unless it is float16), each operation rounded, as platforms have it. Infinities
and quotients too large for any integer saturate; NaN raises ValueError, though platforms give it some code: 0 on x86
for unsigned formats and the least code for signed ones.
"""

from dataclasses import dataclass

import numpy as np

from .float_scale import round_real
from .formats import Integer, parse
from .minifloat import MINIFLOATS

QONNX_ROUNDINGS = {
    "ROUND": "half_even",
    "HALF_EVEN": "half_even",
    "CEIL": "ceil",
    "FLOOR": "floor",
    "UP": ("ceil", "floor"),
    "DOWN": "toward_zero",
    "HALF_UP": "half_away",
    "HALF_DOWN": ("half_down", "half_up"),
}
BREVITAS_ROUNDINGS = {
    "ROUND": "half_even",
    "CEIL": "ceil",
    "FLOOR": "floor",
    "ROUND_TO_ZERO": "toward_zero",
    "DPU_ROUND": "dpu",
}


@dataclass(frozen=True)
class Quantizer:
    """How a platform turns a real value into a code; `quantize` explains the fields."""

    source: str
    rounding: str = "half_even"
    reciprocal: bool = False
    zero_point_first: bool = False
    fused: bool = False


QUANTIZERS = {
    "onnx": Quantizer("onnx/onnx: QuantizeLinear; microsoft/onnxruntime: mlas/lib/quantize.cpp"),
    "tflite-reference": Quantizer("tensorflow/tflite-micro: reference/quantize.h", rounding="half_away"),
    "litert": Quantizer("google/XNNPACK: f32-qs8-vcvt; ai-edge-litert 2.3.0 (by experiment)", reciprocal=True),
    "qonnx": Quantizer("fastmachinelearning/qonnx: custom_op/general/quant.py", zero_point_first=True),
    "torch": Quantizer(
        "pytorch/pytorch: quantize_per_tensor on x86, torch 2.13.0 (fused by experiment)",
        reciprocal=True,
        zero_point_first=True,
        fused=True,
    ),
    "torch-fake": Quantizer("pytorch/pytorch: fake_quantize_per_tensor_affine", reciprocal=True),
}


def code_range(fmt, narrow=False):
    """(lo, hi) of an integer format; narrow leaves out the least code if signed, the largest if not (as QONNX does)."""
    fmt = parse(fmt) if isinstance(fmt, str) else fmt
    if not isinstance(fmt, Integer) or fmt.fraction:
        raise ValueError(f"codes must be integers, not {fmt}")
    lo, hi = fmt.code_range
    return (lo + (narrow and fmt.signed), hi - (narrow and not fmt.signed))


def quantize(
    x,
    scale,
    zero_point: int | np.ndarray = 0,
    fmt="int8",
    *,
    axis=None,
    block=None,
    narrow=False,
    rounding: str | tuple[str, str] = "half_even",
    reciprocal=False,
    zero_point_first=False,
    fused=False,
) -> np.ndarray:
    """Codes, int64, of real x: saturate(round(x / scale) + zero_point).

    scale and zero_point are scalars; with `axis` [D], one for each index of that axis; with `axis` and `block` of the
    shape of x but ceil(D / block) on the axis, one for each block of it.
    `reciprocal`: x * (1 / scale) instead. `zero_point_first`: the zero point, as a float, is added before rounding;
    `fused` to a product that was not rounded before (the sum is taken in float64, exact for quotients above 8).
    Raises ValueError for NaN, scales that are not positive and finite, and shapes that do not fit.
    """
    scale, zero_point = _spread(x, scale, zero_point, axis, block)
    x = np.asarray(x).astype(scale.dtype)
    with np.errstate(over="ignore"):
        inverse = scale.dtype.type(1) / scale
        ratio = x * inverse if reciprocal else x / scale
        if fused:
            codes = round_real((x.astype(np.float64) * inverse + zero_point).astype(scale.dtype), rounding)
        elif zero_point_first:
            codes = round_real(ratio + zero_point.astype(scale.dtype), rounding)
        else:
            codes = round_real(ratio, rounding) + zero_point
    return np.clip(codes, *code_range(fmt, narrow))


def quantize_as(platform, x, scale, zero_point=0, fmt="int8", **where) -> np.ndarray:
    """`quantize` by a row of QUANTIZERS; `where` is axis, block and narrow. Raises ValueError for an unknown name."""
    if platform not in QUANTIZERS:
        raise ValueError(f"unknown quantizer {platform!r}; known are {', '.join(QUANTIZERS)}")
    q = QUANTIZERS[platform]
    how = {"rounding": q.rounding, "reciprocal": q.reciprocal, "zero_point_first": q.zero_point_first, "fused": q.fused}
    return quantize(x, scale, zero_point, fmt, **how, **where)


def dequantize(codes, scale, zero_point=0, *, axis=None, block=None) -> np.ndarray:
    """(codes - zero_point) * scale in the float type of the scale; scale and zero_point as in `quantize`."""
    scale, zero_point = _spread(codes, scale, zero_point, axis, block)
    return (np.asarray(codes, np.int64) - zero_point).astype(scale.dtype) * scale


def quantize_float(x, scale, fmt, *, axis=None, block=None, saturate=True) -> np.ndarray:
    """Codes, int64, of x / scale + 0 in a format of golden.minifloat, by name; scale as in `quantize`.

    The zero point is zero, as ONNX's QuantizeLinear wants it, but is added all the same: minus zero becomes zero.
    Raises ValueError for what MiniFloat.encode refuses.
    """
    scale, _ = _spread(x, scale, 0, axis, block)
    return _minifloat(fmt).encode(np.asarray(x).astype(scale.dtype) / scale + 0, saturate=saturate)


def dequantize_float(codes, scale, fmt, *, axis=None, block=None) -> np.ndarray:
    """The values of codes of a format of golden.minifloat, times scale, in the float type of the scale."""
    scale, _ = _spread(codes, scale, 0, axis, block)
    return _minifloat(fmt).value(codes).astype(scale.dtype) * scale


def _minifloat(name):
    if name not in MINIFLOATS:
        raise ValueError(f"unknown format {name!r}; known are {', '.join(MINIFLOATS)}")
    return MINIFLOATS[name]


def _spread(x, scale, zero_point, axis, block):
    """Scale and zero point, broadcast against x."""
    shape, scale = np.shape(x), np.asarray(scale)
    scale = scale if scale.dtype == np.float16 else scale.astype(np.float32)
    if not (np.isfinite(scale) & (scale > 0)).all():
        raise ValueError("scale must be positive and finite")
    zero_point = np.asarray(zero_point, np.int64)
    return _spread_one("scale", scale, shape, axis, block), _spread_one("zero_point", zero_point, shape, axis, block)


def _spread_one(name, value, shape, axis, block):
    if value.size == 1:
        return value.reshape(())
    if axis is None:
        raise ValueError(f"{name} must be a scalar where there is no axis, not of shape {list(value.shape)}")
    depth = shape[axis]
    if block is None:
        wanted, rest = (depth,), len(shape) - 1 - axis % len(shape)
        spread = value.reshape(value.shape + (1,) * rest)
    else:
        blocks = list(shape)
        blocks[axis] = -(-depth // block)
        wanted = tuple(blocks)
        spread = np.repeat(value, block, axis=axis).take(range(depth), axis=axis) if value.shape == wanted else value
    if value.shape != wanted:
        raise ValueError(f"{name} must be a scalar or have shape {list(wanted)}, not {list(value.shape)}")
    return spread
