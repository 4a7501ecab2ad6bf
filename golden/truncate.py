"""Truncation to fewer bits: QONNX's Trunc, in the two versions of its definition, which disagree about the zero point.

Both take codes, integers of any width, and give (codes, scale, zero point): the value is (code - zero_point) * scale.
"""

import numpy as np

from .float_scale import round_real
from .quantize import code_range


def trunc_v1(codes, *, scale, zero_point=0, input_bits, output_bits, rounding: str | tuple[str, str] = "floor"):
    """round(code / 2**(input_bits - output_bits)), with the scale and the zero point of the input.

    A truncated code is one of 2**(input_bits - output_bits) times the scale, less a fraction of the zero point; version
    1 takes it for one of the input. `rounding` is a name of golden.rounding or one for each sign. No clip.
    Raises ValueError where there are more bits than before.
    Source: fastmachinelearning/qonnx custom_op/general/trunc.py, trunc_v1.
    """
    if output_bits > input_bits:
        raise ValueError(f"output_bits must be at most {input_bits}, not {output_bits}")
    y = round_real(np.asarray(codes, np.int64) * 2.0 ** (output_bits - input_bits), rounding)
    return y, np.float32(scale), np.float32(zero_point)


def trunc_v2(
    codes, *, scale, zero_point=0, output_scale, output_format, narrow=False, rounding: str | tuple[str, str] = "floor"
):
    """round(code / k), clipped to output_format, with output_scale and zero point / k.

    k is output_scale / scale, rounded in its logarithm to a power of two.
    Source: fastmachinelearning/qonnx custom_op/general/trunc.py, trunc_v2.
    """
    ratio = np.float32(output_scale) / np.float32(scale)
    inverse = np.exp2(-np.rint(np.log2(ratio)))
    y = round_real(np.asarray(codes, np.int64) * np.float64(inverse), rounding)
    return np.clip(y, *code_range(output_format, narrow)), np.float32(output_scale), np.float32(zero_point) * inverse
