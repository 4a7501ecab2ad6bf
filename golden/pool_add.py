"""Average pooling, addition and rescaling of quantized tensors, by the rules that platforms have for them.

Each rule takes int64 codes and gives integers before the clip to the output format.
"""

import math

import numpy as np

from . import scale
from .float_scale import round_real
from .rounding import round_shift

_ADD_LEFT_SHIFT = {8: 20, 16: 15}
_XNNPACK_ADD_BITS = 20


def mean(total, count, rounding) -> np.ndarray:
    """total / count, rounded. float64 is exact enough: a tie is exact, anything else off it by 1 / (2 * count)."""
    return round_real(np.float64(total) / count, rounding)


def pool_codes(windows, given) -> np.ndarray:
    """Mean of the codes themselves, ties away from zero: the zero point is not taken off and moves the ties.

    (sum + count/2) / count for positive sums, (sum - count/2) / count for others, with C's division. Input and output
    share scale and zero point. Sources: tensorflow/tflite-micro reference/integer_ops/pooling.h, ARM-software/CMSIS-NN
    arm_avgpool_s8.c.
    """
    if (given.x_scale, given.x_zero_point) != (given.y_scale, given.y_zero_point):
        raise ValueError("average pooling needs the same scale and zero point on input and output")
    return mean(windows.sum(axis=-1), windows.shape[-1], "half_away")


def pool_values(windows, given) -> np.ndarray:
    """Mean of code - zero point, ties away from zero: what TOSA's biased reciprocal comes to for every int8 sum.

    Source: TOSA specification 1.1, AVG_POOL2D.
    """
    total = (windows - given.x_zero_point).sum(axis=-1)
    return mean(total, windows.shape[-1], "half_away") + given.y_zero_point


def pool_float32(windows, given) -> np.ndarray:
    """Mean of float32 values summed in order, divided by the output scale, plus zero point, then ties to even.

    Source: microsoft/onnxruntime contrib_ops/cpu/quantization/qlinear_pool.cc.
    """
    values = np.float32(given.x_scale) * (windows - given.x_zero_point).astype(np.float32)
    total = np.zeros(windows.shape[:-1], np.float32)
    for k in range(windows.shape[-1]):
        total = total + values[..., k]
    quotient = total / np.float32(windows.shape[-1]) / np.float32(given.y_scale)
    return round_real(quotient + np.float32(given.y_zero_point), "half_even")


def add_tflite(x, given) -> np.ndarray:
    """Both operands scaled to a common grid of 2**-20 (int16: 2**-15) of twice the larger scale, summed, scaled back.

    Three fixed-point scalings by gemmlowp's double rounding, from float64 quotients of float32 scales.
    Sources: tensorflow/tflite-micro micro/kernels/add_common.cc, ARM-software/CMSIS-NN arm_elementwise_add_s8.c.
    """
    left = _ADD_LEFT_SHIFT[given.y_bits]
    s1, s2, sy = (float(np.float32(s)) for s in (*given.x_scales, given.y_scale))
    twice = 2 * max(s1, s2)
    total = sum(
        scale.tflite((codes - zero_point) << left, *scale.encode(s / twice))
        for codes, zero_point, s in zip(x, given.x_zero_points, (s1, s2), strict=True)
    )
    return scale.tflite(total, *scale.encode(twice / ((1 << left) * sy))) + given.y_zero_point


def add_xnnpack(x, given) -> np.ndarray:
    """(bias + x1*a + x2*b) / 2**shift, ties up, with a and b of at most 21 bits.

    shift makes the larger of the scale quotients 20 to 21 bits; the bias takes off the zero points.
    Source: google/XNNPACK src/microparams-init.c, xnn_init_qs8_add_minmax_params.
    """
    ratios = [np.float32(s) / np.float32(given.y_scale) for s in given.x_scales]
    shift = _XNNPACK_ADD_BITS - (math.frexp(float(max(ratios)))[1] - 1)
    factors = [int(round_real(math.ldexp(float(ratio), shift), "half_even")) for ratio in ratios]
    total = sum(
        (codes - zero_point) * factor for codes, zero_point, factor in zip(x, given.x_zero_points, factors, strict=True)
    )
    return round_shift(total, shift, "half_up") + given.y_zero_point


def rescale_fixed(rule):
    """Codes less their zero point, scaled by a float64 quotient in fixed point, by a rule of golden.scale.

    Source: tensorflow/tflite-micro reference/requantize.h, micro/kernels/quantize_common.cc.
    """

    def rescale(codes, given):
        d = float(np.float32(given.x_scale)) / float(np.float32(given.y_scale))
        return getattr(scale, rule)(codes - given.x_zero_point, *scale.encode(d)) + given.y_zero_point

    return rescale


def rescale_xnnpack(codes, given) -> np.ndarray:
    """A factor with 8 bits behind the point from the float32 quotient; ties up. Source: google/XNNPACK, qs8-vcvt."""
    factor = round_real(256 * (np.float32(given.x_scale) / np.float32(given.y_scale)), "half_even")
    return round_shift((codes - given.x_zero_point) * factor, 8, "half_up") + given.y_zero_point


POOLS = {"codes": pool_codes, "values": pool_values, "float32": pool_float32}
ADDS = {"tflite": add_tflite, "xnnpack": add_xnnpack}
RESCALES = {
    "tflite": rescale_fixed("tflite"),
    "double_half_up": rescale_fixed("double_half_up"),
    "xnnpack": rescale_xnnpack,
}
