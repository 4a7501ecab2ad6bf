"""golden.rounding against fractions and the decimal module."""

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.formats import Bipolar, Integer
from golden.rounding import OVERFLOWS, ROUNDINGS, overflow, round_shift

VALUES = range(-300, 301)
SHIFTS = range(9)
BIG = [sign * (n << 60) + offset for sign in (1, -1) for n in (1, 3, 2**40 + 1) for offset in (-1, 0, 1, 1 << 59)]
quick = settings(derandomize=True, deadline=None, max_examples=200, database=None)


def fractions(values, shifts, rounding):
    return [[oracle.round_quotient(value, shift, rounding) for value in values] for shift in shifts]


def test_the_names_are_those_of_the_oracle():
    assert set(ROUNDINGS) == set(oracle.ROUND)


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_every_small_value_and_shift(rounding):
    expected = fractions(VALUES, SHIFTS, rounding)
    values = np.array(VALUES)
    for shift in SHIFTS:
        assert round_shift(values, shift, rounding).tolist() == expected[shift]
        assert [round_shift(value, shift, rounding) for value in VALUES] == expected[shift]


@pytest.mark.parametrize("rounding", oracle.DECIMAL_MODES)
def test_decimal_module_agrees(rounding):
    for shift in SHIFTS:
        expected = [oracle.round_decimal(value, shift, rounding) for value in VALUES]
        assert round_shift(np.array(VALUES), shift, rounding).tolist() == expected


@pytest.mark.parametrize("dtype", [np.int64, object])
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_arrays_of_shifts_broadcast(rounding, dtype):
    values, shifts = np.array(VALUES).astype(dtype), np.array(SHIFTS).astype(dtype)
    result = round_shift(values, shifts[:, None], rounding)
    assert result.dtype == dtype
    assert result.tolist() == fractions(VALUES, SHIFTS, rounding)


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_beyond_64_bits(rounding):
    shifts = (0, 1, 59, 60, 61, 62, 63, 64, 100, 130)
    expected = fractions(BIG, shifts, rounding)
    for shift, row in zip(shifts, expected, strict=True):
        assert [round_shift(value, shift, rounding) for value in BIG] == row
    objects = round_shift(np.array(BIG, object), np.array(shifts, object)[:, None], rounding)
    assert objects.tolist() == expected
    assert any(abs(value) >= 2**64 for value in BIG)


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_int64_extremes_at_every_shift(rounding):
    values = [-(2**63), -(2**63) + 1, -(2**62) - 1, -(2**62), -(2**61), -1, 0, 1, 2**61, 2**62 - 1, 2**62, 2**63 - 1]
    result = round_shift(np.array(values), np.arange(63)[:, None], rounding)
    assert result.dtype == np.int64
    assert result.tolist() == fractions(values, range(63), rounding)


def test_every_pair_of_rules_differs_on_halves_or_quarters():
    outcome = {rounding: tuple(round_shift(np.arange(-10, 11), 2, rounding).tolist()) for rounding in ROUNDINGS}
    assert len(set(outcome.values())) == len(ROUNDINGS)


@quick
@given(st.integers(-(2**100), 2**100), st.integers(0, 110), st.sampled_from(ROUNDINGS))
def test_any_value_and_shift(value, shift, rounding):
    assert round_shift(value, shift, rounding) == oracle.round_quotient(value, shift, rounding)


@quick
@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=8), st.integers(0, 62), st.sampled_from(ROUNDINGS)
)
def test_any_int64_array(values, shift, rounding):
    expected = [oracle.round_quotient(value, shift, rounding) for value in values]
    assert round_shift(np.array(values), shift, rounding).tolist() == expected


@quick
@given(st.integers(-(2**40), 2**40), st.integers(1, 30), st.sampled_from(ROUNDINGS))
def test_exact_ties(odd_source, shift, rounding):
    tie = (2 * odd_source + 1) << (shift - 1)
    assert round_shift(tie, shift, rounding) == oracle.round_quotient(tie, shift, rounding)


def test_a_numpy_scalar_is_an_element():
    assert round_shift(np.int64(-5), np.int64(1), "half_even") == -2


def test_unknown_rounding():
    with pytest.raises(ValueError) as error:
        round_shift(1, 1, "nearest")
    assert str(error.value) == (
        "unknown rounding 'nearest'; known are floor, ceil, toward_zero, half_up, half_down, half_away, half_even, dpu"
    )


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("width", [1, 2, 3, 8])
def test_overflow_rules(width, signed):
    lo, hi = (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if signed else (0, 2**width - 1)
    fmt, values = Integer(width, signed=signed), np.array(VALUES)
    assert overflow(values, fmt, "wrap").tolist() == [oracle.wrap(value, width, signed) for value in VALUES]
    assert overflow(values, fmt, "saturate").tolist() == [oracle.clamp(value, lo, hi) for value in VALUES]


def test_bipolar_saturates_to_the_sign():
    assert overflow(np.array([-300, -1, 0, 1, 300]), Bipolar(), "saturate").tolist() == [0, 0, 1, 1, 1]


def test_unknown_overflow():
    assert OVERFLOWS == ("wrap", "saturate")
    with pytest.raises(ValueError) as error:
        overflow(1, Integer(4, signed=True), "clip")
    assert str(error.value) == "unknown overflow 'clip'; known are wrap, saturate"
