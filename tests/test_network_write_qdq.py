"""Networks written as ONNX models in QDQ format: onnx's checker and evaluator, fake quantization, read again."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
import small_networks
from onnx_models import reference

from golden.block_formats import NAMED_BLOCKS
from golden.formats import parse
from golden.spec import Spec
from network.elementwise import Step
from network.float_network import FloatNetwork
from network.functions import Softmax
from network.grid import Grid
from network.layers import Dequantize, Product, Quantize, sum_grid
from network.network import Network
from network.onnx.read_qdq import read_qdq
from network.qdq.write import qdq
from network.quantizing.post_training import quantize
from network.quantizing.recipe import Recipe
from network.shapes import Reshape, Transpose, Window

MLP = small_networks.mlp(np.random.default_rng(1))
CNN = small_networks.cnn(np.random.default_rng(2))
X = small_networks.inputs(np.random.default_rng(3), MLP, 60)
MAPS = small_networks.inputs(np.random.default_rng(4), CNN, 12)
UNIFORM = ("int8", "int4", "int2", "uint8", "uint3", "q1.7", "sm5", "ternary", "bipolar", "pot4", "apot5", "int12")
UNIFORM += ("codebook4", "float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn")
WEIGHTS = (*UNIFORM, "float8_e4m3fn", "float8_e5m2", *NAMED_BLOCKS)


def checked(network):
    """The model, which onnx's checker passes."""
    model = qdq(network)
    onnx.checker.check_model(model, full_check=True)
    assert {one.domain: one.version for one in model.opset_import} == {"": 21}
    return model


def near(network, x, most=0.0):
    """Outputs of the model less those of fake quantization, in steps, at most so many."""
    found = reference(checked(network), x)
    steps = np.abs(found - network.fake(x)) / network.exit.x.scale
    assert found.shape == network.run(x).shape and steps.max() <= most + 1e-3
    assert len(np.unique(found)) > 3


GROUPED = [name for name in WEIGHTS if name not in ("q1.7", "codebook4")]
FORMATS = [(name, parts) for parts in ("tensor", "channel") for name in WEIGHTS] + [(name, "group") for name in GROUPED]


@pytest.mark.parametrize(("name", "granularity"), FORMATS)
def test_weights_of_each_format_and_granularity(name, granularity):
    """Rounding of float32 decides no code of these few."""
    near(quantize(MLP, [X], Recipe(weights=name, granularity=granularity, group=4)), X)


@pytest.mark.parametrize("activations", ["uint8", "int8", "uint5", "int12", "uint16", "q4.4", "uq4.4", "uint2", "int3"])
@pytest.mark.parametrize("symmetric", [False, True])
def test_activations_of_each_format(activations, symmetric):
    output = activations.replace("uq", "q")
    near(quantize(MLP, [X], Recipe(activations=activations, output=output, symmetric=symmetric)), X)


@pytest.mark.parametrize("weights", ["int8", "uint6", "int4", "sm5", "pot4", "float8_e4m3fn", "float4_e2m1fn"])
@pytest.mark.parametrize("activations", ["uint8", "int8", "uint5", "int12"])
def test_a_convolutional_network(weights, activations):
    """With scales that are powers of two ties of pools are exact."""
    recipe = Recipe(weights=weights, activations=activations, scales="power_of_two")
    near(quantize(CNN, [MAPS], recipe), MAPS)


KERNELS = FloatNetwork(
    "kernels",
    CNN.shape,
    (CNN.layers[0], CNN.layers[2], replace(CNN.layers[3], w=CNN.layers[3].w[:5]), *CNN.layers[5:7]),
)


@pytest.mark.parametrize("weights", ["codebook3", "codebook4_int12", "mxfp4", "mxint8", "nvfp4", "int4", "float8_e5m2"])
def test_kernels_with_tables_and_blocks(weights):
    """Without the depthwise layer, which has neither."""
    granularity = "group" if weights == "int4" else "channel"
    near(quantize(KERNELS, [MAPS], Recipe(weights=weights, granularity=granularity, group=4)), MAPS)


@pytest.mark.parametrize("platform", ["onnxruntime", "tflite-micro", "onnx-reference", "litert-xnnpack", "qonnx"])
def test_platforms(platform):
    near(quantize(MLP, [X], Recipe(platform=platform, activations="int8")), X)


