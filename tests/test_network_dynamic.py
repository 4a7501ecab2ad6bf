"""Dynamic quantization: codes from each batch's own range, exact sums, float32 around them."""

import numpy as np
import pytest
import small_networks

from golden.block_formats import NAMED_BLOCKS
from golden.formats import parse
from golden.tensors import accumulators
from network.dynamic import DynamicProduct, RealEntry, RealExit
from network.dynamic_activations import spec_fields, taken
from network.elementwise import Step
from network.float_network import FloatAveragePool, FloatNetwork, Linear
from network.grid import Grid
from network.layers import Dequantize, Quantize
from network.network import Network
from network.quantizing.post_training import quantize
from network.quantizing.recipe import LayerFormats, Recipe
from network.shapes import Window

MLP = small_networks.mlp(np.random.default_rng(1))
CNN = small_networks.cnn(np.random.default_rng(2))
X = small_networks.inputs(np.random.default_rng(3), MLP, 40)
MAPS = small_networks.inputs(np.random.default_rng(4), CNN, 9)
DYNAMIC = Recipe(activation_range="dynamic")


def by_hand(layer, weights, x):
    """ONNX's DynamicQuantizeLinear and MatMulInteger, in float32 and Python integers."""
    lo, hi = np.float32(min(x.min(), 0)), np.float32(max(x.max(), 0))
    scale = np.float32((hi - lo) / np.float32(255))
    zero = int(np.rint(np.clip(-lo / scale, 0, 255)))
    codes = [[min(max(int(np.rint(v / scale)) + zero, 0), 255) for v in row] for row in x]
    w = weights.arrays["w"]
    y = np.zeros((len(x), w.shape[1]), np.float32)
    for m, n in np.ndindex(y.shape):
        total = sum((code - zero) * int(w[k, n]) for k, code in enumerate(codes[m]))
        y[m, n] = np.float32(total) * np.float32(scale * weights.grid.scale[n]) + layer.bias[n]
    return np.maximum(y, 0) if layer.activation == "relu" else y


def test_each_layer_by_hand():
    quantized, x = quantize(MLP, [], DYNAMIC), X
    for layer, plain in zip(quantized.layers, MLP.layers, strict=True):
        expected = by_hand(plain, layer.weights, x)
        assert layer.run(x).tolist() == expected.tolist()
        x = expected
    assert quantized.run(X).tolist() == x.tolist()


def test_scales_are_formed_in_float32():
    """As DynamicQuantizeLinear has it: in float64 some of these zero points and scales are others."""
    rng = np.random.default_rng(7)
    for _ in range(300):
        x = (rng.normal(rng.normal(), 1, (1, 9)) * 10.0 ** rng.uniform(-3, 3)).astype(np.float32)
        lo, hi = np.float32(min(x.min(), 0)), np.float32(max(x.max(), 0))
        scale = np.float32((hi - lo) / np.float32(255))
        found = taken("uint8", x, x.min(), x.max())
        assert found.scale == scale
        assert found.arrays["a_zero_point"] == int(np.rint(np.clip(np.float32(0) - lo / scale, 0, 255)))


def test_formats_by_name():
    for name, point in (("int8", False), ("uint8", True), ("int2", False), ("uint2", True)):
        assert spec_fields(name) == {"activations": parse(name), "a_zero_point": point}
    assert spec_fields("float8_e5m2") == {"activations": parse("float8_e5m2")}
    for name in ("int1", "uint1", "q2.2", "bipolar"):
        rule = "dynamic activations must be an integer, a small float or a named block"
        with pytest.raises(ValueError, match=f"^{rule}, not {name}$"):
            spec_fields(name)


@pytest.mark.parametrize(("lo", "hi"), [(-3.0, 2.0), (-1.0, 7.7)])
def test_signed_integers_and_floats_have_the_larger_magnitude_on_the_largest_code(lo, hi):
    x, most = np.array([[lo, 0.3, hi]], np.float32), np.float32(max(-lo, hi))
    found = taken("int8", x, x.min(), x.max())
    assert found.scale == np.float32(most / np.float32(127)) and np.abs(found.arrays["a"]).max() == 127
    assert found.arrays["a"].tolist() == [[round(float(one) / float(found.scale)) for one in x[0]]]
    small = taken("float8_e4m3fn", x, x.min(), x.max())
    assert small.scale == np.float32(most / np.float32(448)) and np.abs(small.values).max() == 448 * float(small.scale)


def test_floats_of_zero_have_no_sign_and_a_scale_of_one():
    found = taken("float8_e4m3fn", np.array([[-0.0, 0.0]], np.float32), np.float32(-0.0), np.float32(0))
    assert (found.scale, found.arrays["a"].tolist(), found.values.tolist()) == (1, [[0, 0]], [[0, 0]])
    among = taken("float8_e4m3fn", np.array([[-0.0, 1.0]], np.float32), np.float32(0), np.float32(1))
    assert among.arrays["a"].tolist() == [[0, 0x7E]]


