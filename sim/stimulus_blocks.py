"""Random scales and zero points of blocks, and operands that are no numbers where a design takes them."""

from itertools import product

import numpy as np

from golden.extras import axis_sizes, extras
from golden.formats import Codebook, Integer
from golden.minifloat import MiniFloat
from golden.scale_formats import PowerScale

_CORNERS = 0.1  # of scales whose range is narrow
_ENDS = 0.03  # of others
_SPECIAL = 24  # one of so many rows, columns or blocks of a row holds infinities or NaN
_SPREAD = 8.0  # standard deviation of exponents
_TINY = 8  # one of so many rows and columns has scales whose product is subnormal in float32, if it can
_TINY_EXPONENT = -156


def random_blocks(rng, spec, arrays) -> dict:
    """The arrays of golden.extras that blocks have; a and w again where they may hold infinities and NaN.

    Exponents of scales lie around those of 1, so that the sums of blocks overlap and float32 rounds them off; a few are
    extreme. Neighbouring blocks differ. A few rows of A, columns of W and scales hold what is no number.
    """
    sizes = axis_sizes(spec, arrays["a"].shape[0], *arrays["w"].shape)
    result = {}
    taken = extras(spec)
    for name in (*spec.scale_formats, *(["w_block_zero_point"] if spec.w_block_zero_point else [])):
        extra = taken[name]
        shape = tuple(sizes[axis] for axis in extra.axes)
        draw = _zero_points if name == "w_block_zero_point" else _scales
        result[name] = draw(rng, extra.fmt, shape)
        if extra.specials:
            _make_tiny(rng, spec, name, result[name])
            result[name] = _with_specials(rng, extra.fmt, result[name])
    if spec.is_float_sum:
        result["a"] = _with_specials(rng, spec.activations, arrays["a"])
        result["w"] = _with_specials(rng, spec.weights, arrays["w"].T).T.copy()
    else:
        _make_loud(spec, arrays, result)
    return result


def _make_loud(spec, arrays, blocks):
    """The last row of A and the last column of W reach the largest sum that scales and formats allow."""
    if not spec.block or isinstance(spec.weights, Codebook):
        return
    zeros = spec.weights.code_range if spec.w_block_zero_point else (int(arrays.get("w_zero_point", 0)),)
    corners = product(spec.activations.extreme_codes, spec.weights.extreme_codes, zeros)
    a, w, zero = max(corners, key=lambda corner: abs(_product(spec, arrays, *corner)))
    arrays["a"][-1], arrays["w"][:, -1] = a, w
    if spec.w_block_zero_point:
        blocks["w_block_zero_point"][:, -1] = zero
    for name, fmt in spec.scale_formats.items():
        last = blocks[name][-1] if name == "a_block_scale" else blocks[name][:, -1]
        last[:] = fmt.extreme_codes[1]


def _product(spec, arrays, a, w, zero):
    return (spec.activations.decode(a) - int(arrays.get("a_zero_point", 0))) * (spec.weights.decode(w) - zero)


def _zero_points(rng, fmt, shape):
    return rng.integers(*fmt.code_range, shape, endpoint=True)


def _scales(rng, fmt, shape):
    (lo, hi), often = fmt.code_range, _CORNERS
    if isinstance(fmt, Integer):
        codes = rng.integers(lo, hi, shape, endpoint=True)
        corners = [lo, lo + 1, hi]
    elif isinstance(fmt, PowerScale) and hi - lo < 4 * _SPREAD:
        codes, corners = rng.integers(lo, hi, shape, endpoint=True), [lo, hi]
    else:
        codes = _around(rng, max(lo, min(127, hi)), shape) if isinstance(fmt, PowerScale) else _floats(rng, fmt, shape)
        corners, often = list(fmt.extreme_codes), _ENDS
    return np.where(rng.random(shape) < often, rng.choice(corners, shape), np.clip(codes, lo, hi))


def _make_tiny(rng, spec, name, codes):
    """Powers of two far below one for some rows of A and columns of W, in place."""
    powers = [fmt for fmt in spec.scale_formats.values() if isinstance(fmt, PowerScale)]
    if spec.scale_formats[name] in powers:
        vectors = codes if name == "a_block_scale" else codes.T
        tiny = rng.random(len(vectors)) < 1 / _TINY
        vectors[tiny] = np.maximum(vectors[tiny] + _TINY_EXPONENT // len(powers), 0)


def _around(rng, middle, shape):
    return np.rint(middle + _SPREAD * rng.standard_normal(shape)).astype(np.int64)


def _floats(rng, fmt: MiniFloat, shape):
    """Mostly positive numbers, their exponents around that of 1."""
    most = fmt.largest_code >> fmt.mantissa_bits
    exponents = np.clip(_around(rng, fmt.bias, shape), 0, most - 1)
    sign = (rng.random(shape) < _CORNERS).astype(np.int64) << fmt.width - 1
    return sign | exponents << fmt.mantissa_bits | rng.integers(0, 1 << fmt.mantissa_bits, shape)


def _with_specials(rng, fmt, codes):
    """Codes [rows, columns] with one code that is no number in a few rows."""
    specials = _specials(fmt)
    if not specials:
        return codes
    codes = codes.copy()
    rows = np.flatnonzero(rng.random(len(codes)) < 1 / _SPECIAL)
    codes[rows, rng.integers(codes.shape[1], size=len(rows))] = rng.choice(specials, len(rows))
    return codes


def _specials(fmt):
    if isinstance(fmt, PowerScale):
        return [255]
    if not isinstance(fmt, MiniFloat):
        return []
    step = max(1, 1 << max(fmt.width - 10, 0))
    ends = {fmt.largest_code + 1, fmt.largest_code + 1 | 1 << fmt.width - 1, (1 << fmt.width) - 1, 1 << fmt.width - 1}
    codes = np.array(sorted({*range(0, 1 << fmt.width, step), *ends} & set(range(1 << fmt.width))))
    return codes[~fmt.is_number(codes)].tolist()
