"""Sums of blocks: each exact, times the scales of its row and column, then added exactly or in float32.

docs/arithmetic.md, section 10.
"""

import numpy as np

from .mac import matmul
from .ops import exact_dtype
from .scale_formats import FLOAT32_NAN
from .spec import product_interval, scale_interval

_KEPT = 60  # bits of a wide integer that decide how float32 rounds it, the last one sticky
_INT64, _LIMB, _SHORT = 1 << 62, 1 << 16, 1 << 40


def block_sums(spec, a, w, scales):
    """Accumulators [M, N] of decoded a [M, K] and w [K, N], zero points taken off (equations 10.1 and 10.3).

    `scales` holds the codes a_block_scale [M, blocks] and w_block_scale [blocks, N], where the spec takes them. Returns
    exact integers (int64, or Python integers where the spec's range needs them), or bit patterns of float32 (int64).
    """
    return _float_sums(spec, a, w, scales) if spec.is_float_sum else _exact_sums(spec, a, w, scales)


def spread(per_block, block, depth):
    """[blocks, N] as [K, N]: each row repeated for the elements of its block."""
    return np.repeat(per_block, block, axis=0)[:depth]


def parts(spec, depth):
    """Slices of K whose sums are exact: the blocks, or the beats of a float32 sum without blocks."""
    return [slice(k, min(k + spec.block_depth, depth)) for k in range(0, depth, spec.block_depth)]


def _exact_sums(spec, a, w, scales):
    bound = scale_interval(_magnitudes(spec, a, w), a.shape[1])[1]
    dtype = exact_dtype(-bound, bound)
    total = np.zeros((a.shape[0], w.shape[1]), dtype)
    decoded = {name: decoded_scales(fmt, scales[name]) for name, fmt in spec.scale_formats.items()}
    for index, part in enumerate(parts(spec, a.shape[1])):
        scaled = matmul(a[:, part], w[part]).astype(dtype)
        for name, factor in decoded.items():
            factor = factor[:, index, None] if name == "a_block_scale" else factor[index]
            scaled = scaled * factor.astype(dtype)
        total = total + scaled
    return total


def _magnitudes(spec, a, w):
    """Interval of a scaled product of these operands, which may leave the spec's ranges."""
    tops = [(0, max(abs(int(x.min())), abs(int(x.max())))) for x in (a, w)]
    scale = max(abs(end) for end in spec.scales_range)
    return product_interval(product_interval(*tops), (0, scale))


def decoded_scales(fmt, codes):
    """Exact integers on the grid of the format: int64, or Python integers where they are wider."""
    return fmt.decode(codes.astype(exact_dtype(*fmt.decoded_range)))


def _float_sums(spec, a, w, scales):
    """T[0] = +0, T[b+1] = float32(T[b] + term[b]), equation 10.3."""
    total = np.zeros((a.shape[0], w.shape[1]), np.float32)
    with np.errstate(all="ignore"):
        for term in float_terms(spec, a, w, scales):
            total = total + term
    return float32_patterns(total)


def float_terms(spec, a, w, scales):
    """float32(float32(sum of a block) * float32(sa * sw)) of each block in order of k, float32 [M, N]."""
    fraction = spec.activations.fraction + spec.weights.fraction
    reals = {name: scale_values(fmt, scales[name]) for name, fmt in spec.scale_formats.items()}
    for index, part in enumerate(parts(spec, a.shape[1])):
        with np.errstate(all="ignore"):
            sums = _block_float(a[:, part], w[part], fraction)
            yield sums * _scale_product(reals, index) if reals else sums


def _scale_product(reals, index):
    """float32(sa * sw) of one block: [M, N], or what broadcasts to it."""
    sa = reals["a_block_scale"][:, index, None] if "a_block_scale" in reals else np.float32(1)
    sw = reals["w_block_scale"][index] if "w_block_scale" in reals else np.float32(1)
    return sa * sw


