"""golden against QONNX (Quant, MultiThreshold, Trunc, QuantAvgPool2d) and Deeploy's integer networks in ONNX files."""

from pathlib import Path

import numpy as np
import pytest
from oracle_cases import differing, need, products

from golden import platforms
from golden.float_scale import thresholds
from golden.quantize import QONNX_ROUNDINGS, code_range, quantize
from golden.truncate import trunc_v1, trunc_v2

need("qonnx", "onnx")
pytestmark = pytest.mark.filterwarnings("ignore")
DEEPLOY = Path(__file__).resolve().parent.parent.parent / "shared" / "corpus" / "kernels" / "deeploy_int"


def quant(x, scale, zero_point, bits, signed, narrow, rounding):
    """QONNX's Quant, back in codes; the zero point is exact in float32, and so is the division by a scale of 1."""
    from qonnx.custom_op.general.quant import quant as node

    as_float = [np.float32(v) for v in (scale, zero_point, bits)]
    dequantized = node(np.float32(x), *as_float, signed, narrow, rounding)
    return np.rint(dequantized / np.float64(scale) + zero_point).astype(np.int64)


@pytest.mark.parametrize("rounding", QONNX_ROUNDINGS)
@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("signed", [False, True])
def test_quant(signed, narrow, rounding):
    draw = np.random.default_rng(41)
    pairs = []
    for k, bits in enumerate((2, 3, 4, 8, 4, 8)):
        scale = np.float32(2.0 ** draw.integers(-6, 2) if k % 2 else draw.uniform(0.01, 2))
        zero_point = 0 if signed else int(draw.integers(0, 2 ** (bits - 1)))
        halves = np.arange(-600, 601) / 2 * scale
        x = np.concatenate([draw.normal(0, 2**bits * scale / 2, 2000), halves]).astype(np.float32)
        fmt = f"{'' if signed else 'u'}int{bits}"
        how = {"rounding": QONNX_ROUNDINGS[rounding], "narrow": narrow, "zero_point_first": True}
        golden = quantize(x, scale, zero_point, fmt, **how)
        pairs.append((golden, quant(x, scale, zero_point, bits, signed, narrow, rounding)))
    assert differing(pairs) == (0, 6 * 3201)


@pytest.mark.parametrize("name", ["qonnx", "brevitas"])
def test_sums_scaled_and_quantized(name):
    """A float network: the integer product, Mul by the scale of the sums, Quant."""
    pairs = []
    for case in products(42, per_channel=True):
        acc = platforms.accumulate(name, case["a"], case["w"], a_zero_point=case["a_zero_point"], bias=case["bias"])
        real = np.float32(acc) * (case["a_scale"] * case["w_scale"])
        pairs.append(
            (
                platforms.matmul(name, **case),
                quant(real, case["y_scale"], case["y_zero_point"], 8, True, False, "ROUND"),
            )
        )
    assert differing(pairs) == (0, 163840)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("fmt", ["int4", "int8", "uint4"])
def test_thresholds(fmt, per_channel):
    """Thresholds on the float sums, before the scale is absorbed, and MultiThreshold on the integer ones after."""
    from qonnx.custom_op.general.multithreshold import multithreshold

    lo, hi = code_range(fmt)
    pairs = []
    for case in products(43, per_channel=per_channel):
        case = {**case, "y_zero_point": 0}
        acc = platforms.accumulate("finn", case["a"], case["w"], a_zero_point=case["a_zero_point"], bias=case["bias"])
        levels = np.atleast_2d(thresholds(case["y_scale"], (lo, hi), case["a_scale"] * case["w_scale"]))
        other = multithreshold(acc.astype(np.float32), levels).astype(np.int64) + lo
        pairs.append((platforms.matmul("finn", **case, y_format=fmt), other))
    assert differing(pairs) == (0, 163840)


