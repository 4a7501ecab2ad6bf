"""Quantized networks read from ONNX: QDQ, against onnx's reference evaluator where scales are powers of two and both
are exact; QOperator, against it on platform "onnx-reference"; and what neither has, against plain loops."""

from fractions import Fraction

import numpy as np
import pytest
from onnx_cases import dense, qdq_cnn, qoperator_cnn, reals
from onnx_models import Coded, reference

from network.layers import AveragePool, Product
from network.onnx.flavour import flavour
from network.onnx.read_qdq import read_qdq
from network.onnx.read_qoperator import read_qoperator
from network.shapes import MaxPool, Reshape, Transpose

U8, I8 = np.uint8, np.int8


def equal(network, model, x, feed=None):
    """Outputs equal to the evaluator's, which are not all one."""
    expected = reference(model, x if feed is None else feed)
    found = network.run(x)
    assert found.dtype == np.float32 and found.shape == expected.shape
    assert found.tolist() == expected.astype(np.float32).tolist()
    assert len(np.unique(expected)) > 5


@pytest.mark.parametrize("scales", ["tensor", "channel"])
@pytest.mark.parametrize("kind", ["uint8", "int8"])
def test_qdq(kind, scales):
    model = qdq_cnn(kind, scales).dequantize().model()
    network = read_qdq(model)
    assert flavour(model) == "qdq"
    kinds = [Transpose, Product, MaxPool, Product, AveragePool, Transpose, Reshape, Product, Product]
    assert [type(layer) for layer in network.layers] == kinds
    assert {layer.spec.platform for layer in network.products} == {"onnxruntime"}
    assert network.products[1].spec.clip is not None and network.products[0].w.scale.ndim == (scales == "channel")
    equal(network, model, 2 * reals(4, 50, 3, 9, 9))


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(("a", "w"), [("uint8", "int8"), ("uint8", "uint8"), ("int8", "int8")])
def test_qoperator_as_the_reference_evaluator_has_it(a, w, per_channel):
    chain = qoperator_cnn(a, w, per_channel)
    model = chain.dequantize().model()
    network = read_qoperator(model, platform="onnx-reference")
    assert flavour(model) == "qoperator" and {one.spec.requantize for one in network.products} == {"thresholds"}
    equal(network, model, 2 * reals(7, 40, 3, 8, 9))


def checked(chain, x=None, reader=read_qdq, kind="float"):
    """The network of a chain of exact arithmetic, equal to the evaluator's."""
    model = chain.model(kind=kind)
    network = reader(model)
    x = 2 * reals(9, 300, *network.shape) if x is None else x
    equal(network, model, x)
    return network


def test_outputs_without_a_quantizer_are_exact_sums():
    network = checked(dense().add("Add", reals(10, 6)).add("Relu").add("Mul", np.float32([0.5])))
    assert [step.operation for step in network.exit.after] == ["add", "relu", "mul"]
    assert network.products[0].spec.requantize == "none"


def test_maps_of_sums_lie_as_onnx_has_them():
    chain = Coded((3, 5, 6), 11).quantize(2.0**-5, U8(100)).dequantize()
    chain.add("Conv", chain.weights(chain.codes((4, 3, 2, 2)), 2.0**-6)).add("Add", reals(12, 1, 4, 1, 1))
    network = checked(chain)
    assert [type(layer) for layer in network.layers] == [Transpose, Product, Transpose]


def test_softmax_of_codes_and_quantizers_behind_it():
    chain = dense().quantize(2.0**-2, U8(128)).dequantize().add("Softmax", axis=-1)
    model = chain.quantize(2.0**-8, U8(0)).dequantize().model()
    network, x = read_qdq(model), 2 * reals(13, 300, 9)
    assert np.abs(network.run(x) - reference(model, x)).max() <= 2.0**-8
    assert [step.operation for step in network.exit.after][0] == "softmax"


@pytest.mark.parametrize("kind", ["uint8", "int8"])
def test_inputs_and_outputs_that_are_codes_are_numbers(kind):
    chain = Coded((9,), 14, kind)
    chain.grid = np.float32(0.3), np.asarray(3, kind)
    chain.dequantize().add("MatMul", chain.weights(chain.codes((9, 6)), 2.0**-6, axis=1))
    model = chain.quantize(1.7, np.asarray(100, kind)).model(kind=kind)
    network, x = read_qdq(model), chain.codes((300, 9), kind)
    found, expected = network.run(x), reference(model, x)
    assert np.abs(found - expected.astype(int)).max() <= 1 and (found != expected).mean() < 0.01
    assert network.entry.run(x).tolist() == x.tolist()
    assert network.trace(x.astype(int))["matmul2"].tolist() == found.tolist()


