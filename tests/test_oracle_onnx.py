"""golden against ONNX: its node test cases, its reference evaluator and onnxruntime."""

import re
import warnings
from functools import cache

import numpy as np
import oracle_onnx
import pytest
from oracle_cases import differing, need, products
from oracle_operators import OPERATORS, codes_of, dynamic_quantize_linear
from test_golden_dynamic import tiles_of_sums

from golden import platforms
from golden.calibrate import choose
from golden.depthwise import windows
from golden.dynamic import dynamic
from golden.formats import parse
from golden.mac import matmul
from golden.quantize import quantize
from golden.spec import Spec

need("onnx", "onnxruntime")
pytestmark = pytest.mark.filterwarnings("ignore")

CASES = r"quantizelinear|dequantizelinear|dynamicquantizelinear|qlinearmatmul|qlinearconv|matmulinteger|convinteger"
CASES += r"|^test_cast_.*(INT[24]|FLOAT[48])"
EVALUATORS = {"onnx-reference": oracle_onnx.reference, "onnxruntime": oracle_onnx.runtime}


@cache
def node_cases():
    """{name: (node, input arrays, output arrays)} of the quantization cases."""
    from onnx import TensorProto, numpy_helper
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        collected = collect_testcases(None)
    found = {}
    for case in collected:
        if re.search(CASES, case.name) and "expanded" not in case.name:
            arrays = [
                [numpy_helper.to_array(v) if isinstance(v, TensorProto) else np.asarray(v) for v in values]
                for values in case.data_sets[0]
            ]
            found[case.name] = (case.model.graph.node[0], *arrays)
    return found


def attributes(node):
    from onnx import helper

    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def test_node_cases():
    """All 42 cases of quantization, and the 52 of casts to and from types of 2 to 8 bits."""
    cases = node_cases()
    assert (len(cases), sum("cast" in name for name in cases)) == (94, 52)
    wrong = []
    for name, (node, inputs, outputs) in cases.items():
        result = OPERATORS[node.op_type](attributes(node), *inputs)
        results = result if isinstance(result, tuple) else (result,)
        equal = [
            np.array_equal(mine, codes_of(its).astype(np.asarray(mine).dtype), equal_nan=True)
            for mine, its in zip(results, outputs, strict=True)
        ]
        wrong += [] if all(equal) else [name]
    assert wrong == []


TYPES = [("uint8", "int8"), ("uint8", "uint8"), ("int8", "int8")]


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(("a", "w"), TYPES)
@pytest.mark.parametrize("name", EVALUATORS)
def test_matmul(name, a, w, per_channel):
    pairs = []
    for case in products(31, a=a, w=w, per_channel=per_channel, w_zero_point=True):
        inputs = oracle_onnx.matmul_inputs(case, a, w, a)
        model = oracle_onnx.graph("QLinearMatMul", inputs, a.upper())
        other = EVALUATORS[name](model, inputs[0])
        pairs.append((platforms.matmul(name, **{**case, "bias": 0}, y_format=a), other))
    assert differing(pairs) == (0, 163840)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(("a", "w"), TYPES)
@pytest.mark.parametrize("name", EVALUATORS)
def test_convolution_with_bias(name, a, w, per_channel):
    pairs = []
    for case in products(32, a=a, w=w, per_channel=per_channel, w_zero_point=w == "uint8", shape=(32, 16, 32)):
        inputs = oracle_onnx.convolution_inputs(case, a, w, a)
        model = oracle_onnx.graph("QLinearConv", inputs, a.upper())
        other = EVALUATORS[name](model, inputs[0])[0, :, 0].T
        pairs.append((platforms.matmul(name, **case, y_format=a), other))
    assert differing(pairs) == (0, 10 * 1024)


def reals(seed):
    """(x, scale, zero point): generic and, with scales that are powers of two, multiples of half a step."""
    draw = np.random.default_rng(seed)
    for k in range(6):
        scale = np.float32(2.0 ** draw.integers(-6, 2) if k % 2 else draw.uniform(0.001, 2))
        x = np.concatenate([draw.normal(0, 60 * scale, 10000), (np.arange(-5000, 5001) / 2) * scale])
        yield x.astype(np.float32), scale, int(draw.integers(0, 100))


