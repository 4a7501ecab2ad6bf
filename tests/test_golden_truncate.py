"""Truncation in both versions of its definition."""

import numpy as np
import pytest

from golden.quantize import QONNX_ROUNDINGS
from golden.truncate import trunc_v1, trunc_v2


def value(truncated):
    codes, scale, zero_point = truncated
    return ((codes - zero_point) * scale).tolist()


def test_the_zero_point():
    """8 to 6 bits, zero point 4: version 1 takes all of it off a code that holds a quarter of it."""
    codes = np.array([-16, 0, 4, 20])  # -20, -4, 0, 16
    assert value(trunc_v1(codes, scale=1, zero_point=4, input_bits=8, output_bits=6)) == [-8, -4, -3, 1]
    assert value(trunc_v2(codes, scale=1, zero_point=4, output_scale=4, output_format="int6")) == [-20, -4, 0, 16]


def test_codes_agree_and_scales_do_not():
    codes = np.arange(-128, 128)
    first = trunc_v1(codes, scale=0.5, input_bits=8, output_bits=4)
    second = trunc_v2(codes, scale=0.5, output_scale=8, output_format="int4")
    assert first[0].tolist() == second[0].tolist() == (codes >> 4).tolist()
    assert (first[1], second[1]) == (0.5, 8)


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [("FLOOR", [-2, -1, 0, 1]), ("ROUND", [-2, 0, 0, 2]), ("CEIL", [-1, 0, 1, 2]), ("HALF_UP", [-2, -1, 1, 2])],
)
def test_ties(rounding, expected):
    how = {"scale": 1, "rounding": QONNX_ROUNDINGS[rounding]}
    assert trunc_v1([-3, -1, 1, 3], input_bits=8, output_bits=7, **how)[0].tolist() == expected
    assert trunc_v2([-3, -1, 1, 3], output_scale=2, output_format="int7", **how)[0].tolist() == expected


def test_version_2_clips():
    assert trunc_v2([-300, 300], scale=1, output_scale=2, output_format="int8")[0].tolist() == [-128, 127]
    assert trunc_v2([-300, 300], scale=1, output_scale=2, output_format="int8", narrow=True)[0].tolist() == [-127, 127]
    assert trunc_v1([-300, 300], scale=1, input_bits=8, output_bits=7)[0].tolist() == [-150, 150]


def test_more_bits_than_before():
    with pytest.raises(ValueError) as error:
        trunc_v1([1], scale=1, input_bits=4, output_bits=5)
    assert str(error.value) == "output_bits must be at most 4, not 5"
