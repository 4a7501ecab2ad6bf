"""Convolutions, pools and changes of shape read from QONNX and FINN, against evaluations of their nodes."""

import numpy as np
import pytest
from qonnx_by_hand import evaluate
from qonnx_models import Chain
from qonnx_networks import compared, convolution, last, norm, real

from network.layers import Product
from network.qonnx.read import read_qonnx
from network.shapes import MaxPool, Reshape, Transpose


@pytest.mark.parametrize("signed", [0, 1])
def test_a_convolutional_network(signed):
    """Padding that differs by side, strides, dilation, a pool of codes, a depthwise layer, a bias; then dense."""
    rng = np.random.default_rng(20 + signed)
    chain = Chain().quant(0.25, 4, 5 * (1 - signed), signed=signed)
    convolution(chain, rng, 2, 6, pads=[1, 0, 2, 1], strides=[2, 1], bias=True)
    norm(chain, rng, 6).then("Relu").quant(0.5, 3, signed=0)
    chain.then("MaxPool", kernel_shape=[2, 2], strides=[1, 2], pads=[0, 1, 0, 0])
    convolution(chain, rng, 6, 12, (2, 2), group=6, dilations=[1, 2], pads=[0, 1, 0, 1])
    norm(chain, rng, 12).quant(0.25, 4)
    convolution(chain, rng, 12, 4, (1, 1))
    chain.bipolar().then("Flatten").product("MatMul", chain.weights(rng.normal(0, 1, (4 * 2 * 4, 5)), 0.5, 3))
    chain.then("Add", np.float32([1, 2, 3, 4, 5]))
    x = real(rng, 15, 2, 6, 8)
    network = read_qonnx(chain.model(x.shape))
    kinds = [type(layer) for layer in network.layers]
    assert kinds == [Transpose, Product, MaxPool, Product, Product, Transpose, Reshape, Product]
    assert network.products[1].spec.array == "vector"
    assert (network.products[1].real.before[0].operands[0] < 0).any()
    assert compared(chain, x) == 15 * (2 * 48 + 6 * 4 * 7 + 12 * 2 * 4 + 4 * 2 * 4)


def test_pools_before_the_quantizer_and_maps_at_the_end():
    """A pool of real numbers is one of codes where nothing falls behind it; what falls before it is in thresholds."""
    rng = np.random.default_rng(22)
    chain = Chain().quant(0.25, 4)
    norm(convolution(chain, rng, 2, 5), rng, 5).then("MaxPool", kernel_shape=[2, 3])
    chain.then("Add", real(rng, 5, 1, 1)).quant(0.5, 4)
    x = real(rng, 20, 2, 7, 9)
    network, values = read_qonnx(chain.model(x.shape)), evaluate(chain.model(x.shape), x)
    assert network.run(x).tolist() == values[chain.x].tolist()
    assert network.run(x).shape == (20, 5, 4, 5)
    chain.then("Mul", real(rng, 1, 5, 1, 1) - np.float32(9))
    assert read_qonnx(chain.model(x.shape)).run(x).tolist() == evaluate(chain.model(x.shape), x)[chain.x].tolist()


def test_sums_of_maps_leave():
    """A map of sums with one scale; a 1x1 map with a scale for each channel, flattened."""
    rng = np.random.default_rng(23)
    chain = Chain().quant(0.25, 4)
    chain.product("Conv", chain.constant(np.float32(rng.integers(-3, 4, (5, 2, 3, 3)))), pads=[1, 1, 0, 1])
    chain.then("MaxPool", kernel_shape=[2, 2]).then("Mul", real(rng, 5, 1, 1) + np.float32(0.01))
    x = real(rng, 20, 2, 6, 6)
    assert compared(chain, x) == x.size
    chain = convolution(Chain().quant(0.25, 4), rng, 2, 5).then("Add", real(rng, 5, 1, 1)).then("Flatten")
    assert compared(chain, real(rng, 20, 2, 3, 3)) == 20 * 18


@pytest.mark.parametrize(
    ("automatic", "size", "padding"),
    [
        ("SAME_UPPER", (6, 9), ((0, 1), (1, 1))),
        ("SAME_LOWER", (6, 9), ((1, 0), (1, 1))),
        ("SAME_UPPER", (7, 8), ((1, 1), (0, 1))),
        ("VALID", (6, 9), ((0, 0), (0, 0))),
        ("NOTSET", (6, 9), ((0, 0), (0, 0))),
    ],
)
def test_automatic_padding(automatic, size, padding):
    chain = Chain().quant(0.25, 4)
    chain.product("Conv", chain.constant(np.ones((1, 1, 3, 3), np.float32)), auto_pad=automatic, strides=[2, 2])
    assert read_qonnx(chain.model((1, 1, *size))).products[0].window.padding == padding


