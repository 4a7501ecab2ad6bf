"""Networks of TFLite files: recorded outputs of every operator, and made-up networks by loops.

The recordings are data beside this repository, read in place.
"""

import zlib
from pathlib import Path

import numpy as np
import pytest
from tflite_cases import CASES, Maker, expected, real_ends
from tflite_models import Step, Tensor, chain

from golden import platforms
from network.arrays import Array
from network.tflite import products
from network.tflite.read import FAMILIES, read_tflite

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus"
MODELS, SEANET = CORPUS / "models", CORPUS / "kernels" / "tflm_seanet_int16"
NETWORKS = ("mlperf_ad01_int8", "tflm_hello_world", "mlperf_kws_dscnn", "mlperf_vww_mobilenet", "tflm_micro_speech")


def recorded(name):
    """(file, recorded arrays, outputs of one example by operator) of a network."""
    folder = MODELS / name
    if not folder.is_dir():
        pytest.skip(f"the recorded network {name} is not beside this repository (shared/corpus/models)")
    with np.load(folder / "io.npz") as io, np.load(folder / "trace.npz") as trace:
        return (folder / "model.tflite").read_bytes(), dict(io), dict(trace)


def by_operator(network, codes):
    """Codes after each operator, int64, in their order."""
    found = network.trace(np.asarray(codes, np.int64))
    return [y for name, y in found.items() if not name.startswith("flatten")]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_recorded_output_of_every_operator(name):
    content, io, trace = recorded(name)
    network = read_tflite(content)
    found = by_operator(network, io["x"])
    sums = [[zlib.crc32(one.astype(np.int8).tobytes()) for one in y] for y in found]
    assert np.transpose(sums).tolist() == io["op_crc32"].tolist()
    assert found[-1].tolist() == io["y"].tolist()
    names = [key for key in trace if key.startswith("t")]
    for key, y in zip(names, by_operator(network, trace["x"]), strict=True):
        assert y.tolist() == trace[key].tolist()


@pytest.mark.parametrize("name", [f"conv_conv{k}" for k in (0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 21)])
def test_recorded_convolutions_of_int16(name):
    """Models of one operator of TFLite Micro's SEANet, with biases of 64 bits."""
    path = SEANET / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"the recorded kernel {path.name} is not beside this repository (shared/corpus/kernels)")
    with np.load(path) as data:
        (y,) = by_operator(read_tflite(data["tflite"].tobytes()), data["x0"])
        assert y.reshape(-1).tolist() == data["y"].tolist()


@pytest.mark.parametrize("name", CASES)
def test_made_up_networks_by_loops(name):
    maker = CASES[name]
    codes = maker.inputs(6)
    network = read_tflite(maker.content)
    found = by_operator(network, codes)
    for step, y, other in zip(maker.steps, found, expected(maker, codes), strict=True):
        assert y.tolist() == other.tolist(), step.kind
    fake = network.fake(network.entry.y.values(codes))
    steps = 10 if maker.steps[-1].kind == "SOFTMAX" else 2
    assert abs(fake - network.exit.run(found[-1])).max() <= steps * network.exit.x.scale


def test_thresholds_are_found_a_few_columns_at_a_time(monkeypatch):
    content = Maker(20, (9,), ties=True).dense(7, "relu6", per_channel=True).content
    whole = read_tflite(content, platform="litert-reference").products[0].arrays["thresholds"]
    monkeypatch.setattr(products, "AT_A_TIME", 3)
    assert read_tflite(content, platform="litert-reference").products[0].arrays["thresholds"].tolist() == whole.tolist()


@pytest.mark.parametrize("platform", FAMILIES)
def test_platforms_by_loops(platform):
    """Among them litert-reference, whose dense layers become thresholds; ties tell the platforms from each other."""
    for maker in (Maker(20, (9,), ties=True).dense(7).dense(5, "relu6", per_channel=True), CASES["strides"]):
        codes = maker.inputs(30)
        network = read_tflite(maker.content, platform=platform)
        for y, other in zip(by_operator(network, codes), expected(maker, codes, FAMILIES[platform]), strict=True):
            assert y.tolist() == other.tolist()


def test_ties_tell_platforms_apart():
    maker = Maker(20, (9,), ties=True).dense(7).dense(5, "relu6", per_channel=True)
    codes = maker.inputs(200)
    found = {name: by_operator(read_tflite(maker.content, platform=name), codes)[0] for name in FAMILIES}
    assert len({y.tobytes() for y in found.values()}) == 4  # CMSIS-NN is TFLite Micro
    codes = CASES["strides"].inputs(30)
    first, second, *_ = (by_operator(read_tflite(CASES["strides"].content, platform=name), codes) for name in FAMILIES)
    assert [y.tolist() for y in first] == [y.tolist() for y in second]  # LiteRT's reference convolutions too


