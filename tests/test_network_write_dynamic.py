"""Dynamic networks written as ONNX models: onnx's checker and evaluator give golden's float32 numbers, bit for bit."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
import small_networks
from onnx_models import reference

from golden.formats import parse
from network.elementwise import Step
from network.float_network import FloatNetwork
from network.grid import Grid
from network.qdq.write import qdq
from network.qdq.write_dynamic import dynamic_onnx
from network.quantized_weights import QuantizedWeights
from network.quantizing.post_training import quantize
from network.quantizing.recipe import LayerFormats, Recipe
from network.shapes import Reshape, Transpose, Window

DYNAMIC = Recipe(activation_range="dynamic")
MLP = small_networks.mlp(np.random.default_rng(1))
CNN = small_networks.cnn(np.random.default_rng(2))
KERNELS = FloatNetwork(
    "kernels",
    CNN.shape,
    (*CNN.layers[:4], Transpose("moved", (0, 3, 1, 2)), Reshape("flat", (-1,)), small_networks.linear(
        np.random.default_rng(3), "fc", 6 * 4 * 4, 4, "none")),
)  # fmt: skip
TOKENS = FloatNetwork(
    "tokens",
    (6, 2),
    (Transpose("turn", (0, 2, 1)), small_networks.linear(np.random.default_rng(5), "fc", 6, 5), Reshape("flat", (-1,))),
)
SPREADS = (0.01, 1, 300)


def same(network, recipe, **fields):
    """The operators of the model, which gives golden's numbers for ranges of several kinds."""
    quantized = quantize(network, [], recipe.with_(**fields))
    model = dynamic_onnx(quantized)
    onnx.checker.check_model(model, full_check=True)
    assert {one.domain: one.version for one in model.opset_import} == {"": 21}
    for seed, spread in enumerate(SPREADS):
        x = small_networks.inputs(np.random.default_rng(seed), network, 7, spread) + np.float32(spread * (seed - 1))
        y = quantized.run(x)
        assert reference(model, x).tolist() == y.tolist() and len(np.unique(y)) > 3
    return [node.op_type for node in model.graph.node]


UNIFORM = ("int8", "uint8", "int4", "uint4", "q2.6", "sm8", "ternary", "bipolar", "pot4", "apot5", "float4_e2m1fn")
TABLES = ("codebook4", "codebook4_int12", "int12", "float8_e4m3fn", "float6_e3m2fn")
BLOCKS = ("mxint8", "mxfp8_e4m3", "mxfp4", "nvfp4")


@pytest.mark.parametrize("weights", [*UNIFORM, *TABLES, *BLOCKS])
@pytest.mark.parametrize("granularity", ["tensor", "channel"])
def test_weights_of_each_format(weights, granularity):
    operators = same(MLP, DYNAMIC, weights=weights, granularity=granularity)
    of_bytes = weights in (*UNIFORM, "codebook4", "mxfp4")
    assert operators.count("MatMulInteger") == (3 if of_bytes else 0)
    assert operators.count("DynamicQuantizeLinear") == (3 if of_bytes else 0)


ACTIVATIONS = ("uint8", "int8", "uint2", "uint7", "int3", "uint12", "int12", "uint16", "int20", "uint24", "int24")
FLOAT8 = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")


@pytest.mark.parametrize("activations", [*ACTIVATIONS, *FLOAT8])
@pytest.mark.parametrize("weights", ["int8", "uint8"])
def test_activations_of_each_format(activations, weights):
    operators = same(MLP, DYNAMIC, activations=activations, weights=weights, granularity="tensor")
    assert operators.count("MatMulInteger") == (3 if activations in ACTIVATIONS[:5] else 0)


@pytest.mark.parametrize("pair", [("uint24", "int24"), ("float8_e5m2", "mxfp4"), ("int16", "float8_e4m3fn")])
def test_sums_that_float32_does_not_hold(pair):
    """In int64; some are beyond 2**40."""
    assert "MatMul" in same(MLP, DYNAMIC, activations=pair[0], weights=pair[1])


