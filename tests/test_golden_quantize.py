"""Real values to codes and back: ties, ends, groups, and the choice of scale and zero point."""

import math
from fractions import Fraction

import numpy as np
import oracle
import pytest

from golden.calibrate import SCHEMES, choose
from golden.float_scale import round_real
from golden.quantize import (
    BREVITAS_ROUNDINGS,
    QONNX_ROUNDINGS,
    QUANTIZERS,
    code_range,
    dequantize,
    quantize,
    quantize_as,
)
from golden.rounding import ROUNDINGS

TIES = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_round_real_against_fractions(rounding):
    draw = np.random.default_rng(1)
    values = [
        *draw.normal(0, 1000, 30000),
        *(draw.normal(0, 1, 30000) * 2.0 ** draw.integers(-200, 60, 30000)),
        *(np.arange(-20000, 20001) / 2),
        *(sign * 2.0**e for e in range(-1074, 62) for sign in (1, -1)),
        *(math.nextafter(k + 0.5, end) for k in range(-50, 50) for end in (-math.inf, math.inf)),
        *(float(2**53 - 1), -float(2**53 - 1), 0.0, -0.0),
    ]
    assert len(values) > 100_000
    assert round_real(values, rounding).tolist() == [oracle.ROUND[rounding](Fraction(float(v))) for v in values]


def test_round_real_at_the_ends():
    ends = [math.inf, -math.inf, 1e300, -1e300, 2.0**62, -(2.0**62)]
    assert round_real(ends, "half_even").tolist() == [2**62, -(2**62)] * 3
    with pytest.raises(ValueError) as error:
        round_real([1.0, math.nan], "half_even")
    assert str(error.value) == "NaN has no integer code"


def test_other_projects_names_for_roundings():
    """QONNX's HALF_UP is half away from zero, its UP away from zero; Brevitas's DPU_ROUND takes negative ties up."""
    rounded = {
        name: round_real(TIES, rule).tolist() for name, rule in {**QONNX_ROUNDINGS, **BREVITAS_ROUNDINGS}.items()
    }
    assert rounded == {
        "ROUND": [-2, -2, 0, 0, 2, 2],
        "HALF_EVEN": [-2, -2, 0, 0, 2, 2],
        "CEIL": [-2, -1, 0, 1, 2, 3],
        "FLOOR": [-3, -2, -1, 0, 1, 2],
        "UP": [-3, -2, -1, 1, 2, 3],
        "DOWN": [-2, -1, 0, 0, 1, 2],
        "HALF_UP": [-3, -2, -1, 1, 2, 3],
        "HALF_DOWN": [-2, -1, 0, 0, 1, 2],
        "ROUND_TO_ZERO": [-2, -1, 0, 0, 1, 2],
        "DPU_ROUND": [-2, -1, 0, 0, 2, 2],
    }


def test_ties_by_platform():
    x = [0.5, 1.5, 2.5, 3.5]
    assert {name: quantize_as(name, x, 1, 1).tolist() for name in QUANTIZERS} == {
        "onnx": [1, 3, 3, 5],
        "tflite-reference": [2, 3, 4, 5],
        "litert": [1, 3, 3, 5],
        "qonnx": [2, 2, 4, 4],
        "torch": [2, 2, 4, 4],
        "torch-fake": [1, 3, 3, 5],
    }


def test_division_and_reciprocal_differ():
    """x / 41 is a tie in float32 for x = 20.5; x times the float32 nearest to 1 / 41 is not."""
    found = 0
    for step in range(1, 200):
        scale = np.float32(step)
        x = (np.arange(-100, 100) + np.float32(0.5)) * scale
        by_division, by_reciprocal = quantize_as("onnx", x, scale), quantize_as("litert", x, scale)
        assert np.abs(by_division - by_reciprocal).max() <= 1
        found += int((by_division != by_reciprocal).sum())
        expected = [oracle.ROUND["half_even"](Fraction(float(np.float32(float(v) / step)))) for v in x]
        assert by_division.tolist() == np.clip(expected, -128, 127).tolist()
        inverse = np.float32(1) / scale
        expected = [oracle.ROUND["half_even"](Fraction(float(np.float32(float(v) * float(inverse))))) for v in x]
        assert by_reciprocal.tolist() == np.clip(expected, -128, 127).tolist()
    assert found > 100


def test_ends_saturate_and_nan_is_refused():
    x = np.float32([np.inf, -np.inf, 3e38, -3e38, 2**31, -(2.0**40), 127.5])
    assert quantize(x, 0.001).tolist() == [127, -128, 127, -128, 127, -128, 127]
    assert quantize(x, 0.001, 3, "uint8").tolist() == [255, 0, 255, 0, 255, 0, 255]
    assert quantize(x, 1e-30, reciprocal=True).tolist() == [127, -128, 127, -128, 127, -128, 127]
    with pytest.raises(ValueError) as error:
        quantize([0.0, np.nan], 1.0)
    assert str(error.value) == "NaN has no integer code"


def test_narrow_ranges():
    assert quantize([-1000, 1000], 1, narrow=True).tolist() == [-127, 127]
    assert quantize([-1000, 1000], 1, 0, "uint8", narrow=True).tolist() == [0, 254]
    assert (code_range("int4"), code_range("int4", narrow=True)) == ((-8, 7), (-7, 7))
    with pytest.raises(ValueError) as error:
        code_range("bipolar")
    assert str(error.value) == "codes must be integers, not bipolar"


