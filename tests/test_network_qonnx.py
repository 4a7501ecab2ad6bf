"""Networks read from QONNX and FINN: recorded ones by their codes, small ones by float32 evaluations of their nodes."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from qonnx_by_hand import evaluate
from qonnx_models import Chain
from qonnx_networks import compared, hidden, last, norm, real, recorded, signs_or_codes, sums_of

from golden.quantize import QONNX_ROUNDINGS
from network.layers import Quantize
from network.qonnx.read import read_qonnx


@pytest.mark.parametrize("name", ["qonnx_tfc_1w1a", "qonnx_kws_mlp_w3a3", "finn_tfc_w1a1_streamlined"])
def test_every_code_of_a_recorded_network(name):
    network, data = recorded(name)
    codes = network.entry.run(data["x"])
    trace = network.trace(codes)
    assert signs_or_codes(network.entry.y, codes).reshape(len(codes), -1).tolist() == data["q0"].tolist()
    assert len(network.products) == 4
    x = trace[network.layers[0].name]
    for k, layer in enumerate(network.products):
        scale = np.float64(layer.x.scale) * layer.w.scale
        sums = sums_of(layer, x)
        assert np.allclose(sums * scale, data[f"mm{k}"], rtol=1e-5, atol=1e-4)
        if (scale == 1).all():
            assert sums.tolist() == data[f"mm{k}"].tolist()
        x = trace[layer.name]
        if k < 3:
            assert signs_or_codes(layer.y, x).tolist() == data[f"q{k + 1}"].tolist()
    y = network.run(data["x"])
    labels = data["y"].argmax(axis=1) if data["y"].dtype == np.float32 else data["y"][:, 0]
    assert y.argmax(axis=1).tolist() == labels.tolist()
    assert np.abs(network.fake(data["x"]) - y).max() < 1e-5
    if "recorded_expected" in data:
        expected = data["recorded_expected"]
        assert y.argmax(axis=1)[: len(expected)].tolist() == expected.tolist()
    if name == "qonnx_tfc_1w1a":
        assert y.tolist() == data["y"].tolist()
    if name == "qonnx_kws_mlp_w3a3":
        assert np.allclose(y, data["y"], rtol=1e-6, atol=1e-5)


def test_formats_of_recorded_networks():
    kws, _ = recorded("qonnx_kws_mlp_w3a3")
    assert [str(layer.spec.activations) for layer in kws.products] == ["int8", "uint3", "uint3", "uint3"]
    assert {str(layer.spec.weights) for layer in kws.products} == {"int3"}
    assert kws.entry.narrow
    finn, _ = recorded("finn_tfc_w1a1_streamlined")
    formats = {str(fmt) for layer in finn.products for fmt in (layer.spec.activations, layer.spec.weights)}
    assert formats == {"bipolar"}
    assert [layer.spec.requantize for layer in finn.products] == ["thresholds"] * 3 + ["none"]


@pytest.mark.parametrize("rounding", QONNX_ROUNDINGS)
def test_roundings_on_ties(rounding):
    """Sums of scale 1/8 and codes of scale 1/2, signed and not, narrow and not: every fourth sum is a tie."""
    rng = np.random.default_rng(list(QONNX_ROUNDINGS).index(rounding))
    for signed, narrow in np.ndindex(2, 2):
        chain = Chain().quant(0.25, 4, rounding_mode=rounding, signed=signed, narrow=narrow)
        weights = chain.weights(real(rng, 8, 20), 0.5, 4)
        chain.product("MatMul", weights)
        chain.quant(0.5, 4, signed=signed, narrow=narrow, rounding_mode=rounding)
        last(chain, rng, 20)
        x = real(rng, 60, 8)
        assert compared(chain, x) == 60 * 28
        sums = np.unique(evaluate(chain.model(x.shape), x)["MatMul_2_out"] * 2 % 1)
        assert 0.5 in sums and len(sums) == 4


def test_roundings_give_different_thresholds():
    found = {}
    for rounding in QONNX_ROUNDINGS:
        chain = Chain().quant(1, 4).product("MatMul", "w").quant(4, 3, rounding_mode=rounding)
        chain.constants.append(onnx.numpy_helper.from_array(np.float32([[3]]), "w"))
        found[rounding] = read_qonnx(chain.model((1, 1))).products[0].arrays["thresholds"][0].tolist()
    assert found == {
        "ROUND": [-13, -10, -5, -2, 3, 6, 11],
        "HALF_EVEN": [-13, -10, -5, -2, 3, 6, 11],
        "CEIL": [-15, -11, -7, -3, 1, 5, 9],
        "FLOOR": [-12, -8, -4, 0, 4, 8, 12],
        "UP": [-12, -8, -4, 0, 1, 5, 9],
        "DOWN": [-15, -11, -7, -3, 4, 8, 12],
        "HALF_UP": [-13, -9, -5, -1, 2, 6, 10],
        "HALF_DOWN": [-14, -10, -6, -2, 3, 7, 11],
    }


@pytest.mark.parametrize("seed", range(6))
def test_batch_norms_that_fall(seed):
    """Batch norm, ReLU or clip, quantizers of each kind; zero points; two products with thresholds, then scores."""
    rng = np.random.default_rng(100 + seed)
    chain = Chain().quant(0.25, 8, 100, signed=0)
    hidden(chain, rng, 12, 30, bits=2 + seed % 3)
    norm(chain, rng, 30)
    if seed % 2:
        chain.then("Relu").quant(0.25, 4, signed=0, narrow=seed % 3 == 0)
    else:
        chain.then("Clip", np.float32(-1.5), np.float32(1.0)).quant(0.25, 4, -3)
    hidden(chain, rng, 30, 20)
    norm(chain, rng, 20)
    if seed % 3 == 0:
        chain.bipolar(0.5)
    elif seed % 3 == 1:
        chain.multi_threshold(np.sort(rng.normal(0, 3, (20, 7))), out_scale=0.25, out_bias=-1.0)
    else:
        chain.quant(0.5, 1)
    last(chain, rng, 20)
    assert compared(chain, real(rng, 100, 12)) == 100 * 62


def test_weights_of_falling_columns_are_negated():
    """-8 of int4 has no negative there: the format grows; ternary and bipolar weights do not."""
    for w, scale, bits, narrow, wanted in (
        ([[-8, 7]], 1, 4, 0, "int5"),
        ([[-7, 7]], 1, 4, 0, "int4"),
        ([[-1, 0]], 1, 2, 1, "ternary"),
        ([[-1, 1]], 1, 1, 1, "bipolar"),
        ([[3, 1]], 1, 2, 0, "int3"),
    ):
        chain = Chain().quant(1, 4)
        chain.product("MatMul", chain.weights(w, scale, bits, narrow=narrow, signed=min(w[0]) < 0))
        chain.then("Mul", np.float32([-1, 1])).quant(1, 8)
        layer = read_qonnx(chain.model((1, 1))).products[0]
        assert str(layer.spec.weights) == wanted
        assert layer.spec.weights.decode(layer.arrays["w"]).tolist() == [[-w[0][0], w[0][1]]]
        assert compared(chain, np.float32([[k] for k in range(-8, 8)])) == 16 * 3


def test_constant_columns():
    """A factor of zero, or an offset beyond all sums: every threshold lies at the least sum or beyond the largest."""
    chain = Chain().quant(1, 2, signed=0).product("MatMul", "w")
    chain.constants.append(onnx.numpy_helper.from_array(np.float32([[1, 1, 1, -1]]), "w"))
    chain.then("Mul", np.float32([0, 0, 1, 1])).then("Add", np.float32([-9, 2, 99, -99])).quant(1, 2)
    layer = read_qonnx(chain.model((1, 1))).products[0]
    assert layer.spec.acc_range == (-3, 3)
    assert layer.arrays["thresholds"].tolist() == [[4, 4, 4], [-3, -3, -3], [-3, -3, -3], [4, 4, 4]]
    assert compared(chain, np.float32([[0], [1], [2], [3]])) == 4 * 5


def test_thresholds_at_their_sums():
    """FINN after streamlining: integer thresholds, which count sums that equal them."""
    chain = Chain().multi_threshold([[0.5, 1.5, 2.5]], out_dtype="UINT2").product("MatMul", "w")
    chain.constants.append(onnx.numpy_helper.from_array(np.float32([[1, -1, 2]]), "w"))
    chain.multi_threshold([[1, 2, 2], [-2, -2, 0], [-9, 4, 9]], out_dtype="INT2", out_bias=-2.0)
    layer = read_qonnx(chain.model((1, 1))).products[0]
    assert str(layer.spec.weights) == "int3" and str(layer.y.fmt) == "int2"
    # the middle column has weights +-1 and thresholds as they stand; 9 is beyond the largest sum, -9 below the least
    assert layer.arrays["thresholds"].tolist() == [[1, 2, 2], [-2, -2, 0], [-3, 4, 7]]
    assert compared(chain, np.float32([[0], [1], [2], [3]])) == 4 * 4


@pytest.mark.parametrize(
    ("count", "factor", "offset", "fmt", "bounds", "scale"),
    [
        (1, 2.0, -1.0, "bipolar", None, 1.0),
        (1, 0.5, -0.25, "bipolar", None, 0.25),
        (1, 1.0, 0.0, "uint1", None, 1.0),
        (15, 0.125, -1.0, "int4", None, 0.125),
        (14, 1.0, -7.0, "int4", (-7, 7), 1.0),
        (3, 2.0, -3.0, "int3", (-3, 3), 1.0),
        (2, 1.0, 5.0, "uint3", (5, 7), 1.0),
        (3, 0.1, -0.2, "int2", None, 0.1),
    ],
)
def test_grids_of_thresholds(count, factor, offset, fmt, bounds, scale):
    """A factor or half of it is a step of the codes; of halves, each threshold counts for two codes."""
    chain = Chain().quant(1, 5).product("MatMul", "w")
    chain.constants.append(onnx.numpy_helper.from_array(np.float32([[1]]), "w"))
    chain.multi_threshold([np.arange(count) - count // 2], out_scale=factor, out_bias=offset)
    layer = read_qonnx(chain.model((1, 1))).products[0]
    assert (str(layer.y.fmt), layer.spec.clip, layer.y.scale) == (fmt, bounds, np.float32(scale))
    if factor == 0.1:
        return  # 0.1 * n - 0.2 in float32 is off the grid by its last bits
    assert compared(chain, np.float32([[k] for k in range(-16, 16)])) == 64


def test_quantizers_that_follow_each_other():
    """All but the last are float operations like others."""
    rng = np.random.default_rng(7)
    chain = Chain().quant(0.0625, 8).quant(0.25, 5, 2, rounding_mode="FLOOR").multi_threshold([[-0.75, 0.1, 2]])
    chain.quantized = chain.quantized[-1:]
    hidden(chain, rng, 6, 10).bipolar(0.75).then("Mul", np.float32(-3)).quant(1.5, 3, rounding_mode="HALF_UP")
    chain.quantized.pop(1)
    last(chain, rng, 10)
    assert compared(chain, real(rng, 200, 6)) == 200 * 16


def test_factors_between_quantizer_and_product_go_into_the_weights():
    rng = np.random.default_rng(8)
    chain = Chain().then("Div", np.float32(0.5)).quant(1, 4).then("Mul", np.float32(0.5))
    weights = chain.add("Mul", chain.weights(real(rng, 6, 5), 1, 4), chain.constant(np.float32([[1, 2, 4, 0.5, 1]])))
    chain.product("MatMul", weights).quant(0.5, 4)
    layer = read_qonnx(chain.model((1, 6))).products[0]
    assert layer.x.scale == 1
    assert layer.w.scale.tolist() == [0.5, 1, 2, 0.25, 0.5]
    assert compared(chain, real(rng, 100, 6)) == 100 * 11


def test_scores_from_integers_and_from_codes():
    """An input that FINN's annotation makes integers, no quantizer at all; and a network that ends with a quantizer."""
    rng = np.random.default_rng(9)
    chain = Chain().then("Mul", np.float32(0.25))
    last(chain, rng, 5).then("Softmax", axis=-1)
    x = np.float32(rng.integers(0, 256, (40, 5)))
    network = read_qonnx(chain.model(x.shape, annotations={"x": "UINT8"}))
    assert (str(network.entry.y.fmt), network.products[0].w.scale) == ("uint8", 0.25)
    assert np.allclose(network.run(x), evaluate(chain.model(x.shape), x)[chain.x], rtol=1e-6)
    chain = hidden(Chain().quant(0.25, 4), rng, 5, 6).quant(0.5, 3).then("Mul", np.float32([1, 2, -1, 4, 5, 6]))
    assert compared(chain, real(rng, 50, 5)) == 50 * 11


