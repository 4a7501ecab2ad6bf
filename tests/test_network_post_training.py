"""Post-training quantization of whole networks: near the float network, and codes near fake quantization."""

import numpy as np

from network.float_network import FloatNetwork, Linear
from network.post_training import quantize
from network.recipe import Recipe


def mlp(rng, sizes=(13, 9, 7, 5)):
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


def test_int8_is_near_the_float_network():
    rng = np.random.default_rng(1)
    network, x = mlp(rng), rng.normal(0, 1, (200, 13)).astype(np.float32)
    quantized = quantize(network, [x[:100], x[100:]], Recipe())
    difference = np.abs(quantized.run(x) - network.run(x)).max()
    assert difference < 0.05 * np.abs(network.run(x)).max()
    steps = np.abs(quantized.run(x) - quantized.fake(x)) / quantized.exit.x.scale
    assert steps.max() <= 3
