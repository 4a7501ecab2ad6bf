"""golden.derive: a spec with a platform's name, given real scales, gives the bits of golden.platforms."""

from fractions import Fraction

import numpy as np
import pytest
from designs import design

from golden import platforms
from golden.checks import MAX_SHIFT, requantizer_of
from golden.derive import derived, takes
from golden.platform_table import PLATFORMS
from golden.tensors import golden, operands

N = 6
WITH_SCALES = [p for p in PLATFORMS.values() if p.effective is not None and p.accumulator != "pairs16"]
ACTIVATIONS = [(p, each) for p in WITH_SCALES if p.activations for each in ("relu", "relu6")]
INT8 = {"output": "int8", "bias": "int32", "y_zero_point": True}
SCALES = {"a_scale": np.float32(0.05), "w_scale": np.float32(0.02), "y_scale": np.float32(0.4)}


def spec_of(p, *, activation="none", **fields):
    requantize = requantizer_of(p)
    held = {} if requantize == "thresholds" else {"bias": "int32", "y_zero_point": True}
    named = {"platform": p.name, "requantize": requantize, "output": "int8", "activation": activation}
    return design("int8", "int8", **{"depth": 64, "a_zero_point": True} | named | held | fields)


def scales(rng, *, per_channel, exact):
    """Powers of two, which make ties, or of any value."""
    a, y, w = np.exp2(rng.integers(-6, -1)), np.exp2(rng.integers(-2, 3)), np.exp2(-rng.integers(5, 9, N))
    a, y, w = (value if exact else value * rng.uniform(1, 2, np.shape(value)) for value in (a, y, w * y / a))
    named = {"a_scale": a, "w_scale": w if per_channel else w[0], "y_scale": y}
    return {name: np.asarray(value).astype(np.float32) for name, value in named.items()}


def matmul_of(p, arrays, activation=None):
    named = {name: arrays[name] for name in ("a_scale", "w_scale", "y_scale", "bias")}
    points = {name: int(arrays[name]) for name in ("a_zero_point", "y_zero_point")}
    return platforms.matmul(p, arrays["a"], arrays["w"], **named, **points, activation=activation)


def case(p, seed, *, per_channel, low=-128):
    rng = np.random.default_rng([seed, per_channel, len(p.name)])
    zero_point = 0 if p.name == "finn" else rng.integers(-60, 60)
    return {
        "a": rng.integers(-16, 16, (80, 33)),
        "w": rng.integers(-128, 128, (33, N)),
        "a_zero_point": rng.integers(-9, 9),
        "y_zero_point": zero_point,
        "bias": rng.integers(-3000, 3000, N),
        **scales(rng, per_channel=per_channel, exact=seed % 2 == 0),
    }


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("p", WITH_SCALES, ids=lambda p: p.name)
def test_a_design_with_a_platform_gives_its_bits(p, per_channel):
    spec, seen = spec_of(p), set()
    for seed in range(4):
        arrays = case(p, seed, per_channel=per_channel)
        y = golden(spec, operands(spec, arrays))
        np.testing.assert_array_equal(y, matmul_of(p, arrays))
        seen |= set(y.ravel().tolist())
    assert len(seen) > 180


@pytest.mark.parametrize(("p", "activation"), ACTIVATIONS, ids=lambda value: getattr(value, "name", value))
def test_activations_too(p, activation):
    spec = spec_of(p, activation=activation)
    for seed in range(3):
        arrays = case(p, seed, per_channel=True)
        np.testing.assert_array_equal(golden(spec, operands(spec, arrays)), matmul_of(p, arrays, activation))


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("p", [p for p in WITH_SCALES if requantizer_of(p) != "thresholds"], ids=lambda p: p.name)
def test_parameters_are_the_platforms_to_the_last_bit(p, per_channel):
    spec = spec_of(p)
    for seed in range(20):
        arrays = case(p, 2 * seed + 1, per_channel=per_channel)
        stored = platforms.derive(p, **{name: arrays[name] for name in ("a_scale", "w_scale", "y_scale")})
        found = operands(spec, arrays).parameters
        for name, value in stored.items():
            fmt = spec.parameter_formats[name]
            given = fmt.decode(found[name]) if name == "scale" else found[name]
            np.testing.assert_array_equal(given, np.broadcast_to(value, N))


def test_the_comparison_notices_another_platform():
    p = PLATFORMS["tflite-micro"]
    arrays = case(p, 0, per_channel=True)
    y = golden(spec_of(p), operands(spec_of(p), arrays))
    assert (y != matmul_of(PLATFORMS["litert-ruy-x86"], arrays)).sum() > 3
    assert (y != matmul_of(PLATFORMS["onnxruntime"], arrays)).sum() > 3


