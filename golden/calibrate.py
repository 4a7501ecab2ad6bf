"""Scale and zero point from the least and the largest real value, as platforms choose them.

All of them first widen the range to hold zero. An empty range gives scale 1 and zero point 0 (TFLite: scale 0).
"""

import numpy as np

from .float_scale import round_real
from .quantize import code_range


def choose(scheme, lo, hi, fmt="int8", *, symmetric=False, narrow=False) -> tuple[float, int]:
    """(scale, zero point) for real values in [lo, hi] by a scheme of SCHEMES; the scale is a float32 number.

    symmetric: the range is [-m, m] for the larger magnitude m. Raises ValueError for an unknown scheme, for bounds that
    are not finite float32 numbers, and for what a scheme does not have.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"unknown scheme {scheme!r}; known are {', '.join(SCHEMES)}")
    lo, hi = np.minimum(np.float32(lo), np.float32(0)), np.maximum(np.float32(hi), np.float32(0))
    if not np.isfinite([lo, hi]).all():
        raise ValueError("a range must have finite ends")
    scale, zero_point = SCHEMES[scheme](lo, hi, *code_range(fmt, narrow), symmetric)
    return float(np.float32(scale)), int(zero_point)


def _tflite(lo, hi, code_lo, code_hi, symmetric):
    """In float64, the zero point from the end that loses less and ties away; symmetric in float32, m / largest code.

    Source: tensorflow/tensorflow lite/kernels/internal/quantization_util.h (ChooseQuantizationParams),
    lite/kernels/internal/reference/portable_tensor_utils.cc (PortableSymmetricQuantizeFloats).
    """
    if lo == hi:
        return 1.0, 0
    if symmetric:
        if code_lo >= 0:
            raise ValueError("tflite has no symmetric range for unsigned codes")
        return max(-lo, hi) / np.float32(code_hi), 0
    scale = (float(hi) - float(lo)) / (code_hi - code_lo)
    ends = [
        (abs(code) + abs(float(end) / scale), code - float(end) / scale) for code, end in ((code_lo, lo), (code_hi, hi))
    ]
    zero_point = ends[0][1] if ends[0][0] < ends[1][0] else ends[1][1]
    return scale, np.clip(round_real(zero_point, "half_away"), code_lo, code_hi)


def _onnx_dynamic(lo, hi, code_lo, code_hi, symmetric):
    """In float32 throughout; clipped before it is rounded, ties to even. Source: onnx/onnx, DynamicQuantizeLinear."""
    if symmetric:
        raise ValueError("onnx-dynamic has no symmetric range")
    if lo == hi:
        return 1.0, 0
    scale = (hi - lo) / np.float32(code_hi - code_lo)
    return scale, round_real(np.clip(np.float32(code_lo) - lo / scale, code_lo, code_hi), "half_even")


def _onnxruntime(lo, hi, code_lo, code_hi, symmetric):
    """In float64, kept as float32; ties to even. Source: microsoft/onnxruntime quantization/quant_utils.py."""
    if symmetric:
        lo, hi = -max(-lo, hi), max(-lo, hi)
    scale = (np.float64(hi) - np.float64(lo)) / (code_hi - code_lo)
    if scale < np.finfo(np.float32).tiny:
        return 1.0, 0
    exact = (code_lo + code_hi) / 2 if symmetric else code_lo - lo / scale
    return scale, round_real(exact, "half_even")


def _torch(lo, hi, code_lo, code_hi, symmetric):
    """In float32, never below float32's epsilon. Source: pytorch/pytorch ao/quantization/observer.py."""
    least = np.finfo(np.float32).eps
    if symmetric:
        scale = max(-lo, hi) / np.float32((code_hi - code_lo) / 2)
        return max(scale, least), 0 if code_lo < 0 else (code_lo + code_hi + 1) // 2
    scale = max((hi - lo) / np.float32(code_hi - code_lo), least)
    return scale, np.clip(code_lo - round_real(lo / scale, "half_even"), code_lo, code_hi)


SCHEMES = {"tflite": _tflite, "onnx-dynamic": _onnx_dynamic, "onnxruntime": _onnxruntime, "torch": _torch}
