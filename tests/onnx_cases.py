"""Sound ONNX models for tests: float ones, QDQ, QOperator and QONNX."""

import numpy as np
from onnx import helper
from onnx_models import Chain, Coded, reference
from qonnx_models import whole

U8, I8 = np.uint8, np.int8


def reals(seed, *shape):
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def qdq_cnn(kind, scales):
    """Convolutions with bounds, pools, and dense layers; scales of weights for each channel, or one."""
    each = (lambda n: np.float32(2.0) ** -(6 + np.arange(n) % 3)) if scales == "channel" else (lambda n: 2.0**-7)
    lo = np.iinfo(kind).min
    point = lambda up: np.asarray(lo + up, kind)  # noqa: E731
    chain = Coded((3, 9, 9), 1).quantize(2.0**-6, point(128)).dequantize()
    w = chain.weights(chain.codes((6, 3, 3, 2)), each(6))
    bias = chain.weights(chain.codes(6, "int32", 900), np.float32(2.0**-6) * each(6), None)
    chain.add("Conv", w, bias, strides=[2, 1], pads=[1, 0, 0, 1]).add("Relu").quantize(2.0**-5, point(6)).dequantize()
    chain.add("MaxPool", kernel_shape=[2, 2]).quantize(2.0**-5, point(6)).dequantize()
    real = np.float32(2.0**-5) * each(6) * chain.codes(6, "int32", 500)
    chain.add("Conv", chain.weights(chain.codes((6, 1, 2, 2)), each(6)), real.astype(np.float32), group=6)
    chain.add("Clip", np.float32(-1), np.float32(4)).quantize(2.0**-4, point(20)).dequantize()
    chain.add("AveragePool", kernel_shape=[2, 1]).quantize(2.0**-4, point(18)).dequantize()
    chain.add("Flatten").quantize(2.0**-4, point(18)).dequantize()
    k = reference(chain.model(), reals(3, 1, 3, 9, 9)).shape[1]
    w = chain.weights(chain.codes((5, k)), each(5))
    chain.add("Gemm", w, chain.weights(chain.codes(5, "int32", 900), np.float32(2.0**-4) * each(5)), transB=1)
    chain.add("Relu").quantize(2.0**-3, point(0)).dequantize()
    return chain.add("MatMul", chain.weights(chain.codes((5, 4)), each(4), axis=1)).quantize(2.0**-3, point(100))


def qoperator_cnn(a, w, per_channel):
    """QLinearConv and QLinearMatMul, MaxPool on codes, any scales."""
    chain = Coded((3, 8, 9), 5)
    draw, lo = chain.rng, np.iinfo(a).min

    def scale(n):
        return np.float32(draw.uniform(0.004, 0.02, n if per_channel else ()))

    def point(n):
        """Of weights: none of int8, one for all or different ones of uint8."""
        return (
            np.zeros(n if per_channel else (), w)
            if w == "int8"
            else draw.integers(90, 160, n if per_channel else ()).astype(w)
        )

    def conv(shape, y, bias, **attributes):
        given = [*chain.grid, chain.codes(shape, w), scale(shape[0]), point(shape[0]), *y]
        chain.add("QLinearConv", *given, *([chain.codes(shape[0], "int32", 2000)] if bias else []), **attributes)
        chain.grid = y

    grids = [
        (np.float32(one), np.asarray(lo + up, a)) for one, up in ((0.031, 120), (0.11, 30), (0.37, 101), (0.9, 77))
    ]
    chain.quantize(*grids[0])
    conv((6, 3, 3, 2), grids[1], True, pads=[1, 0, 0, 1], strides=[2, 1])
    if a == "int8":  # the evaluator has no MaxPool of int8
        chain.dequantize().add("MaxPool", kernel_shape=[2, 2]).quantize(*chain.grid)
    else:
        chain.add("MaxPool", kernel_shape=[2, 2])
    conv((12, 1, 2, 2), grids[2], False, group=6, dilations=[1, 2])
    chain.add("Flatten")
    k = reference(chain.model(kind=a), reals(6, 1, 3, 8, 9)).shape[1]
    chain.add("QLinearMatMul", *chain.grid, chain.codes((k, 7), w), scale(7), point(7), *grids[3])
    chain.grid = grids[3]
    return chain


def dense(kind="uint8", w="int8", scale=2.0**-6, n=6, near=None):
    """A quantized dense layer whose outputs are real sums."""
    chain = Coded((9,), 8).quantize(2.0**-5, np.asarray(np.iinfo(kind).min + 100, kind)).dequantize()
    return chain.add("MatMul", chain.weights(chain.codes((9, n), w, near), scale, axis=1))


def float_cnn():
    """Scaling before and behind products, windows of all kinds, steps at both ends."""
    draw = np.random.default_rng(40)
    c = lambda *shape: draw.normal(0, 1, shape).astype(np.float32)  # noqa: E731
    chain = Chain((3, 9, 11)).add("Sub", c(1, 3, 1, 1))
    chain.add("Conv", c(6, 3, 3, 2), c(6), strides=[2, 1], pads=[1, 0, 0, 2], dilations=[1, 2])
    chain.add("BatchNormalization", c(6), c(6), c(6), abs(c(6))).add("MaxPool", kernel_shape=[2, 2]).add("Relu")
    chain.add("BatchNormalization", c(6), c(6), c(6), abs(c(6))).add("Conv", c(6, 1, 2, 2), c(6), group=6)
    chain.add("Clip", np.float32(0), np.float32(6)).add("Conv", c(5, 6, 1, 2), auto_pad="SAME_UPPER")
    chain.add("AveragePool", kernel_shape=[2, 2], count_include_pad=1, pads=[1, 0, 0, 1]).add(
        "Transpose", perm=[0, 2, 3, 1]
    )
    chain.add("GlobalAveragePool").add("Reshape", np.array([0, -1])).add("Gemm", c(2, 4), c(4), alpha=0.5)
    return chain.add("Unsqueeze", np.array([1])).add("Softmax", axis=-1)