def test_convolutions_scale_per_channel_where_all_share_one_scale():
    """ruy forms the quotient of one scale for all in float32, of one for each channel in float64: other multipliers."""
    found = {}
    for kind in ("dense", "conv"):
        maker = Maker(60, (4,) if kind == "dense" else (1, 1, 4))
        maker.dense(2, bias=False) if kind == "dense" else maker.conv(2, (1, 1), bias=False, per_channel=False)
        maker.x.scale, maker.steps[0].constants[0].scale = np.float32(0.0123), np.float32(0.00345)
        maker.last.scale = np.float32(0.0123) * np.float32(0.00345) * np.float32(8)
        (layer,) = read_tflite(maker.content, platform="litert-ruy-x86").products
        found[kind] = layer.given(np.zeros(maker.x.shape, np.int64)).parameters["multiplier"].tolist()
    assert found["dense"] == [1 << 30] * 2
    exact = float(np.float32(0.0123)) * float(np.float32(0.00345)) / float(maker.last.scale)
    assert found["conv"] == [round(exact * 2.0**33)] * 2 != found["dense"]


def test_codes_of_old_files():
    maker = Maker(40, (3,)).dense(2)
    assert read_tflite(chain(maker.x, *maker.steps, old_codes=True)).layers[0].name == "fully_connected_0"


def test_real_inputs_and_outputs():
    """By the rule of equation (code - zero point) * scale, and ties away from zero."""
    maker = real_ends()
    network, (x_grid, *_) = read_tflite(maker.content), [step.output for step in maker.steps]
    x = maker.inputs(40)
    codes = np.clip(np.trunc(x / x_grid.scale + np.copysign(np.float32(0.5), x)) + x_grid.zero_point, -128, 127)
    assert network.entry.run(x).tolist() == codes.tolist()
    inner = Maker(14, (8,))
    inner.x, inner.steps = maker.steps[0].output, maker.steps[1:-1]
    *_, y = expected(inner, codes.astype(np.int64))
    last = maker.steps[-2].output
    assert network.run(x).tolist() == ((y - last.zero_point) * np.float64(last.scale)).astype(np.float32).tolist()
    assert [step.name for step in network.steps] == [
        "quantize_0", "fully_connected_1", "fully_connected_2", "dequantize_3"
    ]  # fmt: skip


def test_real_ends_of_uint8():
    maker = real_ends()
    del maker.steps[-1]
    maker.quantize("uint8", 0.1).dequantize()
    network = read_tflite(maker.content)
    assert (network.exit.x.fmt.name, network.exit.x.zero_point) == ("uint8", maker.steps[-2].output.zero_point)
    x = maker.inputs(5)
    assert network.run(x).tolist() == network.exit.run(by_operator(network, network.entry.run(x))[-1]).tolist()


def test_quantizers_are_the_platforms_own():
    found = {name: read_tflite(CASES["dense"].content, platform=name).entry.quantizer for name in FAMILIES}
    own = {"litert-ruy-x86": "litert", "litert-xnnpack": "litert"}
    assert found == dict.fromkeys(FAMILIES, "tflite-reference") | own


def test_the_array_and_the_names_of_layers():
    network = Array(rows=2, cols=3, lanes=5).placed(read_tflite(CASES["pools"].content))
    assert [layer.name for layer in network.layers] == [
        "max_pool_2d_0", "conv_2d_1", "average_pool_2d_2", "max_pool_2d_3", "reshape_4", "reshape_5",
        "fully_connected_6", "softmax_7",
    ]  # fmt: skip
    assert {(one.spec.rows, one.spec.cols, one.spec.lanes) for one in network.products} == {(2, 3, 5)}
    specs = [one.spec for one in read_tflite(CASES["int16 maps"].content).products]
    assert [(one.name, one.array, one.platform, one.bias.name) for one in specs] == [
        ("conv_2d_0", "output_stationary", "tflite-micro-int16", "int32"),
        ("depthwise_conv_2d_1", "vector", "tflite-micro-int16", "int32"),
        ("fully_connected_4", "output_stationary", "tflite-micro-int16", "int32"),
    ]
    assert "flatten_4" in [layer.name for layer in read_tflite(CASES["int16 maps"].content).layers]


def test_sums_of_more_than_32_bits_wrap_as_the_platform_has_them():
    depth = 70_000
    x = Tensor((1, depth), "int8", 2.0**-5, 127)
    w = Tensor((2, depth), "int8", 2.0**-10, data=np.full((2, depth), -127) * [[1], [-1]])
    y = Tensor((1, 2), "int8", 2.0**11, 3)
    content = chain(x, Step("FULLY_CONNECTED", y, [w], {"KeepNumDims": False}))
    network = read_tflite(content)
    spec = network.products[0].spec
    assert (spec.accumulator, spec.accumulator_overflow) == (32, "wrap")
    sums = [70_000 * 255 * 127 - 2**32, 2**32 - 70_000 * 255 * 127]
    steps = platforms.derive("tflite-micro", a_scale=x.scale, w_scale=w.scale, y_scale=y.scale)
    codes = platforms.requantize("tflite-micro", [sums], steps, y_zero_point=3)
    assert by_operator(network, np.full((1, depth), -128))[0].tolist() == codes.tolist()
    assert codes.tolist() == [[-27, 33]]


def test_a_wide_bias_of_int16_gets_48_bits():
    maker = Maker(30, (3,), "int16").dense(2)
    maker.steps[0].constants[1].data = np.array([2**40, -5])
    assert read_tflite(maker.content).products[0].spec.bias.name == "int48"
