"""The float classifiers as chains of layers: images [B, 1, 8, 8] of pixels / 16 in, ten logits out.

mlp is the network that int8.npz and uint8_int4.npz were made from. cnn, whose parameters are in cnn.npz:

    conv 3x3x8, ReLU, largest of 2x2, conv 3x3x16, ReLU, mean of 2x2, dense 10
"""

from pathlib import Path

import numpy as np

from network.float_network import FloatAveragePool, FloatNetwork, Linear
from network.shapes import MaxPool, Reshape, Transpose, Window

from . import mlp
from .network import load

NAMES = ("mlp", "cnn")
SHAPE = (1, 8, 8)
CNN_FILE = Path(__file__).with_name("cnn.npz")
KERNELS = {"conv1": (8, 1, 3, 3), "conv2": (16, 8, 3, 3)}
_SAME = Window((3, 3), padding=((1, 1), (1, 1)))
_HALVES = Window((2, 2), stride=(2, 2))


def inputs(images) -> np.ndarray:
    """float32 [B, 1, 8, 8] of images [B, 64] with pixels 0..16."""
    return (np.asarray(images) / 16).astype(np.float32).reshape(-1, *SHAPE)


def parameters(name) -> dict[str, np.ndarray]:
    """float32 by name: "fc1.w" [K, N] and "fc1.b"; of convolutions w [N, C, KH, KW]."""
    if name == "mlp":
        return load("int8").float_parameters
    with np.load(CNN_FILE, allow_pickle=False) as archive:
        return dict(archive)


def float_network(name) -> FloatNetwork:
    """The classifier of that name. Raises ValueError for a name that is not in NAMES."""
    if name not in NAMES:
        raise ValueError(f"name must be one of {', '.join(NAMES)}, not {name!r}")
    values = parameters(name)
    return FloatNetwork(name, SHAPE, _mlp(values) if name == "mlp" else _cnn(values))


def _mlp(values):
    last = mlp.LAYERS[-1]
    dense = (_dense(values, name, "none" if name == last else "relu") for name in mlp.LAYERS)
    return (Reshape("flatten", (-1,)), *dense)


def _cnn(values):
    return (
        Transpose("channels_last", (0, 2, 3, 1)),
        _conv(values, "conv1"),
        MaxPool("max_pool", _HALVES),
        _conv(values, "conv2"),
        FloatAveragePool("average_pool", _HALVES),
        Transpose("channels_first", (0, 3, 1, 2)),
        Reshape("flatten", (-1,)),
        _dense(values, "fc", "none"),
    )


def _dense(values, name, activation):
    return Linear(name, values[f"{name}.w"], values[f"{name}.b"], activation)


def _conv(values, name):
    w = values[f"{name}.w"].transpose(2, 3, 1, 0)
    return Linear(name, w.reshape(-1, w.shape[-1]), values[f"{name}.b"], "relu", _SAME)