def test_integers_by_the_type_of_the_input():
    chain = Chain().then("Cast", to=1).product("MatMul", "w")
    chain.constants.append(onnx.numpy_helper.from_array(np.float32([[2], [1]]), "w"))
    network = read_qonnx(chain.model((1, 2), kind=onnx.TensorProto.INT8))
    assert str(network.entry.y.fmt) == "int8"
    assert network.run(np.int8([[-128, 127]])).tolist() == [[-129]]


def test_scores_after_a_batch_norm():
    """Bit for bit: another order of the same operations gives other float32 numbers."""
    rng = np.random.default_rng(11)
    chain = norm(Chain().quant(0.25, 4).product("MatMul", "w"), rng, 40)
    chain.constants.append(onnx.numpy_helper.from_array(np.float32(rng.integers(-3, 4, (6, 40))), "w"))
    assert compared(chain, real(rng, 30, 6)) == 30 * 6


def test_sums_beyond_float32_are_infinite():
    """Without a warning: the sums -10 and 10 stand for numbers that float32 does not hold."""
    chain = Chain().quant(np.float32(2**127), 2).product("MatMul", "w").quant(1, 2)
    chain.constants.append(onnx.numpy_helper.from_array(np.float32([[5]]), "w"))
    layer = read_qonnx(chain.model((1, 1))).products[0]
    assert layer.run([[-2], [0], [1]]).tolist() == [[-2], [0], [1]]


