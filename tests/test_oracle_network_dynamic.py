"""Dynamic quantization against what onnxruntime.quantization.quantize_dynamic makes of the same network."""

import numpy as np
import pytest
from float_onnx import model
from oracle_cases import need

from network.float_network import FloatNetwork, Linear
from network.quantizing.post_training import quantize
from network.quantizing.recipe import Recipe

need("onnx", "onnxruntime")

import oracle_quantize_static as static  # noqa: E402
import small_networks  # noqa: E402
import test_network_write_dynamic as written  # noqa: E402
from onnx_cases import dynamic_cnn  # noqa: E402

from network.onnx.read_dynamic import read_dynamic  # noqa: E402
from network.qdq.write_dynamic import dynamic_onnx  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


def mlp(rng, sizes=(23, 31, 17, 6)):
    layers = [
        Linear(
            f"fc{i}",
            rng.normal(0, 1 / np.sqrt(k), (k, n)).astype(np.float32),
            rng.normal(0, 0.3, n).astype(np.float32),
            "relu" if i < len(sizes) - 1 else "none",
        )
        for i, (k, n) in enumerate(zip(sizes, sizes[1:], strict=False), start=1)
    ]
    return FloatNetwork("mlp", (sizes[0],), tuple(layers))


def session(path, optimized):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimized else level.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_an_mlp(seed, per_channel, tmp_path):
    import onnx
    from onnxruntime import quantization as ort

    rng = np.random.default_rng(seed)
    network = mlp(rng)
    onnx.save(model(network, dense="MatMul"), tmp_path / "float.onnx")
    ort.quantize_dynamic(tmp_path / "float.onnx", tmp_path / "q.onnx", per_channel=per_channel)
    recipe = Recipe(activation_range="dynamic", granularity="channel" if per_channel else "tensor")
    ours = quantize(network, [], recipe)
    exact, fused = session(tmp_path / "q.onnx", False), session(tmp_path / "q.onnx", True)
    for spread in (0.1, 1, 30):
        x = (rng.normal(rng.uniform(-1, 1), 1, (50, 23)) * spread).astype(np.float32)
        y = ours.run(x)
        assert y.tolist() == exact.run(None, {"x": x})[0].tolist()
        # its fused operators multiply and add in one step: a code may be another one
        assert np.abs(y - fused.run(None, {"x": x})[0]).max() < np.abs(y).max() / 100


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("weights", ["QInt8", "QUInt8"])
@pytest.mark.parametrize("make", [static.float_model, static.pooled_model])
def test_what_quantize_dynamic_makes_is_read(make, weights, per_channel, tmp_path):
    """Convolutions, pools and dense layers; weights of zero points that differ, too. Each bit up to the mean."""
    import onnx
    from onnxruntime import quantization as ort

    onnx.save(make(), tmp_path / "float.onnx")
    kind = ort.QuantType[weights]
    ort.quantize_dynamic(tmp_path / "float.onnx", tmp_path / "q.onnx", per_channel=per_channel, weight_type=kind)
    model = onnx.load(tmp_path / "q.onnx")
    first = static.up_to(model, next(one.input[0] for one in model.graph.node if one.op_type.endswith("AveragePool")))
    for seed, spread in enumerate((0.1, 1, 30)):
        x = static.inputs(300, seed) * np.float32(spread)
        assert read_dynamic(first).run(x).tolist() == static.run(first, x, fused=False).tolist()
        y, theirs = read_dynamic(model).run(x), static.run(model, x, fused=False)
        assert np.abs(y - theirs).max() < 0.02 * np.abs(y).max()


@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_products_that_are_read(kind):
    """Each bit, where there is no mean and no softmax."""
    model = dynamic_cnn(kind)
    del model.graph.node[-1]
    model.graph.output[0].name = model.graph.node[-1].output[0]
    network = read_dynamic(model)
    for spread in (0.1, 1, 30):
        x = np.random.default_rng(3).normal(0.3, spread, (300, 3, 9, 8)).astype(np.float32)
        assert network.run(x).tolist() == static.run(model, x, fused=False).tolist()


WEIGHTS = (*written.UNIFORM, *written.TABLES, *written.BLOCKS)
PAIRS = [("uint8", w) for w in WEIGHTS] + [(a, "int8") for a in (*written.ACTIVATIONS[1:], *written.FLOAT8)]
CONVOLVED = [(a, w) for a in ("uint8", "int8", "uint5", "uint10") for w in ("int8", "uint8", "int4", "pot4", "int10")]


def equal(network, recipe, count):
    """Golden's outputs and those of the written model, of batches of several ranges: each bit; fused ones are near."""
    quantized = quantize(network, [], recipe)
    model = dynamic_onnx(quantized)
    for seed, spread in enumerate(written.SPREADS):
        x = small_networks.inputs(np.random.default_rng(seed), network, count, spread) + np.float32(spread * (seed - 1))
        y = quantized.run(x)
        assert static.run(model, x, fused=False).tolist() == y.tolist()
        assert np.abs(static.run(model, x) - y).max() < np.abs(y).max() / 20


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize("granularity", ["tensor", "channel"])
def test_written_networks(pair, granularity):
    fields = {"activations": pair[0], "weights": pair[1], "granularity": granularity}
    equal(written.MLP, Recipe(activation_range="dynamic", **fields), 300)


@pytest.mark.parametrize("pair", CONVOLVED, ids="-".join)
def test_written_convolutions(pair):
    """Padded, depthwise, behind a pool."""
    recipe = Recipe(activation_range="dynamic", activations=pair[0], weights=pair[1], granularity="tensor")
    equal(written.KERNELS, recipe, 100)


def test_written_means():
    """onnxruntime's are formed in float32, golden's in float64 and rounded once: codes behind them may be others."""
    pairs = []
    for seed in range(20):
        x = small_networks.inputs(np.random.default_rng(seed), written.CNN, 50)
        quantized = quantize(written.CNN, [], Recipe(activation_range="dynamic"))
        pairs.append((quantized.run(x), static.run(dynamic_onnx(quantized), x, fused=False)))
    y, theirs = (np.concatenate(one) for one in zip(*pairs, strict=True))
    assert (y != theirs).sum() < y.size / 4 and np.abs(y - theirs).max() < 0.02 * np.abs(y).max()
