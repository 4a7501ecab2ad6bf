"""Recipes: which formats a layer has, and what is refused."""

import pytest

from network.quantizing.recipe import LayerFormats, Recipe


def test_formats_of_layers():
    recipe = Recipe(
        weights="mxfp4", layers={"fc2": LayerFormats(weights="int8"), "fc3": LayerFormats(activations="int4")}
    )
    assert [recipe.formats(name) for name in ("fc1", "fc2", "fc3")] == [
        ("mxfp4", "uint8"),
        ("int8", "uint8"),
        ("mxfp4", "int4"),
    ]
    assert recipe.with_(weights="int2").formats("fc1") == ("int2", "uint8")


def test_what_is_left_out():
    assert Recipe() == Recipe(
        weights="int8", activations="uint8", output="int8", layers={}, granularity="channel", group=32,
        group_scale=None, weight_range="minmax", activation_range="minmax", percent=99.999, bins=2048, scheme=None,
        scales="real", symmetric=False, corrections=(), platform=None, array="output_stationary", rows=8, cols=8,
        lanes=4, seed=1,
    )  # fmt: skip
    placement = Recipe(array="scalable", rows=2, cols=3, lanes=5).placement
    assert (placement.kind, placement.rows, placement.cols, placement.lanes) == ("scalable", 2, 3, 5)


def test_the_ends_of_what_is_taken():
    for fields in ({"group": 1}, {"group": 1 << 16}, {"percent": 100}, {"percent": 1e-9}, {"bins": 128}):
        assert Recipe(**fields).with_() == Recipe(**fields)
    assert Recipe(bins=1 << 16, output="exact").bins == 65536


def test_named_blocks_are_activations_only_where_these_are_dynamic():
    assert Recipe(activation_range="dynamic", activations="mxfp4").is_dynamic
    with pytest.raises(ValueError) as error:
        Recipe(layers={"fc2": LayerFormats(activations="mxfp4")})
    assert str(error.value).startswith("layer fc2: activations: ") and "mxfp4" in str(error.value)


ERRORS = {
    "granularity must be one of tensor, channel, group, not 'row'": {"granularity": "row"},
    "weight_range must be one of minmax, percentile, entropy, mse, not 'moving_average'": {
        "weight_range": "moving_average"
    },
    "activation_range must be one of minmax, moving_average, percentile, entropy, mse, dynamic, not 'max'": {
        "activation_range": "max"
    },
    "corrections must be one of equalize, adaround, bias, not 'round'": {"corrections": ("bias", "round")},
    "group must be 1 to 65536, not 0": {"group": 0},
    "group must be 1 to 65536, not 65537": {"group": 65537},
    "percent must be above 0 and at most 100, not 0": {"percent": 0},
    "percent must be above 0 and at most 100, not 100.5": {"percent": 100.5},
    "bins must be 128 to 65536, not 127": {"bins": 127},
    "bins must be 128 to 65536, not 65537": {"bins": 65537},
    "array must be one of output_stationary, weight_stationary, matrix_vector, bit_serial, scalable, not 'vector'": {
        "array": "vector"
    },
    "platform must be left out with activation_range dynamic, not 'tosa'": {
        "activation_range": "dynamic", "platform": "tosa",
    },
    "scheme must be one of tflite, onnxruntime, torch, not 'onnx-dynamic'": {"scheme": "onnx-dynamic"},
    "scales must be one of real, power_of_two, not 'shift'": {"scales": "shift"},
    "group_scale: width of uint must be 1 to 63, not 64": {"group_scale": "uint64"},
    "weights: width of int must be 1 to 64, not 99": {"weights": "int99"},
    "layer fc1: activations: width of uint must be 1 to 63, not 64": {
        "layers": {"fc1": LayerFormats(activations="uint64")}
    },
    "output: width of int must be 1 to 64, not 0": {"output": "int0"},
    "layer fc1: weights: width of int must be 1 to 64, not 65": {"layers": {"fc1": LayerFormats(weights="int65")}},
}  # fmt: skip


@pytest.mark.parametrize("message", ERRORS)
def test_what_is_refused(message):
    with pytest.raises(ValueError) as error:
        Recipe(**ERRORS[message])
    assert str(error.value) == message


def test_an_unknown_platform_is_refused():
    with pytest.raises(ValueError, match="^platform must be one of tflite-micro, .*, not 'tflight'$"):
        Recipe(platform="tflight")
