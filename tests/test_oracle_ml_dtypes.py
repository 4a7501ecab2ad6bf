"""golden.minifloat against ml_dtypes: every code, and casts of random values, ties and extremes."""

import numpy as np
import pytest
from oracle_cases import need

from golden.minifloat import MINIFLOATS, decode_e8m0, encode_e8m0

need("ml_dtypes")


def reals(fmt):
    """200,000 float32: any size, and the middles between neighbours."""
    draw = np.random.default_rng(1)
    values = np.sort(fmt.value(np.arange(fmt.largest_code + 1)))
    middles = (values[1:] + values[:-1]) / 2
    spread = draw.normal(0, 1, 200_000) * np.exp2(draw.integers(-20, 18, 200_000))
    special = [0.0, -0.0, np.inf, -np.inf, 1e30, -1e30] + [np.nan] * (fmt.specials != "none")
    return np.concatenate([spread, middles, -middles, special]).astype(np.float32)


@pytest.mark.parametrize("name", MINIFLOATS)
def test_every_code_and_cast(name):
    import ml_dtypes

    fmt, dtype = MINIFLOATS[name], getattr(ml_dtypes, name)
    codes = np.arange(1 << fmt.width)
    assert np.array_equal(fmt.value(codes), codes.astype(np.uint8).view(dtype).astype(np.float64), equal_nan=True)
    x = reals(fmt)
    with np.errstate(all="ignore"):
        theirs = x.astype(dtype).view(np.uint8)
    assert (fmt.encode(x, saturate=fmt.specials == "none") != theirs).sum() == 0


def test_powers_of_two():
    """Above 2**-126: what float32 holds as subnormal, ml_dtypes rounds by another rule."""
    import ml_dtypes

    codes = np.arange(256)
    theirs = codes.astype(np.uint8).view(ml_dtypes.float8_e8m0fnu).astype(np.float64)
    assert np.array_equal(decode_e8m0(codes), theirs, equal_nan=True)
    draw = np.random.default_rng(2)
    x = np.exp2(draw.uniform(-126, 127.4, 200_000)).astype(np.float32)
    x[:253] = 1.5 * np.exp2(np.arange(-126, 127))
    theirs = x.astype(ml_dtypes.float8_e8m0fnu).view(np.uint8)
    assert (encode_e8m0(x, rounding="nearest") != theirs).sum() == 0
