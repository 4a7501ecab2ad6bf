"""`bittrue import`: networks that others quantized, of each kind of file, to folders; refusals in one line."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from commands import command, done, refusal, tree
from network_cases import same
from network_files import examples, write_files
from onnx_cases import dynamic_cnn
from qonnx_models import Chain as QonnxChain
from test_network_onnx_quantized import qoperator_cnn
from tflite_cases import Maker

from bittrue import network_flows
from bittrue.costs import costs
from bittrue.network_folder import open_network
from bittrue.network_report import cost_json
from network.arrays import Array
from network.onnx.read_dynamic import read_dynamic
from network.onnx.read_qdq import read_qdq
from network.onnx.read_qoperator import read_qoperator
from network.qonnx.read import read_qonnx
from network.tflite.read import FAMILIES, read_tflite

CORPUS = Path(__file__).resolve().parent.parent.parent / "shared" / "corpus" / "models"
QUANTIZE = ("quantize", "model.onnx", "--calibration", "data.npz", "--platform", "onnxruntime", "--out", "q")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    return tmp_path


def tflite() -> bytes:
    maker = Maker(3, (6, 5, 2)).conv(4, (3, 3), activation="relu").depthwise(1, (2, 2), padding="VALID")
    return maker.pool("AVERAGE", (5, 4)).reshape(1, 4).dense(3).softmax().content


def qonnx() -> onnx.ModelProto:
    rng = np.random.default_rng(4)
    chain = QonnxChain().quant(0.25, 4)
    for n in (7, 3):
        chain.then("MatMul", rng.integers(-1, 2, (7, n)).astype(np.float32)).then("Relu").quant(2.0, 3, signed=0)
    return chain.model((1, 7))


def imported(content, *words, name="m.onnx"):
    Path(name).write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    return done("import", name, "--out", "q", *words)


def test_tflite(here):
    said = imported(tflite(), name="m.tflite").splitlines()
    assert said[0] == "q: 6 layers, 3 of them on arrays; inputs 6x5x2, int8; from TFLite m.tflite"
    assert said[1].startswith("no model.onnx: layer softmax_5: ")
    assert same(open_network(Path("q")).network, read_tflite(tflite()))


@pytest.mark.parametrize("platform", FAMILIES)
def test_platforms_of_tflite(here, platform):
    imported(tflite(), "--platform", platform, name="m.tflite")
    network = open_network(Path("q")).network
    assert same(network, read_tflite(tflite(), platform=platform))
    assert network.products[0].spec.platform == FAMILIES[platform].convolution


def test_qdq_comes_back_from_what_quantize_wrote(here):
    done(*QUANTIZE)
    network = open_network(Path("q")).network
    Path("q/model.onnx").rename("m.onnx")
    said = done("import", "m.onnx", "--out", "again")
    assert said.splitlines()[0].endswith("from QDQ ONNX m.onnx")
    again = open_network(Path("again"))
    x = examples(50, seed=7)["x"]
    assert again.network.run(x).tolist() == network.run(x).tolist()
    assert same(again.network, Array().placed(read_qdq(onnx.load("m.onnx"))))
    assert again.float_model is None and again.recipe is None and Path("again/model.onnx").is_file()


def test_qoperator(here):
    model = qoperator_cnn("uint8", "int8", True).dequantize().model()
    for words, more in (((), {}), (("--platform", "onnx-reference"), {"platform": "onnx-reference"})):
        assert "from QOperator ONNX m.onnx" in imported(model, *words)
        assert same(open_network(Path("q")).network, Array().placed(read_qoperator(model, **more)))


def test_dynamic(here):
    """To a folder, and back from the model in it."""
    done("quantize", "model.onnx", "--calibration", "data.npz", "--activation-range", "dynamic", "--out", "first")
    model, x = onnx.load("first/model.onnx"), examples(30, seed=5)["x"]
    assert "from dynamic ONNX m.onnx" in imported(model, "--rows", "2", "--cols", "3", "--lanes", "5")
    network = open_network(Path("q")).network
    assert same(network, Array(rows=2, cols=3, lanes=5).placed(read_dynamic(model)))
    assert {(one.spec.rows, one.spec.cols, one.spec.lanes) for one in network.on_arrays} == {(2, 3, 5)}
    assert network.run(x).tolist() == open_network(Path("first")).network.run(x).tolist()
    assert onnx.load("q/model.onnx").graph.node and open_network(Path("q")).float_model is None
    assert refusal(here, "quantize", "m.onnx", *QUANTIZE[2:4]) == (
        "m.onnx is quantized already (dynamic ONNX); read it with bittrue import"
    )


def test_qonnx(here):
    assert "from QONNX m.onnx" in imported(qonnx())
    network = open_network(Path("q")).network
    assert same(network, Array().placed(read_qonnx(qonnx())))
    x = np.random.default_rng(5).normal(size=(20, 7)).astype(np.float32)
    assert network.run(x).tolist() == read_qonnx(qonnx()).run(x).tolist()


@pytest.mark.parametrize("platform", ["tflite-micro", "litert-xnnpack"])
def test_a_model_that_bittrue_wrote_keeps_its_platform(here, platform):
    done("quantize", "model.onnx", "--calibration", "data.npz", "--platform", platform, "--out", "q")
    done("import", "q/model.onnx", "--out", "again")
    done("import", "q/model.onnx", "--platform", "onnxruntime", "--out", "other")
    found = {name: open_network(Path(name)).network for name in ("q", "again", "other")}
    assert {one.spec.platform for one in found["again"].products} == {platform}
    assert {one.spec.platform for one in found["other"].products} == {"onnxruntime"}
    x = examples(200, seed=4)["x"]
    assert found["again"].run(x).tolist() == found["q"].run(x).tolist()


def test_a_platform_that_nobody_knows_is_left_alone(here):
    done(*QUANTIZE)
    strange = onnx.load("q/model.onnx")
    next(one for one in strange.metadata_props if one.key == "platform").value = "../tflite"
    onnx.save(strange, "strange.onnx")
    done("import", "strange.onnx", "--out", "again")
    assert {one.spec.platform for one in open_network(Path("again")).network.products} == {"onnxruntime"}


@pytest.mark.parametrize("content", [tflite(), qonnx().SerializeToString()], ids=["tflite", "qonnx"])
def test_the_size_of_the_arrays(here, content):
    imported(content, "--rows", "2", "--cols", "3", "--lanes", "5")
    specs = [layer.spec for layer in open_network(Path("q")).network.products]
    found = [(spec.array, spec.rows, spec.cols, spec.lanes) for spec in specs]
    assert set(found) <= {("output_stationary", 2, 3, 5), ("vector", 1, 3, 5)} and found


def test_another_kind_of_array(here):
    """In the folder's designs; the same numbers; a report counts cycles on any."""
    imported(tflite(), "--array", "weight_stationary", "--cols", "3")
    opened = open_network(Path("q"))
    assert {layer.spec.array for layer in opened.network.products} == {"weight_stationary", "vector"}
    x = np.random.default_rng(6).integers(-128, 128, (4, 6, 5, 2)).astype(np.float32)
    assert opened.network.run(x).tolist() == read_tflite(tflite()).run(x).tolist()
    told = json.loads(done("report", "q", "--array", "matrix_vector", "--lanes", "2", "--batch", "3", "--json"))
    placed = Array(kind="matrix_vector", lanes=2).placed(opened.network)
    assert told["costs"] == cost_json(costs(placed, 3))
    assert told["costs"] != json.loads(done("report", "q", "--batch", "3", "--json"))["costs"]