def test_quantizers_behind_a_pool_of_the_largest_are_those_of_the_product():
    chain = Coded((3, 6, 7), 15).quantize(2.0**-5, U8(100)).dequantize()
    chain.add("Conv", chain.weights(chain.codes((4, 3, 2, 2)), 2.0**-6)).add("MaxPool", kernel_shape=[2, 2])
    network = checked(chain.add("Relu").add("Flatten").quantize(2.0**-2, U8(3)).dequantize())
    assert [type(layer) for layer in network.layers] == [Transpose, Product, MaxPool, Transpose, Reshape]
    assert network.products[0].spec.clip == (3, 255)


FUNCTIONS = {
    "another grid": lambda chain: chain,
    "relu": lambda chain: chain.add("Relu"),
    "relu6 of a shifted value": lambda chain: chain.add("Add", np.rint(reals(16, 6) * 64) / 64).add(
        "Clip", np.float32(0), np.float32(6)
    ),
    "sigmoid": lambda chain: chain.add("Sigmoid"),
    "batch norm": lambda chain: chain.add(
        "BatchNormalization",
        np.float32([1, 2, 4] * 2),
        reals(19, 6),
        *np.float32([[1] * 6, [4, 1, 16] * 2]),
        epsilon=0.0,
    ),
    "negated twice": lambda chain: chain.add("Neg").add("Sub", reals(19, 6), first=1),
    "channels scaled": lambda chain: chain.add("Mul", np.abs(reals(17, 6))).add("Sub", reals(18, 6)),
}


def test_functions_of_bounded_codes_with_a_bias():
    """The bound and the bias of a product stay where a function of its codes comes behind."""
    chain = Coded((9,), 38).quantize(2.0**-5, U8(100)).dequantize()
    w = chain.weights(chain.codes((9, 6)), 2.0**-6, axis=1)
    chain.add("Gemm", w, chain.weights(chain.codes(6, "int32", 3000), 2.0**-11)).add("Relu").quantize(2.0**-3, U8(90))
    network = checked(chain.dequantize().add("Sub", np.float32(4)).quantize(2.0**-2, U8(60)).dequantize())
    assert network.layers[0].run(np.full((1, 9), 100)).min() == 60 - 16


def test_biases_of_real_numbers_are_rounded_to_even():
    chain = Coded((2,), 39).quantize(2.0**-5, U8(100)).dequantize()
    w = chain.weights(I8([[1, 2, 3, 4]] * 2), 2.0**-6, axis=1)
    model = (
        chain.add("Gemm", w, np.float32([0.5, 1.5, -2.5, 0.7]) / 2**11).quantize(2.0**-6, U8(90)).model(kind="uint8")
    )
    assert read_qdq(model).products[0].arrays["bias"].tolist() == [0, 2, -2, 1]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_codes_are_thresholds(name, first):
    chain = dense(scale=2.0**-9)
    chain = chain.quantize(2.0**-3, U8(90)).dequantize() if first else chain
    y = (2.0**-8, U8(0)) if name == "sigmoid" else (2.0**-2, U8(30))
    network = checked(FUNCTIONS[name](chain).quantize(*y).dequantize())
    (layer,) = network.layers
    bounded = name in ("another grid", "relu", "relu6 of a shifted value")
    assert layer.spec.requantize == ("float32" if not first and bounded else "thresholds")
    x = network.entry.fake(2 * reals(19, 300, 9))
    near = np.abs(layer.fake(x) - layer.y.values(layer.run(network.entry.y.codes(x)))) / layer.y.scale
    assert near.max() <= 1 and near.mean() < 0.01


def test_functions_of_codes_pass_by_what_moves_them():
    chain = Coded((3, 6, 7), 36).quantize(2.0**-5, U8(100)).dequantize()
    chain.add("Conv", chain.weights(chain.codes((4, 3, 2, 2)), 2.0**-6)).quantize(2.0**-2, U8(110)).dequantize()
    chain.add("MaxPool", kernel_shape=[2, 2]).add("Mul", np.float32([[[2]], [[1]], [[0.5]], [[4]]])).quantize(1, U8(90))
    network = checked(
        chain.dequantize().add("Flatten").add("Clip", np.float32(-9), None).quantize(2, U8(80)).dequantize()
    )
    assert [type(layer) for layer in network.layers] == [Transpose, Product, MaxPool, Transpose, Reshape]


