"""bittrue search: mixed precision under budgets of memory, cycles and LUTs; what is refused."""

import json

import numpy as np
import pytest
from commands import done, refusal
from float_onnx import model
from matplotlib.image import imread
from small_networks import mlp

from bittrue import hardware_costs
from bittrue.hardware_costs import Cycles
from bittrue.network_folder import open_network
from network.costs import memory_bits, total

LAYERS = ["fc1_gemm", "fc2_gemm", "fc3_gemm"]
GIVEN = ("model.onnx", "--calibration", "c.npz", "--data", "v.npz")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a float model and examples; labels are the model's own classes, some of them wrong."""
    home = tmp_path_factory.mktemp("search")
    rng = np.random.default_rng(1)
    network = mlp(rng)
    (home / "model.onnx").write_bytes(model(network).SerializeToString())
    x = rng.normal(0, 1, (90, 13)).astype(np.float32)
    labels = network.run(x).argmax(axis=1)
    labels[::10] = (labels[::10] + 1) % 5
    np.savez(home / "c.npz", x=x[:40])
    np.savez(home / "v.npz", x=x[40:], labels=labels[40:])
    return home


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def found(*more, out):
    return json.loads(done("search", *GIVEN, *more, "--out", out, "--json"))


def formats_of(network):
    return {
        one.name: {"weights": str(one.spec.weights), "activations": str(one.spec.activations)}
        for one in network.products
    }


def test_memory(here, tmp_path):
    out = tmp_path / "best"
    data = found("--budget", "memory=2800", "--plot", tmp_path / "front.png", out=out)
    chosen, network = data["chosen"], open_network(out).network
    assert data["exact"] and chosen["cost"] == memory_bits(network) <= 2800
    assert formats_of(network) == chosen["formats"]
    within = [point for point in data["front"] if point["cost"] <= 2800]
    assert [one["cost"] for one in data["tried"]] == [point["cost"] for point in within]  # no more than twelve
    assert chosen in data["tried"]
    best = max(one["score"]["correct"] for one in data["tried"])
    assert chosen["score"]["correct"] == best
    sqnr = [one["score"]["sqnr"] for one in data["tried"] if one["score"]["correct"] == best]
    assert chosen["score"]["sqnr"] == max(sqnr)
    evaluated = json.loads(done("evaluate", out, "--data", "v.npz", "--hardware", 0, "--json"))
    golden = next(route for route in evaluated["routes"] if route["route"] == "golden")
    assert golden["correct"] == chosen["score"]["correct"]
    assert golden["sqnr"] == pytest.approx(chosen["score"]["sqnr"])
    assert imread(tmp_path / "front.png").shape[0] > 300
    assert open_network(out).recipe.layers.keys() == set(LAYERS)


def test_labels_count_before_the_float_model(here, tmp_path):
    done("quantize", "model.onnx", "--calibration", "c.npz", "--weights", "int2", "--out", tmp_path / "two")
    x = np.load("v.npz")["x"]
    np.savez(tmp_path / "two.npz", x=x, labels=open_network(tmp_path / "two").network.run(x).argmax(axis=1))
    given = ("model.onnx", "--calibration", "c.npz", "--data", tmp_path / "two.npz", "--budget", "memory=4000")
    data = json.loads(done("search", *given, "--out", tmp_path / "best", "--json"))
    assert data["chosen"] == data["tried"][0]
    assert data["chosen"]["score"]["correct"] == len(x) > data["chosen"]["score"]["same_class"]


def test_fewer_tries_are_spread_and_hold_the_best_expected(here, tmp_path):
    whole = found("--budget", "memory=4000", "--tries", "100", out=tmp_path / "a")["tried"]
    some = found("--budget", "memory=4000", "--tries", "3", out=tmp_path / "b")["tried"]
    assert len(some) == 3 < len(whole)
    assert (some[0], some[-1]) == (whole[0], whole[-1])
    assert found("--budget", "memory=4000", "--tries", "1", out=tmp_path / "c")["tried"] == [whole[-1]]


def test_what_is_printed(here, tmp_path):
    out = tmp_path / "best"
    lines = done("search", *GIVEN, "--budget", "memory=2800", "--out", out, "--one-by-one").splitlines()
    data = found("--budget", "memory=2800", "--one-by-one", out=out)
    assert lines[0].startswith(f"{len(data['front'])} choices of formats that no other beats in bits of memory")
    starred = next(line.split() for line in lines if line.startswith(" *"))
    assert starred[1] == str(data["chosen"]["cost"])
    told = ", ".join(f"{name} uint8 x {own['weights']}" for name, own in data["chosen"]["formats"].items())
    assert f"chosen: {told} -> {out}" in lines
    rows = [line.split() for line in lines[lines.index(f"chosen: {told} -> {out}") :] if line.startswith(" fc")]
    assert [(row[0], row[3]) for row in rows] == [
        (name, weights) for name in LAYERS for weights in ("int8", "int4", "int2")
    ]
    assert len(data["sensitivities"]) == 9
    worst = min(data["sensitivities"], key=lambda one: one["alone"]["sqnr"])
    assert worst["formats"]["weights"] == "int2"


