"""Post-training quantization of whole networks: near the float network, and codes near fake quantization."""

from dataclasses import replace

import numpy as np
import pytest
import small_networks

from golden import platforms
from golden.block_formats import NAMED_BLOCKS
from golden.platform_table import PLATFORMS
from network.elementwise import Step
from network.float_network import FloatAveragePool, FloatNetwork, Linear
from network.layers import Product
from network.quantizing.adaround import adaptively_rounded
from network.quantizing.correction import bias_corrected
from network.quantizing.post_training import quantize, quantizer
from network.quantizing.recipe import LayerFormats, Recipe
from network.quantizing.weights import quantized_weights
from network.shapes import Reshape, Transpose, Window

MLP = small_networks.mlp(np.random.default_rng(1))
CNN = small_networks.cnn(np.random.default_rng(2))
X = small_networks.inputs(np.random.default_rng(3), MLP, 200)
MAPS = small_networks.inputs(np.random.default_rng(4), CNN, 20)
WEIGHTS = (
    *("int8", "int4", "int2", "uint8", "uint3", "q1.7", "sm5", "ternary", "bipolar", "pot4", "apot5"),
    *("codebook4", "float8_e4m3fn", "float8_e5m2", "float6_e2m3fn", "float4_e2m1fn", *NAMED_BLOCKS),
)


def apart(quantized, x):
    """The largest difference of codes and fake quantization in each layer, in steps of its outputs."""
    codes, found = quantized.entry.run(x), {}
    for layer in quantized.layers:
        y = layer.run(codes)
        if hasattr(layer, "fake"):
            difference = layer.y.values(y) - layer.fake(layer.x.values(codes))
            found[layer.name] = float(np.abs(difference / layer.y.scale).max())
        codes = y
    return found


def relative(quantized, network, x):
    expected = network.run(x)
    return float(np.sqrt(np.square(quantized.run(x) - expected).mean() / np.square(expected).mean()))


REFUSED = {
    "q1.7": "weights of q1.7 have one scale, 2**-7, and none for each group",
    "codebook4": "weights of codebook4 have a table for each tensor or channel, not for each group",
}


@pytest.mark.parametrize("granularity", ["tensor", "channel", "group"])
@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_of_each_format_by_each_granularity(name, granularity):
    recipe = Recipe(weights=name, granularity=granularity, group=4)
    if granularity == "group" and name in REFUSED:
        with pytest.raises(ValueError, match=f"^layer fc1: {REFUSED[name].replace('*', '[*]')}$"):
            quantize(MLP, [X], recipe)
        return
    quantized = quantize(MLP, [X[:90], X[90:]], recipe)
    assert max(apart(quantized, X).values()) <= 1
    coarse = {"bipolar": 0.8, "ternary": 0.7, "int2": 1.1, "uint3": 0.4, "float4_e2m1fn": 0.2, "mxfp4": 0.25}
    assert relative(quantized, MLP, X) < coarse.get(name, 0.3 if name in ("int4", "nvfp4", "pot4") else 0.15)


ACTIVATIONS = ("uint8", "int8", "uint5", "int12", "uint16", "q4.4", "uq4.4", "uint1")


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_each_format(name, symmetric):
    recipe = Recipe(activations=name, output=name.replace("uq", "q"), symmetric=symmetric)
    quantized = quantize(MLP, [X], recipe)
    assert max(apart(quantized, X).values()) <= 1
    near = {"uint1": 1.5, "uq4.4": 0.7, "uint5": 0.2, "q4.4": 0.1}
    assert relative(quantized, MLP, X) < near.get(name, 0.05)
    if symmetric and name.startswith("int"):
        assert all(grid.zero_point == 0 for grid in quantized.grids)


def test_more_bits_bring_the_float_network_nearer():
    errors = [
        relative(quantize(MLP, [X], Recipe(weights=f"int{n}", activations=f"uint{n}", output=f"int{n}")), MLP, X)
        for n in range(3, 15)
    ]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 1e-3


@pytest.mark.parametrize("weights", ["int8", "int4", "ternary", "pot4", "uint6", "sm4", "bipolar"])
def test_a_convolutional_network(weights):
    quantized = quantize(CNN, [MAPS[:7], MAPS[7:]], Recipe(weights=weights))
    assert [type(layer).__name__ for layer in quantized.layers] == [
        "Product", "Product", "MaxPool", "Product", "AveragePool", "Transpose", "Reshape", "Product",
    ]  # fmt: skip
    assert quantized.layers[1].spec.array == "vector"
    assert max(apart(quantized, MAPS).values()) <= 1
    assert relative(quantized, CNN, MAPS) < {"int8": 0.05, "uint6": 0.1}.get(weights, 1.2)


