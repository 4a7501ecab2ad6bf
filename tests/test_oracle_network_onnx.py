"""Networks read from ONNX against onnxruntime: float ones, its own quantized models by layer, single operators."""

import numpy as np
import pytest
from oracle_cases import differing, need

need("onnx", "onnxruntime")

import oracle_quantize_static as static  # noqa: E402
import small_networks  # noqa: E402
import test_network_write_qdq as written  # noqa: E402
from onnx_cases import dense, qoperator_cnn  # noqa: E402
from onnx_models import Chain, Coded  # noqa: E402

from network.onnx.read_float import read_float  # noqa: E402
from network.onnx.read_qdq import read_qdq  # noqa: E402
from network.onnx.read_qoperator import read_qoperator  # noqa: E402
from network.qdq.write import qdq  # noqa: E402
from network.quantizing.post_training import quantize  # noqa: E402
from network.quantizing.recipe import Recipe  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
READERS = {"QDQ": read_qdq, "QOperator": read_qoperator}


def reals(seed, *shape):
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


@pytest.mark.parametrize("make", [static.float_model, static.pooled_model])
def test_float_networks(make):
    model, x = make(), static.inputs(20000, 1)
    theirs = static.run(model, x)
    ours = read_float(model).run(x)
    assert ours.shape == theirs.shape and theirs.size >= 100000
    assert np.abs(ours - theirs).max() < 1e-5 * np.abs(theirs).max()


@pytest.mark.parametrize("pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool"])
def test_padding_of_float_pools(operator, pad):
    chain = Chain((2, 40, 41)).add("Conv", reals(2, 3, 2, 1, 1))
    model = chain.add(operator, kernel_shape=[3, 2], strides=[2, 2], auto_pad=pad).model()
    x = reals(3, 50, 2, 40, 41)
    theirs, ours = static.run(model, x), read_float(model).run(x)
    assert ours.shape == theirs.shape and np.abs(ours - theirs).max() < 1e-5


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(("a", "w"), static.KINDS)
@pytest.mark.parametrize("form", READERS)
def test_every_layer_of_quantize_static(form, a, w, per_channel):
    """All codes of eight layers, one of which holds an addition; with what onnxruntime fuses."""
    model = static.quantized(static.float_model(), form, per_channel=per_channel, a=a, w=w)
    rows = list(static.compared(model, READERS[form](model), static.inputs(200, 4)))
    assert len(rows) == 8 and sum(row[2] for row in rows) > 250000
    assert {row[0]: row[1] for row in rows} == {row[0]: 0 for row in rows}


@pytest.mark.parametrize("form", READERS)
def test_symmetric_activations_keep_their_bounds(form):
    """Their zero point is in the middle. QOperator has a Clip on real numbers between two layers, the first of which
    takes it in, and gives no codes of the model."""
    model = static.quantized(static.float_model(), form, per_channel=True, a="int8", w="int8", symmetric=True)
    rows = list(static.compared(model, READERS[form](model), static.inputs(200, 5)))
    rows = [row for row in rows if row[0] != "depthwise_quant"]
    assert sum(row[2] for row in rows) > 150000 and {row[1] for row in rows} == {0}


@pytest.mark.parametrize("form", READERS)
@pytest.mark.parametrize("a", ["uint8", "int8"])
def test_means_of_whole_maps(a, form):
    model = static.quantized(static.pooled_model(), form, per_channel=False, a=a, w="int8")
    rows = list(static.compared(model, READERS[form](model), static.inputs(2000, 6)))
    assert [row[0].removesuffix("_quant") for row in rows] == ["first", "whole", "flat", "dense"]
    assert {row[1] for row in rows} == {0}


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(("a", "w"), static.KINDS)
def test_qoperator_models_of_any_scales(a, w, per_channel):
    model = qoperator_cnn(a, w, per_channel).model(kind=a)
    x = 2 * reals(7, 3000, 3, 8, 9)
    network = read_qoperator(model)
    assert differing([(network.run(x), static.run(model, x).astype(np.float32))]) == (0, 21000)


@pytest.mark.parametrize("operator", ["Gemm", "MatMul"])
def test_biases_of_real_numbers_are_rounded_as_onnxruntime_does(operator):
    """Where the product has a quantizer; a MatMul and the Add behind it too."""
    pairs = []
    for seed in range(20):
        chain = Coded((30,), seed).quantize(0.021, np.uint8(90)).dequantize()
        bias = reals(seed, 40) * np.float32(0.02)
        w = chain.weights(chain.codes((30, 40), near=30), 0.0173, np.int8(0))
        chain.add("Gemm", w, bias) if operator == "Gemm" else chain.add("MatMul", w).add("Add", bias)
        model = chain.quantize(0.031, np.uint8(120)).model(kind="uint8")
        x = reals(seed, 200, 30)
        pairs.append((read_qdq(model).run(x), static.run(model, x).astype(np.float32)))
    assert differing(pairs) == (0, 160000)


def test_outputs_without_a_quantizer():
    for add in (False, True):
        chain = dense(scale=0.0123)
        model = (chain.add("Add", reals(8, 6)) if add else chain).model()
        x = reals(9, 3000, 9)
        assert np.allclose(read_qdq(model).run(x), static.run(model, x), rtol=1e-6, atol=1e-6)


