"""Exact integer matrix products and accumulators (docs/arithmetic.md, section 2 and 3).

Activations a are [M, K], or [M, K, N] where each column n of the product has its own: a depthwise layer.
"""

import numpy as np

from .ops import exact_dtype, where
from .spec import product_interval, scale_interval

_FLOAT64_EXACT = 1 << 53
_FLOAT32_EXACT = 1 << 24
_LIMB = 16


def matmul(a, w):
    """The exact product of integer matrices a [M, K] and w [K, N]; or, of a [M, K, N], sum_k a[m, k, n] * w[k, n].

    Runs on BLAS in float32 or float64 wherever the largest possible partial sum, K * max|a| * max|w|, is exact in it;
    in chunks of K, or in 16-bit limbs, otherwise. Returns int64, or Python integers (object) where int64 could
    overflow.
    """
    depth = a.shape[1]
    a_top, w_top = _magnitude(a), _magnitude(w)
    dtype = exact_dtype(-depth * a_top * w_top, depth * a_top * w_top)
    if a.ndim == 3:
        return (a.astype(dtype) * w.astype(dtype)).sum(axis=1)
    if dtype is object and max(a_top, w_top) > 1 << _LIMB:
        return _matmul_in_limbs(a, w)
    for blas, limit in ((np.float32, _FLOAT32_EXACT), (np.float64, _FLOAT64_EXACT)):
        chunk = limit // (max(a_top, 1) * max(w_top, 1))
        if chunk >= min(depth, 256):
            return _matmul_in_chunks(a, w, chunk, blas, dtype)
    return _matmul_in_limbs(a, w)


def _magnitude(x):
    return max(abs(int(x.min())), abs(int(x.max())))


def _matmul_in_chunks(a, w, chunk, blas, dtype):
    total = np.zeros((a.shape[0], w.shape[1]), dtype)
    for k in range(0, a.shape[1], chunk):
        part = a[:, k : k + chunk].astype(blas) @ w[k : k + chunk].astype(blas)
        total += part.astype(np.int64).astype(dtype)
    return total


def _matmul_in_limbs(a, w):
    """a = high * 2**16 + low for the wider operand, so that each part fits a shorter product."""
    if _magnitude(a) < _magnitude(w):
        return _matmul_in_limbs(w.T, a.T).T
    high, low = a >> _LIMB, a & ((1 << _LIMB) - 1)
    bound = scale_interval(product_interval((0, _magnitude(a)), (0, _magnitude(w))), a.shape[1])[1]
    dtype = exact_dtype(-bound, bound)
    return (matmul(high, w).astype(dtype) << _LIMB) + matmul(low, w).astype(dtype)


def columns_of(a, columns):
    """The activations that some columns of the product take: all of a [M, K], their own of [M, K, N]."""
    return a if a.ndim == 2 else a[:, :, columns]


def accumulate(a, w, spec):
    """Accumulators [M, N] after all K products of decoded a [M, K] or [M, K, N] and w [K, N], less zero points already.

    Exact; or reduced to `spec.accumulator_width` bits by wrapping (order does not matter) or by saturating after each
    beat of `spec.beat_depth` products in order of k.
    """
    if spec.accumulator_is_exact:
        return matmul(a, w)
    half = 1 << spec.accumulator_width - 1
    if spec.accumulator_overflow == "wrap":
        exact = matmul(a, w)
        if spec.accumulator_width >= 63:
            exact = exact.astype(object)
        return ((exact + half) & (2 * half - 1)) - half
    return _accumulate_saturating(a, w, spec, -half, half - 1)


def _accumulate_saturating(a, w, spec, lo, hi):
    beat_lo, beat_hi = scale_interval(spec.product_range, spec.beat_depth)
    total = np.zeros((a.shape[0], w.shape[1]), exact_dtype(lo + beat_lo, hi + beat_hi))
    for k in range(0, a.shape[1], spec.beat_depth):
        total = total + matmul(a[:, k : k + spec.beat_depth], w[k : k + spec.beat_depth])
        total = where(total < lo, lo, where(total > hi, hi, total))
    return total


def accumulator_range(w, spec):
    """(lo, hi) that every partial sum of decoded weights w [K, N] stays in, for any activations (equation 2.4)."""
    a_lo, a_hi = spec.a_value_range
    first, second = w.astype(object) * a_lo, w.astype(object) * a_hi
    low = np.minimum(np.minimum(first, second), 0).sum(axis=0)
    high = np.maximum(np.maximum(first, second), 0).sum(axis=0)
    return int(low.min()), int(high.max())