def test_cycles_on_an_array_of_bit_planes(here, tmp_path):
    given = ("--formats", "int8,int3", "--activation-formats", "uint8,uint4", "--array", "bit_serial", "--batch", "20")
    data = found("--budget", "cycles=20000", *given, out=tmp_path / "best")
    network = open_network(tmp_path / "best").network
    assert data["chosen"]["cost"] == total(Cycles(20).charges(network)) <= 20000
    assert {layer.spec.array for layer in network.products} == {"bit_serial"}
    assert data["front"][-1]["cost"] > 2 * data["front"][0]["cost"]


DYNAMIC = ("--activation-range", "dynamic", "--formats", "int8,int3", "--activation-formats")


def test_dynamic_networks(here, tmp_path):
    """Under memory the activations' format costs nothing, as real numbers are kept between layers."""
    data = found("--budget", "memory=2600", *DYNAMIC, "uint8,uint4", out=tmp_path / "best")
    network = open_network(tmp_path / "best").network
    assert data["chosen"]["cost"] == memory_bits(network) <= 2600
    formats = {
        one.name: {"weights": str(one.spec.weights), "activations": one.activations} for one in network.on_arrays
    }
    assert formats == data["chosen"]["formats"] and len(data["front"]) > 3
    assert {own["activations"] for point in data["front"] for own in point["formats"].values()} == {"uint8"}
    assert (tmp_path / "best" / "model.onnx").exists()


def test_dynamic_networks_on_an_array_of_bit_planes(here, tmp_path):
    given = ("--array", "bit_serial", "--batch", "20")
    data = found("--budget", "cycles=20000", *DYNAMIC, "uint8,uint4", *given, out=tmp_path / "best")
    network = open_network(tmp_path / "best").network
    assert data["chosen"]["cost"] == total(Cycles(20).charges(network)) <= 20000
    assert {own["activations"] for own in data["front"][0]["formats"].values()} == {"uint4"}


def test_dynamic_formats_that_do_not_go_together(here):
    given = ("--budget", "memory=9000", *DYNAMIC, "nvfp4,mxfp4", "--formats", "mxfp4", "--out", "fresh")
    rule = "blocks of weights must be 16 long as those of activations, not 32"
    assert refusal(here, "search", *GIVEN, *given) == f"layer fc1_gemm: {rule}"


def test_luts(here, tmp_path, monkeypatch):
    reports = []

    def report_of(verilog, flow):
        reports.append(flow)
        return f"  {len(verilog) % 97}  SB_LUT4\n"

    monkeypatch.setattr(hardware_costs, "to_verilog", str)
    monkeypatch.setattr(hardware_costs, "report_of", report_of)
    data = found(
        "--budget", "luts=1000000", "--formats", "int4,int2", "--rows", "2", "--cols", "2", out=tmp_path / "best"
    )
    assert all(one["cost"] > 0 for one in data["front"]) and reports[0].startswith("synth_ice40")
    assert data["budget"] == {"name": "luts", "most": 1000000}


def test_layers_may_keep_formats_of_their_own(here, tmp_path):
    data = found("--budget", "memory=4000", "--layer", "fc1_gemm:weights=int6", out=tmp_path / "best")
    assert {point["formats"]["fc1_gemm"]["weights"] for point in data["front"]} == {"int6"}


def test_the_same_twice(here, tmp_path):
    first, second = (found("--budget", "memory=2800", out=tmp_path / "best") for _ in range(2))
    assert first == second


REFUSALS = {
    "budget must be memory=NUMBER, luts=NUMBER, cycles=NUMBER, not 'memory'": ("--budget", "memory"),
    "budget must be memory=NUMBER, luts=NUMBER, cycles=NUMBER, not 'bytes=3'": ("--budget", "bytes=3"),
    "budget must be memory=NUMBER, luts=NUMBER, cycles=NUMBER, not 'memory=1e9'": ("--budget", "memory=1e9"),
    "budget is 100 bits of memory, but no choice of formats takes less than 2095": ("--budget", "memory=100"),
    "array must be one of output_stationary, weight_stationary, matrix_vector, bit_serial, scalable, not 'vector'": (
        *("--budget", "cycles=9"), "--array", "vector",
    ),
    "target must be one of xc7, ecp5, ice40, not 'max10'": ("--budget", "luts=9", "--target", "max10"),
    "tries must be 1 to 1000, not 0": ("--budget", "memory=9", "--tries", "0"),
    "batch must be 1 to 1048576, not 0": ("--budget", "cycles=9", "--batch", "0"),
    "plot must be a file in a folder that is there, not nowhere/x.png": (
        *("--budget", "memory=9"), "--plot", "nowhere/x.png",
    ),
    "c.npz exists and is not a network folder; give another --out": ("--budget", "memory=9", "--out", "c.npz"),
    "layer 'fc9' is not in the model; its layers with weights are fc1_gemm, fc2_gemm, fc3_gemm": (
        *("--budget", "memory=9"), "--layer", "fc9:weights=int4",
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSALS)
def test_refused(here, message):
    given = REFUSALS[message] if "--out" in REFUSALS[message] else (*REFUSALS[message], "--out", "fresh")
    assert refusal(here, "search", *GIVEN, *given) == message


def test_formats_that_nobody_has(here):
    message = refusal(here, "search", *GIVEN, "--budget", "memory=9", "--formats", "int8,integer4", "--out", "fresh")
    assert message.startswith("formats: weights: unknown format 'integer4'; known are ")
    given = ("--budget", "memory=9", "--activation-formats", "uint9.", "--out", "fresh")
    assert refusal(here, "search", *GIVEN, *given).startswith(
        "activation_formats: activations: unknown format 'uint9.'"
    )
