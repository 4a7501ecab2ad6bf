"""Small float networks of odd sizes, with weights drawn at random."""

import numpy as np

from network.float_network import FloatAveragePool, FloatNetwork, Linear
from network.shapes import MaxPool, Reshape, Transpose, Window


def linear(rng, name, k, n, activation="relu", **more):
    w = rng.normal(0, 1 / np.sqrt(k), (k, n)).astype(np.float32)
    return Linear(name, w, rng.normal(0, 0.3, n).astype(np.float32), activation, **more)


def mlp(rng, sizes=(13, 9, 7, 5), activation="relu"):
    """Dense layers fc1, fc2, ..., the last without an activation."""
    pairs = list(zip(sizes, sizes[1:], strict=False))
    kinds = [activation] * (len(pairs) - 1) + ["none"]
    layers = [linear(rng, f"fc{i}", *pairs[i - 1], kinds[i - 1]) for i in range(1, len(sizes))]
    return FloatNetwork("mlp", (sizes[0],), tuple(layers))


def cnn(rng):
    """Maps 9 x 7 x 3: a padded convolution, a depthwise one with a stride, pools, and a dense layer."""
    layers = (
        linear(rng, "c1", 9 * 3, 5, window=Window((3, 3), padding=((1, 1), (0, 2)))),
        linear(rng, "dw", 9, 10, "relu6", window=Window((3, 3), (2, 1), padding=((1, 1), (1, 1))), depthwise=True),
        MaxPool("max", Window((2, 2), (1, 2), padding=((0, 0), (0, 1)))),
        linear(rng, "c2", 10, 6, "none", window=Window((1, 1))),
        FloatAveragePool("mean", Window((2, 2), padding=((0, 0), (1, 0)))),
        Transpose("moved", (0, 3, 1, 2)),
        Reshape("flat", (-1,)),
        linear(rng, "fc", 6 * 3 * 4, 4, "none"),
    )
    return FloatNetwork("cnn", (9, 7, 3), layers)


def inputs(rng, network, count=60, spread=1.0):
    return rng.normal(0, spread, (count, *network.shape)).astype(np.float32)