def test_labels_are_left_out():
    rng = np.random.default_rng(10)
    chain = last(Chain().quant(0.25, 4), rng, 5)
    scores = chain.x
    chain.x = chain.add("TopK", scores, chain.constant(np.int64([1])), outputs=["best", "label"])
    chain.x = "label"
    x = real(rng, 30, 5)
    model = chain.model(x.shape)
    values = evaluate(model, x)
    assert read_qonnx(model).run(x).tolist() == values[scores].tolist()
    assert read_qonnx(model).run(x).argmax(axis=1).tolist() == values["label"][:, 0].tolist()


def test_gemm():
    rng = np.random.default_rng(26)
    chain = Chain().quant(0.25, 4)
    weights = chain.weights(real(rng, 5, 6), rng.choice([0.5, 1], (5, 1)), 3)
    chain.product("Gemm", weights, chain.constant(real(rng, 5)), transB=1).quant(0.5, 4)
    bias = chain.weights(real(rng, 4), 0.125, 8)
    chain.product("Gemm", chain.constant(np.float32(rng.integers(-1, 2, (5, 4)))), bias)
    assert compared(chain, real(rng, 50, 6)) == 50 * 11


def test_names_are_safe_and_there_once():
    chain = Chain()
    given = [chain.constant(np.float32(one)) for one in (1, 0, 4)]
    attributes = {"signed": 1, "narrow": 0, "domain": "onnx.brevitas"}
    chain.x = chain.add("Quant", "x", *given, name="7/../é\n", outputs=["a"], **attributes)
    for k, name in enumerate(("module", "Module", "a b" * 40, "")):
        chain.constants.append(onnx.numpy_helper.from_array(np.float32([[2]]), f"w{k}"))
        chain.x = chain.add("MatMul", chain.x, f"w{k}", name=name, outputs=[f"m{k}"])
        chain.quant(1, 4)
    chain.nodes[-2].name = ""
    network = read_qonnx(chain.model((1, 1), name="the net/2"))
    names = [step.name for step in network.steps]
    assert network.name == "the_net_2"
    assert names == ["layer_7", "layer_module", "layer_Module_2", f"{'a_b' * 16}", "MatMul", "values"]


def test_fake_quantization_is_what_the_codes_stand_for():
    rng = np.random.default_rng(28)
    chain = Chain().quant(0.25, 4)
    norm(hidden(chain, rng, 8, 12), rng, 12).quant(0.5, 4)
    network, x = read_qonnx(chain.model((1, 8))), real(rng, 50, 8)
    assert isinstance(network.products[0].real, Quantize)
    assert network.fake(x).tolist() == network.run(x).tolist()


def test_the_example_of_the_document_runs(tmp_path, monkeypatch):
    text = (Path(__file__).resolve().parent.parent / "docs" / "imports.md").read_text()
    section = text[text.index("## QONNX and FINN") :]
    block = section[section.index("```python\n") + len("```python\n") :].partition("```")[0]
    rng = np.random.default_rng(29)
    chain = last(Chain().quant(0.25, 4), rng, 5)
    x = real(rng, 10, 5)
    (tmp_path / "model.onnx").write_bytes(chain.model(x.shape).SerializeToString())
    monkeypatch.chdir(tmp_path)
    names = {"x": x}
    exec(block, names)
    assert list(names["every_layer"]) == ["MatMul_1"]
    assert names["scores"].tolist() == evaluate(chain.model(x.shape), x)[chain.x].tolist()
