"""bittrue errors: causes, layers, histograms and plots of a stored network; what is refused."""

import io
import json
import re

import numpy as np
import pytest
from commands import command, done, refusal
from float_onnx import model
from matplotlib.image import imread
from rich.console import Console
from small_networks import mlp

from bittrue.error_report import anatomy_report
from bittrue.network_folder import create_network, open_network
from bittrue.plots import histogram_plot
from network.errors.anatomy import Anatomy, Change, LayerErrors, anatomy
from network.errors.histograms import histograms
from network.measure import Error
from network.onnx.read_float import read_float

NAMES = ["input", "fc1_gemm", "fc2_gemm", "fc3_gemm"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a float model, examples, and networks q (int8) and w2 (weights of two bits) made of it."""
    home = tmp_path_factory.mktemp("errors")
    rng = np.random.default_rng(1)
    (home / "model.onnx").write_bytes(model(mlp(rng)).SerializeToString())
    np.savez(home / "c.npz", x=rng.normal(0, 1, (40, 13)).astype(np.float32))
    np.savez(home / "t.npz", x=rng.normal(0, 1, (50, 13)).astype(np.float32))
    for name, weights in (("q", "int8"), ("w2", "int2")):
        given = ("--calibration", home / "c.npz", "--weights", weights, "--out", home / name)
        done("quantize", home / "model.onnx", *given)
    return home


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def found(*more):
    return json.loads(done("errors", "q", "--data", "t.npz", "--json", *more))


def test_all_layers_and_where_the_outputs_error_comes_from(here):
    lines = done("errors", "w2", "--data", "t.npz").splitlines()
    assert lines[0].startswith(
        "50 examples, golden against float.onnx; rms and largest in steps of each layer's output"
    )
    assert [line.split()[0] for line in lines[2:6]] == NAMES
    told = next(line for line in lines if line.startswith("outputs: SQNR "))
    assert " % of the squared error comes from fc3_gemm, most of it from weights" in told
    *_, whole = (line.split() for line in lines)
    assert whole[0] == "all" and whole[-1] == "100.0"
    assert sum(float(share) for share in whole[1:-1]) == pytest.approx(100, abs=0.3)
    assert float(whole[4]) > 90  # weights


def test_the_numbers_are_those_of_the_network(here):
    data, opened = found(), open_network(here / "q")
    x = np.load("t.npz")["x"]
    import onnx

    own = anatomy(opened.network, x, read_float(onnx.load("model.onnx")))
    assert [one["layer"] for one in data["layers"]] == NAMES
    assert data["outputs"]["sqnr"] == pytest.approx(own.output.sqnr)
    evaluated = json.loads(done("evaluate", "q", "--data", "t.npz", "--hardware", 0, "--json"))
    golden = next(route for route in evaluated["routes"] if route["route"] == "golden")
    assert data["outputs"]["sqnr"] == pytest.approx(golden["sqnr"], abs=1e-3)
    assert sum(one["share"] for one in data["chain"]) == pytest.approx(1)
    for layer in data["layers"][1:]:
        assert sum(one["share"] for one in layer["changes"]) == pytest.approx(1)
    assert {one["place"] for one in data["chain"]} == {"inputs", *NAMES[1:]}
    assert {group for one in data["chain"] if (group := data["groups"][one["cause"]])} == {
        "rounding", "range", "clipping", "weights", "accumulator", "platform",
    }  # fmt: skip


def test_one_layer(here):
    lines = done("errors", "q", "--data", "t.npz", "--layer", "fc2_gemm").splitlines()
    assert lines[1].startswith("layer fc2_gemm alone, SQNR ")
    rows = [line.split() for line in lines[3:] if line.split()[:1] in (["inputs"], ["fc2_gemm"], ["all"])]
    changes = next(one for one in found()["layers"] if one["layer"] == "fc2_gemm")["changes"]
    assert len(rows) == len(changes) + 1
    assert [float(row[-1]) for row in rows[:-1]] == [pytest.approx(100 * one["share"], abs=0.06) for one in changes]
    told = {one["name"]: one for one in found()["histograms"]}
    for name in ("fc1_gemm", "fc2_gemm"):
        own = told[name]
        line = f"{name}: {sum(own['counts'])} numbers on codes 0 to 255: {own['below']} below, {own['above']} above, "
        assert f"{line}{own['unused']} codes unused" in lines
    bars = [line for line in lines if "█" in line]
    assert max(line.count("█") for line in bars) == 50


def test_plots(here, tmp_path):
    place = tmp_path / "new" / "plots"
    assert done("errors", "q", "--data", "t.npz", "--plots", place, "--quiet") == ""
    files = {path.name: path.read_bytes() for path in place.iterdir()}
    assert sorted(files) == sorted(["sqnr.png", "causes.png", *(f"histogram-{name}.png" for name in NAMES)])
    for path in place.iterdir():
        image = imread(path)
        assert min(image.shape[:2]) > 300 and image[..., :3].std() > 0.02
    one = histograms(open_network(here / "q").network, np.load("t.npz")["x"])[0]
    assert histogram_plot(one) == histogram_plot(one)


def test_without_a_float_model(here, tmp_path):
    network = open_network(here / "q").network
    create_network(tmp_path / "own", network, source={"file": "x", "kind": "y"}, models={})
    out = done("errors", tmp_path / "own", "--data", "t.npz")
    assert "golden against the network's own real numbers" in out.splitlines()[0]
    assert out.splitlines()[0].endswith("weights and biases count as exact")
    assert "weights %" not in out
    data = json.loads(done("errors", tmp_path / "own", "--data", "t.npz", "--json"))
    assert data["weights_known"] is False and data["outputs"]["sqnr"] > 25


def test_an_equalized_network_is_compared_with_what_it_stands_for(here, tmp_path):
    given = ("--calibration", "c.npz", "--correct", "equalize", "--out", tmp_path / "equal")
    done("quantize", "model.onnx", *given)
    data = json.loads(done("errors", tmp_path / "equal", "--data", "t.npz", "--json"))
    assert min(one["accumulated"]["sqnr"] for one in data["layers"]) > 25


REFUSALS = {
    "layer must be one of input, fc1_gemm, fc2_gemm, fc3_gemm, not 'fc9'": ("q", "--data", "t.npz", "--layer", "fc9"),
    "c.npz exists and is not a folder; give another place for plots": ("q", "--data", "t.npz", "--plots", "c.npz"),
    "cannot read missing.npz: No such file or directory": ("q", "--data", "missing.npz"),
    "bad.npz: x has shape [2, 12], the network takes [B, 13]": ("q", "--data", "bad.npz"),
}


@pytest.mark.parametrize("message", REFUSALS)
def test_refused(here, message):
    np.savez("bad.npz", x=np.zeros((2, 12), np.float32))
    assert refusal(here, "errors", *REFUSALS[message]) == message


def test_dynamic_networks(here, tmp_path):
    """The very numbers that evaluate gives, as ranges are those of the same batch; and plots."""
    own = tmp_path / "dynamic"
    given = ("--weights", "int2", "--correct", "bias", "--activation-range", "dynamic", "--out", own)
    done("quantize", "model.onnx", "--calibration", "c.npz", *given)
    lines = done("errors", own, "--data", "t.npz", "--plots", tmp_path / "plots").splitlines()
    assert lines[0].split("; ")[1] == "rms and largest as real numbers, which layers give"
    assert [line.split()[0] for line in lines[-4:]] == ["fc1_gemm", "fc2_gemm", "fc3_gemm", "all"]
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {"sqnr.png", "causes.png"}
    data = json.loads(done("errors", own, "--data", "t.npz", "--json"))
    evaluated = json.loads(done("evaluate", own, "--data", "t.npz", "--json"))
    golden = next(route for route in evaluated["routes"] if route["route"] == "golden")
    assert data["outputs"]["sqnr"] == pytest.approx(golden["sqnr"], abs=1e-4) and not data["in_steps"]
    assert sum(one["share"] for one in data["chain"]) == pytest.approx(1)
    assert data["histograms"] == []
    shown = done("errors", own, "--data", "t.npz", "--layer", "fc2_gemm").splitlines()
    assert shown[1].endswith("; changes as real numbers")


def test_the_line_on_outputs_adds_up_what_the_table_adds_up(here, tmp_path):
    """A corrected bias takes back what weights cost."""
    given = ("--calibration", "c.npz", "--weights", "int2", "--correct", "bias", "--out", tmp_path / "bias")
    done("quantize", "model.onnx", *given)
    lines = done("errors", tmp_path / "bias", "--data", "t.npz").splitlines()
    line = next(line for line in lines if line.startswith("outputs: "))
    share, (place, cause) = (
        line.split("; ")[1].split()[0],
        re.findall(r"comes from (\S+), most of it from (\S+);", line)[0],
    )
    headers, *rows = (line.split() for line in lines[lines.index(line) + 1 :])
    shown = next(row for row in rows if row[0] == place)
    assert shown[-1] == share == max((row[-1] for row in rows[:-1]), key=float)
    assert shown[headers.index(cause)] == max(shown[1:-1], key=float)


def test_what_is_no_network_folder(here):
    assert command("errors", ".", "--data", "t.npz").code == 2


def test_the_cause_that_is_told_is_that_of_the_layer_that_is_told():
    """Range loses most of all, but in a layer that takes it back by clipping."""
    told = [("a", "range", 50.0), ("a", "clipping", -49.0), ("b", "weights", 9.0), ("b", "rounding", 2.0)]
    chain, error = [], Error.between([1.0], [1.5])
    for place, cause, growth in told:
        chain.append(Change(place, cause, error, 0.0, growth))
    found = Anatomy(1, True, True, LayerErrors("in", error), (LayerErrors("b", error),), tuple(chain), ("sigmoid",))
    out = io.StringIO()
    Console(file=out, width=200).print(anatomy_report(found, "m.onnx"))
    line = next(line for line in out.getvalue().splitlines() if line.startswith("outputs"))
    assert line.startswith("outputs before sigmoid: SQNR 6.0 dB; ")
    assert line.endswith("% of the squared error comes from b, most of it from weights; shares in percent:")
