"""More of the smallest inputs on which platforms disagree: widths of multipliers, overflows, one name with two rules.

Ties and zero points are in test_golden_platforms.py, pooling, addition and rescaling in tests of their own names, the
quantizers in test_golden_quantize.py, truncation in test_golden_truncate.py.
"""

import numpy as np
import pytest
from test_golden_platforms import AWAY, GEMMLOWP, HALF_UP_TWICE, MULT16, NAMES, SINGLE, THRESHOLDS, TO_EVEN, grouped

from golden import fixed_point, float_scale, platforms, scale
from golden.formats import parse
from golden.mac import accumulate
from golden.spec import Spec

INT_MIN, INT_MAX = -(2**31), 2**31 - 1
EXACT = GEMMLOWP | SINGLE | HALF_UP_TWICE | AWAY | THRESHOLDS | {"onnx-reference"}


def test_width_of_the_multiplier():
    """float32(0.1) is above 0.1; with 16 bits it is below; float32 products of it round to the tie, and to even."""
    assert grouped([5, 15], np.float32(0.1), NAMES) == {
        (1, 2): EXACT,
        (0, 1): MULT16,
        (0, 2): TO_EVEN | {"qonnx", "brevitas"},
    }


def test_16_bits_of_31_or_of_the_scale():
    """Just below one, TFLite's multiplier of 31 bits does not round up to 2**15, TOSA's of 15 bits does."""
    d = np.float32(1 - 2.0**-17)
    derived = {name: platforms.derive(name, a_scale=1, w_scale=d, y_scale=1) for name in sorted(MULT16)}
    assert {name: (int(p["multiplier"]), int(p["shift"])) for name, p in derived.items()} == {
        "cmsis-nn-int16": (32767, 0),
        "tflite-micro-int16": (32767, 0),
        "tosa-int16": (16384, 1),
    }


@pytest.mark.parametrize("seed", range(3))
def test_the_24_bit_multiplier_is_the_float32_scale(seed):
    """XNNPACK's rule on Arm is one exact product with the float32 scale, ties up."""
    draw = np.random.default_rng(seed)
    factors = np.float32(draw.uniform(1, 2, 50) * 2.0 ** draw.integers(-31, 8, 50))
    acc = draw.integers(-(2**31), 2**31, 50)
    for factor, value in zip(factors.tolist(), acc.tolist(), strict=True):
        numerator, denominator = factor.as_integer_ratio()
        exact = (2 * value * numerator + denominator) // (2 * denominator)
        assert fixed_point.rndnu(np.array(value), factor) == exact


def test_int_min():
    """The one product that saturates, and does not in gemmlowp's vectors for SSE4; all others agree."""
    corners = [INT_MIN, INT_MIN + 1, -1, 0, 1, 2**30, INT_MAX - 1, INT_MAX]
    for a in corners:
        for b in corners:
            scalar, vector = scale.doubling_high_multiply(a, b), fixed_point.doubling_high_multiply_sse4(a, b)
            assert (scalar, vector) == ((INT_MAX, INT_MIN) if a == b == INT_MIN else (scalar, scalar))


def test_results_beyond_32_bits():
    """2**40 * 32767 / 2**24: CMSIS-NN keeps twice the result in 32 bits; TOSA defines what fits 32 bits."""
    parameters = {"multiplier": 32767, "shift": -9}
    acc = np.array([[2**40]])
    of = {
        name: platforms.requantize(name, acc, parameters, y_format="int32").item()
        for name in ("tflite-micro-int16", "cmsis-nn-int16")
    }
    assert of == {"tflite-micro-int16": 2147418112, "cmsis-nn-int16": -65536}
    assert platforms.requantize("tosa-int16", acc, parameters, y_format="int32").item() == 2147418112
    with pytest.raises(ValueError, match="does not fit int32"):
        platforms.requantize("tosa-int16", acc * 2, parameters, y_format="int32")
    small = np.arange(-(2**38), 2**38, 2**29)[:, None]
    one, other = (platforms.requantize(name, small, parameters, y_format="int32") for name in of)
    assert np.array_equal(one, other) and np.abs(one).max() > 2**28