@pytest.mark.parametrize("weights", ["int8", "uint8", "int4", "sm5", "pot4", "int10"])
@pytest.mark.parametrize("activations", ["uint8", "int8", "uint5", "int3", "uint10"])
def test_a_convolutional_network(weights, activations):
    """Padded, depthwise with a stride, a pool; windows of zeros stand for the zero point."""
    operators = same(KERNELS, DYNAMIC, activations=activations, weights=weights, granularity="tensor")
    wide = weights == "int10" or activations == "uint10"
    assert operators.count("Conv") == (3 if wide else 0) and operators.count("ConvInteger") == (0 if wide else 3)


def test_padding_stands_for_zero():
    """Where all values are large and positive."""
    layer = small_networks.linear(np.random.default_rng(5), "c", 9, 2, window=Window((3, 3), padding=((1, 1), (2, 0))))
    quantized = quantize(FloatNetwork("n", (4, 4, 1), (layer,)), [], DYNAMIC)
    x = np.random.default_rng(6).uniform(-2, -1, (3, 4, 4, 1)).astype(np.float32)
    assert quantized.layers[0].taken(x).arrays["a_zero_point"] == 255
    assert reference(dynamic_onnx(quantized), x).tolist() == quantized.run(x).tolist()


@pytest.mark.parametrize(
    ("weights", "zero_point"), [("int8", -128), ("int8", 127), ("uint8", 0), ("uint8", 255), ("int5", -16)]
)
def test_zero_points_of_weights_at_the_ends(weights, zero_point):
    """As other tools' models have them: what the codes stand for has a bit more than the codes."""
    quantized, fmt = quantize(MLP, [], DYNAMIC), parse(weights)
    zero_point = fmt.code_range[zero_point == "most"]
    rng, layers = np.random.default_rng(11), []
    for layer in quantized.layers:
        lo, hi = fmt.code_range
        w = rng.integers(lo, hi + 1, layer.arrays["w"].shape)
        own = QuantizedWeights({"weights": fmt}, {"w": w}, Grid(fmt, layer.weights.grid.scale, zero_point))
        layers.append(replace(layer, weights=own, spec=layer.spec.with_(weights=fmt, w_zero_point=zero_point != 0)))
    network = replace(quantized, layers=tuple(layers))
    x = small_networks.inputs(rng, MLP, 7)
    model = dynamic_onnx(network)
    onnx.checker.check_model(model, full_check=True)
    assert reference(model, x).tolist() == network.run(x).tolist()


def test_tokens():
    """A dense layer on [B, T, C], its axes moved before and after."""
    same(TOKENS, DYNAMIC)
    same(TOKENS, DYNAMIC, weights="int4", granularity="group", group=4)


def test_means_are_formed_in_float32():
    """Golden's in float64, rounded once: a last bit that the next range may turn into another code."""
    quantized = quantize(CNN, [], DYNAMIC)
    x = small_networks.inputs(np.random.default_rng(7), CNN, 30)
    y, found = quantized.run(x), reference(dynamic_onnx(quantized), x)
    assert np.abs(found - y).max() < 0.02 * np.abs(y).max()


def test_ranges_are_those_of_the_tensor_and_not_of_its_windows():
    layer = small_networks.linear(np.random.default_rng(5), "c", 1, 2, window=Window((1, 1), (3, 3)))
    quantized = quantize(FloatNetwork("n", (4, 4, 1), (layer,)), [], DYNAMIC)
    x = np.full((1, 4, 4, 1), 0.5, np.float32)
    x[0, 1, 1, 0] = 100
    assert reference(dynamic_onnx(quantized), x).tolist() == quantized.run(x).tolist()


