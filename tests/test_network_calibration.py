"""Grids of activations: ranges by each method, schemes, formats, pools."""

from dataclasses import replace

import numpy as np
import pytest
import small_networks

from golden import ranges
from golden.calibrate import choose
from golden.platform_table import PLATFORMS
from network.elementwise import Step
from network.float_network import FloatAveragePool, FloatNetwork
from network.quantizing.calibration import INPUT, calibrated, consumers, grid_of, observed, scheme
from network.quantizing.recipe import LayerFormats, Recipe
from network.shapes import Window

METHODS = {
    "minmax": lambda batches, fmt: ranges.minimum_maximum(batches),
    "moving_average": lambda batches, fmt: ranges.moving_average(batches),
    "percentile": lambda batches, fmt: ranges.percentile([np.concatenate(batches)], 98.0, 512),
    "entropy": lambda batches, fmt: ranges.entropy([np.concatenate(batches)], 512, {"uint4": 8, "int12": 128}[fmt]),
    "mse": lambda batches, fmt: ranges.mean_square_error(batches, fmt),
}


def batches_of(seed, sizes=(50, 70, 30)):
    rng = np.random.default_rng(seed)
    return [(rng.standard_t(3, size) * rng.uniform(0.5, 2)).astype(np.float32) for size in sizes]


@pytest.mark.parametrize("fmt", ["uint4", "int12"])
@pytest.mark.parametrize("method", METHODS)
def test_each_range_gives_its_scale_and_zero_point(method, fmt):
    batches = batches_of(1)
    grid = grid_of(batches, fmt, Recipe(activation_range=method, percent=98.0, bins=512))
    scale, zero_point = choose("onnxruntime", *METHODS[method](batches, fmt), fmt)
    assert (float(grid.scale), grid.zero_point) == (scale, zero_point)


def test_ranges_differ():
    grids = [grid_of(batches_of(1), "uint4", Recipe(activation_range=method, percent=98.0)) for method in METHODS]
    assert len({float(grid.scale) for grid in grids}) == len(METHODS)


def by_loops(lo, hi, levels):
    """Scale and zero point of ONNX Runtime for unsigned codes, in Python floats."""
    lo, hi = min(lo, 0.0), max(hi, 0.0)
    wide = (hi - lo) / levels
    return np.float32(wide), round(-lo / wide)


def test_the_least_and_the_largest_of_all_batches():
    batches = batches_of(2)
    values = [float(x) for batch in batches for x in batch]
    grid = grid_of(batches, "uint8", Recipe())
    assert (grid.scale, grid.zero_point) == by_loops(min(values), max(values), 255)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, (8 / 255, -64)),
        ({"symmetric": True}, (6 / 127, 0)),
        ({"symmetric": True, "scheme": "torch"}, (6 / 127.5, 0)),
        ({"scheme": "tflite"}, (8 / 255, -64)),
        ({"symmetric": True, "platform": "tflite-micro"}, (6 / 127, 0)),
        ({"scales": "power_of_two"}, (2.0**-4, -96)),
        ({"scales": "power_of_two", "symmetric": True}, (2.0**-4, 0)),
    ],
)
def test_schemes_of_signed_integers(fields, expected):
    grid = grid_of([np.array([-2.0, 6.0])], "int8", Recipe(**fields))
    assert (float(grid.scale), grid.zero_point) == (np.float32(expected[0]), expected[1])


@pytest.mark.parametrize("method", METHODS)
def test_formats_without_a_sign_are_never_symmetric(method):
    found = [
        grid_of(batches_of(4), "uint8", Recipe(activation_range=method, percent=98.0, symmetric=symmetric))
        for symmetric in (False, True)
    ]
    assert (found[0].scale, found[0].zero_point) == (found[1].scale, found[1].zero_point)


@pytest.mark.parametrize("method", ["percentile", "mse"])
def test_symmetric_ranges_of_signed_integers(method):
    """Of numbers whose tails differ; ONNX Runtime leaves the least code out, PyTorch does not."""
    batches = [np.where(batch < 0, 2 * batch, batch) for batch in batches_of(5, (500, 70))]
    for scheme_name, narrow in (("onnxruntime", True), ("torch", False)):
        recipe = Recipe(activation_range=method, percent=98.0, bins=512, symmetric=True, scheme=scheme_name)
        if method == "percentile":
            lo, hi = ranges.percentile([np.concatenate(batches)], 98.0, 512, symmetric=True)
            assert (lo, hi) != ranges.percentile([np.concatenate(batches)], 98.0, 512)
        else:
            lo, hi = ranges.mean_square_error(batches, "int4", scheme_name, symmetric=True, narrow=narrow)
        grid = grid_of(batches, "int4", recipe)
        scale, _ = choose(scheme_name, lo, hi, "int4", symmetric=True, narrow=narrow)
        assert (grid.scale, grid.zero_point) == (np.float32(scale), 0)


