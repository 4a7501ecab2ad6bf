"""golden.ieee: float32 and float64 scaling in integers against numpy's floating point and exact fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.float_scale import float64 as float64_by_numpy
from golden.float_scale import round_real
from golden.ieee import FLOAT32, FLOAT64, excess_bits, float32, float64_away

INT32 = st.integers(-(1 << 31), (1 << 31) - 1)
VALUES = 200_000


def sums(rng):
    """int32 of every size, ends and small ones among them."""
    values = rng.integers(-(1 << 31), 1 << 31, VALUES) >> rng.integers(0, 31, VALUES)
    values[:8] = [-(1 << 31), (1 << 31) - 1, 0, 1, -1, 1 << 24, (1 << 24) + 1, -(1 << 24) - 1]
    return values


def scales(rng, dtype):
    """Real scales of every size; a third are powers of two, which make ties, a third have few bits."""
    values = np.exp2(rng.uniform(-40, 6, VALUES)).astype(dtype)
    values[::3] = np.exp2(rng.integers(-34, 4, len(values[::3])))
    values[1::3] = rng.integers(1, 64, len(values[1::3])) * np.exp2(rng.integers(-30, 0, len(values[1::3])))
    return values


def test_float32_is_what_numpy_computes():
    rng = np.random.default_rng(1)
    x, scale = sums(rng), scales(rng, np.float32)
    came = float32(x, FLOAT32.encode(scale))
    wanted = np.rint(x.astype(np.float32) * scale).astype(np.float64)
    assert came.dtype == np.int64
    assert (np.abs(came) < 1 << 37).all()
    assert np.array_equal(came, wanted)
    exact = np.rint(x.astype(np.float64) * scale)
    assert (exact != wanted).sum() > 1000, "the stimulus says nothing of float32"


def test_float64_away_is_what_numpy_computes():
    rng = np.random.default_rng(2)
    x, scale = sums(rng)[:20_000], scales(rng, np.float64)[:20_000]
    came = float64_away(x.astype(object), FLOAT64.encode(scale).astype(object))
    wanted = round_real(float64_by_numpy(x, scale), "half_away")
    assert came.tolist() == wanted.tolist()
    even = round_real(float64_by_numpy(x, scale), "half_even")
    assert (even != wanted).sum() > 100, "the stimulus has no ties"


@given(INT32, st.integers(*FLOAT32.code_range))
def test_python_integers_for_any_scale(x, pattern):
    scale = FLOAT32.decode(pattern)
    with np.errstate(over="ignore", under="ignore"):
        wanted = np.rint(np.float32(x) * scale)
    came = float32(x, pattern)
    if abs(wanted) < 1 << 40:
        assert came == wanted
    else:
        assert abs(came) >= 1 << 40 and (came < 0) == (wanted < 0)


@given(st.integers(-(1 << 90), 1 << 90), st.integers(1, 60))
def test_excess_bits(value, kept):
    assert excess_bits(value, kept, 92) == max(abs(value).bit_length() - kept, 0)


@pytest.mark.parametrize(("fmt", "dtype"), [(FLOAT32, np.float32), (FLOAT64, np.float64)])
def test_patterns(fmt, dtype):
    info = np.finfo(dtype)
    values = np.array([info.smallest_normal, 0.1, 1, 1.5, 2**20, info.max], dtype)
    codes = fmt.encode(values)
    assert (codes[0], codes[-1]) == fmt.code_range
    assert np.array_equal(fmt.decode(codes), values)
    assert (np.diff(codes) > 0).all()
    for value, code in zip(values, codes.tolist(), strict=True):
        significand, exponent = fmt.parts(code)
        assert Fraction(significand) * Fraction(2) ** exponent == Fraction(float(value))


REFUSED = [
    (np.float32([1, 0]), "[1] must be a positive number, not 0.0"),
    (np.float32(-1), "must be a positive number, not -1.0"),
    (np.float32([[np.nan]]), "[0, 0] must be a positive number, not nan"),
    (np.float32(np.inf), "must be a positive number, not inf"),
    (np.float64(0.1), "must be a float32 number to the last bit, not 0.1"),
    (np.float64(1e300), "must be a float32 number to the last bit, not 1e+300"),
    (np.float32(1e-39), f"must be at least 1.1754943508222875e-38, not {np.float32(1e-39)}"),
    (np.array([1, 2]), "must hold float32 numbers, not int64"),
]


@pytest.mark.parametrize(("value", "message"), REFUSED)
def test_what_is_no_scale_is_refused(value, message):
    with pytest.raises(ValueError) as error:
        FLOAT32.encode(value)
    assert str(error.value) == message
