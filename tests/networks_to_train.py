"""Small float networks for the tests of training, and what compares a module with the network that it becomes."""

import numpy as np

from network.float_network import FloatAveragePool, FloatNetwork, Linear
from network.shapes import MaxPool, Reshape, Transpose, Window

CONV = Window((3, 2), stride=(2, 1), dilation=(1, 2), padding=((1, 0), (2, 1)))
POOL = Window((2, 3), stride=(1, 2), padding=((1, 0), (0, 1)))


def linear(rng, name, k, n, activation="relu", window=None, depthwise=False, depth=None):
    w = rng.normal(0, 1 / np.sqrt(depth or k), (k, n)).astype(np.float32)
    return Linear(name, w, rng.normal(0, 0.3, n).astype(np.float32), activation, window, depthwise)


def mlp(rng, sizes=(13, 9, 7, 5)):
    last = len(sizes) - 1
    layers = (
        linear(rng, f"fc{i}", k, n, "relu" if i < last else "none")
        for i, (k, n) in enumerate(zip(sizes, sizes[1:], strict=False), start=1)
    )
    return FloatNetwork("mlp", sizes[:1], tuple(layers))


def cnn(rng):
    """Every kind of layer, with windows that are odd in all they can: maps of 2 channels, 9 x 12, channels first."""
    layers = (
        Transpose("last", (0, 2, 3, 1)),
        linear(rng, "conv", 12, 4, window=CONV),
        MaxPool("max", POOL),
        linear(rng, "depthwise", 6, 8, "relu6", Window((2, 3), padding=((0, 1), (1, 0))), depthwise=True),
        FloatAveragePool("mean", POOL),
        linear(rng, "pointwise", 8, 3, "none", Window((1, 1))),
        Transpose("first", (0, 3, 1, 2)),
        Reshape("flat", (-1,)),
        linear(rng, "fc", 24, 5, "none"),
    )
    return FloatNetwork("cnn", (2, 9, 12), layers)


def inputs(rng, network, count=40):
    return rng.normal(0.2, 1, (count, *network.shape)).astype(np.float32)


def traced(network, x):
    """Codes of a network after its entry and each layer, as a module's `trace` gives them."""
    codes = network.entry.run(x)
    return {network.entry.name: codes, **network.trace(codes)}


def same(found, expected):
    """Whether all codes of all layers are equal, layers in order."""
    assert list(found) == list(expected)
    assert all(codes.size for codes in found.values())
    return all(np.array_equal(codes, expected[name]) for name, codes in found.items())