def test_batches_have_their_own_ranges():
    quantized = quantize(MLP, [], DYNAMIC)
    for spread in (1e-3, 1, 1e4):
        x = X * np.float32(spread)
        assert quantized.run(x) == pytest.approx(MLP.run(x), abs=0.05 * float(np.abs(MLP.run(x)).max()))
    alone = np.concatenate([quantized.run(X[i : i + 1]) for i in range(len(X))])
    assert (alone != quantized.run(X)).any()


PAIRS = {
    ("uint8", "int8"): 0.02, ("int8", "int8"): 0.02, ("uint4", "int8"): 0.3, ("uint8", "uint8"): 0.02,
    ("int12", "sm8"): 0.02, ("float8_e4m3fn", "float8_e4m3fn"): 0.06, ("float8_e5m2", "float8_e5m2"): 0.12,
    ("float6_e2m3fn", "int4"): 0.25, ("mxint8", "mxint8"): 0.02, ("mxfp8_e4m3", "mxfp8_e4m3"): 0.1,
    ("mxfp6_e2m3", "mxfp6_e2m3"): 0.06, ("mxfp4", "mxfp4"): 0.25, ("nvfp4", "nvfp4"): 0.2, ("mxfp8_e4m3", "int4"): 0.2,
    ("uint8", "mxfp4"): 0.2, ("uint8", "codebook4"): 0.1, ("int8", "ternary"): 0.6, ("nvfp4", "float8_e4m3fn"): 0.15,
}  # fmt: skip


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_formats_of_activations_and_weights(pair):
    quantized = quantize(MLP, [], DYNAMIC.with_(activations=pair[0], weights=pair[1]))
    codes = X
    for layer in quantized.layers:
        y, fake = layer.run(codes), layer.fake(codes)
        assert y == pytest.approx(fake, rel=1e-5, abs=1e-5 * float(np.abs(fake).max()))
        codes = y
    error = np.sqrt(np.square(quantized.run(X) - MLP.run(X)).mean() / np.square(MLP.run(X)).mean())
    assert error < PAIRS[pair]
    assert {layer.spec.is_float_sum for layer in quantized.layers} == {pair[0] in (*NAMED_BLOCKS, "float8_e5m2")}


def test_sums_of_up_to_64_bits_are_exact():
    """-2**31 squared is 2**62, which takes 64 bits with a sign; twice that takes 65."""
    for depth, in_float32 in ((1, False), (2, True)):
        network = FloatNetwork("n", (depth,), (small_networks.linear(np.random.default_rng(8), "a", depth, 3, "none"),))
        layer = quantize(network, [], DYNAMIC.with_(activations="int32", weights="int32")).layers[0]
        assert layer.spec.is_float_sum is in_float32
        x = np.array([[1.5, -0.25][:depth]], np.float32)
        assert layer.run(x) == pytest.approx(network.run(x), rel=1e-5)


@pytest.mark.parametrize(
    ("weights", "fields", "apart"),
    [
        ("int4", {"granularity": "group", "group": 8, "group_scale": "bfloat16"}, 1),
        ("mxfp4", {}, 1e30),
        ("float4_e2m1fn", {"granularity": "group"}, 1e30),
    ],
)
def test_sums_are_formed_in_float32_where_scales_may_lie_far_apart(weights, fields, apart):
    """Exact ones would have 143 bits and more, which golden has no design for."""
    plain = small_networks.linear(np.random.default_rng(9), "a", 64, 3, "none")
    w = plain.w / np.repeat(np.float32([apart, 1]), 32)[:, None]
    network = FloatNetwork("n", (64,), (Linear("a", w, plain.bias),))
    layer = quantize(network, [], DYNAMIC.with_(activations="float8_e5m2", weights=weights, **fields)).layers[0]
    assert layer.spec.is_float_sum
    x = np.random.default_rng(10).normal(0, 1, (5, 64)).astype(np.float32)
    assert layer.run(x) == pytest.approx(layer.fake(x), rel=1e-4, abs=1e-4)
    assert layer.run(x) == pytest.approx(network.run(x), abs=1)


def test_equalization_needs_no_data():
    quantized = quantize(MLP, [], DYNAMIC.with_(corrections=("equalize",)))
    assert (quantized.layers[0].weights.real != quantize(MLP, [], DYNAMIC).layers[0].weights.real).any()
    assert quantized.run(X) == pytest.approx(MLP.run(X), abs=0.05 * float(np.abs(MLP.run(X)).max()))