@pytest.mark.parametrize("fmt", ["uint8", "int8", "uint16", "int16"])
@pytest.mark.parametrize("evaluate", [oracle_onnx.reference, oracle_onnx.runtime])
def test_quantize(evaluate, fmt):
    pairs = []
    for x, scale, zero_point in reals(33):
        model = oracle_onnx.graph("QuantizeLinear", [x, scale, np.array(zero_point, fmt)], fmt.upper())
        pairs.append((quantize(x, scale, zero_point, fmt), evaluate(model, x)))
    assert differing(pairs) == (0, 6 * 20001)


def test_infinities_saturate_as_in_onnxruntime():
    x = np.float32([np.inf, -np.inf, 3e38, -3e38, 2**31, -(2.0**40)])
    for fmt in ("uint8", "int8"):
        model = oracle_onnx.graph("QuantizeLinear", [x, np.float32(0.5), np.array(5, fmt)], fmt.upper())
        assert quantize(x, 0.5, 5, fmt).tolist() == oracle_onnx.runtime(model, x).tolist()


@pytest.mark.parametrize("fmt", ["uint8", "int8"])
def test_average_pool_of_onnxruntime(fmt):
    draw = np.random.default_rng(34)
    pairs = []
    for k, (height, width) in enumerate(((1, 2), (2, 2), (2, 3), (3, 3), (4, 8), (2, 2))):
        lo = 0 if fmt == "uint8" else -128
        x = draw.integers(lo, lo + 256, (1, 16, height * 40, width * 40)).astype(fmt)
        x_scale, y_scale = np.float32(draw.uniform(0.02, 0.1, 2) if k % 2 else [0.25, 0.25])
        x_zero, y_zero = draw.integers(lo + 64, lo + 192, 2).tolist()
        inputs = [x, x_scale, np.array(x_zero, fmt), y_scale, np.array(y_zero, fmt)]
        window = {"kernel_shape": [height, width], "strides": [height, width]}
        model = oracle_onnx.graph("QLinearAveragePool", inputs, fmt.upper(), "com.microsoft", **window)
        windows = x.reshape(1, 16, 40, height, 40, width).transpose(0, 1, 2, 4, 3, 5).reshape(1, 16, 40, 40, -1)
        golden = platforms.average_pool(
            "onnxruntime",
            windows,
            x_scale=x_scale,
            x_zero_point=x_zero,
            y_scale=y_scale,
            y_zero_point=y_zero,
            y_format=fmt,
        )
        pairs.append((golden, oracle_onnx.runtime(model, x)))
    assert differing(pairs) == (0, 6 * 25600)


@pytest.mark.parametrize("counted", [False, True])
def test_average_pool_with_padding(counted):
    """Padding is left out of a window, or counts as the zero point."""
    x = np.random.default_rng(42).integers(0, 256, (1, 1, 30, 30)).astype(np.uint8)
    scales, zero_points = np.float32([0.07, 0.05]), (117, 90)
    inputs = [x, scales[0], np.uint8(zero_points[0]), scales[1], np.uint8(zero_points[1])]
    window = {"kernel_shape": [3, 3], "strides": [3, 3], "pads": [1, 1, 2, 2], "count_include_pad": int(counted)}
    other = oracle_onnx.runtime(oracle_onnx.graph("QLinearAveragePool", inputs, "UINT8", "com.microsoft", **window), x)
    padded = np.pad(x[0, 0].astype(int), ((1, 2), (1, 2)), constant_values=zero_points[0] if counted else -1)
    how = {"x_scale": scales[0], "y_scale": scales[1], "x_zero_point": zero_points[0], "y_zero_point": zero_points[1]}
    for i, j in np.ndindex(11, 11):
        codes = padded[3 * i : 3 * i + 3, 3 * j : 3 * j + 3].reshape(-1)
        golden = platforms.average_pool("onnxruntime", codes[codes >= 0], **how, y_format="uint8")
        assert golden == other[0, 0, i, j]


