"""`bittrue evaluate --codes --recorded`: golden against outputs that other programs recorded; classes of one output."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from commands import command, done, refusal
from onnx_models import Chain
from tflite_cases import Maker

from bittrue.network_folder import open_network
from bittrue.scores import score

CORPUS = Path(__file__).resolve().parent.parent.parent / "shared" / "corpus" / "models"
WORDS = ("evaluate", "q", "--data", "io.npz", "--hardware", 0)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A TFLite network in q, 7 codes in and 5 out, and 20 examples of both in io.npz."""
    monkeypatch.chdir(tmp_path)
    Path("m.tflite").write_bytes(Maker(3, (7,)).dense(5).content)
    done("import", "m.tflite", "--out", "q")
    network = open_network(Path("q")).network
    x = np.random.default_rng(1).integers(-128, 128, (20, 7)).astype(np.int8)
    np.savez("io.npz", x=x, y=list(network.trace(x).values())[-1].astype(np.int8))
    return tmp_path


def changed(**arrays):
    with np.load("io.npz") as archive:
        given = dict(archive)
    np.savez("io.npz", **{**given, **arrays})


def test_codes_that_were_recorded(here):
    lines = done(*WORDS, "--codes", "--recorded", "y").splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["route", "recorded", "fake", "golden"]
    assert lines[3].split()[-1] == "equal"
    assert lines[-1] == "golden differs from the recorded outputs in 0 of 100"


def test_the_same_as_real_numbers(here):
    network = open_network(Path("q")).network
    with np.load("io.npz") as archive:
        x, y = network.entry.y.values(archive["x"]).astype(np.float32), network.exit.run(archive["y"])
    np.savez("io.npz", x=x, y=y)
    found = json.loads(done(*WORDS, "--recorded", "y", "--json"))
    assert found["recorded"] == {"outputs": 100, "differing": 0} and found["equal"]


def test_outputs_that_differ_are_counted(here):
    with np.load("io.npz") as archive:
        y = archive["y"].copy()
    y[3, 2], y[7, :2] = -y[3, 2] - 1, -y[7, :2] - 1
    changed(y=y)
    result = command(*WORDS, "--codes", "--recorded", "y")
    assert result.code == 1
    assert result.out.splitlines()[-1] == "golden differs from the recorded outputs in 3 of 100"
    found = json.loads(command(*WORDS, "--codes", "--recorded", "y", "--json").out)
    assert found["recorded"] == {"outputs": 100, "differing": 3} and not found["equal"]


def test_errors_takes_codes_too(here):
    whole = json.loads(done("errors", "q", "--data", "io.npz", "--codes", "--json"))
    network = open_network(Path("q")).network
    with np.load("io.npz") as archive:
        np.savez("real.npz", x=network.entry.y.values(archive["x"]).astype(np.float32))
    assert json.loads(done("errors", "q", "--data", "real.npz", "--json")) == whole


WRONG = {
    "io.npz: x must hold codes, integers, with --codes, not float32": {"x": np.zeros((20, 7), np.float32)},
    "io.npz: x[0, 2] is 128, no code of int8 [-128, 127]": {"x": np.eye(20, 7, 2, dtype=np.int16) * 128},
    "io.npz: y must have the shape of the network's outputs, [20, 5], not [20, 1]": {"y": np.zeros((20, 1), np.int8)},
    "io.npz: y must hold codes or real numbers, not bool": {"y": np.zeros((20, 5), bool)},
    "recorded outputs must be codes of int8 [-128, 127], and 200 is there": {"y": np.full((20, 5), 200)},
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_arrays_are_refused(here, message):
    changed(**WRONG[message])
    assert refusal(here, *WORDS, "--codes", "--recorded", "y") == message


def test_wrong_words_are_refused(here):
    missing = "io.npz: z: array missing; recorded must name one of x, y"
    assert refusal(here, *WORDS, "--codes", "--recorded", "z") == missing
    assert refusal(here, *WORDS) == (
        "io.npz: x holds int8; give real numbers, float32, as the model was trained on; codes of a quantized network's "
        "inputs go with --codes of evaluate and errors"
    )


def quantized(operators, *words):
    """A folder q of these operators, and a Gemm of four inputs and one output."""
    rng = np.random.default_rng(2)
    chain = Chain((4,))
    for operator, *constants in operators:
        if operator == "Gemm":
            constants = rng.normal(0, 1, (4, 1)).astype(np.float32), rng.normal(0, 1, 1).astype(np.float32)
        chain.add(operator, *constants)
    onnx.save(chain.model(), "m.onnx")
    np.savez("c.npz", x=rng.normal(0, 1, (50, 4)).astype(np.float32))
    done("quantize", "m.onnx", "--calibration", "c.npz", "--out", "q", *words)


def test_networks_without_codes_in_front(here):
    quantized([("Gemm",)], "--activation-range", "dynamic")
    assert refusal(here, *WORDS, "--codes") == (
        "codes: the network takes real numbers, which are quantized by the range of each batch"
    )
    quantized([("Div", np.float32(16)), ("Gemm",)])
    assert refusal(here, *WORDS, "--codes") == (
        "codes: the network has steps before its codes (div); give x as real numbers"
    )


@pytest.mark.parametrize(("operators", "boundary"), [([("Gemm",)], 0.0), ([("Gemm",), ("Sigmoid",)], 0.5)])
def test_one_output_says_one_class_or_the_other(here, operators, boundary):
    quantized(operators)
    x = np.random.default_rng(3).normal(0, 1, (40, 4)).astype(np.float32)
    labels = np.arange(40) % 2
    np.savez("io.npz", x=x, labels=labels)
    found = json.loads(done(*WORDS, "--json"))
    network = open_network(Path("q")).network
    right = ((network.run(x)[:, 0] > boundary) == labels).sum()
    golden = next(route for route in found["routes"] if route["route"] == "golden")
    assert golden["correct"] == right and 0 < right < 40
    np.savez("io.npz", x=x, labels=labels + 1)
    assert refusal(here, *WORDS) == "io.npz: labels[1] is 2; the network has classes 0 to 1"


def test_one_output_without_labels_has_no_class():
    assert score(np.array([[0.5], [-1.0]]), np.array([[0.5], [1.0]])).same_class is None


RECORDED = ["mlperf_ad01_int8", "tflm_hello_world", "tflm_micro_speech", "mlperf_kws_dscnn", "qonnx_tfc_1w1a"]


@pytest.mark.parametrize("name", RECORDED)
def test_networks_that_others_recorded(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = next(iter(CORPUS.glob(f"{name}/model.*")), None)
    if path is None:
        pytest.skip(f"the recorded network {name} is not beside this repository (shared/corpus/models)")
    done("import", path, "--out", "q")
    codes = () if path.suffix == ".onnx" else ("--codes",)
    words = ("evaluate", "q", "--data", path.with_name("io.npz"), "--hardware", 0, "--recorded", "y", *codes)
    found = json.loads(done(*words, "--json"))
    assert found["recorded"]["differing"] == 0 < found["recorded"]["outputs"]
