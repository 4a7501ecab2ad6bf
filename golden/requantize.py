"""From accumulators to output codes: bias, scale, round, activation, zero point, clip.

docs/arithmetic.md, section 5.
"""

import numpy as np

from .ops import Exact, exact_dtype, where
from .rounding import overflow, round_shift


def requantize(acc: Exact, spec, *, bias: Exact = 0, multiplier: Exact = 1, shift: Exact = 0, y_zero_point: Exact = 0):
    """Output codes for accumulators, in this order (equation 5.1):

        scaled = (acc + bias) * multiplier
        moved = round(scaled / 2**shift) + y_zero_point    by spec.rounding, in the order of spec.zero_point_order
        moved = max(moved, y_zero_point)                   with spec.activation "relu"
        y = overflow(moved)                                by spec.overflow, into spec.output, then spec.clip

    Where spec.requantize is a rule of golden.scale, that rule takes the place of multiply, divide and round.

    Parameters are scalars or arrays that broadcast with acc (a [N] array is one value per column). Only those that the
    spec takes may differ from their defaults. Works on Python integers and symbolic integers as on arrays.
    """
    moved = _scaled(acc + bias, spec, multiplier, shift, y_zero_point)
    if spec.activation == "relu":
        moved = where(moved > y_zero_point, moved, y_zero_point)
    code = overflow(moved, spec.y, spec.overflow)
    if spec.clip is not None:
        lo, hi = spec.clip
        code = where(code < lo, lo, where(code > hi, hi, code))
    return code


def _scaled(value, spec, multiplier, shift, y_zero_point):
    """The scaled and rounded value plus the zero point."""
    if spec.rule is not None:
        return spec.rule.function(value, multiplier, shift) + y_zero_point
    if spec.zero_point_order == "before_rounding":
        return round_shift(value * multiplier, shift, spec.rounding, y_zero_point)
    return round_shift(value * multiplier, shift, spec.rounding) + y_zero_point


def requantize_array(acc, spec, **parameters):
    """`requantize` on numpy arrays, in int64 where the ranges of the spec prove that enough, else in Python integers.

    Returns int64 codes of the shape of acc.
    """
    top = 1 << spec.y.width
    lo, hi = spec.biased_range if spec.rule else spec.scaled_range
    dtype = exact_dtype(min(lo, -1) * 4 - top, max(hi, 1) * 4 + top)
    wide = {name: np.asarray(value).astype(dtype) for name, value in parameters.items()}
    return np.asarray(requantize(acc.astype(dtype), spec, **wide)).astype(np.int64)