def bytes_of(seed, *shapes):
    draw = np.random.default_rng(seed)
    return [draw.integers(0, 256, shape).astype(np.uint8) for shape in shapes]


def test_zero_points_per_column():
    a, w, one, each = bytes_of(39, (30, 50), (50, 40), (), 40)
    model = oracle_onnx.graph("MatMulInteger", [a, w, one, each], "INT32")
    golden = OPERATORS["MatMulInteger"]({}, a, w, one, each)
    for evaluate in EVALUATORS.values():
        assert np.array_equal(evaluate(model, a), golden)


def test_zero_points_per_channel_of_a_convolution():
    """ONNX allows them: its evaluator and golden have them, onnxruntime refuses."""
    x, w, one, each = bytes_of(40, (1, 3, 9, 9), (5, 3, 2, 2), (), 5)
    model = oracle_onnx.graph("ConvInteger", [x, w, one, each], "INT32", opset=10)
    assert np.array_equal(oracle_onnx.reference(model, x), OPERATORS["ConvInteger"]({}, x, w, one, each))
    with pytest.raises(Exception, match="Non per-tensor quantization is not supported now"):
        oracle_onnx.runtime(model, x)


@pytest.mark.parametrize("around", [(0, 0, 0, 0), (1, 2, 0, 1)])
@pytest.mark.parametrize("steps", [(1, 1), (2, 3)])
def test_depthwise_convolutions(steps, around):
    """windows and the product that keeps channels apart are a convolution of as many groups as channels."""
    x, w, zero, other = bytes_of(42, (1, 7, 9, 8), (7, 1, 3, 2), (), ())
    options = {"group": 7, "strides": list(steps), "dilations": [2, 1], "pads": list(around)}
    model = oracle_onnx.graph("ConvInteger", [x, w, zero, other], "INT32", opset=10, **options)
    sides = (around[0], around[2]), (around[1], around[3])
    zero = int(zero)
    a = windows(x[0].transpose(1, 2, 0), (3, 2), stride=steps, dilation=(2, 1), padding=sides, pad_code=zero)
    y = matmul(a.astype(np.int64) - zero, w.reshape(7, -1).T.astype(np.int64) - int(other))
    for evaluate in EVALUATORS.values():
        expected = evaluate(model, x)
        assert np.array_equal(y.T.reshape(expected.shape), expected)


def test_scales_per_row_are_refused():
    """By onnxruntime as by golden, though ONNX allows them."""
    a, w = bytes_of(41, (3, 5), (5, 4))
    per_row, one = np.float32([0.1, 0.2, 0.3]), np.float32(0.1)
    model = oracle_onnx.graph(
        "QLinearMatMul", [a, per_row, np.uint8([1, 2, 3]), w, one, w[0, 0], one, w[0, 1]], "UINT8"
    )
    with pytest.raises(Exception, match="must be a scalar or 1D tensor of size 1"):
        oracle_onnx.runtime(model, a)
    with pytest.raises(ValueError, match="a_scale and y_scale must be scalars"):
        platforms.derive("onnxruntime", a_scale=per_row, w_scale=one, y_scale=one)


CODES = np.arange(-128, 128)
ALL_PAIRS = np.stack(np.meshgrid(CODES, CODES), -1).reshape(-1, 2).T


def addition_scales(draw, k):
    """Of any value, powers of two, or multiples of one another, whose sums come close to ties."""
    if k % 3 == 1:
        return np.float32(2.0 ** draw.integers(-6, -2, 3))
    if k % 3 == 2:
        s = np.float32(draw.uniform(0.01, 0.1))
        return np.array([s, s * np.float32(2.0 ** draw.integers(-1, 2)), s * np.float32(draw.integers(2, 9) / 2)])
    return np.float32(draw.uniform(0.01, 0.1, 3))


def added(x, s, z, fmt):
    """(golden, onnxruntime's) sums of two tensors of codes of any sizes."""
    arrays = [codes.astype(fmt) for codes in x]
    points = [np.array(point, fmt) for point in z]
    inputs = [arrays[0], s[0], points[0], arrays[1], s[1], points[1], s[2], points[2]]
    model = oracle_onnx.graph("QLinearAdd", inputs, fmt.upper(), "com.microsoft")
    how = {"x_scales": s[:2], "y_scale": s[2], "x_zero_points": z[:2], "y_zero_point": z[2], "y_format": fmt}
    return platforms.add("onnxruntime", *x, **how), oracle_onnx.runtime(model, arrays[0])


