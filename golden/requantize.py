"""From accumulators to output codes: bias, scale, round, activation, zero point, clip.

docs/arithmetic.md, section 5.
"""

import numpy as np

from .ops import Exact, exact_dtype, where
from .rounding import overflow, round_shift


def requantize(acc: Exact, spec, *, bias: Exact = 0, multiplier: Exact = 1, shift: Exact = 0, y_zero_point: Exact = 0):
    """Output codes for accumulators, in this order (equation 5.1):

        scaled = (acc + bias) * multiplier
        rounded = round(scaled / 2**shift)          by spec.rounding
        rounded = max(rounded, 0)                   with spec.activation "relu"
        y = overflow(rounded + y_zero_point)        by spec.overflow, into spec.output, then spec.clip

    Parameters are scalars or arrays that broadcast with acc (a [N] array is one value per column). Only those that the
    spec takes may differ from their defaults. Works on Python integers and symbolic integers as on arrays.
    """
    scaled = (acc + bias) * multiplier
    rounded = round_shift(scaled, shift, spec.rounding)
    if spec.activation == "relu":
        rounded = where(rounded > 0, rounded, 0)
    code = overflow(rounded + y_zero_point, spec.y, spec.overflow)
    if spec.clip is not None:
        lo, hi = spec.clip
        code = where(code < lo, lo, where(code > hi, hi, code))
    return code


def requantize_array(acc, spec, **parameters):
    """`requantize` on numpy arrays, in int64 where the ranges of the spec prove that enough, else in Python integers.

    Returns int64 codes of the shape of acc.
    """
    top = 1 << spec.y.width
    lo, hi = (min(spec.scaled_range[0], -1) * 4 - top, max(spec.scaled_range[1], 1) * 4 + top)
    dtype = exact_dtype(lo, hi)
    wide = {name: np.asarray(value).astype(dtype) for name, value in parameters.items()}
    return np.asarray(requantize(acc.astype(dtype), spec, **wide)).astype(np.int64)