def test_per_channel_and_in_blocks():
    x = np.array([[1.0, 2.0, 3.0, 4.0, 5.0], [10.0, 20.0, 30.0, 40.0, 50.0]])
    assert quantize(x, [1, 10], [0, 1], axis=0).tolist() == [[1, 2, 3, 4, 5], [2, 3, 4, 5, 6]]
    assert quantize(x, [1, 2, 3, 4, 5], axis=1).tolist() == [[1] * 5, [10] * 5]
    scale, zero_point = [[1, 2, 5], [10, 20, 50]], [[0, 1, 2], [3, 4, 5]]
    codes = quantize(x, scale, zero_point, axis=1, block=2)
    assert codes.tolist() == [[1, 2, 3, 3, 3], [4, 5, 6, 6, 6]]
    back = dequantize(codes, scale, zero_point, axis=1, block=2)
    assert back.dtype == np.float32
    assert back.tolist() == [[1, 2, 4, 4, 5], [10, 20, 40, 40, 50]]
    assert quantize(x, 10, 0, axis=1, block=2).tolist() == quantize(x, 10).tolist()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"scale": 0.0}, "scale must be positive and finite"),
        ({"scale": [1.0, math.inf], "axis": 0}, "scale must be positive and finite"),
        ({"scale": [1.0, 2.0]}, "scale must be a scalar where there is no axis, not of shape [2]"),
        ({"scale": [1.0, 2.0], "axis": 1}, "scale must be a scalar or have shape [3], not [2]"),
        (
            {"scale": [1.0, 2.0], "axis": 0, "zero_point": [1, 2, 3]},
            "zero_point must be a scalar or have shape [2], not [3]",
        ),
        (
            {"scale": [[1.0, 2.0, 3.0]], "axis": 1, "block": 2},
            "scale must be a scalar or have shape [2, 2], not [1, 3]",
        ),
    ],
)
def test_shapes_that_do_not_fit(how, message):
    with pytest.raises(ValueError) as error:
        quantize(np.zeros((2, 3)), **how)
    assert str(error.value) == message


def test_dequantize_and_quantize_are_inverse():
    codes = np.arange(-128, 128)
    for scale in (0.1, 0.25, 3.7):
        for zero_point in (-128, 0, 5):
            assert quantize(dequantize(codes, scale, zero_point), scale, zero_point).tolist() == codes.tolist()


def test_float16_scales_divide_in_float16():
    x, scale = np.float16([1.0, 100.0, 7.3]), np.float16(0.3)
    assert dequantize([3, -5], scale).dtype == np.float16
    assert quantize(x, scale).tolist() == np.clip(np.rint((x / scale).astype(float)), -128, 127).tolist()


def test_unknown_quantizer():
    with pytest.raises(ValueError) as error:
        quantize_as("keras", [1.0], 1.0)
    assert str(error.value) == f"unknown quantizer 'keras'; known are {', '.join(QUANTIZERS)}"


def test_choices_differ():
    """The same range, four schemes: the scale's last bit, the zero point's tie, the symmetric range's end."""
    assert {name: choose(name, -1.0, 1.0, "uint8")[1] for name in SCHEMES} == {
        "tflite": 128,  # 127.5 in float64
        "onnx-dynamic": 127,  # 127.49999 in float32
        "onnxruntime": 128,
        "torch": 127,
    }
    assert {name: choose(name, -0.5, 254.5, "uint8") for name in SCHEMES} == {
        "tflite": (1.0, 1),
        "onnx-dynamic": (1.0, 0),
        "onnxruntime": (1.0, 0),
        "torch": (1.0, 0),
    }
    symmetric = {name: choose(name, -1.0, 0.5, symmetric=True) for name in ("tflite", "onnxruntime", "torch")}
    assert symmetric == {
        "tflite": (float(np.float32(1) / np.float32(127)), 0),
        "onnxruntime": (float(np.float32(2 / 255)), 0),
        "torch": (float(np.float32(1) / np.float32(127.5)), 0),
    }
    assert choose("onnxruntime", -1.0, 0.5, symmetric=True, narrow=True) == (float(np.float32(2 / 254)), 0)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_chosen_scale_covers_the_range_and_holds_zero(scheme):
    draw = np.random.default_rng(2)
    for fmt in ("int8", "uint8", "int4"):
        lo_code, hi_code = code_range(fmt)
        for _ in range(300):
            lo, hi = np.sort(draw.normal(draw.normal(), 1, 2) * 10.0 ** draw.integers(-2, 3)).astype(np.float32)
            scale, zero_point = choose(scheme, lo, hi, fmt)
            assert lo_code <= zero_point <= hi_code
            assert float(np.float32(scale)) == scale
            for end in (lo, hi):
                error = abs(float(dequantize(quantize(end, scale, zero_point, fmt), scale, zero_point)) - float(end))
                assert error <= 1.01 * scale


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_range_of_one_point(scheme):
    scale, zero_point = choose(scheme, 0.0, 0.0, "uint8")
    assert (scale, zero_point) == ((2.0**-23, 0) if scheme == "torch" else (1.0, 0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: choose("keras", 0, 1), "unknown scheme 'keras'; known are tflite, onnx-dynamic, onnxruntime, torch"),
        (lambda: choose("torch", -math.inf, 1), "a range must have finite ends"),
        (lambda: choose("torch", 0, math.nan), "a range must have finite ends"),
        (lambda: choose("onnx-dynamic", 0, 1, symmetric=True), "onnx-dynamic has no symmetric range"),
        (
            lambda: choose("tflite", 0, 1, "uint8", symmetric=True),
            "tflite has no symmetric range for unsigned codes",
        ),
    ],
)
def test_what_cannot_be_chosen(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == message