def test_deeploy_makes_thresholds_of_its_integers():
    p, rng = PLATFORMS["deeploy"], np.random.default_rng(1)
    spec = spec_of(p, a_zero_point=False)
    arrays = {"a": rng.integers(-128, 128, (30, 20)), "w": rng.integers(-128, 128, (20, N))}
    integers = {
        "multiplier": rng.integers(50, 100, N),
        "shift": rng.integers(13, 16, N),
        "add": rng.integers(0, 999, N),
    }
    y = golden(spec, operands(spec, arrays | integers))
    np.testing.assert_array_equal(y, platforms.requantize(p, arrays["a"] @ arrays["w"], integers))
    assert len(np.unique(y)) > 80


@pytest.mark.parametrize("bits", [8, 16, 31, 32])
def test_without_a_platform_the_multiplier_has_all_its_bits(bits):
    spec = design("int8", "int8", requantize="multiplier", multiplier_bits=bits, **INT8)
    for w_scale in np.random.default_rng(bits).uniform(1e-6, 3, 50).astype(np.float32):
        given = {"a_scale": np.float32(0.5), "w_scale": w_scale, "y_scale": np.float32(0.25)}
        found = derived(spec, given, 1)
        multiplier, shift = int(found["multiplier"]), int(found["shift"])
        exact = Fraction(float(w_scale)) * 2
        assert multiplier.bit_length() == bits
        assert abs(Fraction(multiplier, 1 << shift) - exact) <= Fraction(1, 2 << shift)


def test_a_multiplier_of_the_smallest_scales_loses_bits_and_then_there_is_none():
    spec = design("int8", "int8", requantize="multiplier", **INT8)

    def of(w_scale):
        found = derived(spec, {"a_scale": 1.0, "w_scale": w_scale, "y_scale": 1.0}, 1)
        return int(found["multiplier"]), int(found["shift"])

    assert of(2.0**-62) == (1, 62) and of(3 * 2.0**-62) == (3, 62)
    assert of((1 << 31) - 128) == ((1 << 31) - 128, 0)
    for w_scale in (2.0**-64, 2.0**31):
        with pytest.raises(ValueError, match=r"must be 2\*\*-63 to 2\*\*31 for this multiplier"):
            of(w_scale)


def test_shifts_take_powers_of_two_only():
    spec = design("int8", "int8", requantize="shift", **INT8)
    given = {"a_scale": 0.5, "w_scale": np.array([0.25, 2.0]), "y_scale": 1.0}
    assert derived(spec, given, 2)["shift"].tolist() == [3, 0]
    for w_scale in (0.3, 4.0, 2.0**-62):
        with pytest.raises(ValueError, match=rf"must be 2\*\*-{MAX_SHIFT} .. 1, a power of two"):
            derived(spec, given | {"w_scale": w_scale}, 1)


def test_y_max_follows_from_y_scale_within_the_outputs():
    spec = design("int8", "int8", requantize="tflite", activation="relu6", **INT8)
    found = derived(spec, SCALES | {"y_zero_point": np.array([-128, 0, 120])}, 3)
    assert found["y_max"].tolist() == [-128 + 15, 15, 127]
    halves = SCALES | {"y_scale": np.float32(4)}  # 6 / 4 = 1.5, away from zero
    assert derived(spec, halves, 1)["y_max"] == 2


def given(spec, **changes):
    arrays = {"a": np.ones((1, 2), int), "w": np.ones((2, 3), int), **SCALES, **changes}
    return operands(spec, {name: value for name, value in arrays.items() if value is not None})


@pytest.mark.parametrize("scale", ["a_scale", "w_scale", "y_scale"])
@pytest.mark.parametrize("value", [0.0, -0.5, np.nan, np.inf, 1e-60])
@pytest.mark.parametrize("requantize", ["multiplier", "tflite", "float32"])
def test_scales_are_positive_numbers(scale, value, requantize):
    spec = design("int8", "int8", requantize=requantize, **INT8)
    with pytest.raises(ValueError, match=f"^{scale}(\\[0\\])? must be positive and finite in float32, not "):
        given(spec, **{scale: value})


