"""From accumulators to output codes: bias, scale, round, activation, zero point, clip, table.

docs/arithmetic.md, section 5.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from .ops import Exact, exact_dtype, pick, where
from .rounding import overflow, round_shift


def requantize(
    acc: Exact,
    spec,
    *,
    bias: Exact = 0,
    multiplier: Exact = 1,
    shift: Exact = 0,
    scale: Exact = 0,
    y_zero_point: Exact = 0,
    y_max: Exact = 0,
    thresholds: Any = (),
):
    """Output codes for accumulators, in this order (equation 5.1):

        scaled = (acc + bias) * multiplier
        moved = round(scaled / 2**shift) + y_zero_point    by spec.rounding, in the order of spec.zero_point_order
        moved = max(moved, y_zero_point)                   with spec.activation "relu" or "relu6"
        moved = min(moved, y_max)                          with spec.activation "relu6"
        code = overflow(moved)                             by spec.overflow, into spec.code, then spec.clip
        y = spec.table[code]                               where there is a table

    Where spec.requantize is a rule of golden.rules, that rule takes the place of multiply, divide and round. With
    "thresholds", y is the smallest code plus how many of the thresholds acc reaches, and nothing else is done. What
    "dynamic" does depends on all sums of a tile: see golden.dynamic.

    Parameters are scalars or arrays that broadcast with acc (a [N] array is one value per column); thresholds are
    several of these. Only those that the spec takes may differ from their defaults. Works on Python integers and
    symbolic integers as on arrays.
    """
    if spec.requantize == "thresholds":
        return reached(acc, thresholds) + spec.clip_range[0]
    moved = _scaled(acc + bias, spec, y_zero_point, multiplier=multiplier, shift=shift, scale=scale)
    if spec.activation != "none":
        moved = where(moved > y_zero_point, moved, y_zero_point)
    if spec.activation == "relu6":
        moved = where(moved < y_max, moved, y_max)
    code = overflow(moved, spec.code, spec.overflow)
    if spec.clip is not None:
        lo, hi = spec.clip
        code = where(code < lo, lo, where(code > hi, hi, code))
    return code if spec.table is None else pick(spec.table, code - spec.code.code_range[0])


def reached(acc: Exact, thresholds: Iterable[Exact]) -> Exact:
    """How many of the thresholds are at most acc (equation 9.1)."""
    return sum((where(acc >= threshold, 1, 0) for threshold in thresholds), start=0)


def _scaled(value, spec, y_zero_point, **factors):
    """The scaled and rounded value plus the zero point."""
    if spec.rule is not None:
        return spec.rule.scale(value, factors) + y_zero_point
    value, shift = value * factors["multiplier"], factors["shift"]
    if spec.zero_point_order == "before_rounding":
        return round_shift(value, shift, spec.rounding, y_zero_point)
    return round_shift(value, shift, spec.rounding) + y_zero_point


def requantize_array(acc, spec, **parameters):
    """`requantize` on numpy arrays, in int64 where the ranges of the spec prove that enough, else in Python integers.

    acc is [..., N]; thresholds are [N, T]. Returns int64 codes of the shape of acc; float32 sums are codes already.
    """
    if spec.is_float_sum:
        return np.asarray(acc)
    top = 1 << spec.code.width
    if spec.rule is not None and spec.rule.wraps:
        lo, hi = spec.biased_range  # what follows is int32 times at most 31 bits
    else:
        lo, hi = spec.scaled_range
    dtype = exact_dtype(min(lo, -1) * 4 - top, max(hi, 1) * 4 + top)
    return requantize_as(dtype, acc, spec, parameters)


def requantize_as(dtype, acc, spec, parameters):
    """`requantize` on arrays of one dtype: int64, or object where int64 would overflow."""
    dtype = object if spec.rule and not spec.rule.fits_int64 else dtype
    wide = {name: np.asarray(value).astype(dtype) for name, value in parameters.items()}
    if "thresholds" in wide:
        wide["thresholds"] = np.moveaxis(wide["thresholds"], -1, 0)
    return np.asarray(requantize(acc.astype(dtype), spec, **wide)).astype(np.int64)