@pytest.mark.parametrize("method", ["minmax", "moving_average", "percentile", "entropy", "mse"])
def test_ranges_of_activations(method):
    quantized = quantize(CNN, [MAPS[:7], MAPS[7:]], Recipe(activation_range=method))
    assert max(apart(quantized, MAPS).values()) <= 1
    assert relative(quantized, CNN, MAPS) < (0.3 if method == "moving_average" else 0.1)


NO_RULE = {
    "deeploy": "layer fc1: platform 'deeploy' has no rule from scales to its integers",
    "tensorrt": "layer fc1: platform 'tensorrt' has no published rule for requantization",
    "onnxruntime-avx2-saturating": "layer fc1: platform 'onnxruntime-avx2-saturating' saturates pairs of products, "
    "which hardware here does not; its results are in golden.platforms, and onnxruntime is the nearest with hardware",
    "litert-reference-int16": "layer fc1: thresholds give outputs of at most 8 bits, not int16",
}


@pytest.mark.parametrize("name", PLATFORMS)
def test_the_rules_of_platforms(name):
    """Sums go through golden.platforms.requantize with the grids' own scales, or the one rule that is missing."""
    wide = "int16" if name.endswith("int16") else "int8"
    recipe = Recipe(platform=name, activations=wide, output=wide, symmetric=wide == "int16" or name == "finn")
    network = small_networks.mlp(np.random.default_rng(5), activation="relu6")
    if name in NO_RULE:
        with pytest.raises(ValueError) as error:
            quantize(network, [X], recipe)
        assert str(error.value) == NO_RULE[name]
        return
    quantized = quantize(network, [X], recipe)
    assert max(apart(quantized, X).values()) <= 1
    codes = quantized.entry.run(X)
    for layer, plain in zip(quantized.products, network.linears, strict=True):
        assert layer.spec.platform == name
        codes = check_rule(layer, plain, codes, name, wide)


def check_rule(layer, plain, codes, name, wide):
    """Codes of the layer by golden.platforms alone."""
    scales = {"a_scale": layer.x.scale, "w_scale": layer.w.scale, "y_scale": layer.y.scale}
    bias = np.rint(plain.bias / (np.float64(layer.x.scale) * layer.w.scale)).astype(np.int64)
    bounds = {}
    if plain.activation == "relu6" and PLATFORMS[name].activations:
        bounds = {"activation": "relu6", "y_scale": layer.y.scale}
    elif plain.activation == "relu6":
        bounds = {"clip": (layer.y.zero_point, int(layer.y.codes(np.float32(6))))}
    sums = platforms.accumulate(name, codes, layer.arrays["w"], a_zero_point=layer.x.zero_point)
    expected = platforms.requantize(
        name,
        sums,
        platforms.derive(name, **scales),
        bias=bias,
        y_zero_point=layer.y.zero_point,
        y_format=wide,
        **bounds,
    )
    assert layer.run(codes).tolist() == expected.tolist()
    return expected


@pytest.mark.parametrize(("platform", "bits"), [("onnxruntime", (32, "wrap")), (None, (None, None))])
def test_sums_wrap_where_the_platform_has_32_bits(platform, bits):
    network = small_networks.mlp(np.random.default_rng(5), (700, 2))
    x = small_networks.inputs(np.random.default_rng(6), network, 5)
    quantized = quantize(network, [x], Recipe(platform=platform, weights="int16"))
    spec = quantized.products[0].spec
    assert (spec.accumulator, spec.accumulator_overflow) == bits and spec.exact_accumulator_width > 32


def test_a_platform_without_zero_points():
    with pytest.raises(ValueError, match="^layer fc1: finn has thresholds for zero point 0 only$"):
        quantize(MLP, [X], Recipe(platform="finn", activations="int8"))


@pytest.mark.parametrize("name", ["tflite-micro", "onnxruntime", "tosa", "qonnx"])
def test_a_convolutional_network_on_a_platform(name):
    recipe = Recipe(platform=name, activations="int8", symmetric=name == "qonnx")
    network = CNN if name != "qonnx" else replace(CNN, layers=tuple(x for x in CNN.layers[:4]))
    quantized = quantize(network, [MAPS], recipe)
    assert max(apart(quantized, MAPS).values()) <= 1
    assert relative(quantized, network, MAPS) < 0.06
    pool = quantized.layers[4:5]
    assert [layer.y is layer.x for layer in pool] == ([name != "onnxruntime"] if pool else [])
    kinds = {layer.spec.requantize for layer in quantized.products}
    assert kinds == {platforms.platform(name).scaling if name != "qonnx" else "thresholds"}