def test_steps_between_codes_pass_by_what_moves_them():
    chain = Coded((3, 6, 7), 37).quantize(2.0**-5, U8(100)).dequantize()
    chain.add("Conv", chain.weights(chain.codes((4, 3, 2, 2)), 2.0**-6)).quantize(2.0**-2, U8(110)).dequantize()
    chain.add("Relu").add("MaxPool", kernel_shape=[2, 2]).add("Sub", np.float32(1)).add("Flatten")
    network = checked(chain.quantize(2, U8(80)).dequantize())
    assert [type(layer) for layer in network.layers] == [Transpose, Product, MaxPool, Transpose, Reshape]


def test_a_bound_on_codes_narrows_their_format():
    chain = Coded((9,), 20).quantize(2.0**-2, U8(4)).add("Clip", U8(0), U8(7)).dequantize()
    chain.add("MatMul", chain.weights(chain.codes((9, 6)), 2.0**-6, axis=1)).quantize(1, I8(0)).add(
        "Clip", I8(-7), I8(7)
    )
    network = checked(chain.dequantize().add("MatMul", chain.weights(chain.codes((6, 3)), 2.0**-6, axis=1)))
    assert [str(grid.fmt) for grid in network.grids[:2]] == ["uint3", "int4"]
    assert network.products[0].spec.clip == (-7, 7) and network.products[1].spec.activations == network.grids[1].fmt


def test_weights_of_four_bits():
    import ml_dtypes

    for kind, lo in (("int4", -8), ("uint4", 0)):
        chain = Coded((9,), 21).quantize(2.0**-5, U8(100)).dequantize()
        w = chain.rng.integers(lo, lo + 16, (9, 6)).astype(getattr(ml_dtypes, kind))
        point = np.asarray(lo + 5, getattr(ml_dtypes, kind))
        network = checked(chain.add("MatMul", chain.weights(w, 2.0**-6, point)).quantize(2.0**-2, U8(100)).dequantize())
        assert str(network.products[0].spec.weights) == kind and network.products[0].spec.w_zero_point


def test_zero_points_that_differ_are_taken_off_the_weights():
    chain = Coded((9,), 22).quantize(2.0**-5, U8(100)).dequantize()
    w, points = chain.codes((9, 3), "uint8"), U8([3, 250, 128])
    w = chain.weights(w, np.float32([2.0**-6] * 3), points, axis=1)
    network = checked(chain.add("MatMul", w).quantize(2.0**-1, U8(100)).dequantize())
    assert str(network.products[0].spec.weights) == "int9" and not network.products[0].spec.w_zero_point


def test_weights_that_the_model_quantizes_and_transposes():
    chain = Coded((9,), 23).quantize(2.0**-5, U8(100)).dequantize()
    scale = np.float32([0.25, 0.5, 1, 2])
    codes = chain.aside("QuantizeLinear", reals(24, 4, 9), scale, np.zeros(4, I8), axis=0)
    w = chain.aside("Transpose", chain.weights(codes, scale, np.zeros(4, I8), axis=0), perm=[1, 0])
    network = checked(chain.add("MatMul", w).quantize(2.0**-2, U8(100)).dequantize())
    assert network.products[0].w.scale.tolist() == scale.tolist()


def test_sixteen_bits():
    chain = Coded((9,), 25).quantize(2.0**-10, np.uint16(30000)).dequantize()
    w = chain.weights(chain.codes((9, 6), "int8", 20), 2.0**-6, axis=1)
    chain.add("MatMul", w).quantize(2.0**-10, np.int16(-100)).dequantize()
    network = checked(chain)
    assert [str(grid.fmt) for grid in network.grids] == ["uint16", "int16"]


def test_matmul_integer():
    chain = Coded((9,), 26).quantize(0.03, U8(100))
    chain.add("MatMulInteger", chain.codes((9, 6), "uint8"), U8(100), U8([100, 120, 130, 7, 200, 130])).add(
        "Cast", to=1
    )
    chain.add("Mul", np.float32(0.0007)).add("Add", reals(27, 6)).add("Relu").quantize(0.05, U8(0))
    chain.add("MatMulInteger", chain.codes((6, 4)), U8(0)).add("Cast", to=1).add("Mul", np.abs(reals(28, 4)))
    network = checked(chain.add("Add", reals(29, 4)), reader=read_qoperator)
    assert [layer.spec.requantize for layer in network.layers] == ["thresholds", "none"]


def test_matmul_integer_of_codes():
    chain = Coded((9,), 30, "uint8")
    model = chain.add("MatMulInteger", chain.codes((9, 6)), U8(7)).add("Cast", to=1).model()
    equal(read_qoperator(model), model, chain.codes((50, 9), "uint8"))


