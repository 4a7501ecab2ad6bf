"""From a linear layer to a product: biases and how long they may be, bounds of activations, what no hardware does."""

import numpy as np
import pytest
import small_networks

from golden.formats import parse
from golden.platform_table import PLATFORMS
from network.float_network import Linear
from network.grid import Grid
from network.quantized_weights import QuantizedWeights
from network.quantizing.lowering import BUILDABLE, least_scale, most_bias, product
from network.quantizing.post_training import quantize
from network.quantizing.recipe import Recipe

X, Y = Grid(parse("uint8"), np.float32(0.5), 3), Grid(parse("int8"), np.float32(0.125), 5)
WEIGHTS = QuantizedWeights(
    {"weights": parse("int4")}, {"w": np.array([[3, -7], [-2, 1]])}, Grid(parse("int4"), np.float32(0.25))
)
UNIT = 0.125  # of the sums


def layer(bias, activation="none"):
    return Linear("a", WEIGHTS.real.astype(np.float32), np.array(bias, np.float32), activation)


def test_biases_have_as_many_bits_as_they_need():
    for biases, bits in (
        ((1, -3), 32),
        ((2.0**31 - 128, -(2.0**31)), 32),
        ((2.0**31, 0), 33),
        ((0, -(2.0**31) - 256), 33),
        ((2.0**61, -(2.0**61)), 63),
        ((2.0**62 - 2.0**38, -(2.0**62) + 2.0**38), 63),
    ):
        found = product(layer([one * UNIT for one in biases]), WEIGHTS, X, None, Recipe())
        assert str(found.spec.bias) == f"int{bits}"
        assert found.arrays["bias"].tolist() == list(map(int, biases))


def test_biases_are_rounded_ties_to_even():
    found = product(layer([2.5 * UNIT, -3.5 * UNIT]), WEIGHTS, X, Y, Recipe())
    assert found.arrays["bias"].tolist() == [2, -4]


def test_the_least_scale_is_that_of_the_largest_bias():
    """2**30 units of the sums, whatever its sign."""
    bias = np.array([2.0**20, -3 * 2.0**20], np.float32)
    assert least_scale(layer(bias), X, None).tolist() == [2.0**-9, 3 * 2.0**-9]
    assert least_scale(layer(bias), X, Y).tolist() == [2.0**-9, 3 * 2.0**-9]
    assert least_scale(layer([0, 2.0**-30]), X, Y).tolist() == [2.0**-64, 2.0**-59]
    scaled = QuantizedWeights(WEIGHTS.spec_fields, WEIGHTS.arrays, Grid(parse("int4"), np.float32(3 * 2.0**-9)))
    assert np.abs(product(layer(bias), scaled, X, Y, Recipe()).arrays["bias"]).max() == 1 << 30


def test_the_largest_bias_is_as_long_as_the_sums():
    """Of 2 products of 2**32 - 1 and 7; 2**30 where sums are shorter, and on platforms, whose biases are int32."""
    wide = Grid(parse("uint32"), np.float32(2.0**-33))
    assert most_bias(layer([0, 0]), wide, Recipe(weights="int4")) == 2 * (2**32 - 1) * 8
    assert most_bias(layer([0, 0]), wide, Recipe(weights="mxfp4")) == 2 * (2**32 - 1) * 12
    assert most_bias(layer([0, 0]), wide, Recipe(platform="onnxruntime")) == 1 << 30
    assert most_bias(layer([0, 0]), X, Recipe()) == 1 << 30
    assert least_scale(layer([3.0, -1.0]), wide, None, 1 << 33).tolist() == [3.0, 1.0]


@pytest.mark.parametrize(("scale", "most"), [(0.25, 48), (6 / (0.5 * 10.6), 11), (6 / (0.5 * 10.4), 10)])
def test_relu6_bounds_exact_sums_at_the_nearest_code(scale, most):
    weights = QuantizedWeights(WEIGHTS.spec_fields, WEIGHTS.arrays, Grid(parse("int4"), np.float32(scale)))
    found = product(layer([0.5, -0.5], "relu6"), weights, X, None, Recipe())
    assert found.arrays["y_max"].tolist() == most
    assert found.run(np.array([[255, 3], [3, 255]])).tolist() == [[most, 0], [0, min(most, 252 - round(1 / scale))]]


