"""Softmax and the logistic function of int8 codes, as TFLite's integer kernels compute them; SOFTMAX by format.

Outputs are int8 codes of scale 1/256 and zero point -128.
"""

import math

import numpy as np

from .fixed_functions import divided, exp_of_negative, logistic, reciprocal_of_one_plus
from .scale import doubling_high_multiply, encode
from .softmax16 import softmax_int16

DIFFERENCE_BITS, SUM_BITS, INPUT_BITS = 5, 12, 4
MOST_VALUES = (1 << SUM_BITS) - 1
LEAST, LARGEST = -128, 127


def softmax_int8(codes, *, x_scale, beta=1.0) -> np.ndarray:
    """Codes, int64, of exp(beta * x) over its sum along the last axis.

    Differences to the largest code become numbers of 5 integer bits; those beyond them count as nothing.
    Raises ValueError for more than 4095 values, and unless beta * x_scale is 2**-26 to below 2**4.
    Source: tensorflow/tflite-micro, kernels/internal/reference/softmax.h, micro/kernels/softmax_common.cc.
    """
    codes = np.asarray(codes, np.int64)
    if codes.shape[-1] > MOST_VALUES:
        raise ValueError(f"a softmax must be of at most {MOST_VALUES} values, not {codes.shape[-1]}")
    multiplier, shift = _multiplier(float(np.float32(x_scale)) * float(np.float32(beta)), DIFFERENCE_BITS)
    differences = codes - codes.max(axis=-1, keepdims=True)
    counts = differences >= -_radius(DIFFERENCE_BITS, shift)
    scaled = doubling_high_multiply(np.where(counts, differences, 0) << shift, multiplier)
    powers = exp_of_negative(scaled, DIFFERENCE_BITS)
    total = np.where(counts, divided(powers, SUM_BITS), 0).sum(axis=-1, keepdims=True)
    bits = np.frexp(total.astype(np.float64))[1].astype(np.int64)
    reciprocal = reciprocal_of_one_plus((total << (32 - bits)) - (1 << 31))
    shares = divided(doubling_high_multiply(reciprocal, powers), SUM_BITS - (32 - bits) + 31 - 8)
    return np.where(counts, np.clip(shares + LEAST, LEAST, LARGEST), LEAST)


def logistic_int8(codes, *, x_scale, x_zero_point=0) -> np.ndarray:
    """Codes, int64, of 1 / (1 + exp(-x)), element by element; x becomes a number of 4 integer bits, beyond them 0 or 1.

    Raises ValueError unless x_scale is 2**-27 to below 2**3.
    Source: tensorflow/tflite-micro, kernels/internal/reference/integer_ops/logistic.h,
    micro/kernels/logistic_common.cc.
    """
    multiplier, shift = _multiplier(float(np.float32(x_scale)), INPUT_BITS)
    radius = _radius(INPUT_BITS, shift)
    x = np.asarray(codes, np.int64) - x_zero_point
    inside = np.clip(x, 1 - radius, radius - 1)
    y = divided(logistic(doubling_high_multiply(inside << shift, multiplier), INPUT_BITS), 31 - 8) + LEAST
    return np.where(x <= -radius, LEAST, np.where(x >= radius, LARGEST, np.clip(y, LEAST, LARGEST)))


def _multiplier(real, integer_bits):
    """(multiplier, shift) from real numbers in units of a code to fixed-point ones."""
    if not 0 <= math.frexp(real)[1] + 30 - integer_bits < 30:
        raise ValueError(
            f"the scale of codes must be 2**{integer_bits - 31} to below 2**{integer_bits - 1}, not {real}"
        )
    return encode(math.ldexp(real, 31 - integer_bits))


def _radius(integer_bits, shift):
    """The largest difference of codes that the integer bits hold after the shift."""
    return (((1 << integer_bits) - 1) << (31 - integer_bits)) >> shift


SOFTMAX = {"int8": softmax_int8, "int16": softmax_int16}