@pytest.mark.parametrize(("lo", "hi"), [(-1.3, 2.9), (-0.77, 0.001), (-5.0, -2.0), (1.0, 3.0), (-6.375, 9.5625)])
@pytest.mark.parametrize("fmt", ["uint8", "int8", "uint3"])
def test_powers_of_two_have_their_own_zero_points(fmt, lo, hi):
    """The least power of two with which the range, and zero, take no more codes than there are; -lo rounded to it."""
    least, most = {"uint8": (0, 255), "int8": (-128, 127), "uint3": (0, 7)}[fmt]
    scale, wide = 2.0**-20, max(hi, 0.0) - min(lo, 0.0)
    while scale < np.float32(wide / (most - least)):
        scale *= 2
    grid = grid_of([np.array([lo, hi])], fmt, Recipe(scales="power_of_two"))
    assert (float(grid.scale), grid.zero_point) == (scale, least + round(max(-lo, 0.0) / scale))


def test_ranges_hold_zero_and_what_relu_leaves_starts_there():
    above, below = ([np.array([lo, 3.0])] for lo in (1.0, 0.0))
    for batches in (above, below):
        assert grid_of(batches, "uint8", Recipe()).zero_point == 0
        assert grid_of(batches, "int8", Recipe()).zero_point == -128
    assert grid_of([np.array([-3.0, -1.0])], "uint8", Recipe()).zero_point == 255


@pytest.mark.parametrize("value", [0.0, 2.5, -1.0])
@pytest.mark.parametrize("method", METHODS)
def test_a_constant_is_kept(method, value):
    for fmt, symmetric in (("uint8", False), ("int8", True), ("int8", False)):
        grid = grid_of([np.full((4, 3), value, np.float32)], fmt, Recipe(activation_range=method, symmetric=symmetric))
        assert grid.values(grid.codes(np.float32(value))) == pytest.approx(value, abs=float(grid.scale) / 2)
        assert float(grid.scale) <= max(abs(value) / 100, 1)


def test_fixed_point_and_bipolar_formats_have_their_own_scales():
    batches = batches_of(3)
    assert (float(grid_of(batches, "q3.5", Recipe()).scale), grid_of(batches, "uq3.5", Recipe()).zero_point) == (
        2.0**-5, 0,
    )  # fmt: skip
    values = [abs(float(x)) for batch in batches for x in batch]
    assert float(grid_of(batches, "bipolar", Recipe()).scale) == pytest.approx(sum(values) / len(values))


def test_schemes_follow_the_platform():
    kin = {name: scheme(Recipe(platform=name)) for name in PLATFORMS}
    assert {name for name, one in kin.items() if one == "tflite"} == {
        name for name in PLATFORMS if name.startswith(("tflite", "litert", "tosa", "cmsis"))
    }
    assert set(kin.values()) == {"tflite", "onnxruntime"} and scheme(Recipe()) == "onnxruntime"
    assert scheme(Recipe(platform="tosa", scheme="torch")) == "torch"


def test_what_takes_each_tensor():
    network = small_networks.cnn(np.random.default_rng(1))
    assert consumers(network) == {
        **{"": "c1", "c1": "dw", "dw": "c2", "max": "c2"},
        **{"c2": "fc", "mean": "fc", "moved": "fc", "flat": "fc", "fc": None},
    }


def test_observed_values_are_those_of_the_network_behind_its_first_steps():
    network = small_networks.mlp(np.random.default_rng(1))
    network = FloatNetwork("n", network.shape, network.layers, before=(Step("mul", (np.float32(2),)),))
    x = small_networks.inputs(np.random.default_rng(2), network)
    found = observed(network, [x[:10], x[10:]])
    assert set(found) == {INPUT, "fc1", "fc2", "fc3"} and [len(one) for one in found["fc2"]] == [10, 50]
    assert np.concatenate(found[INPUT]).tolist() == (2 * x).tolist()
    assert found["fc3"][0].tolist() == network.run(x[:10]).tolist()