def float_signals():
    draw = np.random.default_rng(41)
    c = lambda *shape: draw.normal(0, 1, shape).astype(np.float32)  # noqa: E731
    chain = Chain((3, 20)).add("Conv", c(4, 3, 5), c(4), strides=[2], pads=[2, 1]).add("Relu")
    weights = chain.aside("Transpose", c(2, 4), perm=[1, 0])
    chain.add("ReduceMean", np.array([2]), keepdims=0).add("MatMul", weights).add("Add", c(2)).add("Mul", np.float32(2))
    return chain.add("Squeeze", np.array([], np.int64)).add("Sigmoid")


def qdq_functions():
    """What thresholds take in, constants added to codes, quantizers at the end."""
    chain = dense().quantize(2.0**-3, U8(90)).dequantize().add("Relu").quantize(2.0**-2, U8(30)).dequantize()
    chain.add("Add", chain.weights(U8([1, 2, 3, 4, 5, 6]), 0.1, U8(3))).quantize(0.1, I8(3)).dequantize()
    chain.add("Gemm", chain.weights(chain.codes((6, 4)), 2.0**-6, axis=1), reals(42, 4), transB=0)
    return chain.add("Softmax", axis=-1).quantize(2.0**-8, U8(0)).dequantize()


def qoperator_others():
    """Operators of com.microsoft, and sums of integers."""
    chain = Coded((2, 4, 5), 43).quantize(0.04, U8(101))
    grids = [
        (np.float32(0.03), U8(90)),
        (np.float32(0.02), U8(7)),
        (np.float32(0.06), U8(120)),
        (np.float32(0.05), U8(9)),
    ]
    window = {"domain": "com.microsoft", "kernel_shape": [2, 2], "strides": [2, 3]}
    chain.add("QLinearAveragePool", *chain.grid, *grids[0], **window)
    chain.add("QLinearConv", *grids[0], chain.codes((3, 2, 1, 1)), np.float32(0.01), I8(0), *grids[1])
    chain.add("QLinearGlobalAveragePool", *grids[1], *grids[1], domain="com.microsoft").add("Flatten")
    given = chain.codes((3, 5)), np.float32(0.01), I8(0), chain.codes(5, "int32", 90)
    chain.add("QGemm", *grids[1], *given, *grids[2], domain="com.microsoft")
    chain.add("QLinearAdd", *grids[2], chain.codes(5, "uint8"), *grids[0], *grids[3], domain="com.microsoft")
    chain.add("MatMulInteger", chain.codes((5, 4)), U8(9), I8(0)).add("Cast", to=1)
    return chain.add("Mul", np.float32(0.001)).add("Add", reals(44, 4))


def dynamic_product(chain, operator, w, scale, point=None, name="p", **attributes):
    """DynamicQuantizeLinear, a product of codes, and their scales, as onnxruntime's quantize_dynamic puts them."""
    a, a_scale, a_point, scales = (f"{name}_{one}" for one in ("a", "a_scale", "a_point", "scales"))
    put = chain.nodes.append
    put(helper.make_node("DynamicQuantizeLinear", [chain.last], [a, a_scale, a_point], name=f"{name}_quantize"))
    put(helper.make_node("Mul", [a_scale, chain.constant(np.asarray(scale, np.float32))], [scales], name=scales))
    chain.last = a
    chain.add(operator, w, a_point, *([] if point is None else [point]), name=name, **attributes)
    return chain.add("Cast", to=1, name=f"{name}_cast").add("Mul", scales, name=f"{name}_scaled")


def dynamic_cnn(kind="int8"):
    """Convolutions, one of them depthwise, pools, dense layers; weights with zero points that differ where uint8."""
    chain, point = Coded((3, 9, 8), 7), np.asarray(0 if kind == "int8" else 120, kind)
    chain.add("Mul", np.float32(2))
    w = chain.codes((4, 3, 3, 2), kind)
    dynamic_product(chain, "ConvInteger", w, 0.01, point, "conv", pads=[1, 0, 0, 1], strides=[2, 1])
    chain.add("Add", reals(50, 1, 4, 1, 1)).add("Relu").add("MaxPool", kernel_shape=[2, 2], name="max")
    dynamic_product(chain, "ConvInteger", chain.codes((8, 1, 2, 2), kind), 0.02, point, "apart", group=4)
    chain.add("Clip", np.float32(0), np.float32(6)).add("Flatten", name="flat")
    k = reference(chain.model(), reals(51, 1, 3, 9, 8)).shape[1]
    points = np.zeros(5, kind) if kind == "int8" else chain.codes(5, kind)
    dynamic_product(chain, "MatMulInteger", chain.codes((k, 5), kind), 0.01 + np.arange(5) / 300, points, "fc1")
    chain.add("Add", reals(52, 5)).add("Relu")
    dynamic_product(chain, "MatMulInteger", chain.codes((5, 4), kind), 0.03, point, "fc2")
    return chain.add("Softmax", axis=-1).model()


def models():
    """All of them by name; those whose name starts with "reference" the evaluator runs as a platform does."""
    return {
        "float cnn": float_cnn().model(),
        "float signals": float_signals().model(),
        "qdq cnn": qdq_cnn("uint8", "channel").dequantize().model(),
        "qdq functions": qdq_functions().model(),
        "reference qoperator": qoperator_cnn("uint8", "int8", True).dequantize().model(),
        "qoperator others": qoperator_others().model(),
        "qonnx cnn": whole(),
        "dynamic cnn": dynamic_cnn(),
    }
