"""golden against ONNX: its node test cases, its reference evaluator and onnxruntime."""

import re
import warnings
from functools import cache

import numpy as np
import oracle_onnx
import pytest
from oracle_cases import differing, need, products
from oracle_operators import FLOAT_CODES, OPERATORS, dynamic_quantize_linear

from golden import platforms
from golden.calibrate import choose
from golden.quantize import quantize

need("onnx", "onnxruntime")
pytestmark = pytest.mark.filterwarnings("ignore")

CASES = r"quantizelinear|dequantizelinear|dynamicquantizelinear|qlinearmatmul|qlinearconv|matmulinteger|convinteger"
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
    """42 cases, 8 of them with float8 or float4 codes, which golden.quantize does not have."""
    cases = node_cases()
    assert len(cases) == 42
    expressed = {name: case for name, case in cases.items() if not any(code in name for code in FLOAT_CODES)}
    wrong = []
    for name, (node, inputs, outputs) in expressed.items():
        result = OPERATORS[node.op_type](attributes(node), *inputs)
        results = result if isinstance(result, tuple) else (result,)
        equal = [
            np.array_equal(mine, np.asarray(its).astype(np.asarray(mine).dtype))
            for mine, its in zip(results, outputs, strict=True)
        ]
        wrong += [] if all(equal) else [name]
    assert wrong == []
    assert len(expressed) == 34


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


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("fmt", ["uint8", "int8", "int16"])
def test_choice_of_onnxruntime(fmt, symmetric):
    from onnxruntime.quantization.quant_utils import compute_scale_zp

    ends = np.iinfo(fmt)
    for lo, hi in ranges(36, 3000):
        codes = np.array(ends.min, fmt), np.array(ends.max, fmt)
        zero_point, scale = compute_scale_zp(lo, hi, *codes, symmetric=symmetric)
        assert choose("onnxruntime", lo, hi, fmt, symmetric=symmetric) == (float(scale), int(zero_point))