@pytest.mark.parametrize("fmt", ["uint8", "int8"])
def test_addition_of_all_pairs(fmt):
    draw = np.random.default_rng(37)
    lo = 0 if fmt == "uint8" else -128
    pairs = [
        added(ALL_PAIRS + lo + 128, addition_scales(draw, k), draw.integers(lo, lo + 256, 3).tolist(), fmt)
        for k in range(24)
    ]
    assert differing(pairs) == (0, 24 * 65536)


@pytest.mark.parametrize("single", [(True, False), (False, True), (True, True)])
def test_addition_of_one_element(single):
    """In another order, which 1 in 1700 outputs shows: scales are multiples of one another."""
    draw = np.random.default_rng(38)
    pairs = []
    for _ in range(1500):
        x = [draw.integers(-128, 128, 1) if alone else CODES for alone in single]
        pairs.append(added(x, addition_scales(draw, 2), draw.integers(-128, 128, 3).tolist(), "int8"))
    assert differing(pairs) == (0, sum(golden.size for golden, _ in pairs))


def ranges(seed, count):
    draw = np.random.default_rng(seed)
    for _ in range(count):
        yield np.sort(draw.normal(draw.normal(0, 1), 1, 2) * 10.0 ** draw.integers(-3, 3)).astype(np.float32)


def test_dynamic_quantize_linear():
    for lo, hi in ranges(35, 300):
        x = np.linspace(lo, hi, 50).astype(np.float32)
        model = oracle_onnx.graph("DynamicQuantizeLinear", [x], "UINT8")
        model.graph.node[0].output.extend(["s", "z"])
        y, scale, zero_point = dynamic_quantize_linear(None, x)
        from onnx.reference import ReferenceEvaluator

        theirs = ReferenceEvaluator(model).run(["y"], {"x0": x})
        assert np.array_equal(theirs[0], y)
        assert np.array_equal(oracle_onnx.runtime(model, x), y)
        assert (scale, zero_point) == dynamic_quantize_linear(None, x)[1:]


def test_dynamic_quantization_of_tiles():
    """golden.dynamic on 100 000 sums: equal to both, but for the scale that the reference gives a tile of zeros."""
    from onnx.reference import ReferenceEvaluator

    spec = Spec(activations=parse("int32"), weights=parse("int8"), requantize="dynamic", output=parse("uint8"))
    model = oracle_onnx.graph("DynamicQuantizeLinear", [np.zeros(20, np.float32)], "UINT8")
    model.graph.node[0].output.extend(["s", "z"])
    reference, empty = ReferenceEvaluator(model), 0
    for sums in tiles_of_sums(39, 5000, 20):
        made = dynamic(np.array(sums).reshape(4, 5), spec.with_(rows=4, cols=5))
        x, y = np.array(sums).astype(np.float32), made.y.reshape(-1)
        codes, scale, zero_point = reference.run(["y", "s", "z"], {"x0": x})
        assert np.array_equal(codes, y) and zero_point == made.y_zero_point[0]
        assert scale == (made.y_scale[0] if any(sums) else np.float32(1) / np.float32(255))
        empty += not any(sums)
        assert np.array_equal(oracle_onnx.runtime(model, x), y)
    assert empty > 100


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("fmt", ["uint8", "int8", "int16"])
def test_choice_of_onnxruntime(fmt, symmetric):
    from onnxruntime.quantization.quant_utils import compute_scale_zp

    ends = np.iinfo(fmt)
    for lo, hi in ranges(36, 3000):
        codes = np.array(ends.min, fmt), np.array(ends.max, fmt)
        zero_point, scale = compute_scale_zp(lo, hi, *codes, symmetric=symmetric)
        assert choose("onnxruntime", lo, hi, fmt, symmetric=symmetric) == (float(scale), int(zero_point))
