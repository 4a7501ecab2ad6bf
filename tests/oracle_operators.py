"""ONNX's quantization operators in terms of golden: functions of the node's attributes (a dict) and its inputs."""

import numpy as np

from golden import platforms
from golden.calibrate import choose
from golden.formats import parse
from golden.minifloat import MINIFLOATS, decode_e8m0, encode_e8m0
from golden.quantize import dequantize, dequantize_float, quantize, quantize_float

OUTPUT_TYPES = {2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 21: "uint4", 22: "int4"}
OUTPUT_TYPES |= {17: "float8_e4m3fn", 18: "float8_e4m3fnuz", 19: "float8_e5m2", 20: "float8_e5m2fnuz"}
OUTPUT_TYPES |= {23: "float4_e2m1fn", 24: "float8_e8m0fnu", 25: "uint2", 26: "int2", 1: "float32", 10: "float16"}


def codes_of(array):
    """int64 codes of an array of ONNX's small types; other arrays as they are."""
    array = np.asarray(array)
    if array.dtype.name in (*MINIFLOATS, "float8_e8m0fnu"):
        return array.view(np.uint8).astype(np.int64)
    return array if array.dtype.kind in "fiub" else array.astype(np.int64)


def values_of(array):
    """What the numbers of an array stand for."""
    name = np.asarray(array).dtype.name
    if name in MINIFLOATS:
        return MINIFLOATS[name].value(codes_of(array))
    return decode_e8m0(codes_of(array)) if name == "float8_e8m0fnu" else codes_of(array)


def cast(given, x):
    name, values = OUTPUT_TYPES[given["to"]], values_of(x)
    if name in MINIFLOATS:
        minus_zero = 8 if name == "float4_e2m1fn" else None  # ml_dtypes' code for NaN where there is none
        return MINIFLOATS[name].encode(values, saturate=bool(given.get("saturate", 1)), nan=minus_zero)
    if name == "float8_e8m0fnu":
        return encode_e8m0(values, rounding=given["round_mode"].decode())
    if name.startswith("float"):
        return values.astype(name)
    return parse(name).wrap(np.trunc(values).astype(np.int64))


def where(scale, given):
    """axis and block of a QuantizeLinear or DequantizeLinear node."""
    if scale.size == 1:
        return {}
    return {"axis": given.get("axis", 1), "block": given.get("block_size") or None}


def quantize_linear(given, x, scale, zero_point=None):
    fmt = OUTPUT_TYPES[given["output_dtype"]] if zero_point is None else zero_point.dtype.name
    if fmt in MINIFLOATS:
        return quantize_float(x, scale, fmt, saturate=bool(given.get("saturate", 1)), **where(scale, given))
    zero_point = 0 if zero_point is None else zero_point.astype(np.int64)
    return quantize(x, scale, zero_point, fmt, **where(scale, given))


def dequantize_linear(given, x, scale, zero_point=None):
    if x.dtype.name in MINIFLOATS:
        return dequantize_float(codes_of(x), scale, x.dtype.name, **where(scale, given))
    zero_point = np.zeros((), np.int64) if zero_point is None else zero_point.astype(np.int64)
    return dequantize(x.astype(np.int64), scale, zero_point, **where(scale, given))


def dynamic_quantize_linear(given, x):
    scale, zero_point = choose("onnx-dynamic", x.min(), x.max(), "uint8")
    return quantize(x, scale, zero_point, "uint8"), np.float32(scale), zero_point


def q_linear_matmul(given, a, a_scale, a_zero, w, w_scale, w_zero, y_scale, y_zero):
    batch = a.reshape(-1, *a.shape[-2:])
    weights = np.broadcast_to(w, (*a.shape[:-2], *w.shape[-2:])).reshape(-1, *w.shape[-2:])
    rows = [
        platforms.matmul(
            "onnxruntime",
            x,
            y,
            a_scale=a_scale.reshape(()),
            w_scale=w_scale.reshape(()),
            y_scale=y_scale.reshape(()),
            a_zero_point=int(a_zero.item()),
            w_zero_point=int(w_zero.item()),
            y_zero_point=int(y_zero.item()),
            y_format=y_zero.dtype.name,
        )
        for x, y in zip(batch, weights, strict=True)
    ]
    return np.array(rows).reshape(*a.shape[:-1], w.shape[-1])


def matmul_integer(given, a, w, a_zero, w_zero):
    return platforms.accumulate("onnxruntime", a, w, a_zero_point=a_zero.astype(int), w_zero_point=w_zero.astype(int))


def columns(x, kernel, pads, zero_point):
    """im2col: rows [positions, C * kh * kw] of x [1, C, H, W] padded with its zero point, and (height, width)."""
    x = np.pad(x[0].astype(np.int64), ((0, 0), (pads[0], pads[2]), (pads[1], pads[3])), constant_values=zero_point)
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(1, 2))
    height, width = windows.shape[1:3]
    return windows.transpose(1, 2, 0, 3, 4).reshape(height * width, -1), (height, width)


def conv_integer(given, x, w, x_zero, w_zero=0):
    rows, size = columns(x, w.shape[2:], given.get("pads", (0, 0, 0, 0)), x_zero.item())
    acc = platforms.accumulate(
        "onnxruntime",
        rows,
        w.reshape(len(w), -1).T,
        a_zero_point=x_zero.item(),
        w_zero_point=np.asarray(w_zero).astype(np.int64),
    )
    return acc.T.reshape(1, len(w), *size)


def q_linear_conv(given, x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero):
    rows, size = columns(x, w.shape[2:], (0, 0, 0, 0), x_zero.item())
    y = platforms.matmul(
        "onnxruntime",
        rows,
        w.reshape(len(w), -1).T,
        a_scale=x_scale,
        w_scale=w_scale.reshape(-1),
        y_scale=y_scale,
        a_zero_point=x_zero.item(),
        w_zero_point=w_zero.astype(np.int64),
        y_zero_point=y_zero.item(),
        y_format=y_zero.dtype.name,
    )
    return y.T.reshape(1, len(w), *size)


OPERATORS = {
    "Cast": cast,
    "QuantizeLinear": quantize_linear,
    "DequantizeLinear": dequantize_linear,
    "DynamicQuantizeLinear": dynamic_quantize_linear,
    "QLinearMatMul": q_linear_matmul,
    "MatMulInteger": matmul_integer,
    "ConvInteger": conv_integer,
    "QLinearConv": q_linear_conv,
}
