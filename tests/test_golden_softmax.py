"""Softmax and the logistic function of codes: against real numbers, and against what other projects recorded."""

import math

import numpy as np
import pytest
from test_golden_kernels import CMSIS, load

from golden import platforms
from golden.fixed_functions import ONE, exp_of_negative, logistic, reciprocal_of_one_plus
from golden.softmax import logistic_int8, softmax_int8
from golden.softmax16 import softmax_int16


@pytest.mark.parametrize("bits", [4, 5])
def test_fixed_point_functions_are_near_the_real_ones(bits):
    a = -np.unique(np.geomspace(1, 2.0**31 - 1, 5000).astype(np.int64))
    one, x = 2.0**31, np.ldexp(a.astype(np.float64), bits - 31)
    assert abs(exp_of_negative(a, bits) / one - np.exp(x)).max() < 3e-7
    assert abs(logistic(a, bits) / one - 1 / (1 + np.exp(-x))).max() < 3e-7
    assert abs(logistic(-a, bits) / one - 1 / (1 + np.exp(x))).max() < 3e-7
    assert (exp_of_negative(0, bits), logistic(0, bits)) == (ONE, 1 << 30)
    assert abs(reciprocal_of_one_plus(-a) / one - 1 / (1 - np.ldexp(a.astype(np.float64), -31))).max() < 3e-7


@pytest.mark.parametrize("scale", [2.0**-26, 0.003, 0.1, 2.0**-4, 3.9, 15.9])
def test_softmax_is_near_the_real_one(scale):
    draw = np.random.default_rng(1)
    codes = draw.integers(-128, 128, (200, 12))
    powers = np.exp((codes - codes.max(axis=-1, keepdims=True)) * np.float64(np.float32(scale)))
    real = powers / powers.sum(axis=-1, keepdims=True)
    y = softmax_int8(codes, x_scale=scale)
    assert abs(y - np.minimum(real * 256 - 128, 127)).max() <= 0.51
    assert len(np.unique(y)) > 2 or scale < 1e-6


def test_softmax_of_int16_is_near_the_real_one():
    draw = np.random.default_rng(2)
    for scale in (2.0**-14, 3e-4, 1e-3):
        codes = draw.integers(-(2**15), 2**15, (200, 12))
        powers = np.exp((codes - codes.max(axis=-1, keepdims=True)) * np.float64(np.float32(scale)))
        real = powers / powers.sum(axis=-1, keepdims=True)
        y = softmax_int16(codes, x_scale=scale)
        assert abs(y - real * 32768).max() < 24
        assert len(np.unique(y)) > 100


@pytest.mark.parametrize("scale", [2.0**-27, 0.01, 2.0**-4, 1.0, 7.9])
def test_logistic_is_near_the_real_one(scale):
    codes = np.arange(-128, 128)
    y = logistic_int8(codes, x_scale=scale, x_zero_point=-7)
    real = 256 / (1 + np.exp(np.minimum(-(codes + 7) * np.float64(np.float32(scale)), 700))) - 128
    assert abs(y - np.minimum(real, 127)).max() <= 0.51
    assert y[codes == -7] == 0


@pytest.mark.parametrize("kind", ["int8", "int16"])
def test_softmax_of_one_value_and_of_equal_ones(kind):
    name, one = {"int8": ("tflite-micro", 256), "int16": ("tflite-micro-int16", 1 << 15)}[kind]
    zero_point = -128 if kind == "int8" else 0
    for count in (1, 2, 4, 64):
        y = platforms.softmax(name, np.full((2, count), 5), x_scale=0.01, x_format=kind)
        largest = np.minimum(one // count, one - 1) + zero_point
        assert np.unique(y).tolist() == [largest]


def test_recorded_softmax():
    """The recordings hold the multiplier and the shift of beta * scale * 2**26, and of scale * 65535 / 10."""
    for name, platform, kind in (("softmax", "cmsis-nn", "int8"), ("softmax_s16", "cmsis-nn-int16", "int16")):
        arrays, meta = load(CMSIS, name)
        c = meta["config"]
        scale = math.ldexp(c["INPUT_MULT"], c["INPUT_LEFT_SHIFT"] - 31)
        scale = scale * 2.0**-26 if kind == "int8" else scale * 10 / 65535
        x = arrays["input"].reshape(c["NUM_ROWS"], c["ROW_SIZE"])
        y = platforms.softmax(platform, x, x_scale=scale, x_format=kind)
        assert y.reshape(-1).tolist() == arrays["output_ref"].tolist()


ERRORS = {
    "a softmax must be of at most 4095 values, not 4096": lambda: softmax_int8(np.zeros((1, 4096)), x_scale=1),
    "a softmax must be of at most 65535 values, not 65536": lambda: softmax_int16(np.zeros((1, 65536)), x_scale=1),
    "the scale of codes must be 2**-26 to below 2**4, not 16.0": lambda: softmax_int8([[1]], x_scale=8, beta=2),
    "the scale of codes must be 2**-26 to below 2**4, not 7.450580596923828e-09": lambda: softmax_int8(
        [[1]], x_scale=2.0**-27
    ),
    "the scale of codes must be 2**-27 to below 2**3, not 8.0": lambda: logistic_int8([1], x_scale=8),
    "scale must be below 2**30, not 6553500000.0": lambda: softmax_int16([[1]], x_scale=1e6),
    "tosa has no rule for a softmax of int8 that is known to the bit": lambda: platforms.softmax(
        "tosa", [[1]], x_scale=1
    ),
    "tflite-micro-int16 has no rule for a logistic function of int16 that is known to the bit": lambda: (
        platforms.logistic("tflite-micro-int16", [1], x_scale=1, x_format="int16")
    ),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors(message):
    with pytest.raises(ValueError) as error:
        ERRORS[message]()
    assert str(error.value) == message