def scale_values(fmt, codes) -> np.ndarray:
    """float32 values of scale codes, exact; NaN and infinities where the format has them."""
    if hasattr(fmt, "value"):
        return fmt.value(codes).astype(np.float32)
    if hasattr(fmt, "is_number"):
        exponents = np.where(fmt.is_number(codes), codes - 127, 0).astype(np.int32)
        return np.where(fmt.is_number(codes), np.ldexp(np.float32(1), exponents), np.float32(np.nan))
    return np.ldexp(codes.astype(np.float32), -fmt.fraction)


def float32_patterns(values) -> np.ndarray:
    """Bit patterns of float32 numbers, int64 from 0 on; the one pattern 0x7fc00000 for every NaN."""
    patterns = np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.int64)
    return np.where(np.isnan(values), FLOAT32_NAN, patterns)


def float32_values(patterns) -> np.ndarray:
    """float32 numbers of bit patterns."""
    return np.asarray(patterns).astype(np.uint32).view(np.float32)


def rounded_to_float32(integers, fraction) -> np.ndarray:
    """float32(integers * 2**-fraction), rounded once to nearest, ties to even; int64 or Python integers."""
    integers = np.asarray(integers)
    if integers.dtype != object:
        return np.ldexp(integers.astype(np.float32), -fraction)
    lost = np.vectorize(lambda value: max(value.bit_length() - _KEPT, 0), otypes=[object])(integers)
    kept = integers >> lost
    kept = (kept | (kept << lost != integers)).astype(np.int64)
    return np.ldexp(kept.astype(np.float32), lost.astype(np.int64) - fraction)


def _dot_to_float32(a, w, fraction):
    """float32 of the exact product of integer matrices, in units of 2**-fraction; rounded once."""
    tops = [max(abs(int(x.min())), abs(int(x.max()))) for x in (a, w)]
    if len(w) * tops[0] * tops[1] < _INT64:
        return rounded_to_float32(matmul(a, w), fraction)
    if len(w) * (tops[0] + _LIMB) * (tops[1] + _LIMB) >= _INT64 * _LIMB:
        return rounded_to_float32(matmul(a, w).astype(object), fraction)
    return _limbs_to_float32(a, w, fraction)


def _limbs_to_float32(a, w, fraction):
    """The same where the sum is high * 2**16 + low, and high fits int64.

    A long sum is rounded by 2 * high + 1 where low is not 0: between the same two float32 numbers, and no tie.
    """
    (a_high, a_low), (w_high, w_low) = (np.divmod(x, _LIMB) for x in (a, w))
    high = matmul(a_high, w_high) * _LIMB + matmul(a_high, w_low) + matmul(a_low, w_high)
    carry, low = np.divmod(matmul(a_low, w_low), _LIMB)
    high = high + carry
    short = np.abs(high) < _SHORT
    decisive = np.where(short, high * _LIMB + low, 2 * high + (low != 0))
    return np.ldexp(decisive.astype(np.float32), np.where(short, 0, 15) - fraction)


def _block_float(a, w, fraction):
    """float32 of the sum over one block, with infinities and NaN where products or their sum have them."""
    special = {name: x.dtype.kind == "f" and not np.isfinite(x).all() for name, x in (("a", a), ("w", w))}
    sums = _dot_to_float32(_finite(a), _finite(w), fraction)
    if not any(special.values()):
        return sums
    marks = _special_sums(a.astype(np.float64), w.astype(np.float64))
    return np.where(np.isfinite(marks), sums, marks.astype(np.float32))


def _finite(x):
    """Integers, with 0 in the place of infinities and NaN."""
    return np.where(np.isfinite(x), x, 0).astype(np.int64) if x.dtype.kind == "f" else x


def _special_sums(a, w):
    """Sums of products by IEEE 754, infinite or NaN where one of them or their sum is: no finite one overflows."""
    total = np.zeros((a.shape[0], w.shape[1]))
    for k in range(len(w)):
        total = total + np.multiply.outer(a[:, k], w[k])
    return total
