"""Networks for the tests of folders and commands: one with every kind of layer, others made of a float network."""

from dataclasses import fields, is_dataclass

import numpy as np

from golden.formats import parse
from golden.spec import Spec
from network.elementwise import Step
from network.float_network import FloatAveragePool, FloatNetwork, Linear
from network.functions import Logistic, Rescale, Softmax
from network.grid import Grid
from network.layers import AveragePool, Dequantize, Product, Quantize
from network.network import Network
from network.shapes import MaxPool, Reshape, Transpose, Window

INT8, UINT8, INT16 = parse("int8"), parse("uint8"), parse("int16")


def every_kind() -> Network:
    """A network on x [B, 2, 6, 5] with each kind of layer between codes, names that no file could have among them."""
    rng = np.random.default_rng(1)
    image = Grid(UINT8, np.float32(1 / 3), 17)
    entry = Quantize("in", image, "qonnx", (Step("sub", (np.float32([0.1]),)), Step("clip", (-3, 50))), narrow=False)
    bits = Grid(parse("uint4"), np.float32(0.7))
    real = Quantize("relu", bits, "onnx", (Step("mul", (np.float32([1, 0.5, 3, 2]),)), Step("relu")), narrow=True)
    spec = Spec(
        activations=UINT8, weights=parse("int3"), depth=18, a_zero_point=True, requantize="thresholds",
        output=bits.fmt, clip=(0, 14), rows=3, cols=4, lanes=2,
    )  # fmt: skip
    arrays = {"w": rng.integers(-4, 4, (18, 4)), "thresholds": np.sort(rng.integers(-900, 900, (4, 14)), axis=1)}
    w = Grid(spec.weights, np.float32([0.1, 0.2, 0.3, 1e-8]))
    conv = Product("a/b:0", spec, arrays, image, w, bits, Window((3, 3), padding=((1, 1), (0, 1))), real)
    spec = Spec(
        activations=bits.fmt, weights=INT8, array="vector", rows=1, cols=4, depth=4, bias=parse("int32"),
        requantize="multiplier", output=INT8, y_zero_point=True, activation="relu6",
    )  # fmt: skip
    signed, scales = Grid(INT8, np.float32(0.05), -20), Grid(INT8, np.float32(0.004))
    arrays = {"w": rng.integers(-127, 128, (4, 8)), "bias": rng.integers(-500, 500, 8)}
    depthwise = Product("../b", spec, arrays, bits, scales, signed, Window((2, 2)))
    mean = Grid(INT8, np.float32(0.05), -20)
    spec = Spec(
        activations=INT8, weights=parse("ternary"), depth=8, bias=INT16, requantize="tflite", output=INT8,
        platform="tflite-micro", a_zero_point=True, y_zero_point=True, w_packing="trits",
    )  # fmt: skip
    arrays = {"w": rng.integers(-1, 2, (8, 6)), "bias": rng.integers(-9, 9, 6)}
    dense = Product("A/B_0", spec, arrays, mean, Grid(spec.weights, np.float32(0.3)), Grid(INT8, np.float32(0.2), 4))
    wide, ends = Grid(INT8, np.float32(0.1), 5), (Grid(INT8, np.float32(1 / 256), -128),) * 2
    layers = (
        Transpose("\n'\"", (0, 2, 3, 1)),
        conv,
        MaxPool("m", Window((2, 2), stride=(2, 1), padding=((0, 0), (0, 1)))),
        depthwise,
        AveragePool("a", Window((2, 3)), signed, mean, "tflite-micro"),
        Reshape("flat", (-1,)),
        dense,
        Rescale("rescale", "tflite-micro", dense.y, wide),
        Softmax("softmax", "tflite-micro", wide, ends[0], 0.75),
        Logistic("logistic", "tflite-micro", ends[0], ends[1]),
    )
    return Network("every kind", (2, 6, 5), entry, layers, Dequantize("out", ends[1], (Step("mul", (10,)),)))


def float_network(*, depthwise=True) -> FloatNetwork:
    """A convolution, one more, depthwise or not, a mean and a dense layer on x [B, 5, 5, 2]."""
    rng = np.random.default_rng(2)

    def values(*shape):
        return rng.normal(size=shape).astype(np.float32)

    layers = (
        Linear("conv", values(8, 4), values(4), "relu", Window((2, 2))),
        Linear("dw", values(4 if depthwise else 16, 4), values(4), "none", Window((2, 2)), depthwise),
        FloatAveragePool("mean", Window((3, 3))),
        Reshape("flat", (-1,)),
        Linear("fc", values(4, 3), values(3)),
    )
    return FloatNetwork("small", (5, 5, 2), layers, (Step("mul", (2,)),), (Step("softmax"),))


def same(one, other) -> bool:
    """Whether two values are equal in all fields, types and numbers included; integers in any width."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        one, other = np.asarray(one), np.asarray(other)
        kinds = {one.dtype.kind, other.dtype.kind}
        return (one.dtype == other.dtype or kinds <= set("iu")) and np.array_equal(
            one, other, equal_nan=one.dtype.kind == "f"
        )
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return set(one) == set(other) and all(same(one[name], other[name]) for name in one)
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(same(*pair) for pair in zip(one, other, strict=True))
    if is_dataclass(one):
        return all(same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    return one == other