def test_exact_outputs_and_steps():
    before = Step("sub", (np.float32(0.1),)), Step("batch_norm", (*np.float32([2, 1, 0.5, 4]), np.float32(1e-5)))
    after = Step("clip", (np.float32(-2), np.float32(3))), Step("mul", (np.arange(1, 6),)), Step("softmax")
    network = quantize(replace(MLP, before=before, after=after), [X], Recipe(output="exact"))
    found, expected = reference(checked(network), X), network.fake(X)
    assert np.allclose(found, expected, atol=1e-5)
    one = quantize(FloatNetwork("one", MLP.shape, MLP.layers[:1]), [X], Recipe(output="exact"))
    assert np.allclose(reference(checked(one), X), one.fake(X), atol=1e-5)


@pytest.mark.parametrize("weights", [name for name in UNIFORM if name != "uint3"])
@pytest.mark.parametrize("granularity", ["tensor", "channel"])
def test_read_again(weights, granularity):
    """The same codes in each layer of the same name."""
    recipe = Recipe(weights=weights, granularity=granularity, platform="onnxruntime", activations="uint7")
    nets = [(MLP, X)] if weights.startswith("codebook") else [(MLP, X), (CNN, MAPS)]
    for network, x in nets:
        network = quantize(network, [x], recipe)
        again = read_qdq(checked(network))
        first, second = (one.trace(one.entry.run(x)) for one in (network, again))
        assert [layer.name for layer in network.products] == [layer.name for layer in again.products]
        common = [name for name in first if name in second and not name.startswith("transpose")]
        assert len(common) >= len(network.products) and "flat" in common or network.name == "mlp"
        assert {name: first[name].tolist() for name in common} == {name: second[name].tolist() for name in common}
        assert again.run(x).tolist() == network.run(x).tolist()
        assert [str(grid.fmt) for grid in again.grids][:2] == ["uint7", "uint7"]


LAYER = small_networks.linear(np.random.default_rng(5), "fc", 6, 5, "none")
TOKENS = FloatNetwork("tokens", (6, 2), (Transpose("turn", (0, 2, 1)), LAYER, Reshape("flat", (10,))))


@pytest.mark.parametrize("granularity", ["channel", "group"])
@pytest.mark.parametrize("weights", ["int8", "int4", "uint8", "pot4", "sm5", "float8_e4m3fn", "float4_e2m1fn"])
def test_tokens(weights, granularity):
    """A dense layer on [B, T, C], its axes moved before and after."""
    x = small_networks.inputs(np.random.default_rng(6), TOKENS, 40)
    near(quantize(TOKENS, [x], Recipe(weights=weights, granularity=granularity, group=4)), x)


def product(activations, weights, arrays, y=None, real=None, **fields):
    spec = Spec(activations=parse(activations), weights=parse(weights), depth=len(arrays["w"]), **fields)
    x, w = Grid(spec.activations, np.float32(0.5)), Grid(spec.weights, np.float32(0.25))
    return Product("p", spec, arrays, x, w, y or sum_grid(spec, x, w), real=real)


def alone(layer, before=()):
    entry = Quantize("in", layer.x, before=before)
    return Network("n", (len(layer.arrays["w"]),), entry, (layer,), Dequantize("out", layer.y))


def test_bipolar_activations_and_outputs():
    rng = np.random.default_rng(7)
    w = rng.integers(0, 2, (9, 6))
    first = product(
        "bipolar",
        "bipolar",
        {"w": w},
        Grid(parse("bipolar"), np.float32(2)),
        output=parse("bipolar"),
        requantize="shift",
    )
    network = alone(replace(first, arrays={"w": w, "shift": 0}))
    x = rng.normal(0, 1, (40, 9)).astype(np.float32)
    assert reference(checked(network), x).tolist() == network.run(x).tolist()


def test_weights_of_two_codes():
    rng = np.random.default_rng(8)
    arrays = {"w": rng.integers(-8, 8, (9, 6)), "w_residual": rng.integers(-8, 8, (9, 6))}
    network = alone(product("uint8", "int4", arrays, residual=4))
    x = rng.normal(20, 9, (40, 9)).astype(np.float32)
    assert reference(checked(network), x).tolist() == network.run(x).tolist()


