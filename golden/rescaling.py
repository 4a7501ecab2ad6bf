"""Codes of one scale and zero point as codes of another, by the rules that platforms have for it.

Each rule takes int64 codes and gives integers before the clip to the output format.
"""

import numpy as np

from . import scale
from .fixed_point import encode, fixed
from .float_scale import round_real
from .rounding import round_shift


def _quotient(given):
    return float(np.float32(given.x_scale)) / float(np.float32(given.y_scale))


def rescale_fixed(rule):
    """Codes less their zero point, scaled by a float64 quotient in fixed point, by a rule of golden.scale.

    Source: tensorflow/tflite-micro reference/requantize.h, micro/kernels/quantize_common.cc.
    """

    def rescale(codes, given):
        scaled = getattr(scale, rule)(codes - given.x_zero_point, *scale.encode(_quotient(given)))
        return scaled + given.y_zero_point

    return rescale


def rescale_tosa(codes, given) -> np.ndarray:
    """RESCALE from a float64 quotient, with the multiplier, the rounding and the limits of the platform.

    Source: tensorflow/tensorflow compiler/mlir/tosa/transforms/legalize_tfl.cc, ConvertTFLQuantizeOp (DOUBLE_ROUND).
    """
    multiplier, shift = encode(given.platform, _quotient(given))
    return fixed(given.platform, codes - given.x_zero_point, multiplier, shift) + given.y_zero_point


def rescale_xnnpack(codes, given) -> np.ndarray:
    """A factor with 8 bits behind the point from the float32 quotient; ties up. Source: google/XNNPACK, qs8-vcvt."""
    factor = round_real(256 * (np.float32(given.x_scale) / np.float32(given.y_scale)), "half_even")
    return round_shift((codes - given.x_zero_point) * factor, 8, "half_up") + given.y_zero_point


RESCALES = {
    "tflite": rescale_fixed("tflite"),
    "double_half_up": rescale_fixed("double_half_up"),
    "tosa": rescale_tosa,
    "xnnpack": rescale_xnnpack,
}
