"""Layers of a quantized network against loops over plain numbers, and a whole trained network against its own model."""

from fractions import Fraction

import numpy as np
import pytest

from examples.digits import network as digits
from golden import platforms
from golden.formats import parse
from golden.spec import Spec
from network.elementwise import Step, applied
from network.grid import Grid
from network.layers import AveragePool, Dequantize, Product, Quantize, sum_grid
from network.network import Network
from network.shapes import MaxPool, Reshape, Transpose, Window

INT8, UINT8 = parse("int8"), parse("uint8")
CONV = Window((2, 3), stride=(2, 1), dilation=(1, 2), padding=((1, 0), (2, 1)))


def conv(x, w, window, pad):
    """A convolution by loops: x [B, H, W, C], w [KH, KW, C, N]."""
    (top, bottom), (left, right) = window.padding
    x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=pad)
    high, wide = window.places((x.shape[1] - top - bottom, x.shape[2] - left - right))
    y = np.zeros((len(x), high, wide, w.shape[3]), np.int64)
    for b, i, j, n in np.ndindex(y.shape):
        for u, v, c in np.ndindex(w.shape[:3]):
            place = i * window.stride[0] + u * window.dilation[0], j * window.stride[1] + v * window.dilation[1]
            y[b, i, j, n] += (int(x[b, *place, c]) - pad) * int(w[u, v, c, n])
    return y


def product(w, window=None, zero_point=3, **fields):
    spec = Spec(activations=INT8, weights=INT8, depth=len(w), a_zero_point=True, **fields)
    x, grid = Grid(INT8, np.float32(0.5), zero_point), Grid(INT8, np.float32(0.25))
    return Product("p", spec, {"w": w}, x, grid, sum_grid(spec, x, grid), window)


def codes(rng, *shape):
    return rng.integers(-128, 128, shape)


def test_dense_layers_take_the_last_axis():
    rng = np.random.default_rng(1)
    x, w = codes(rng, 2, 3, 5), codes(rng, 5, 4)
    assert product(w).run(x).tolist() == ((x - 3) @ w).tolist()


def test_a_convolution():
    rng = np.random.default_rng(2)
    x, w = codes(rng, 2, 4, 7, 3), codes(rng, 2, 3, 3, 5)
    layer = product(w.reshape(-1, 5), CONV)
    assert layer.run(x).tolist() == conv(x, w, CONV, 3).tolist()
    assert layer.fake(layer.x.values(x)).tolist() == (conv(x, w, CONV, 3) * 0.125).tolist()