def test_thresholds_by_the_steps_that_they_stand_for():
    rng = np.random.default_rng(9)
    y = Grid(parse("uint4"), np.float32(1))
    steps = Step("mul", (np.arange(1, 7),)), Step("relu")
    arrays = {"w": rng.integers(-8, 8, (9, 6)), "thresholds": np.tile(np.arange(15), (6, 1))}
    layer = product("uint8", "int4", arrays, y, Quantize("p", y, before=steps), requantize="thresholds", output=y.fmt)
    x = rng.normal(5, 9, (40, 9)).astype(np.float32)
    assert reference(checked(alone(layer)), x).tolist() == alone(layer).fake(x).tolist()


def test_steps_of_channels_on_maps():
    rng = np.random.default_rng(11)
    y = Grid(parse("uint4"), np.float32(1))
    steps = Step("mul", (np.arange(1, 4),)), Step("add", (np.arange(3),))
    arrays = {"w": rng.integers(-8, 8, (4, 3)), "thresholds": np.tile(np.arange(15), (3, 1))}
    layer = product("uint8", "int4", arrays, y, Quantize("p", y, before=steps), requantize="thresholds", output=y.fmt)
    layer = replace(layer, window=Window((2, 2)))
    network = Network("n", (3, 4, 1), Quantize("in", layer.x), (layer,), Dequantize("out", y))
    x = rng.normal(5, 9, (20, 3, 4, 1)).astype(np.float32)
    assert reference(checked(network), x).tolist() == network.fake(x).tolist()


def test_bounds_on_codes():
    rng = np.random.default_rng(10)
    y = Grid(parse("int8"), np.float32(2), 3)
    fields = {"requantize": "multiplier", "output": y.fmt, "y_zero_point": True}
    for clip in ((-20, 30), (3, 127), (-128, 9), (-20, 127)):
        layer = product("uint8", "int4", {"w": rng.integers(-8, 8, (9, 6))}, y, clip=clip, **fields)
        network, x = alone(layer), rng.normal(5, 9, (40, 9)).astype(np.float32)
        found = reference(checked(network), x)
        assert found.tolist() == network.run(x).tolist()
        assert found.min() == 2 * (max(clip[0], -40) - 3) or clip[0] == -128


def test_narrow_inputs():
    layer = product("int5", "int4", {"w": np.eye(9, dtype=int)})
    network = Network("n", (9,), Quantize("in", layer.x, narrow=True), (layer,), Dequantize("out", layer.y))
    found = reference(checked(network), np.full((1, 9), -99, np.float32))
    assert found.tolist() == network.run(np.full((1, 9), -99)).tolist() == [[0.5 * -15 * 0.25] * 9]


def test_what_is_told_beside_the_network():
    network = quantize(MLP, [X], Recipe(platform="tflite-micro", weights="int4"))
    told = {one.key: one.value for one in checked(network).metadata_props}
    assert told["platform"] == "tflite-micro" and told["quantizer"] == "tflite-reference"
    assert json.loads(told["layer.fc1"]) == {
        "activations": "uint8", "weights": "int4", "array": "output_stationary", "rows": 8, "cols": 8, "lanes": 4,
        "depth": 13, "requantize": "tflite", "rounding": "half_even", "platform": "tflite-micro",
    }  # fmt: skip


INT8 = Grid(parse("int8"))
EXACT = product("int8", "int8", {"w": np.eye(3, dtype=int)})
REFUSED = {
    "layer input: it has no codes; network.qdq.write_dynamic writes dynamic networks": lambda: quantize(
        MLP, [X], Recipe(activations="int8", activation_range="dynamic")
    ),
    "layer s: Softmax of codes is not written as ONNX": lambda: Network(
        "n", (3,), Quantize("in", INT8), (Softmax("s", "tflite-micro", INT8, INT8),), Dequantize("out", INT8)
    ),
    "layer p: ONNX has no integers of 20 bits for codes": lambda: alone(
        product("int8", "int8", {"w": [[1]]}, Grid(parse("int20")), requantize="shift", output=parse("int20"))
    ),
    "in_reached: step reached has no operator in ONNX": lambda: alone(EXACT, (Step("reached", (np.zeros((1, 2)),)),)),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_refused(message):
    with pytest.raises(ValueError) as error:
        qdq(REFUSED[message]())
    assert str(error.value) == message
