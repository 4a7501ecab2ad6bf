"""Networks read from QONNX and FINN against QONNX's own executor, as they are and after QONNX's transformations."""

import numpy as np
import pytest
from oracle_cases import need

need("qonnx", "onnx", "onnxruntime")

from qonnx_models import Chain  # noqa: E402
from qonnx_networks import convolution, hidden, last, norm, real  # noqa: E402

from golden.quantize import QONNX_ROUNDINGS  # noqa: E402
from network.qonnx.read import read_qonnx  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
MODES = tuple(QONNX_ROUNDINGS)


def wrapped(model):
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.infer_shapes import InferShapes

    return ModelWrapper(model).transform(InferShapes())


def executed(model, x):
    """Every tensor of a model, by the executor."""
    from qonnx.core.onnx_exec import execute_onnx

    return execute_onnx(model, {model.graph.input[0].name: x}, return_full_exec_context=True)


def compared(chain, x):
    """How many codes, and real outputs, were the executor's: all."""
    model = chain.model(x.shape)
    network, values = read_qonnx(model), executed(wrapped(model), x)
    codes = network.entry.run(x)
    trace, count = network.trace(codes), 0
    for layer, name in zip([network.entry, *network.products], chain.quantized, strict=False):
        found = layer.y.values(codes if layer is network.entry else trace[layer.name]).astype(np.float32)
        expected = values[name] if values[name].shape == found.shape else np.moveaxis(values[name], 1, -1)
        assert (found == expected).all(), f"{layer.name}: {(found != expected).sum()} of {found.size} differ"
        count += found.size
    y = network.run(x)
    assert (y == values[chain.x]).all()
    return count + y.size


@pytest.mark.parametrize("rounding", MODES)
def test_dense(rounding):
    """Zero points, narrow ranges, batch norms that fall or are flat, ReLU; each kind of quantizer. Ties are common."""
    count = 0
    for seed in range(2):
        rng = np.random.default_rng(10 * MODES.index(rounding) + seed)
        chain = Chain().quant(0.25, 6, 10, signed=0, rounding_mode=rounding)
        norm(hidden(chain, rng, 16, 24), rng, 24).then("Relu")
        chain.quant(0.5, 4, signed=0, narrow=seed, rounding_mode=rounding)
        hidden(chain, rng, 24, 20).then("Mul", real(rng, 20)).quant(0.25, 4, -2, rounding_mode=rounding)
        norm(hidden(chain, rng, 20, 12), rng, 12)
        if seed:
            chain.bipolar(0.5)
        else:
            chain.multi_threshold(np.sort(rng.normal(0, 3, (12, 7))), out_scale=0.5, out_bias=-2.0)
        count += compared(last(chain, rng, 12), real(rng, 200, 16))
    assert count == 2 * 200 * (16 + 24 + 20 + 12 + 4)


def test_dense_of_any_scales():
    """The executor's float32 products of real numbers round where the sum here is exact: no code of these differs."""
    rng = np.random.default_rng(3)
    chain = Chain().quant(rng.uniform(0.01, 0.1), 8, rounding_mode="ROUND")
    for k, n in ((24, 32), (32, 32), (32, 32)):
        weights = chain.weights(rng.normal(0, 0.3, (n, k)), rng.uniform(0.05, 0.2, (n, 1)), 4)
        chain.product("MatMul", chain.add("Transpose", weights, perm=[1, 0]))
        chain.then("Relu").quant(rng.uniform(0.05, 0.2), 4, signed=0)
    x = np.float32(rng.normal(0, 3, (1000, 24)))
    assert compared(chain, x) == 1000 * (24 + 4 * 32)


@pytest.mark.parametrize("signed", [0, 1])
def test_convolutions(signed):
    rng = np.random.default_rng(30 + signed)
    chain = Chain().quant(0.25, 4, 5 * (1 - signed), signed=signed)
    convolution(chain, rng, 2, 6, pads=[1, 0, 2, 1], strides=[2, 1], bias=True)
    norm(chain, rng, 6).then("Relu").quant(0.5, 3, signed=0)
    convolution(chain, rng, 6, 12, (2, 2), group=6, auto_pad="SAME_LOWER" if signed else "SAME_UPPER")
    norm(chain, rng, 12).multi_threshold(np.sort(rng.normal(0, 1, (12, 3))))
    convolution(chain, rng, 12, 4, (1, 1), auto_pad="VALID").bipolar()
    chain.then("MaxPool", kernel_shape=[2, 2], strides=[1, 2], pads=[0, 1, 0, 0]).then("Flatten")
    chain.product("MatMul", chain.weights(rng.normal(0, 1, (4 * 3 * 4, 5)), 0.5, 3))
    assert compared(chain, real(rng, 50, 2, 6, 8)) == 50 * (96 + 168 + 336 + 112 + 5)


def small_network(rng):
    """Convolutions and a dense layer, as a model and its input, of batch one as QONNX's transformations want it."""
    chain = Chain().quant(0.25, 4)
    convolution(chain, rng, 2, 6, pads=[1, 1, 1, 1], strides=[1, 1])
    norm(chain, rng, 6).then("Relu").quant(0.5, 3, signed=0)
    chain.then("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    convolution(chain, rng, 6, 6, pads=[0, 1, 0, 1], strides=[1, 1], group=6)
    norm(chain, rng, 6).quant(0.5, 3)
    chain.then("Flatten")
    weights = chain.weights(rng.normal(0, 0.5, (5, 36)), rng.choice([0.25, 0.5], (5, 1)), 3)
    chain.product("Gemm", weights, chain.constant(real(rng, 5)), transB=1)
    norm(chain, rng, 5)
    return chain, chain.model((1, 2, 8, 6))


@pytest.mark.parametrize(
    "names",
    [
        ("lower_convs_to_matmul.LowerConvsToMatMul",),
        ("extract_quant_scale_zeropt.ExtractQuantScaleZeroPt",),
        ("batchnorm_to_affine.BatchNormToAffine",),
        ("gemm_to_matmul.GemmToMatMul",),
        (
            *("gemm_to_matmul.GemmToMatMul", "lower_convs_to_matmul.LowerConvsToMatMul"),
            *("batchnorm_to_affine.BatchNormToAffine", "extract_quant_scale_zeropt.ExtractQuantScaleZeroPt"),
        ),
    ],
    ids=lambda names: "-".join(name.split(".")[1] for name in names),
)
def test_transformed(names):
    """What QONNX's transformations make of a network gives the same real outputs, and its own executor's."""
    import importlib

    rng = np.random.default_rng(40)
    _, model = small_network(rng)
    before, changed = read_qonnx(model), wrapped(model)
    for name in names:
        module, kind = name.split(".")
        changed = changed.transform(getattr(importlib.import_module(f"qonnx.transformation.{module}"), kind)())
    changed = wrapped(changed.model)
    network, x = read_qonnx(changed.model), real(rng, 30, 2, 8, 6)
    expected = [executed(changed, one[None])[changed.graph.output[0].name][0].tolist() for one in x]
    assert network.run(x).tolist() == expected
    if "batchnorm_to_affine.BatchNormToAffine" not in names:
        assert before.run(x).tolist() == expected