@pytest.mark.parametrize("pair", [("uint8", "int8"), ("int8", "uint4"), ("float8_e4m3fn", "int6")])
def test_a_convolutional_network(pair):
    quantized = quantize(CNN, [], DYNAMIC.with_(activations=pair[0], weights=pair[1]))
    assert isinstance(quantized.layers[4], FloatAveragePool)
    assert quantized.layers[1].spec.array == "vector"
    x = MAPS
    for layer in quantized.layers:
        y = layer.run(x)
        if isinstance(layer, DynamicProduct):
            assert y == pytest.approx(layer.fake(x), rel=1e-5, abs=1e-5)
        x = y
    assert quantized.run(MAPS) == pytest.approx(CNN.run(MAPS), abs=0.2 * float(np.abs(CNN.run(MAPS)).max()))
    assert list(quantized.trace(MAPS))[-1] == "fc"


def test_ranges_are_those_of_the_tensor_and_not_of_its_windows():
    """A stride of 3 leaves out the largest value; the zero point pads."""
    layer = small_networks.linear(np.random.default_rng(5), "c", 1, 2, window=Window((1, 1), (3, 3)))
    network = FloatNetwork("n", (4, 4, 1), (layer,))
    quantized = quantize(network, [], DYNAMIC)
    x = np.full((1, 4, 4, 1), 0.5, np.float32)
    x[0, 1, 1, 0] = 100
    given = quantized.layers[0].given(x)
    assert given.a.tolist() == [[1]] * 4 and given.a_zero_point == 0


def test_what_the_array_gives_is_what_golden_gives():
    quantized = quantize(MLP, [], DYNAMIC)
    given = quantized.layers[0].given(X)
    sums = accumulators(quantized.layers[0].spec, given)
    codes = given.a.astype(int) - given.a_zero_point
    assert sums.tolist() == (codes @ quantized.layers[0].weights.arrays["w"]).tolist()


def test_corrections_see_what_reaches_each_layer():
    x = small_networks.inputs(np.random.default_rng(6), MLP, 300) + np.float32(0.3)
    losses = []
    for corrections in ((), ("bias",), ("adaround", "bias")):
        quantized = quantize(MLP, [x[:200]], DYNAMIC.with_(weights="int3", corrections=corrections))
        losses.append(np.square(quantized.run(x[200:]) - MLP.run(x[200:])).mean())
    assert losses[0] > losses[1] > losses[2]


def test_constant_and_zero_activations():
    quantized = quantize(MLP, [], DYNAMIC)
    for value in (0.0, 2.5, -1.0):
        x = np.full((3, 13), value, np.float32)
        assert quantized.run(x) == pytest.approx(MLP.run(x), abs=0.05)


def test_steps_around_the_layers():
    network = FloatNetwork("n", (13,), MLP.layers, (Step("mul", (np.float32(2),)),), (Step("softmax"),))
    quantized = quantize(network, [], DYNAMIC)
    assert (quantized.entry.name, quantized.exit.name, quantized.grids) == ("input", "output", (None,) * 4)
    assert quantized.run(X) == pytest.approx(network.run(X), abs=0.02)
    assert quantized.fake(X) == pytest.approx(quantized.run(X), abs=0.02)


ERRORS = {
    "layer fc1: dynamic activations must be an integer, a small float or a named block, not ternary": {
        "activations": "ternary"
    },
    "layer fc2: dynamic activations must be an integer, a small float or a named block, not q4.4": {
        "layers": {"fc2": LayerFormats(activations="q4.4")}
    },
    "layer fc1: blocks of weights must be 16 long as those of activations, not 32": {
        "activations": "nvfp4", "weights": "mxfp4",
    },
    "layer fc1: block must be a multiple of lanes, 3, not 32": {"activations": "mxfp4", "lanes": 3},
    "calibration needs one batch at least": {"corrections": ("bias",)},
}  # fmt: skip


@pytest.mark.parametrize("message", ERRORS)
def test_what_is_refused(message):
    with pytest.raises(ValueError) as error:
        quantize(MLP, [], DYNAMIC.with_(**ERRORS[message]))
    assert str(error.value) == message


def test_depthwise_layers_have_no_blocks():
    with pytest.raises(ValueError) as error:
        quantize(CNN, [], DYNAMIC.with_(layers={"dw": LayerFormats(activations="mxfp4")}))
    rule = "array must be output_stationary with block, not 'vector', whose elements scale and round no sums"
    assert str(error.value) == f"layer dw: {rule}"


def test_activations_must_be_finite():
    quantized = quantize(MLP, [], DYNAMIC)
    with pytest.raises(ValueError, match="^layer fc1: activations must be finite$"):
        quantized.run(np.full((1, 13), np.inf, np.float32))


def test_codes_and_real_numbers_do_not_meet_unseen():
    layers = quantize(MLP, [], DYNAMIC).layers
    grid = Grid(parse("uint8"))
    with pytest.raises(ValueError, match="^layer fc1: its codes are real numbers, those before it uint8, scale 1.0"):
        Network("n", (13,), Quantize("in", grid), layers, RealExit("out"))
    with pytest.raises(
        ValueError, match="^layer out: its codes are uint8, scale 1.0, zero point 0, those before it re"
    ):
        Network("n", (13,), RealEntry("in"), layers, Dequantize("out", grid))