@pytest.mark.parametrize(
    ("a", "w", "depth"), [(-128, -128, 131071), (255, 255, 33025), (255, -128, 65793)], ids=["s8s8", "u8u8", "u8s8"]
)
def test_depths_that_fit_int32(a, w, depth):
    """The largest K for which no sum overflows, and one more."""
    exact = a * w * depth
    for k, wraps in ((depth, False), (depth + 1, True)):
        operands = np.full((1, k), a), np.full((k, 1), w)
        acc = platforms.accumulate("onnxruntime", *operands).item()
        assert (acc != exact + a * w * (k - depth)) == wraps
        assert platforms.accumulate("litert-reference-int16", *operands).item() == a * w * k
        if wraps:
            with pytest.raises(ValueError, match="does not fit int32"):
                platforms.accumulate("tosa", *operands)


def test_one_name_many_numerics():
    """One layer in what is called TFLite: by kernel, by processor and by build (tosa has its single rounding)."""
    acc, d = [-6, -3, 1, 2, 10], 0.25
    names = {name for name in NAMES if name.startswith(("litert", "tflite"))} - {"litert-xnnpack-arm"}
    assert grouped(acc, d, names | {"tosa"}) == {
        (-2, -1, 1, 1, 3): {"tflite-micro", "litert-reference-conv"},
        (-1, 0, 1, 1, 3): {"litert-ruy-x86"},
        (-1, -1, 0, 1, 3): {"tosa", "tflite-micro-int16"},
        (-2, -1, 0, 1, 3): {"litert-reference", "litert-reference-int16"},
        (-2, -1, 0, 0, 2): {"litert-xnnpack"},
    }
    assert grouped(acc, d, {"litert-xnnpack-arm", "litert-xnnpack"}) == {
        (-1, -1, 0, 1, 3): {"litert-xnnpack-arm"},
        (-2, -1, 0, 0, 2): {"litert-xnnpack"},
    }


def test_xnnpack_on_arm_scales_many_channels_in_float32():
    acc = np.array([[-6, -6], [2, 2]])
    parameters = platforms.derive("litert-xnnpack-arm", a_scale=1, w_scale=[0.25, 0.25], y_scale=1)
    assert platforms.requantize("litert-xnnpack-arm", acc, parameters).tolist() == [[-2, -2], [0, 0]]


def test_thresholds_on_integers_are_rounded_up():
    """A sum reaches a threshold when it reaches the next integer above it."""
    levels = float_scale.thresholds(1.0, (0, 3), 0.3)
    assert levels.tolist() == [2, 5, 9]
    acc = np.arange(-20, 20)
    by_real = float_scale.reached(acc, np.array([0.5, 1.5, 2.5]) / np.float32(0.3))
    assert float_scale.reached(acc, levels).tolist() == by_real.tolist()


@pytest.mark.parametrize("name", ["finn", "qonnx", "tflite-micro"])
def test_scales_are_positive(name):
    """FINN moves the sign of a negative scale into the weights first; what reaches a platform is positive."""
    with pytest.raises(ValueError) as error:
        platforms.derive(name, a_scale=1, w_scale=[0.5, -0.5], y_scale=1)
    assert str(error.value) == "w_scale[1] must be positive and finite in float32, not -0.5"


def test_zero_points_per_channel():
    """One for each column of w, as ONNX allows and TOSA and TFLite do not."""
    draw = np.random.default_rng(6)
    a, w, zero_points = draw.integers(0, 256, (3, 5)), draw.integers(0, 256, (5, 4)), np.array([3, 0, 255, 128])
    expected = [
        [sum((int(a[i, k]) - 7) * (int(w[k, j]) - int(zero_points[j])) for k in range(5)) for j in range(4)]
        for i in range(3)
    ]
    acc = platforms.accumulate("onnxruntime", a, w, a_zero_point=7, w_zero_point=zero_points)
    assert acc.tolist() == expected


def test_a_sum_beyond_int32_wraps_saturates_or_is_forbidden():
    """Item 15: 140000 products of -128 and -128, 2293760000."""
    a, w = np.full((1, 140_000), -128), np.full((140_000, 1), -128)
    assert platforms.accumulate("onnxruntime", a, w).item() == -2001207296
    assert platforms.accumulate("tflite-micro-int16", a, w).item() == 2293760000
    with pytest.raises(ValueError, match="does not fit int32, which tosa leaves unpredictable"):
        platforms.accumulate("tosa", a, w)
    fields = {"lanes": 1000, "depth": 140_000, "accumulator": 32, "accumulator_overflow": "saturate"}
    saturating = Spec(activations=parse("int8"), weights=parse("int8"), **fields)  # as an ARM QADD per beat
    assert accumulate(a, w, saturating).item() == 2147483647
