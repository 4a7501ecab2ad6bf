"""Average pooling of quantized tensors, by the rules that platforms have for it.

Each rule takes windows [..., n] of int64 codes and gives integers before the clip to the output format.
"""

import numpy as np

from .float_scale import round_real


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


def pool_shift(windows, given) -> np.ndarray:
    """Sum of the codes, shifted to the right (floor) by what the largest unsigned sum has more than y_bits.

    The scales are not looked at: one step of the output is 2**shift / n steps of the input. Signed codes lose a bit.
    Raises ValueError for zero points. Source: fastmachinelearning/qonnx custom_op/general/quantavgpool2d.py.
    """
    if given.x_zero_point or given.y_zero_point:
        raise ValueError("average pooling by a shift has no zero points")
    largest = ((1 << given.x_bits) - 1) * windows.shape[-1]
    return windows.sum(axis=-1) >> max(largest.bit_length() - given.y_bits, 0)


POOLS = {"codes": pool_codes, "values": pool_values, "float32": pool_float32, "shift": pool_shift}
