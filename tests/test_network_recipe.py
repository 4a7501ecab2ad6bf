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
    "percent must be above 0 and at most 100, not 0": {"percent": 0},
    "bins must be 128 to 65536, not 127": {"bins": 127},
    "scheme must be one of tflite, onnxruntime, torch, not 'onnx-dynamic'": {"scheme": "onnx-dynamic"},
    "scales must be one of real, power_of_two, not 'shift'": {"scales": "shift"},
    "group_scale: width of uint must be 1 to 63, not 64": {"group_scale": "uint64"},
    "weights: width of int must be 1 to 64, not 99": {"weights": "int99"},
    "layer fc1: activations: width of uint must be 1 to 63, not 64": {
        "layers": {"fc1": LayerFormats(activations="uint64")}
    },
    "output: width of int must be 1 to 64, not 0": {"output": "int0"},
}


@pytest.mark.parametrize("message", ERRORS)
def test_what_is_refused(message):
    with pytest.raises(ValueError) as error:
        Recipe(**ERRORS[message])
    assert str(error.value) == message


def test_an_unknown_platform_is_refused():
    with pytest.raises(ValueError, match="^platform must be one of tflite-micro, .*, not 'tflight'$"):
        Recipe(platform="tflight")