def test_lowered_convolutions():
    """FINN's form: maps with channels last, Im2Col and MatMul, thresholds of another layout; no codes are moved."""
    rng = np.random.default_rng(24)
    chain = Chain().multi_threshold([[0.25, 0.5, 1]], data_layout="NCHW").then("Transpose", perm=[0, 2, 3, 1])
    chain.then("Im2Col", domain="qonnx.custom_op.general", kernel_size=[2, 3], stride=[1, 2], pad_amount=[1, 0, 0, 2],
               input_shape="(1, 5, 6, 3)", depthwise=0)  # fmt: skip
    chain.product("MatMul", chain.constant(np.float32(rng.integers(-1, 2, (18, 7)))))
    chain.multi_threshold(np.sort(rng.integers(-6, 7, (7, 3))), out_bias=-2.0, data_layout="NHWC")
    chain.then("Transpose", perm=[0, 3, 1, 2])
    convolution(chain, rng, 7, 2, (2, 2)).then("Transpose", perm=[0, 2, 3, 1]).quant(0.5, 4)
    x = real(rng, 10, 3, 5, 6)
    network = read_qonnx(chain.model(x.shape))
    assert [type(layer) for layer in network.layers] == [Transpose, Product, Product]
    assert compared(chain, x) == 10 * (3 * 30 + 7 * 15 + 2 * 8)


def test_windows_of_padding_alone():
    rng = np.random.default_rng(26)
    chain = convolution(Chain().quant(0.25, 4, 3, signed=0), rng, 2, 3, pads=[3, 0, 0, 4]).quant(0.5, 4)
    assert compared(chain, real(rng, 10, 2, 6, 7)) == 10 * (84 + 3 * 63)


def test_signals():
    """[B, C, L] are maps of height one; a pool whose ceil_mode adds no window; a softmax of rows."""
    networks = []
    for high in ([], [1]):
        rng, pads = np.random.default_rng(28), [0] * len(high)
        chain = Chain().quant(0.25, 4)
        w = chain.constant(np.float32(rng.integers(-3, 4, (6, 2, *high, 3))))
        chain.product("Conv", w, pads=[*pads, 1, *pads, 0], strides=[*high, 2]).quant(2, 3)
        chain.then("MaxPool", kernel_shape=[*high, 2], strides=[*high, 2], ceil_mode=1)
        chain.then("Reshape", np.int64([0, 6, 2])).then("Transpose", perm=[0, 2, 1])
        chain.product("MatMul", chain.constant(np.float32(rng.integers(-3, 4, (6, 4))))).then("Softmax", axis=2)
        networks.append(read_qonnx(chain.model((1, 2, *high, 8))))
    kinds = [type(layer) for layer in networks[0].layers]
    assert kinds == [Transpose, Reshape, Product, MaxPool, Reshape, Product]
    x = real(np.random.default_rng(29), 20, 2, 1, 8)
    y = networks[1].run(x)
    assert y.shape == (20, 2, 4) and np.ptp(y) > 0.5
    assert networks[0].run(x[:, :, 0]).tolist() == y.tolist()


def test_shapes_that_move_axes():
    rng = np.random.default_rng(25)
    chain = Chain().quant(0.25, 4).then("Reshape", np.int64([1, 2, -1]))
    chain.product("MatMul", chain.constant(np.float32(rng.integers(-3, 4, (6, 4)))))
    chain.then("Unsqueeze", np.int64([2])).then("Mul", np.float32([1, -1, 2, 0.5])).then("Squeeze", np.int64([-2]))
    chain.then("Add", np.float32([0.1, 0.2, 0.3, 0.4])).quant(0.5, 4).then("Reshape", np.int64([0, -1]))
    last(chain, rng, 8)
    model = chain.model((1, 12))
    network, x = read_qonnx(model), real(rng, 30, 12)
    values = evaluate(model, x)
    assert network.run(x).tolist() == values[chain.x].tolist()
    assert [type(layer) for layer in network.layers] == [Reshape, Product, Reshape, Product]


def test_input_of_channels_with_numbers_of_their_own():
    rng = np.random.default_rng(27)
    chain = Chain().then("Sub", real(rng, 3, 1, 1)).then("Mul", real(rng, 1, 3, 1, 1))
    chain.multi_threshold(np.sort(real(rng, 3, 5))).then("Flatten")
    last(chain, rng, 12)
    assert compared(chain, real(rng, 40, 3, 2, 2)) == 40 * 12