def test_quantizers_of_platforms():
    found = {name: quantizer(Recipe(platform=name)) for name in PLATFORMS}
    assert {one: [name for name in found if found[name] == one] for one in sorted(set(found.values()))} == {
        "litert": ["litert-ruy-x86", "litert-xnnpack", "litert-xnnpack-arm"],
        "onnx": ["onnxruntime", "onnxruntime-avx2-saturating", "onnx-reference", "deeploy", "tensorrt"],
        "qonnx": ["qonnx", "brevitas", "finn"],
        "tflite-reference": [
            "tflite-micro", "tflite-micro-int16", "litert-reference", "litert-reference-int16", "litert-reference-conv",
            "tosa", "tosa-double", "tosa-int16", "cmsis-nn", "cmsis-nn-int16",
        ],
    }  # fmt: skip


def test_scales_of_powers_of_two_need_shifts_alone():
    quantized = quantize(CNN, [MAPS], Recipe(scales="power_of_two", activations="int8", symmetric=True))
    assert {layer.spec.requantize for layer in quantized.products} == {"shift"}
    assert all((np.frexp(grid.scale)[0] == 0.5).all() for grid in quantized.grids)
    assert max(apart(quantized, MAPS).values()) <= 1
    assert relative(quantized, CNN, MAPS) < 0.15


@pytest.mark.parametrize("weights", ["int4", "codebook3", "mxfp6_e2m3", "ternary"])
@pytest.mark.parametrize("activation", ["relu", "relu6", "none"])
def test_exact_sums_leave_with_their_scales(weights, activation):
    network = small_networks.mlp(np.random.default_rng(6), activation="none")
    last = network.layers[-1]
    layers = (*network.layers[:-1], replace(last, w=last.w * np.float32(4), activation=activation))
    network = FloatNetwork("n", network.shape, layers)
    quantized = quantize(network, [X], Recipe(weights=weights, output="exact"))
    last = quantized.products[-1]
    assert last.spec.requantize == "none" and last.spec.output is None
    values = last.x.values(quantized.trace(quantized.entry.run(X))["fc2"])
    expected = values @ last.real_weights + last.real_bias
    expected = np.clip(expected, -np.inf if activation == "none" else 0, 6 if activation == "relu6" else None)
    assert quantized.run(X) == pytest.approx(expected, rel=1e-5, abs=float(np.max(last.y.scale)))
    assert (quantized.run(X).max() < 6.1) == (activation == "relu6")