@pytest.mark.parametrize("activations", ["uint8", "uint5", "int8", "float8_e4m3fn"])
@pytest.mark.parametrize("value", [0.0, 2.5, -1.0, 4e-36])
def test_constant_and_zero_activations(activations, value):
    """An empty range has the scale one; of floats, one whose scale would be no normal number, too."""
    same_for(activations, np.full((3, 13), value, np.float32))


@pytest.mark.parametrize("activations", ["uint8", "uint4", "int4"])
def test_codes_beyond_the_last_one(activations):
    """Both ends of the range are ties, and round away from zero."""
    last = {"uint8": 127.5, "uint4": 7.5, "int4": 7}[activations]
    same_for(activations, np.linspace(-last, last, 13, dtype=np.float32)[None])


def same_for(activations, x):
    """The same numbers for x, of a layer without a bias that would hide them."""
    layer = replace(MLP.layers[0], bias=np.zeros(9, np.float32), activation="none")
    quantized = quantize(FloatNetwork("n", (13,), (layer,)), [], DYNAMIC.with_(activations=activations))
    assert reference(dynamic_onnx(quantized), x).tolist() == quantized.run(x).tolist()


def test_steps_and_activations():
    layers = (replace(MLP.layers[0], activation="relu6"), replace(MLP.layers[1], bias=np.zeros(7, np.float32)))
    steps = {"before": (Step("mul", (np.float32(2),)),), "after": (Step("add", (np.arange(7),)), Step("relu"))}
    operators = same(FloatNetwork("n", (13,), layers, **steps), DYNAMIC)
    assert operators.count("Clip") == 1 and operators.count("Add") == 2


def test_what_is_told_beside_the_network():
    model = dynamic_onnx(quantize(MLP, [], DYNAMIC.with_(weights="int4", rows=2)))
    told = {one.key: one.value for one in model.metadata_props}
    assert told["activation_range"] == "dynamic" and set(told) == {
        "activation_range",
        *(f"layer.fc{i}" for i in (1, 2, 3)),
    }
    assert json.loads(told["layer.fc1"])["weights"] == "int4" and json.loads(told["layer.fc1"])["rows"] == 2


CONVOLVED = "are convolved exactly by no operator of ONNX: ConvInteger takes 8-bit integers and Conv float32"
REFUSED = {
    "layer fc1: blocks of activations, as of mxfp4, are not written: ONNX has no operator that makes them": {
        "activations": "mxfp4", "weights": "mxfp4",
    },
    "layer fc2: activations must be of a type of ONNX's, not float6_e2m3fn": {
        "layers": {"fc2": LayerFormats(activations="float6_e2m3fn")}
    },
    "layer fc1: activations must have at most 24 bits, which float32 holds, not int32": {"activations": "int32"},
    "layer fc1: sums in float32 are not written: ONNX does not say in which order they are added up": {
        "activations": "float8_e5m2", "weights": "float8_e5m2",
    },
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_refused(message):
    with pytest.raises(ValueError) as error:
        dynamic_onnx(quantize(MLP, [], DYNAMIC.with_(**REFUSED[message])))
    assert str(error.value) == message


def test_convolutions_of_wide_integers_are_refused():
    quantized = quantize(CNN, [], DYNAMIC.with_(activations="uint16"))
    most = 65535 * int(np.abs(quantized.layers[0].weights.arrays["w"]).sum(axis=0).max())
    with pytest.raises(ValueError) as error:
        dynamic_onnx(quantized)
    assert str(error.value) == f"layer c1: sums of up to {most} {CONVOLVED}"


def test_each_writer_names_the_other():
    x = small_networks.inputs(np.random.default_rng(8), MLP)
    with pytest.raises(ValueError, match="^layer input: it gives codes; network.qdq.write writes networks of codes$"):
        dynamic_onnx(quantize(MLP, [x], Recipe()))
    with pytest.raises(ValueError, match="^layer input: it has no codes; network.qdq.write_dynamic writes dynamic n"):
        qdq(quantize(MLP, [], DYNAMIC))