def rounded(value, y):
    """A fraction to a code of uint8: ties to even, then the zero point."""
    return min(max(round(value / Fraction(float(y[0]))) + int(y[1]), 0), 255)


def test_qgemm_by_loops():
    chain = Coded((7,), 31).quantize(2.0**-4, U8(100))
    w, bias, y = chain.codes((5, 7)), chain.codes(5, "int32", 3000), (np.float32(2.0**-2), U8(90))
    chain.add("QGemm", *chain.grid, w, np.float32(2.0**-7), I8(0), bias, *y, domain="com.microsoft", transB=1)
    chain.grid = y
    network, x = read_qoperator(chain.dequantize().model()), chain.codes((40, 7), "uint8").astype(int)
    unit = Fraction(1, 2**11)
    expected = [
        [
            rounded(unit * (sum(int(v - 100) * int(u) for v, u in zip(row, each, strict=True)) + int(b)), y)
            for each, b in zip(w, bias, strict=True)
        ]
        for row in x
    ]
    assert network.trace(x)["qgemm1"].tolist() == expected


def test_qgemm_without_a_scale_of_its_output():
    chain = Coded((7,), 32).quantize(0.04, U8(100))
    w, bias = chain.codes((7, 5)), chain.codes(5, "int32", 3000)
    chain.add("QGemm", *chain.grid, w, np.float32(0.003), I8(0), bias, domain="com.microsoft")
    network, x = read_qoperator(chain.model()), reals(33, 40, 7)
    sums = (network.entry.run(x) - 100) @ w.astype(int) + bias
    assert (
        network.run(x).tolist() == (sums * np.float64(np.float32(0.04) * np.float32(0.003))).astype(np.float32).tolist()
    )


def test_pools_by_loops():
    """The zero point joins before a pool is rounded, and after the mean of a map is."""
    chain = Coded((2, 4, 5), 34).quantize(2.0**-3, U8(101))
    grids = [(np.float32(2.0**-4), U8(90)), (np.float32(2.0**-6), U8(7))]
    chain.add("QLinearAveragePool", *chain.grid, *grids[0], domain="com.microsoft", kernel_shape=[2, 2], strides=[2, 3])
    chain.add("QLinearConv", *grids[0], I8([[[[1]], [[0]]], [[[0]], [[1]]]]), np.float32(1), I8(0), *grids[0])
    chain.add("QLinearGlobalAveragePool", *grids[0], *grids[1], domain="com.microsoft")
    network, x = read_qoperator(chain.model(kind="uint8")), chain.codes((60, 2, 4, 5), "uint8").astype(int)
    found = network.trace(x)
    for b, c in np.ndindex(60, 2):
        small = np.empty((2, 2), int)
        for i, j in np.ndindex(2, 2):
            real = Fraction(int((x[b, c, 2 * i : 2 * i + 2, 3 * j : 3 * j + 2] - 101).sum()), 4 * 8)
            small[i, j] = min(max(round(real * 16 + 90), 0), 255)
        assert found["qlinearaveragepool1"][b, :, :, c].tolist() == small.tolist()
        assert found["qlinearglobalaveragepool3"][b, 0, 0, c] == rounded(
            Fraction(int((small - 90).sum()), 4 * 16), grids[1]
        )


def test_global_average_pools_of_qdq_are_those_of_qoperator():
    one = Coded((2, 4, 5), 35).quantize(0.04, U8(101)).dequantize()
    w = one.codes((3, 2, 1, 1))
    one.add("Conv", one.weights(w, 0.01)).quantize(0.07, U8(90)).dequantize().add("GlobalAveragePool").quantize(
        0.013, U8(7)
    )
    other = Coded((2, 4, 5), 35).quantize(0.04, U8(101))
    other.add("QLinearConv", *other.grid, w, np.float32(0.01), I8(0), np.float32(0.07), U8(90))
    other.add("QLinearGlobalAveragePool", np.float32(0.07), U8(90), np.float32(0.013), U8(7), domain="com.microsoft")
    x = reals(36, 30, 2, 4, 5)
    assert (
        read_qdq(one.model(kind="uint8")).run(x).tolist() == read_qoperator(other.model(kind="uint8")).run(x).tolist()
    )


def test_other_platforms():
    chain = dense().quantize(0.1, I8(5)).dequantize()
    network = read_qdq(chain.model(), platform="tflite-micro")
    assert network.products[0].spec.requantize == "tflite" and network.products[0].spec.platform == "tflite-micro"
    with pytest.raises(ValueError, match="^unknown platform 'none'; known are "):
        read_qdq(chain.model(), platform="none")