def test_weights_of_four_bits_without_fusions():
    """onnxruntime has no products of their codes: real sums, quantized, which rounding alone tells apart."""
    import ml_dtypes

    different = 0
    for seed, kind in enumerate(("int4", "uint4")):
        chain = Coded((30,), seed).quantize(0.021, np.uint8(90)).dequantize()
        lo = -8 if kind == "int4" else 0
        w = chain.rng.integers(lo, lo + 16, (30, 40)).astype(getattr(ml_dtypes, kind))
        w = chain.weights(w, 0.0173, np.asarray(lo + 8, getattr(ml_dtypes, kind)))
        model = chain.add("MatMul", w).quantize(0.031, np.uint8(120)).model(kind="uint8")
        x = reals(seed, 2000, 30)
        ours, theirs = read_qdq(model).run(x), static.run(model, x, fused=False).astype(np.float32)
        assert np.abs(ours - theirs).max() <= 1
        different += int((ours != theirs).sum())
    assert different <= 16


@pytest.mark.parametrize("shape", [(6,), (1,), (1, 6)])
@pytest.mark.parametrize("first", [True, False])
def test_constants_added_to_codes(first, shape):
    pairs = []
    for seed in range(12):
        chain = Coded((5,), seed).quantize(0.02, np.uint8(90))
        grids = [(np.float32(chain.rng.uniform(0.01, 0.1)), np.uint8(chain.rng.integers(0, 256))) for _ in range(3)]
        chain.add("QLinearMatMul", *chain.grid, chain.codes((5, 6)), np.float32(0.004), np.int8(0), *grids[0])
        given = [*grids[0], chain.codes(shape, "uint8"), *grids[1]]
        given = [given[2], *grids[1], *grids[0]] if first else given
        first_place = 3 if first else 0
        model = chain.add("QLinearAdd", *given, *grids[2], first=first_place, domain="com.microsoft").model(
            kind="uint8"
        )
        x = reals(seed, 2000, 5)
        pairs.append((read_qoperator(model).run(x), static.run(model, x).astype(np.float32)))
    assert differing(pairs) == (0, 144000)


@pytest.mark.parametrize("first", [True, False])
def test_constants_added_to_channels_of_maps(first):
    pairs = []
    for seed in range(12):
        chain = Coded((3, 5, 6), seed).quantize(0.02, np.uint8(90))
        grids = [(np.float32(chain.rng.uniform(0.01, 0.1)), np.uint8(chain.rng.integers(0, 256))) for _ in range(3)]
        chain.add("QLinearConv", *chain.grid, chain.codes((4, 3, 2, 2)), np.float32(0.004), np.int8(0), *grids[0])
        constant = chain.codes((1, 4, 1, 1), "uint8")
        given = [constant, *grids[1], *grids[0]] if first else [*grids[0], constant, *grids[1]]
        place = 3 if first else 0
        model = chain.add("QLinearAdd", *given, *grids[2], first=place, domain="com.microsoft").model(kind="uint8")
        x = reals(seed, 200, 3, 5, 6)
        pairs.append((read_qoperator(model).run(x), static.run(model, x).astype(np.float32)))
    assert differing(pairs) == (0, 12 * 200 * 4 * 20)


UNIFORM = ("int8", "uint8", "q1.7", "sm5", "pot4", "apot5", "float6_e2m3fn", "float4_e2m1fn")


PAIRS = [(a, w) for a in ("uint8", "int8", "uint5") for w in UNIFORM if (a, w) != ("int8", "uint8")]


@pytest.mark.parametrize(("activations", "weights"), PAIRS)
def test_written_networks_give_their_own_codes(activations, weights):
    """Where weights are stored as int8: onnxruntime's products of integers, bit by bit, through pools and all.

    It has none of int8 activations and uint8 weights, and computes those in float32.
    """
    recipe = Recipe(weights=weights, activations=activations, platform="onnxruntime")
    for net, count in ((written.MLP, 20000), (written.CNN, 2000)):
        x = small_networks.inputs(np.random.default_rng(11), net, count)
        network = quantize(net, [x[:50]], recipe)
        theirs = static.run(qdq(network), x)
        assert differing([(network.run(x), theirs)]) == (0, count * (5 if net is written.MLP else 4))


@pytest.mark.parametrize(("weights", "granularity"), written.FORMATS)
def test_written_networks_of_every_format_run(weights, granularity):
    """Within a step of fake quantization, all but few, with and without fusions."""
    x = small_networks.inputs(np.random.default_rng(12), written.MLP, 2000)
    network = quantize(written.MLP, [x[:50]], Recipe(weights=weights, granularity=granularity, group=4))
    for fused in (False, True):
        steps = np.abs(static.run(qdq(network), x, fused) - network.fake(x)) / network.exit.x.scale
        assert (steps > 0.5).mean() < 1e-3 and steps.max() < 3


@pytest.mark.parametrize("granularity", ["channel", "group"])
@pytest.mark.parametrize("weights", ["int8", "int4", "uint8", "pot4", "float8_e4m3fn", "mxfp4", "mxint8"])
@pytest.mark.parametrize("net", [written.TOKENS, written.KERNELS], ids=lambda net: net.name)
def test_written_networks_of_tokens_and_kernels_run(net, weights, granularity):
    x = small_networks.inputs(np.random.default_rng(13), net, 500)
    network = quantize(net, [x[:50]], Recipe(weights=weights, granularity=granularity, group=4))
    steps = np.abs(static.run(qdq(network), x) - network.fake(x)) / network.exit.x.scale
    assert (steps > 0.5).mean() < 1e-3 and steps.max() < 3