def test_formats_of_layers_and_of_the_output():
    network = small_networks.mlp(np.random.default_rng(1))
    batches = [small_networks.inputs(np.random.default_rng(2), network)]
    recipe = Recipe(layers={"fc2": LayerFormats(activations="int5")}, output="q4.4")
    grids = calibrated(network, batches, recipe)
    assert [str(grids[name].fmt) for name in (INPUT, "fc1", "fc2", "fc3")] == ["uint8", "int5", "uint8", "q4.4"]
    assert set(calibrated(network, batches, recipe.with_(output="exact"))) == {INPUT, "fc1", "fc2"}


@pytest.mark.parametrize(("platform", "same"), [(None, True), ("tosa", True), ("onnxruntime", False)])
def test_pools_keep_the_grid_where_the_platform_works_on_codes(platform, same):
    network = small_networks.cnn(np.random.default_rng(1))
    grids = calibrated(network, [small_networks.inputs(np.random.default_rng(2), network)], Recipe(platform=platform))
    assert (grids["mean"] is grids["c2"]) is same
    assert (float(grids["mean"].scale) < float(grids["c2"].scale)) is not same


def test_a_pool_by_a_shift_has_a_multiple_of_the_scale():
    rng = np.random.default_rng(1)
    network = small_networks.cnn(rng)
    batches = [np.abs(small_networks.inputs(rng, network))]
    before = (*network.layers[:3], small_networks.linear(rng, "c2", 10, 6, window=Window((1, 1))))
    # of six codes of eight bits the sums have eleven: three are shifted away; of four codes two
    for kernel, factor in (((3, 2), 8 / 6), ((2, 2), 1)):
        small = FloatNetwork("n", network.shape, (*before, FloatAveragePool("mean", Window(kernel))))
        grids = calibrated(small, batches, Recipe(platform="qonnx", output="uint8"))
        assert float(grids["mean"].scale) == pytest.approx(float(grids["c2"].scale) * factor)
    below = (*network.layers[:3], small_networks.linear(rng, "c2", 10, 6, "none", window=Window((1, 1))))
    around = Window((2, 2), padding=((0, 0), (1, 0)))
    for layers, window in ((below, Window((2, 2))), (before, around)):
        refused = FloatNetwork("n", network.shape, (*layers, FloatAveragePool("mean", window)))
        with pytest.raises(ValueError) as error:
            calibrated(refused, batches, Recipe(platform="qonnx", output="uint8"))
        assert str(error.value) == "layer mean: average pooling by a shift takes neither zero points nor padding"
    with pytest.raises(ValueError, match="^layer mean: platform 'finn' has no rule for average pooling$"):
        calibrated(small, batches, Recipe(platform="finn"))


def test_numbers_that_are_not_finite_are_refused_where_they_are():
    network = small_networks.mlp(np.random.default_rng(1))
    x = [np.full((2, 13), 1e30, np.float32)]
    steps = (Step("mul", (np.float32(1e10),)),)
    with pytest.raises(ValueError, match="^input: the float network has numbers there that are not finite$"):
        observed(FloatNetwork("n", network.shape, network.layers, before=steps), x)
    layers = (*network.layers[:1], replace(network.layers[1], bias=np.full(7, np.inf, np.float32)), network.layers[2])
    with pytest.raises(ValueError, match="^layer fc2: the float network has numbers there that are not finite$"):
        observed(FloatNetwork("n", network.shape, layers), [np.zeros((1, 13), np.float32)])


ERRORS = {
    "layer fc2: activations must be an integer, fixed-point or bipolar format, not float8_e4m3fn": {
        "layers": {"fc2": LayerFormats(activations="float8_e4m3fn")}
    },
    "output must be an integer, fixed-point or bipolar format, not ternary": {"output": "ternary"},
}


def test_signs_of_inputs_that_are_never_negative():
    network = small_networks.mlp(np.random.default_rng(1))
    x = [np.abs(np.random.default_rng(2).normal(size=(5, 13))).astype(np.float32)]
    recipe = Recipe(layers={"fc1": LayerFormats(activations="bipolar")})
    with pytest.raises(ValueError) as error:
        calibrated(network, x, recipe)
    assert str(error.value) == "layer fc1: bipolar inputs would all be +1: none is negative"
    assert str(calibrated(network, [x[0] - 1], recipe)[INPUT].fmt) == "bipolar"


@pytest.mark.parametrize("message", ERRORS)
def test_what_is_refused(message):
    network = small_networks.mlp(np.random.default_rng(1))
    with pytest.raises(ValueError) as error:
        calibrated(network, [np.ones((2, 13), np.float32)], Recipe(**ERRORS[message]))
    assert str(error.value) == message
