"""What a platform has no rule for is a ValueError of one line."""

import pytest

from golden import platforms
from golden.platforms import PLATFORMS

REFUSED = [
    (lambda: platforms.platform("tflite"), f"unknown platform 'tflite'; known are {', '.join(PLATFORMS)}"),
    (
        lambda: platforms.derive("deeploy", a_scale=1, w_scale=1, y_scale=1),
        "deeploy has no published rule from scales to what it multiplies with",
    ),
    (lambda: platforms.requantize("tensorrt", [[1]], {}), "tensorrt has no published rule for requantization"),
    (
        lambda: platforms.derive("tosa", a_scale=1, w_scale=[1, 0], y_scale=1),
        "w_scale[1] must be positive and finite in float32, not 0",
    ),
    (
        lambda: platforms.derive("tosa", a_scale=[1, 2], w_scale=1, y_scale=1),
        "a_scale and y_scale must be scalars and w_scale a scalar or [N]",
    ),
    (
        lambda: platforms.requantize("tosa", [[1]], {"multiplier": 2**30, "shift": 30}),
        "shift must be -31 to 29 on tosa",
    ),
    (
        lambda: platforms.requantize("tosa", [[2**20]], {"multiplier": 2**30, "shift": 10}),
        "a sum is outside 2**(30 - shift), which tosa leaves unpredictable",
    ),
    (
        lambda: platforms.requantize("cmsis-nn-int16", [[1]], {"multiplier": 2**30, "shift": 0}),
        "multiplier must have at most 15 bits and no sign on cmsis-nn-int16",
    ),
    (
        lambda: platforms.requantize("tosa", [[1]], {"multiplier": -1, "shift": 0}),
        "multiplier must have at most 31 bits and no sign on tosa",
    ),
    (
        lambda: platforms.requantize("cmsis-nn-int16", [[2**47]], {"multiplier": 2**14, "shift": 0}),
        "a sum is outside 48 bits, which cmsis-nn-int16 does not scale",
    ),
    (
        lambda: platforms.requantize("finn", [[1]], {"product_scale": 1, "y_scale": 1}, y_zero_point=1),
        "finn has thresholds for zero point 0 only",
    ),
    (
        lambda: platforms.requantize("onnxruntime", [[1]], {"scale": 1}, activation="relu", y_scale=1),
        "onnxruntime has no fused activation; give its bounds as clip",
    ),
    (
        lambda: platforms.requantize("tflite-micro", [[1]], {"multiplier": 2**30, "shift": 0}, activation="relu"),
        "an activation needs y_scale",
    ),
    (
        lambda: platforms.requantize("tflite-micro", [[1]], {"multiplier": 2**30, "shift": 0}, activation="tanh"),
        "unknown activation 'tanh'; known are relu, relu6, relu_n1_to_1",
    ),
    (
        lambda: platforms.accumulate("onnxruntime-avx2-saturating", [[-1]], [[1]]),
        "pairs saturate in products of uint8 activations and int8 weights; these codes are others",
    ),
    (lambda: platforms.average_pool("finn", [[1, 2]]), "finn has no rule for average pooling"),
    (
        lambda: platforms.average_pool("tflite-micro", [[1, 2]], x_scale=1.0, y_scale=2.0),
        "average pooling needs the same scale and zero point on input and output",
    ),
    (
        lambda: platforms.add("qonnx", [1], [2], x_scales=(1, 1), y_scale=1),
        "qonnx has no rule for addition that is known to the bit",
    ),
    (lambda: platforms.rescale("qonnx", [1], x_scale=1, y_scale=1), "qonnx has no rule for rescaling codes"),
    (
        lambda: platforms.requantize("tosa-int16", [[2**47]], {"multiplier": 1, "shift": 0}),
        "a sum does not fit int48, which tosa-int16 leaves unpredictable",
    ),
    (
        lambda: platforms.requantize("tosa-int16", [[2**46]], {"multiplier": 1, "shift": 0}),
        "a scaled sum does not fit int32, which tosa-int16 leaves unpredictable",
    ),
    (
        lambda: platforms.requantize("tosa-int16", [[1]], {"multiplier": 1, "shift": 14}),
        "shift must be -47 to 13 on tosa-int16",
    ),
    (
        lambda: platforms.requantize("litert-xnnpack-arm", [[1]], {"scale": 256.0}),
        "the scale must be from 2**-32 to below 2**8",
    ),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message[:40] for _, message in REFUSED])
def test_what_has_no_rule_is_refused(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == message