@pytest.mark.parametrize("more", [1, 2])
def test_a_depthwise_convolution(more):
    rng = np.random.default_rng(3)
    x, w = codes(rng, 2, 4, 7, 3), codes(rng, 2, 3, 3 * more)
    layer = product(w.reshape(-1, 3 * more), CONV, array="vector", rows=1)
    apart = [conv(x[..., n // more, None], w[..., n, None, None], CONV, 3)[..., 0] for n in range(3 * more)]
    assert layer.run(x).tolist() == np.stack(apart, axis=-1).tolist()
    assert layer.fake(layer.x.values(x)).tolist() == (np.stack(apart, axis=-1) * 0.125).tolist()


def test_pools_leave_padding_out():
    x = np.array([[[-7, -5, -9], [-1, -2, -3]]])[..., None]
    window = Window((2, 2), padding=((0, 0), (1, 1)))
    assert MaxPool("m", window).run(x)[0, 0, :, 0].tolist() == [-1, -1, -2, -3]
    grid = Grid(INT8, np.float32(0.5), 1)
    layer = AveragePool("a", window, grid, grid, "tflite-micro")
    apart = [[-7, -1], [-7, -5, -1, -2], [-5, -9, -2, -3], [-9, -3]]
    expected = [int(platforms.average_pool("tflite-micro", np.array(one))) for one in apart]
    assert layer.run(x)[0, 0, :, 0].tolist() == expected == [-4, -4, -5, -6]
    assert layer.fake(grid.values(x))[0, 0, :, 0].tolist() == [-2.5, -2.5, -3.0, -3.5]


@pytest.mark.parametrize("fmt", ["uint8", "int4", "int16"])
@pytest.mark.parametrize("kernel", [(2, 2), (3, 2), (5, 3)])
def test_a_mean_without_a_platform_is_rounded_once_ties_to_even(fmt, kernel):
    """Of numbers less the zero point, by fractions; fake quantization gives the same, ties too."""
    rng = np.random.default_rng(12)
    grid = Grid(parse(fmt), np.float32(0.1), 3)
    x = rng.integers(grid.fmt.code_range[0], grid.fmt.code_range[1] + 1, (3, 11, 9, 2))
    layer = AveragePool("a", Window(kernel, padding=((1, 0), (0, 1))), grid, grid)
    inside = np.pad(np.ones((11, 9), bool), ((1, 0), (0, 1)))
    padded = np.pad(x, ((0, 0), (1, 0), (0, 1), (0, 0)))

    def mean(b, i, j, c):
        area = slice(i, i + kernel[0]), slice(j, j + kernel[1])
        given = (padded[b, *area, c][inside[area]] - 3).tolist()
        return round(Fraction(sum(given), len(given))) + 3

    y = layer.run(x)
    assert y.tolist() == [
        [[[mean(b, i, j, c) for c in range(2)] for j in range(y.shape[2])] for i in range(y.shape[1])] for b in range(3)
    ]
    assert layer.fake(grid.values(x)).tolist() == grid.values(y).tolist()


def test_a_mean_without_a_platform_keeps_its_grid():
    with pytest.raises(ValueError) as error:
        AveragePool("a", Window((2, 2)), Grid(INT8), Grid(INT8, np.float32(2)))
    assert str(error.value) == "layer a: a mean without a platform has the grid of its inputs"


def test_shapes():
    x = np.arange(12).reshape(2, 3, 2)
    assert Transpose("t", (0, 2, 1)).run(x).tolist() == [one.T.tolist() for one in x]
    assert Reshape("r", (-1,)).run(x).tolist() == x.reshape(2, 6).tolist()


def test_steps_round_each_operation_to_float32():
    x = np.array([[1.1, -2.3]], np.float32)
    gamma, beta, mean, variance = (np.array(one, np.float32) for one in ([2, -1], [0.5, 0], [0.1, 0.2], [4, 9]))
    norm = Step("batch_norm", (gamma, beta, mean, variance, np.float32(1e-5)))
    expected = gamma * (x - mean) / np.sqrt(variance + np.float32(1e-5)) + beta
    assert applied((norm, Step("relu")), x).tolist() == np.maximum(expected, 0).tolist()
    assert applied((Step("clip", (0, 1)), Step("mul", (3,))), x).tolist() == [[3, 0]]
    assert np.allclose(applied((Step("softmax"),), x).sum(axis=-1), 1)
    with pytest.raises(ValueError, match="^operation must be one of add, .*, not 'exp'$"):
        Step("exp")


def test_real_weights_have_their_scales_and_blocks():
    spec = Spec(
        activations=INT8,
        weights=parse("float4_e2m1fn"),
        depth=5,
        block=4,
        lanes=2,
        w_block_scale=parse("float8_e8m0fnu"),
        scale_range=(120, 130),
    )
    arrays = {"w": np.array([[2], [3], [7], [1], [10]]), "w_block_scale": np.array([[121], [120]])}
    x, w = Grid(INT8), Grid(spec.weights, np.float32(0.5))
    layer = Product("p", spec, arrays, x, w, sum_grid(spec, x, w))
    # e2m1: 1, 1.5, 6, 0.5, -1 on a grid of a half; scales 2 and 1 on the grid of the least promised one
    assert layer.real_weights[:, 0].tolist() == [2.0, 3.0, 12.0, 1.0, -1.0]


@pytest.mark.parametrize("output", ["int4", "uint3", "bipolar"])
def test_fake_sums_are_cut_as_the_array_cuts_them(output):
    """Sums that leave as codes of a narrow format: fake quantization gives what the codes stand for."""
    spec = Spec(activations=INT8, weights=parse("int4"), depth=6, output=parse(output))
    rng = np.random.default_rng(11)
    x, w = Grid(INT8, np.float32(0.25)), Grid(spec.weights, np.float32(0.5))
    y = Grid(spec.y, x.scale * w.scale)
    layer = Product("p", spec, {"w": rng.integers(-8, 8, (6, 5))}, x, w, y)
    codes = rng.integers(-3, 4, (40, 6))
    assert layer.fake(x.values(codes)).tolist() == y.values(layer.run(codes)).tolist()


def test_sums_in_float32_have_no_grid():
    spec = Spec(activations=INT8, weights=INT8, block_sum="float32", output=parse("float32"))
    with pytest.raises(ValueError) as error:
        sum_grid(spec, Grid(INT8), Grid(INT8))
    assert str(error.value) == "sums in float32 have no grid of integers"


def as_network(version):
    """One of the trained classifiers as a Network; its layers hold their multipliers, so grids carry formats alone."""
    trained = digits.load(version)
    zero_points = [layer.arrays.get("a_zero_point", 0) for layer in trained.layers]
    entry = Quantize("in", Grid(trained.layers[0].spec().activations, zero_point=int(zero_points[0])))
    grid, layers = entry.y, []
    for layer in trained.layers:
        spec = layer.spec()
        y = Grid(spec.y, zero_point=int(layer.arrays.get("y_zero_point", 0)))
        layers.append(Product(layer.name, spec, layer.arrays, grid, Grid(spec.weights), y))
        grid = y
    return Network(version, (64,), entry, tuple(layers), Dequantize("out", grid)), trained


@pytest.mark.parametrize("version", digits.VERSIONS)
def test_a_trained_network(version):
    network, trained = as_network(version)
    images = np.random.default_rng(4).integers(0, 17, (20, 64))
    steps = trained.golden(images)
    found = network.trace(trained.encode(images))
    assert list(found) == [layer.name for layer in trained.layers]
    for y, (_, expected) in zip(found.values(), steps, strict=True):
        assert y.tolist() == expected.tolist()


def test_fake_quantization_is_near_the_codes_and_equal_where_scales_are_powers_of_two():
    rng = np.random.default_rng(5)
    spec = Spec(
        activations=UINT8, weights=INT8, depth=6, bias=parse("int32"), requantize="multiplier", output=INT8,
        a_zero_point=True, y_zero_point=True, activation="relu",
    )  # fmt: skip
    x, w = Grid(UINT8, np.float32(0.5), 128), Grid(INT8, np.float32([0.25, 0.5, 2]))
    arrays = {"w": codes(rng, 6, 3), "bias": np.array([100, -50, 3])}
    layer = Product("p", spec, arrays, x, w, Grid(INT8, np.float32(32), -5))
    given = rng.integers(0, 256, (200, 6))
    assert layer.fake(x.values(given)).tolist() == layer.y.values(layer.run(given)).tolist()
    network = Network("n", (6,), Quantize("in", x), (layer,), Dequantize("out", layer.y, (Step("mul", (2,)),)))
    real = x.values(given) + rng.uniform(-0.24, 0.24, given.shape)
    assert network.run(real).tolist() == network.fake(real).tolist()
    assert len(set(network.run(real).reshape(-1))) > 20


ERRORS = {
    "scale must be positive and finite, a scalar or [C], not 0.0": lambda: Grid(INT8, np.float32(0)),
    "zero_point is 200, outside int8 [-128, 127]": lambda: Grid(INT8, np.float32(1), 200),
    "codes of codebook4 have no values without its tables": lambda: Grid(parse("codebook4")).values([1]),
    "NaN has no code": lambda: Grid(parse("bipolar")).codes([np.nan]),
    "layer p: grid x must be of int8, as its spec says, not uint8": lambda: Product(
        "p", Spec(activations=INT8, weights=INT8), {"w": [[1]]}, Grid(UINT8), Grid(INT8), Grid(INT8)
    ),
    "layer in: the name is there 2 times": lambda: Network(
        "n", (1,), Quantize("in", Grid(INT8)), (), Dequantize("in", Grid(INT8))
    ),
    "layer out: its codes are int8, scale 1.0, zero point 1, those before it int8, scale 1.0, zero point 0": lambda: (
        Network("n", (1,), Quantize("in", Grid(INT8)), (), Dequantize("out", Grid(INT8, zero_point=1)))
    ),
    "x must have shape [B, H, W, C], not [2, 3]": lambda: CONV.taken(np.zeros((2, 3))),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors(message):
    with pytest.raises(ValueError) as error:
        ERRORS[message]()
    assert str(error.value) == message