def test_binary_networks():
    network = small_networks.mlp(np.random.default_rng(7), activation="none")
    recipe = Recipe(weights="bipolar", activations="bipolar", output="exact", lanes=1)
    quantized = quantize(network, [X], recipe)
    assert all(layer.spec.is_binary for layer in quantized.products)
    codes, signs = quantized.entry.run(X), np.where(X >= 0, 1, -1)
    assert codes.tolist() == ((signs + 1) // 2).tolist()
    for layer in quantized.products[:-1]:
        sums = signs @ (2 * layer.arrays["w"] - 1) + layer.arrays["bias"]
        codes, signs = layer.run(codes), np.where(sums >= 0, 1, -1)
        assert codes.tolist() == ((signs + 1) // 2).tolist()
    assert max(apart(quantized, X).values()) <= 1


def test_biases_are_rounded_to_steps_of_the_sums():
    quantized = quantize(MLP, [X], Recipe(weights="int4"))
    for layer, plain in zip(quantized.products, MLP.linears, strict=True):
        for n, bias in enumerate(plain.bias.tolist()):
            step = float(layer.x.scale) * float(layer.w.scale[n])
            assert layer.arrays["bias"][n] == round(bias / step)
        assert str(layer.spec.bias) == "int32"


def test_columns_of_next_to_nothing_keep_their_bias():
    """As in networks with dead channels: 32 bits of bias hold, whatever the weights."""
    w = MLP.layers[0].w.copy()
    w[:, 3], w[:, 5] = 0, 1e-12
    network = replace(MLP, layers=(replace(MLP.layers[0], w=w), *MLP.layers[1:]))
    for name in ("int8", "uint4", "sm4", "pot4", "ternary", "bipolar", "codebook4", "float8_e4m3fn", "mxfp4"):
        platform = "tflite-micro" if name == "int8" else None
        quantized = quantize(network, [X], Recipe(weights=name, platform=platform))
        first = quantized.products[0]
        assert first.real_bias[[3, 5]] == pytest.approx(network.layers[0].bias[[3, 5]], rel=1e-3)
        assert max(apart(quantized, X).values()) <= 1
        if name in ("int8", "pot4", "ternary"):
            assert first.spec.bias.width == 32


@pytest.mark.parametrize("tiny", [1e-20, 1e-30])
def test_channels_that_died_in_training_are_quantized(tiny):
    """Neither their weights nor their bias give a step of the output; no multiplier is as small as their scale."""
    w, bias = MLP.layers[0].w.copy(), MLP.layers[0].bias.copy()
    w[:, 3], bias[3] = tiny, 0
    network = replace(MLP, layers=(replace(MLP.layers[0], w=w, bias=bias), *MLP.layers[1:]))
    for name in ("int8", "uint4", "sm4", "pot4", "ternary", "float8_e4m3fn"):
        quantized = quantize(network, [X], Recipe(weights=name))
        codes = quantized.products[0].run(quantized.entry.run(X))
        assert not codes[:, 3].any() and codes.any()
        assert max(apart(quantized, X).values()) <= 1


def test_formats_of_single_layers():
    layers = {"fc2": LayerFormats(weights="mxfp4", activations="uint4"), "fc3": LayerFormats(weights="ternary")}
    quantized = quantize(MLP, [X], Recipe(layers=layers))
    assert [str(layer.spec.weights) for layer in quantized.products] == ["int8", "float4_e2m1fn", "ternary"]
    assert [str(grid.fmt) for grid in quantized.grids] == ["uint8", "uint4", "uint8", "int8"]


def test_the_array_is_the_recipes():
    quantized = quantize(CNN, [MAPS], Recipe(rows=3, cols=5, lanes=2))
    shapes = [(layer.spec.rows, layer.spec.cols, layer.spec.lanes, layer.spec.depth) for layer in quantized.products]
    assert shapes == [(3, 5, 2, 27), (1, 5, 2, 9), (3, 5, 2, 10), (3, 5, 2, 72)]


def test_steps_and_names_of_the_ends():
    layers = (replace(MLP.layers[0], name="input"), replace(MLP.layers[1], name="output"), MLP.layers[2])
    before, after = (Step("mul", (np.float32(2),)),), (Step("softmax"),)
    network = FloatNetwork("n", (13,), layers, before, after)
    quantized = quantize(network, [X], Recipe())
    assert [step.name for step in quantized.steps] == ["input_", "input", "output", "fc3", "output_"]
    assert quantized.run(X) == pytest.approx(network.run(X), abs=0.05)
    assert quantized.run(X).sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_all_corrections_together_are_deterministic():
    recipe = Recipe(weights="int3", corrections=("bias", "adaround", "equalize"))
    first, again = (quantize(CNN, [MAPS], recipe) for _ in range(2))
    assert first.run(MAPS).tolist() == again.run(MAPS).tolist()
    assert relative(first, CNN, MAPS) < relative(quantize(CNN, [MAPS], Recipe(weights="int3")), CNN, MAPS)
    plain = [layer.arrays["w"] for layer in quantize(CNN, [MAPS], recipe.with_(corrections=("equalize",))).products]
    assert any((one.arrays["w"] != other).any() for one, other in zip(first.products, plain, strict=True))


@pytest.mark.parametrize("correction", ["adaround", "bias"])
def test_corrections_take_what_quantized_activations_stand_for(correction):
    """Of two bits, so that it matters: the first layer as the correction alone makes it of these."""
    recipe = Recipe(weights="int4", activations="uint2", corrections=(correction,))
    batches = [X[:50], X[50:]]
    quantized = quantize(MLP, batches, recipe)
    first, x = MLP.layers[0], quantized.entry
    values = [x.y.values(x.run(batch)) for batch in batches]
    weights = quantized_weights(first.w, "int4", recipe)
    corrected = [bias_corrected(first, weights, batches, one) for one in (values, batches)]
    if correction == "adaround":
        expected = adaptively_rounded(first, weights, batches, values, seed=1).arrays["w"]
        assert quantized.products[0].arrays["w"].tolist() == expected.tolist() != weights.arrays["w"].tolist()
    else:
        steps = [one.bias / (np.float64(x.y.scale) * weights.grid.scale) for one in corrected]
        assert quantized.products[0].arrays["bias"].tolist() == np.rint(steps[0]).tolist() != np.rint(steps[1]).tolist()


def pooled(*more):
    layers = (small_networks.linear(np.random.default_rng(8), "c", 3, 4, window=Window((1, 1))), *more)
    return FloatNetwork("n", (9, 7, 3), layers)


ERRORS = {
    "network n has no linear layer to quantize": (FloatNetwork("n", (13,), ()), {}),
    "calibration batch 0 must have shape [B, 13], not [5, 12]": (MLP, {"x": np.ones((5, 12))}),
    "calibration batch 0 must have shape [B, 13], not []": (MLP, {"x": np.array(1.0)}),
    "calibration batch 0 must hold finite numbers, one at least": (MLP, {"x": np.full((5, 13), np.nan)}),
    "calibration needs one batch at least": (MLP, {"x": None}),
    "layers: the network has no linear layer 'fc9'; it has fc1, fc2, fc3": (
        MLP, {"layers": {"fc9": LayerFormats(weights="int4")}},
    ),
    "layer a: weights and biases must be finite": (
        FloatNetwork("n", (1,), (Linear("a", np.ones((1, 2), np.float32), np.array([0, np.nan], np.float32)),)), {},
    ),
    "layer b: the float network has numbers there that are not finite": (
        FloatNetwork("n", (1,), tuple(Linear(name, np.full((1, 1), 1e30, np.float32), np.zeros(1)) for name in "ab")),
        {},
    ),
    "layer fc2: after relu bipolar outputs would all be +1": (
        MLP, {"layers": {"fc3": LayerFormats(activations="bipolar")}},
    ),
    "layer fc1: block must be a multiple of lanes, 4, not 6": (MLP, {"granularity": "group", "group": 6}),
    "layer fc2: platform must be left out with block, not 'tosa'": (
        MLP, {"layers": {"fc2": LayerFormats(weights="mxfp4")}, "platform": "tosa"},
    ),
    "layer dw: array must be output_stationary with block, not 'vector', whose elements scale and round no sums": (
        CNN, {"layers": {"dw": LayerFormats(weights="mxfp4")}},
    ),
    "layer dw: array must be 'output_stationary' with weights codebook4, not 'vector', which has no tables at its "
    "entry": (CNN, {"weights": "codebook4"}),
    "layer c1: bipolar activations have no zero to pad with": (
        CNN, {"layers": {"c1": LayerFormats(activations="bipolar")}},
    ),
    "layer fc2: weights must be at most 32 bits wide, not int40": (
        MLP, {"layers": {"fc2": LayerFormats(weights="int40")}},
    ),
    "layer fc1: thresholds give outputs of at most 8 bits, not int12": (
        MLP, {"platform": "qonnx", "activations": "int12"},
    ),
    "layer mean: exact sums of a scale per column are not pooled; give output a format": (
        pooled(FloatAveragePool("mean", Window((2, 2)))), {"output": "exact"},
    ),
    "layer t: exact sums of a scale per column keep their last axis; give output a format": (
        pooled(Transpose("t", (0, 3, 1, 2))), {"output": "exact"},
    ),
    "layer square: exact sums of a scale per column keep their last axis; give output a format": (
        FloatNetwork("n", (4, 4, 3), (pooled().layers[0], Transpose("square", (0, 3, 1, 2)))), {"output": "exact"},
    ),
    "layer r: exact sums of a scale per column keep their last axis; give output a format": (
        pooled(Reshape("r", (-1,))), {"output": "exact"},
    ),
    "layer fc1: platform 'tosa' has no bipolar outputs": (
        small_networks.mlp(np.random.default_rng(1), activation="none"),
        {"platform": "tosa", "layers": {"fc2": LayerFormats(activations="bipolar")}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", ERRORS)
def test_what_is_refused(message):
    network, fields = ERRORS[message]
    fields = dict(fields)
    x = fields.pop("x", np.random.default_rng(9).normal(0, 1, (5, *network.shape)))
    with pytest.raises(ValueError) as error:
        quantize(network, [] if x is None else [x], Recipe(**fields))
    assert str(error.value) == message


def test_batches_without_examples_are_refused():
    with pytest.raises(ValueError, match="^calibration batch 1 must hold finite numbers, one at least$"):
        quantize(MLP, [X, np.zeros((0, 13))], Recipe())


def test_exact_sums_of_one_scale_may_be_pooled_and_reshaped():
    network = pooled(FloatAveragePool("mean", Window((9, 7))), Transpose("t", (0, 3, 1, 2)), Reshape("r", (-1,)))
    quantized = quantize(network, [MAPS], Recipe(granularity="tensor", output="exact"))
    assert quantized.run(MAPS) == pytest.approx(network.run(MAPS), abs=0.02)
    kept = pooled(Reshape("r", (-1, 4)))
    assert quantize(kept, [MAPS], Recipe(output="exact")).run(MAPS) == pytest.approx(kept.run(MAPS), abs=0.05)


def test_every_product_is_one():
    assert all(isinstance(layer, Product) for layer in quantize(MLP, [X], Recipe()).layers)