@pytest.mark.parametrize("fmt", ["int2", "int4", "int8", "uint2", "uint4", "uint8"])
def test_thresholds_agree_with_quant_off_the_ties(fmt):
    """On the ties thresholds round up, Quant to even: they differ at every second one in range."""
    lo, hi = code_range(fmt)
    acc = np.arange(4 * lo - 9, 4 * hi + 10)  # in quarters of a step
    codes = lo + np.searchsorted(thresholds(4.0, (lo, hi)), acc, side="right")
    other = quant(acc, 4, 0, int(fmt.lstrip("uint")), lo < 0, False, "ROUND")
    differ = acc[codes != other]
    assert (differ % 4 == 2).all()
    assert len(differ) == len([k for k in range(lo, hi) if k % 2 == 0])


def truncations(seed):
    """(codes, scale, zero point, input bits, output bits): every code of 8 bits or fewer, ties among them."""
    draw = np.random.default_rng(seed)
    for k in range(60):
        bits = int(draw.integers(2, 9))
        scale = np.float32(2.0 ** draw.integers(-6, 3) if k % 2 else draw.uniform(0.01, 2))
        zero_point = int(draw.integers(-(2 ** (bits - 1)), 2 ** (bits - 1)))
        yield np.arange(-(2 ** (bits - 1)), 2 ** (bits - 1)), scale, zero_point, bits, int(draw.integers(1, bits + 1))


def real(codes, scale, zero_point):
    """float32 values of codes, as a network of floats holds them."""
    return (np.float32(codes) - np.float32(zero_point)) * np.float32(scale)


@pytest.mark.parametrize("rounding", QONNX_ROUNDINGS)
def test_trunc_v1(rounding):
    from qonnx.custom_op.general.trunc import trunc_v1 as node

    pairs = []
    for codes, scale, zero_point, bits, kept in truncations(44):
        widths = {"input_bits": bits, "output_bits": kept}
        golden = trunc_v1(codes, scale=scale, zero_point=zero_point, rounding=QONNX_ROUNDINGS[rounding], **widths)
        x = real(codes, scale, zero_point)
        other = node(x, *[np.float32(v) for v in (scale, zero_point, bits, kept)], rounding)
        pairs.append((real(*golden), other))
    assert differing(pairs) == (0, sum(golden.size for golden, _ in pairs))


@pytest.mark.parametrize("rounding", QONNX_ROUNDINGS)
@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("signed", [False, True])
def test_trunc_v2(signed, narrow, rounding):
    from qonnx.custom_op.general.trunc import trunc_v2 as node

    pairs = []
    for codes, scale, zero_point, bits, kept in truncations(45):
        codes = codes if signed else codes + 2 ** (bits - 1)
        kept = max(kept, 2)
        output_scale = scale * np.float32(2.0 ** (bits - kept) * (1.2 if kept % 2 else 1))
        golden = trunc_v2(
            codes,
            scale=scale,
            zero_point=zero_point,
            output_scale=output_scale,
            output_format=f"{'' if signed else 'u'}int{kept}",
            narrow=narrow,
            rounding=QONNX_ROUNDINGS[rounding],
        )
        scale, zero_point, bits, output_scale, kept = (
            np.float32(v) for v in (scale, zero_point, bits, output_scale, kept)
        )
        x = real(codes, scale, zero_point)
        other = node(x, scale, zero_point, bits, narrow, signed, output_scale, kept, rounding)
        pairs.append((real(*golden), other))
    assert differing(pairs) == (0, sum(golden.size for golden, _ in pairs))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    ("given", "kept", "kernel"), [(4, 4, 2), (8, 8, 3), (4, 2, 4), (8, 4, 7), (4, 16, 2), (2, 8, 5)]
)
def test_average_pool(given, kept, kernel, signed):
    from onnx import TensorProto, helper
    from qonnx.custom_op.registry import getCustomOp

    lo, hi = code_range(f"{'' if signed else 'u'}int{given}")
    x = np.random.default_rng(46).integers(lo, hi + 1, (2, 3, 6 * kernel, 5 * kernel))
    x[0, 0, :kernel], x[0, 1, :kernel] = lo, hi
    attributes = {"stride": kernel, "kernel": kernel, "ibits": given, "obits": kept, "signed": int(signed)}
    node = helper.make_node("QuantAvgPool2d", ["x"], ["y"], domain="qonnx.custom_op.general", **attributes)
    context = {"x": x.astype(np.float32), "y": np.zeros((2, 3, 6, 5), np.float32)}
    graph = helper.make_graph([node], "g", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, (2, 3, 6, 5))])
    getCustomOp(node).execute_node(context, graph)
    windows = x.reshape(2, 3, 6, kernel, 5, kernel).transpose(0, 1, 2, 4, 3, 5).reshape(2, 3, 6, 5, -1)
    formats = {"x_format": f"int{given}", "y_format": f"{'' if signed else 'u'}int{kept}"}
    assert differing([(platforms.average_pool("qonnx", windows, **formats), context["y"].astype(int))]) == (0, 180)