def test_relu6_bounds_no_sum_that_is_always_below():
    """6 would be 6 * 2**40 units of sums that have 33 bits."""
    x, w = Grid(parse("uint8"), np.float32(2.0**-20)), Grid(parse("int4"), np.float32(2.0**-20))
    found = product(layer([0, 0], "relu6"), QuantizedWeights(WEIGHTS.spec_fields, WEIGHTS.arrays, w), x, None, Recipe())
    assert found.arrays["y_max"].tolist() == found.spec.y.code_range[1] < 6 << 40
    assert found.run(np.array([[255, 0]])).tolist() == [[765, 0]]


@pytest.mark.parametrize(("activation", "clip"), [("none", None), ("relu", (5, 127)), ("relu6", (5, 5 + 48))])
def test_activations_are_bounds_on_codes_where_a_platform_has_none(activation, clip):
    found = product(layer([0, 0], activation), WEIGHTS, X, Y, Recipe(platform="tosa"))
    assert (found.spec.clip, found.spec.activation) == (clip, "none")
    own = product(layer([0, 0], activation), WEIGHTS, X, Y, Recipe(platform="tflite-micro"))
    assert (own.spec.clip, own.spec.activation) == (None, activation)
    assert found.run(np.array([[255, 3], [3, 255]])).max() <= (clip or (0, 127))[1]


def test_zero_points_of_zero_take_no_hardware():
    even = Grid(parse("int8"), np.float32(0.125))
    for grid, point in ((Y, True), (even, False)):
        assert product(layer([0, 0]), WEIGHTS, X, grid, Recipe()).spec.y_zero_point is point
        assert product(layer([0, 0]), WEIGHTS, grid, Y, Recipe()).spec.a_zero_point is point


BIPOLAR = Grid(parse("bipolar"))
REFUSED = {
    "biases need 33 bits, and platform 'onnxruntime' has 32": ([2.0**31 * UNIT, 0], "none", Y, "onnxruntime"),
    "biases need 33 bits, and platform 'tosa' has 32": ([2.0**31 * UNIT, 0], "none", Y, "tosa"),
    "biases need 49 bits, and platform 'tosa-int16' has 48": ([0, 2.0**47 * UNIT], "none", Y, "tosa-int16"),
    "bias[1] is -4.61e+18 steps of its sums, more than 63 bits hold": (
        [2.0**61 * UNIT, -(2.0**62) * UNIT], "none", None, None,
    ),
    "after relu bipolar outputs would all be +1": ([0, 0], "relu", BIPOLAR, None),
    "after relu6 bipolar outputs would all be +1": ([0, 0], "relu6", BIPOLAR, None),
    "platform 'tosa' has no bipolar outputs": ([0, 0], "none", BIPOLAR, "tosa"),
    "platform 'deeploy' has no rule from scales to its integers": ([0, 0], "none", Y, "deeploy"),
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_refused(message):
    bias, activation, y, platform = REFUSED[message]
    with pytest.raises(ValueError) as error:
        product(layer(bias, activation), WEIGHTS, X, y, Recipe(platform=platform))
    assert str(error.value) == f"layer a: {message}"


def test_as_many_bits_as_a_platform_has_are_taken():
    for platform, most in (("tosa", 2**31 - 128), ("tflite-micro", 2**31 - 128)):
        found = product(layer([most * UNIT, 0]), WEIGHTS, X, Y, Recipe(platform=platform))
        assert found.arrays["bias"].tolist() == [most, 0]


def test_platforms_that_can_be_built_are_those_that_some_recipe_is_lowered_for():
    rng = np.random.default_rng(1)
    network = small_networks.mlp(rng, (13, 5))
    x = small_networks.inputs(rng, network, 20)
    recipe = Recipe(activations="int8", symmetric=True)
    refused = {}
    for name in PLATFORMS:
        try:
            quantize(network, [x], recipe.with_(platform=name))
        except ValueError as error:
            refused[name] = str(error)
    assert set(BUILDABLE) == set(PLATFORMS) - set(refused)
    assert set(refused) == {"onnxruntime-avx2-saturating", "deeploy", "tensorrt"}