REFUSED = {
    "missing": ({"y_scale": None}, "y_scale: array missing; scales are given all three or not at all"),
    "shape of a": ({"a_scale": np.ones(3)}, "a_scale and y_scale must be scalars and w_scale a scalar or [N]"),
    "shape of w": ({"w_scale": np.ones((3, 1))}, "w_scale must be a scalar or have shape [3], not [3, 1]"),
    "length of w": ({"w_scale": np.ones(2)}, "w_scale must be a scalar or have shape [3], not [2]"),
    "strings": ({"a_scale": np.array("0.1")}, "a_scale must hold real numbers, not <U3"),
    "complex": ({"y_scale": 1j}, "y_scale must hold real numbers, not complex128"),
    "too large": ({"w_scale": 1e12}, "scale must be below 2**30, not 124999999488.0"),
    "other multiplier": (
        {"multiplier": 5},
        "multiplier is not what the real scales come to: multiplier is 5 where they give 1374389504; "
        "leave out multiplier or the scales",
    ),
    "other shift": (
        {"shift": [1, 2, 3]},
        "shift is not what the real scales come to: shift[0] is 1 where they give -8; leave out shift or the scales",
    ),
    "other shape": (
        {"w_scale": np.full(3, 0.02, np.float32), "shift": [1, 2]},
        "shift is not what the real scales come to: shape [2] where they give [3]; leave out shift or the scales",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_scales_may_not_be(name):
    changes, message = REFUSED[name]
    spec = design("int8", "int8", requantize="tflite", **INT8)
    with pytest.raises(ValueError) as error:
        given(spec, **changes)
    assert str(error.value) == message


def test_scales_and_what_they_come_to_may_be_given_together():
    for requantize, activation in (
        ("multiplier", "none"),
        ("tflite", "relu6"),
        ("mult16", "relu"),
        ("float32", "none"),
    ):
        spec = design("int8", "int8", requantize=requantize, activation=activation, **INT8)
        first = given(spec)
        found = derived(spec, {**SCALES, "y_zero_point": np.int64(0)}, 3)
        again = given(spec, **found)
        assert first.parameters.keys() == again.parameters.keys()
        for name, value in first.parameters.items():
            np.testing.assert_array_equal(value, again.parameters[name])
        changed = {name: value + value.dtype.type(1) for name, value in found.items()}
        for name in found:
            with pytest.raises(ValueError, match=f"{name} is not what the real scales come to"):
                given(spec, **{name: changed[name]})


def test_thresholds_may_be_given_with_the_scales_they_come_from():
    spec = spec_of(PLATFORMS["qonnx"], a_zero_point=False)
    thresholds = given(spec).parameters["thresholds"]
    assert given(spec, thresholds=thresholds).parameters["thresholds"].shape == (3, 255)
    with pytest.raises(ValueError, match="thresholds is not what the real scales come to"):
        given(spec, thresholds=thresholds + 1)
    with pytest.raises(ValueError, match="a_scale: array missing; scales are given all three or not at all"):
        given(spec, a_scale=None, w_scale=None, y_scale=None)
    with pytest.raises(ValueError, match=r"y_zero_point must be a scalar for platform 'qonnx', not \[3\]"):
        given(spec, y_zero_point=np.zeros(3, int))


def test_what_a_design_takes():
    assert takes(design("int8", "int8")) == ()
    assert takes(design("int8", "int8", requantize="thresholds", output="int8")) == ()
    assert takes(design("int8", "int8", requantize="shift", **INT8)) == ("a_scale", "w_scale", "y_scale")
    assert {"bias", "y_zero_point", "add", "a_scale"} <= set(takes(spec_of(PLATFORMS["qonnx"])))


@pytest.mark.parametrize("name", ["litert-reference", "litert-reference-int16"])
def test_the_rule_that_golden_alone_has_reaches_16_bits(name):
    """Thresholds stop at 8 bits; the reference kernels' float64 rule does not."""
    spec = design("int8", "int8", depth=64, requantize="float64_away", platform=name, bias="int32", output="int16")
    spec, given = spec.with_(a_zero_point=True, y_zero_point=True), case(PLATFORMS[name], 2, per_channel=True)
    y = golden(spec, operands(spec, given))
    expected = platforms.requantize(
        name,
        platforms.accumulate(name, given["a"], given["w"], a_zero_point=int(given["a_zero_point"]), bias=given["bias"]),
        platforms.derive(name, **{key: given[key] for key in ("a_scale", "w_scale", "y_scale")}),
        y_zero_point=int(given["y_zero_point"]),
        y_format="int16",
    )
    assert np.array_equal(y, expected) and len(np.unique(y)) > 100


@pytest.mark.parametrize("value", [np.ones((2, N)), np.ones(N + 1), [[1]]])
def test_a_parameter_of_another_shape_than_the_derived_one(value):
    spec = spec_of(PLATFORMS["tflite-micro"])
    given = case(PLATFORMS["tflite-micro"], 1, per_channel=True) | {"multiplier": np.asarray(value, int)}
    with pytest.raises(ValueError, match="^multiplier is not what the real scales come to"):
        operands(spec, given)