def initial(graph):
    from onnx import helper, numpy_helper

    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            found[node.output[0]] = numpy_helper.to_array(helper.get_attribute_value(node.attribute[0]))
    return found


def attribute(node, name):
    from onnx import helper, numpy_helper

    value = {a.name: helper.get_attribute_value(a) for a in node.attribute}[name]
    return int(np.asarray(numpy_helper.to_array(value) if hasattr(value, "dims") else value).reshape(-1)[0])


def evaluate(model, inputs):
    """Output of an integer network of Gemm, MatMul, Conv, Add, Constant and RequantShift nodes."""
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    values = dict(initial(model.graph))
    names = [i.name for i in model.graph.input if i.name not in values]
    values.update({name: x.astype(np.float64) for name, x in zip(names, inputs, strict=False)})
    for node in model.graph.node:
        if node.op_type == "Constant":
            continue
        given = [values[name] for name in node.input]
        if node.op_type == "RequantShift":
            values[node.output[0]] = requant_shift(node, *given)
            continue
        single = helper.make_model(
            helper.make_graph(
                [node],
                "n",
                [helper.make_tensor_value_info(n, 11, None) for n in node.input],
                [helper.make_tensor_value_info(node.output[0], 11, None)],
            ),
            opset_imports=[helper.make_opsetid("", 13)],
        )
        feed = {name: np.asarray(x, np.float64) for name, x in zip(node.input, given, strict=True)}
        values[node.output[0]] = ReferenceEvaluator(single).run(None, feed)[0]
    return values[model.graph.output[0].name]


def requant_shift(node, x, multiplier, add):
    names = {a.name for a in node.attribute}
    levels = attribute(node, "n_levels_out" if "n_levels_out" in names else "n_levels")
    bits, shift = levels.bit_length() - 1, attribute(node, "div").bit_length() - 1
    fmt = f"{'' if attribute(node, 'signed') else 'u'}int{bits}"
    parameters = {"multiplier": multiplier.astype(np.int64), "shift": shift, "add": add.astype(np.int64)}
    return platforms.requantize("deeploy", np.rint(x).astype(np.int64), parameters, y_format=fmt).astype(np.float64)


@pytest.mark.parametrize(
    "name",
    [
        *("GEMM_Batch_RQ", "GEMM_Regular_RQPerColumn", "GEMM_TransB_RQ", "Conv_DW_2D_RQ", "Conv_DW_3x3_RQ"),
        *("Conv_PW_2D_RQ_Regular_RQ", "Conv_StriddedPadded_2D_RQ"),
    ],
)
def test_deeploy(name):
    import onnx

    path = DEEPLOY / f"Integer_{name}.npz"
    if not path.is_file():
        pytest.skip(f"the recorded kernel {path.name} is not beside this repository (shared/corpus/kernels)")
    with np.load(path) as data:
        model = onnx.load_from_string(data["onnx"].tobytes())
        y = evaluate(model, [data[key] for key in sorted(data.files) if key.startswith("x")])
        assert y.astype(np.int64).tolist() == data["y0"].astype(np.int64).tolist()