def test_json_and_quiet(here):
    found = json.loads(imported(tflite(), "--json", name="m.tflite"))
    assert found["source"] == {"file": "m.tflite", "kind": "TFLite", "sha256": found["source"]["sha256"]}
    assert [one["kind"] for one in found["costs"]["layers"]] == [
        *("conv 3x3", "depthwise 2x2", "average pool 5x4", "reshape", "dense", "softmax")
    ]
    assert imported(tflite(), "--quiet") == ""


RECORDED = ["mlperf_kws_dscnn", "mlperf_vww_mobilenet", "tflm_micro_speech", "qonnx_tfc_1w1a", "qonnx_kws_mlp_w3a3"]


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_networks_come_back_from_their_folders(here, name):
    path = next(iter(CORPUS.glob(f"{name}/model.*")), None)
    if path is None:
        pytest.skip(f"the recorded network {name} is not beside this repository (shared/corpus/models)")
    done("import", path, "--out", "q")
    read = read_tflite(path.read_bytes()) if path.suffix == ".tflite" else read_qonnx(onnx.load(path))
    assert same(open_network(Path("q")).network, Array().placed(read))


REFUSALS = {
    ("model.onnx",): (
        "model.onnx holds real numbers alone; quantize it: bittrue quantize model.onnx --calibration data.npz"
    ),
    ("strange.onnx",): "strange.onnx: operator RequantShift (node pool1) is none of ONNX's, and no reader knows it",
    ("qonnx.onnx", "--platform", "onnxruntime"): (
        "platform cannot be chosen for QONNX, which says its numbers itself; leave it out"
    ),
    ("dynamic.onnx", "--platform", "onnxruntime"): (
        "platform cannot be chosen for dynamic ONNX, which says its numbers itself; leave it out"
    ),
    ("m.tflite", "--platform", "x"): f"m.tflite: platform must be one of {', '.join(FAMILIES)}, not 'x'",
    ("m.tflite", "--rows", "0"): "layer conv_2d_0: rows must be positive, not 0",
    ("qonnx.onnx", "--lanes", "0"): "layer MatMul_1: lanes must be positive, not 0",
    ("m.tflite", "--out", "m.tflite"): "m.tflite exists and is not a network folder; give another --out",
    ("m.tflite", "--out", "."): ". exists and is not a network folder; give another --out",
    ("broken.tflite",): "broken.tflite: ",
    (): "Missing argument 'model'.",
}


@pytest.mark.parametrize(("words", "message"), REFUSALS.items(), ids=lambda value: value if type(value) is str else "")
def test_what_cannot_be_imported_is_told_in_one_line(here, words, message):
    Path("m.tflite").write_bytes(tflite())
    Path("broken.tflite").write_bytes(tflite()[:200])
    Path("qonnx.onnx").write_bytes(qonnx().SerializeToString())
    onnx.save(dynamic_cnn(), "dynamic.onnx")
    strange = onnx.load("model.onnx")
    strange.graph.node[2].op_type = "RequantShift"
    onnx.save(strange, "strange.onnx")
    assert refusal(here, "import", *words).startswith(message)


def test_an_interruption_leaves_the_folder_as_it_was(here, monkeypatch):
    imported(tflite(), name="m.tflite")
    before = tree(here)

    def interrupted(*given, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(network_flows, "create_network", interrupted)
    result = command("import", "m.tflite", "--out", "q", "--rows", "4")
    assert (result.code, result.out, result.err.strip()) == (130, "", "")
    assert tree(here) == before
