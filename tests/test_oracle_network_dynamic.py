"""Dynamic quantization against what onnxruntime.quantization.quantize_dynamic makes of the same network."""

import numpy as np
import pytest
from float_onnx import model
from oracle_cases import need

from network.float_network import FloatNetwork, Linear
from network.quantizing.post_training import quantize
from network.quantizing.recipe import Recipe

need("onnx", "onnxruntime")


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
