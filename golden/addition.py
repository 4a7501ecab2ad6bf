"""Addition of two quantized tensors with scales and zero points of their own, by the rules that platforms have for it.

Each rule takes int64 codes x = (x1, x2) and gives integers before the clip to the output format.
"""

import math

import numpy as np

from . import scale
from .fixed_point import encode, fixed
from .float_scale import round_real
from .fused import fused_multiply_add
from .rounding import round_shift

_LEFT_SHIFT = {8: 20, 16: 15}
_RUY_LANES = 16
_XNNPACK_BITS = 20


def _left_shift(given):
    if given.y_bits not in _LEFT_SHIFT:
        raise ValueError(f"{given.platform.name} adds codes of 8 or 16 bits, not {given.y_bits}")
    return _LEFT_SHIFT[given.y_bits]


def _only_bytes(given):
    if given.y_bits != 8:
        raise ValueError(f"{given.platform.name} adds codes of 8 bits, not {given.y_bits}")


def _scales(given):
    """float64 (s1 / twice, s2 / twice), twice / sy for float32 scales; twice is 2 * max(s1, s2)."""
    s1, s2, sy = (float(np.float32(s)) for s in (*given.x_scales, given.y_scale))
    twice = 2 * max(s1, s2)
    return (s1 / twice, s2 / twice), twice / sy


def _encode_below_one(d):
    multiplier, shift = scale.encode(d)
    if shift > 0:
        raise ValueError("y_scale is too small: its quotient must be below one")
    return multiplier, shift


def add_tflite(x, given) -> np.ndarray:
    """Both operands scaled to a common grid of 2**-20 (int16: 2**-15) of twice the larger scale, summed, scaled back.

    Three fixed-point scalings by gemmlowp's double rounding, from float64 quotients of float32 scales.
    Sources: tensorflow/tflite-micro micro/kernels/add_common.cc, ARM-software/CMSIS-NN arm_elementwise_add_s8.c.
    """
    left = _left_shift(given)
    quotients, back = _scales(given)
    total = sum(
        scale.tflite((codes - zero_point) << left, *scale.encode(quotient))
        for codes, zero_point, quotient in zip(x, given.x_zero_points, quotients, strict=True)
    )
    return scale.tflite(total, *_encode_below_one(back / (1 << left))) + given.y_zero_point


def add_ruy(x, given) -> np.ndarray:
    """As `add_tflite`, but operands are rounded once, and the sum wraps at 16 bits before and after its zero point.

    So in groups of 16 elements, shifted to the left before the multiplication by what their scalings leave to shift;
    the last size % 16 elements are `add_tflite`. Raises ValueError unless both tensors have one shape.
    Source: google-ai-edge/LiteRT tflite/kernels/internal/optimized/integer_ops/add.h, AddElementwiseInt8.
    """
    _only_bytes(given)
    if x[0].shape != x[1].shape:
        raise ValueError(f"{given.platform.name} has a rule for tensors of one shape, not for broadcasting")
    x = tuple(codes.reshape(-1) for codes in x)
    whole = x[0].size - x[0].size % _RUY_LANES
    y = [_add_ruy_lanes([codes[:whole] for codes in x], given), add_tflite([codes[whole:] for codes in x], given)]
    return np.concatenate(y)


def _add_ruy_lanes(x, given):
    quotients, back = _scales(given)
    left = _LEFT_SHIFT[8]
    total = np.zeros(x[0].size, np.int64)
    for codes, zero_point, quotient in zip(x, given.x_zero_points, quotients, strict=True):
        multiplier, shift = scale.encode(quotient)
        shifted = (codes - zero_point) << max(left + shift, 0) >> max(-left - shift, 0)
        total += scale.doubling_high_multiply(shifted, multiplier)
    y = scale.tflite(total, *_encode_below_one(back / (1 << left)))
    return _wrap16(_wrap16(y) + given.y_zero_point)


def _wrap16(value):
    return value.astype(np.int16).astype(np.int64)


def add_tosa(x, given) -> np.ndarray:
    """As `add_tflite`, each scaling a RESCALE with the platform's rounding, and ADD for the sum.

    The legalization shifts an operand to the left and rescales it, or does both in one RESCALE, which is the same.
    Raises ValueError for zero points of 16-bit codes, which TOSA does not have.
    Source: tensorflow/tensorflow compiler/mlir/tosa/transforms/legalize_tfl.cc, matchAndRewriteAddSub.
    """
    left, p = _left_shift(given), given.platform
    if given.y_bits == 16 and any((*given.x_zero_points, given.y_zero_point)):
        raise ValueError(f"{p.name} has no zero points for codes of 16 bits")
    quotients, back = _scales(given)
    total = sum(
        fixed(p, (codes - zero_point) << left, *encode(p, quotient))
        for codes, zero_point, quotient in zip(x, given.x_zero_points, quotients, strict=True)
    )
    return fixed(p, total, *encode(p, back / (1 << left))) + given.y_zero_point


def add_xnnpack(x, given) -> np.ndarray:
    """(bias + x1*a + x2*b) / 2**shift, ties up, with a and b of at most 21 bits.

    shift makes the larger of the scale quotients 20 to 21 bits; the bias takes off the zero points.
    Source: google/XNNPACK src/microparams-init.c, xnn_init_qs8_add_minmax_params.
    """
    _only_bytes(given)
    ratios = [np.float32(s) / np.float32(given.y_scale) for s in given.x_scales]
    shift = _XNNPACK_BITS - (math.frexp(float(max(ratios)))[1] - 1)
    factors = [int(round_real(math.ldexp(float(ratio), shift), "half_even")) for ratio in ratios]
    total = sum(
        (codes - zero_point) * factor for codes, zero_point, factor in zip(x, given.x_zero_points, factors, strict=True)
    )
    return round_shift(total, shift, "half_up") + given.y_zero_point


def add_onnxruntime(x, given) -> np.ndarray:
    """fma(x1, r1, fma(x2, r2, y_zero_point - fma(r1, z1, r2*z2))), ties to even, in float32; r is s / y_scale.

    With x1 of one element the operands change places. Raises ValueError for other broadcasting than of one element.
    Source: microsoft/onnxruntime mlas/lib/intrinsics/avx2/qladd_avx2.cpp; which products of the constant are fused is
    the compiler's choice, found by experiment on onnxruntime 1.31.1.
    """
    _only_bytes(given)
    if x[0].shape != x[1].shape and 1 not in (x[0].size, x[1].size):
        raise ValueError(f"{given.platform.name} has a rule for tensors of one shape, or one of one element")
    ratios = [np.float32(s) / np.float32(given.y_scale) for s in given.x_scales]
    operands = list(zip(x, ratios, map(np.float32, given.x_zero_points), strict=True))
    (x1, r1, z1), (x2, r2, z2) = reversed(operands) if x[0].size == 1 else operands
    constant = np.float32(given.y_zero_point) - fused_multiply_add(r1, z1, r2 * z2)
    return round_real(fused_multiply_add(x1, r1, fused_multiply_add(x2, r2, constant)), "half_even")


ADDS = {
    "tflite": add_tflite,
    "ruy": add_ruy,
    "tosa": add_tosa,
    "xnnpack": add_xnnpack,
    "onnxruntime": add_onnxruntime,
}
