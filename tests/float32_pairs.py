"""Pairs of float32 patterns that an adder may get wrong, and what numpy makes of them."""

import numpy as np

NAN = 0x7FC00000
ENDS = [0, 1, 2, 3, 0x7FFFFE, 0x7FFFFF, 0x800000, 0x800001, 0xFFFFFF, 0x1000000, 0x0C000000, 0x0C800000]
ENDS += [0x33800000, 0x33800001, 0x3F800000, 0x3F800001, 0x3FFFFFFF, 0x40000000, 0x4B000000, 0x4B800000]
ENDS += [0x73000000, 0x7F000000, 0x7F7FFFFE, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000]
SIGN = 1 << 31


def numpy_sums(x, y):
    """Patterns of x + y in numpy's float32, every NaN 0x7fc00000."""
    with np.errstate(all="ignore"):
        total = x.view(np.float32) + y.view(np.float32)
    return np.where(np.isnan(total), np.uint32(NAN), total.view(np.uint32))


def every_end():
    """Each of the ends and its negative with each."""
    ends = np.array([*ENDS, *(end | SIGN for end in ENDS)], np.uint32)
    return np.repeat(ends, len(ends)), np.tile(ends, len(ends))


def _numbers(rng, exponents):
    """Numbers of these exponent fields: any significand, or one of few bits or nearly all ones, which makes ties."""
    count = len(exponents)
    kept = rng.integers(0, 24, count)
    fraction = rng.integers(0, 1 << 23, count)
    short = fraction >> kept << kept
    ones = (1 << 23) - (1 << kept) + rng.integers(-1, 1, count)
    fraction = np.choose(rng.integers(0, 3, count), [fraction, short, np.clip(ones, 0, (1 << 23) - 1)])
    return (exponents << 23 | fraction | rng.integers(0, 2, count) << 31).astype(np.uint32)


def adversarial(count, seed):
    """Random patterns; exponents up to 28 apart; neighbours of opposite sign, which cancel; subnormals; large ones."""
    rng = np.random.default_rng(seed)
    part = count // 5
    exponents = rng.integers(0, 255, part)
    near = np.clip(exponents + rng.integers(-28, 29, part), 0, 254)
    x = _numbers(rng, exponents)
    opposite = ((x ^ np.uint32(SIGN)).astype(np.int64) + rng.integers(-3, 4, part)).astype(np.uint32)
    low, high = rng.integers(0, 27, (2, part)), rng.integers(228, 255, (2, part))
    pairs = [
        rng.integers(0, 1 << 32, (2, part)).astype(np.uint32),
        (_numbers(rng, exponents), _numbers(rng, near)),
        (x, opposite),
        (_numbers(rng, low[0]), _numbers(rng, low[1])),
        (_numbers(rng, high[0]), _numbers(rng, high[1])),
    ]
    return tuple(np.concatenate(side) for side in zip(*pairs, strict=True))
