"""`bittrue evaluate` and `report`: every route on the same examples, layers' Verilog in Icarus, planted faults."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import planting
import pytest
from commands import command, done, refusal, tree
from network_cases import every_kind
from network_files import examples, float_model, write_files
from onnx_models import reference
from simulation import missing
from tflite_cases import Maker

from bittrue import flows, network_hardware
from bittrue.costs import costs
from bittrue.errors import InputError
from bittrue.network_folder import create_network, open_network
from bittrue.npz import read_npz
from bittrue.scores import score
from golden.formats import parse
from golden.tensors import golden, operands
from network.costs import memory_bits
from network.grid import Grid
from network.layers import Product

ICARUS = ("--simulator", "icarus")
needs_icarus = pytest.mark.skipif(bool(missing("icarus")), reason=missing("icarus"))
COUNT = 3


@pytest.fixture(scope="module")
def quantized(tmp_path_factory):
    """A folder with model.onnx, data.npz and the network folder q."""
    home = tmp_path_factory.mktemp("quantized")
    write_files(home)
    words = ("--calibration", home / "data.npz", "--weights", "int4", "--out", home / "q")
    done("quantize", home / "model.onnx", *words, "--rows", "4", "--cols", "2", "--lanes", "2")
    return home


@pytest.fixture(scope="module")
def evaluated(quantized, tmp_path_factory):
    """The same, and what evaluate with hardware said: text in said.txt, JSON in said.json; its build folders."""
    if reason := missing("icarus"):
        pytest.skip(reason)
    home = tmp_path_factory.mktemp("evaluated") / "home"
    shutil.copytree(quantized, home)
    words = ("evaluate", home / "q", "--data", home / "data.npz", "--hardware", COUNT, *ICARUS)
    (home / "said.json").write_text(done(*words, "--json"))
    (home / "said.txt").write_text(done(*words))
    return home


@pytest.fixture
def here(quantized, tmp_path, monkeypatch):
    """The working directory of a test: a copy of `quantized`."""
    shutil.copytree(quantized, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ran(evaluated, tmp_path, monkeypatch):
    """The working directory of a test: a copy of `evaluated`."""
    shutil.copytree(evaluated, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


NONE = ("--hardware", 0)


def evaluate(*words):
    words = words if "--hardware" in words else (*words, *NONE)
    return json.loads(done("evaluate", "q", "--data", "data.npz", "--json", *words))


def by_name(found):
    return {route["route"]: route for route in found["routes"]}


def words_of(line):
    return " ".join(line.split())


def test_every_route_against_what_it_is_said_to_be(here):
    """Float is what onnx's own evaluator gives of the model, golden what the network gives."""
    found, data = evaluate(), examples()
    real = reference(float_model(), data["x"])
    network = open_network(Path("q")).network
    routes = by_name(found)
    assert list(routes) == ["float", "fake", "golden"] and found["reference"] == "float" and found["hardware"] == {}
    for name, outputs in (("float", real), ("fake", network.fake(data["x"])), ("golden", network.run(data["x"]))):
        classes = outputs.argmax(axis=1)
        route = routes[name]
        assert route["correct"] == (classes == data["labels"]).sum() and route["accuracy"] == route["correct"] / 40
        assert route["same_class"] == (classes == real.argmax(axis=1)).sum()
        assert np.isclose(route["largest"], np.abs(outputs - real).max(), atol=1e-5)
        if name != "float":
            noise = ((outputs - real) ** 2).sum(dtype=float)
            assert np.isclose(route["sqnr"], 10 * np.log10((real**2).sum(dtype=float) / noise), atol=1e-3)
    assert len({route["largest"] for route in routes.values()}) > 1


def test_without_labels_there_is_no_accuracy(here):
    np.savez("data.npz", x=examples()["x"])
    header = done("evaluate", "q", "--data", "data.npz", *NONE).splitlines()[0]
    assert words_of(header) == "route examples class as float largest difference SQNR"
    assert by_name(evaluate())["golden"]["accuracy"] is None


def test_batches_change_nothing(here, monkeypatch):
    whole = evaluate()
    monkeypatch.setattr("bittrue.evaluate.BATCH_ELEMENTS", 1)
    for route, one in zip(whole["routes"], evaluate()["routes"], strict=True):
        assert (route["correct"], route["same_class"]) == (one["correct"], one["same_class"])
        assert np.isclose(route["largest"], one["largest"], atol=1e-4)


def test_hardware_gives_golden_s_outputs_layer_after_layer(ran):
    found, network = json.loads(Path("said.json").read_text()), open_network(Path("q")).network
    x = examples()["x"][:COUNT]
    traced = network.trace(network.entry.run(x))
    assert found["equal"] and by_name(found)["icarus"]["examples"] == COUNT
    layers = found["hardware"]["icarus"]
    assert [layer["layer"] for layer in layers] == ["conv1", "fc1"]
    for layer in layers:
        assert (layer["compared"], layer["mismatches"]) == (traced[layer["layer"]].size, 0)
        assert layer["cycles"] == layer["closed_form_cycles"]
        y = read_npz(Path(layer["folder"]) / "runs" / "icarus" / "hardware.npz")["y"]
        assert y.reshape(-1).tolist() == traced[layer["layer"]].reshape(-1).tolist()
    spent = costs(network, COUNT)
    assert [one.cycles for one in spent.layers if one.cycles] == [layer["cycles"] for layer in layers]
    classes = network.run(x).argmax(axis=1)
    assert by_name(found)["icarus"]["correct"] == (classes == examples()["labels"][:COUNT]).sum()


def test_what_people_read(ran):
    lines = [words_of(line) for line in Path("said.txt").read_text().splitlines()]
    assert lines[0] == "route examples accuracy class as float largest difference SQNR"
    assert lines[1].startswith("float 40 ") and lines[1].endswith(" % 100.00 % - -")
    assert [line.split()[0] for line in lines] == ["route", "float", "fake", "golden", "icarus", "in", "conv1", "fc1"]
    assert lines[5] == "in icarus outputs compared mismatches cycles closed form utilization"
    assert lines[6].split()[1:3] == [str(COUNT * 30 * 4), "0"]


def test_build_folders_are_made_once_and_are_those_of_the_array_s_commands(ran, monkeypatch):
    before = tree(ran / "q" / "build")
    monkeypatch.setattr(flows, "to_verilog", None)
    assert evaluate("--hardware", COUNT, *ICARUS)["equal"]
    after = tree(ran / "q" / "build")
    assert {name for name in before if not name.endswith((".xml", ".log"))} <= {
        name for name in after if before.get(name) == after[name]
    }
    assert words_of(done("compare", "q/build/fc1").splitlines()[1]).startswith(f"icarus {COUNT * 3} 0 ")
    assert open_network(Path("q")).network.name == "net"


def one_layer():
    """q in place of the one that is there: a network of one small dense layer; data for it."""
    Path("m.tflite").write_bytes(Maker(3, (6,)).dense(3).content)
    done("import", "m.tflite", "--out", "q", "--rows", 2, "--cols", 2, "--lanes", 2)
    np.savez("data.npz", x=np.random.default_rng(1).normal(size=(9, 6)))


@needs_icarus
def test_build_folders_may_be_elsewhere_and_follow_the_network(here):
    one_layer()
    done("evaluate", "q", "--data", "data.npz", "--hardware", 1, *ICARUS, "--out", "b")
    (folder,) = Path("b").iterdir()
    (verilog,) = (path.read_text() for path in folder.glob("*.v"))
    assert not Path("q/build").exists()
    done("import", "m.tflite", "--out", "q", "--rows", 1, "--cols", 2, "--lanes", 2)
    done("evaluate", "q", "--data", "data.npz", "--hardware", 1, *ICARUS, "--out", "b")
    assert [path.read_text() for path in folder.glob("*.v")] != [verilog]


def planted(spec, monkeypatch, change):
    """Verilog with a fault for this design, sound Verilog for others; folders and runs know of no change."""
    sound = flows.to_verilog
    monkeypatch.setattr(flows, "to_verilog", lambda own: change(own) if own == spec else sound(own))


@needs_icarus
def test_a_planted_rounding_is_found_in_its_layer_and_named(here, monkeypatch):
    network = open_network(Path("q")).network
    spec = network.products[0].spec
    planted(spec, monkeypatch, lambda own: planting.verilog(own.with_(rounding="floor")))
    result = command("evaluate", "q", "--data", "data.npz", "--hardware", COUNT, *ICARUS)
    assert (result.code, result.err) == (1, "")
    text = result.out
    assert "\nlayer conv1, q/build/conv1, first difference: y[" in text
    assert "\n  they part at: round: rounds floor where the design says half_even\n" in text
    rows = {line.split()[0]: line.split() for line in text.splitlines()}
    assert int(rows["conv1"][2]) > 0 and rows["fc1"][2] == "0"  # the layer after it is right on what came to it
    x = examples()["x"][:COUNT]
    codes = network.entry.run(x)
    for layer in network.layers:  # what hardware with that fault gives in the end
        if layer is network.products[0]:
            layer = replace(layer, spec=spec.with_(rounding="floor"))
        codes = layer.run(codes)
    largest = np.abs(network.exit.run(codes) - reference(float_model(), x)).max()
    assert f" {largest:.3g}" in " ".join(rows["icarus"])


@needs_icarus
def test_a_planted_line_of_verilog_is_found_in_the_last_layer(here, monkeypatch):
    spec = open_network(Path("q")).network.products[-1].spec
    np.savez("data.npz", x=100 * examples()["x"])
    planted(spec, monkeypatch, lambda own: planting.planted(own, "requantize", r"('h0*7)f\b", r"\1e", 2))
    result = command("evaluate", "q", "--data", "data.npz", "--hardware", 20, *ICARUS, "--json")
    found = json.loads(result.out)
    assert (result.code, result.err, found["equal"]) == (1, "", False)
    one, other = found["hardware"]["icarus"]
    assert "explanation" not in one and other["mismatches"] > 0
    assert other["explanation"]["step"] == "clip" and other["explanation"]["explained"] == other["compared"]


def test_edited_verilog_is_refused(ran):
    with open("q/build/fc1/mac_array.v", "a") as file:
        file.write("// mine\n")
    assert refusal(ran, "evaluate", "q", "--data", "data.npz", "--hardware", 1, *ICARUS) == (
        "q/build/fc1/mac_array.v was edited since it was generated (sha256 differs); generate it again"
    )


def test_a_network_that_was_imported_has_no_float_route(here):
    one_layer()
    found = evaluate()
    assert found["reference"] == "fake" and list(by_name(found)) == ["fake", "golden"]


@needs_icarus
def test_every_kind_of_layer_by_every_route(here):
    """Strange names on one line each; depthwise, ternary and threshold products in hardware."""
    create_network(Path("q"), every_kind(), source={"file": "a\nb"}, models={})
    x = np.random.default_rng(3).normal(size=(2, *every_kind().shape)) * 10
    np.savez("data.npz", x=x)
    text = done("evaluate", "q", "--data", "data.npz", "--hardware", 2, *ICARUS)
    assert [line.split()[0] for line in text.splitlines()][-3:] == ["a/b:0", "../b", "A/B_0"]
    assert [line.split()[2] for line in text.splitlines()[-3:]] == ["0", "0", "0"]
    assert sorted(path.name for path in Path("q/build").iterdir()) == ["A_B_0-2", "a_b_0", "b"]
    assert [line.split()[0] for line in done("report", "q").splitlines()][2] == "?'\""


@needs_icarus
def test_dynamic_activations_run_in_hardware(here):
    flags = ("--activation-range", "dynamic", "--weights", "uint5", "--rows", "4", "--cols", "2", "--lanes", "2")
    done("quantize", "model.onnx", "--calibration", "data.npz", *flags, "--out", "q")
    found = evaluate("--hardware", 2, *ICARUS)
    assert [(one["layer"], one["mismatches"]) for one in found["hardware"]["icarus"]] == [("conv1", 0), ("fc1", 0)]
    network = open_network(Path("q")).network
    y = read_npz(Path("q/build/fc1/runs/icarus/hardware.npz"))
    assert "a_zero_point" in y and y["w_zero_point"] > 0 and y["y"].dtype.kind == "i"
    real = reference(float_model(), examples()["x"][:2])
    largest = np.abs(network.run(examples()["x"][:2]) - real).max()
    assert np.isclose(by_name(found)["icarus"]["largest"], largest, atol=1e-5)


def changed(**fields):
    """The network in q, its last product with a design changed."""
    opened = open_network(Path("q"))
    last = opened.network.products[-1]
    y = Grid(fields["output"]) if "output" in fields else last.y
    other = replace(last, spec=last.spec.with_(**fields), y=y)
    layers = tuple(other if layer is last else layer for layer in opened.network.layers)
    exit = replace(opened.network.exit, x=y)
    create_network(Path("q"), replace(opened.network, layers=layers, exit=exit), source={}, models={})


def test_a_function_that_fake_quantization_cannot_know_leaves_that_route_out(here):
    changed(table=tuple(range(-128, 128)), table_input=parse("int8"))
    lines = done("evaluate", "q", "--data", "data.npz", *NONE).splitlines()
    assert [line.split()[0] for line in lines] == ["route", "fake", "golden", "fake:"]
    assert lines[3] == "fake: layer fc1: a table has no function of real numbers"
    found = evaluate()
    assert found["reference"] == "golden"
    assert by_name(found)["fake"] == {"route": "fake", "refusal": "layer fc1: a table has no function of real numbers"}


def test_designs_that_golden_alone_has_are_refused_before_anything_is_built(here):
    changed(requantize="float64_away", rounding="half_even")
    last = done("evaluate", "q", "--data", "data.npz", *ICARUS).splitlines()[-1]
    assert last.startswith("icarus: layer fc1: requantize 'float64_away' is golden only")
    assert last.endswith("; nothing was simulated")
    message = refusal(here, "evaluate", "q", "--data", "data.npz", "--hardware", 1, *ICARUS)
    assert message.startswith("layer fc1: requantize 'float64_away' is golden only; the nearest rule that hardware has")


LABELS = {
    "one-hot": (np.eye(3)[np.arange(40) % 3], "labels have shape [40, 3]; give class numbers: labels.argmax(axis=1)"),
    "too few": (np.zeros(39, int), "labels must be one for each of 40 examples, not of shape [39]"),
    "real": (np.zeros(40), "labels must hold integers, the numbers of classes, not float64"),
    "from one": (np.arange(40) % 3 + 1, "labels[2] is 3; the network has classes 0 to 2"),
    "negative": (np.arange(40) % 3 - 1, "labels[0] is -1; the network has classes 0 to 2"),
    "names": (np.full(40, "cat"), "labels must hold integers, the numbers of classes, not <U3"),
}


@pytest.mark.parametrize(("labels", "message"), LABELS.values(), ids=LABELS)
def test_wrong_labels_are_refused(here, labels, message):
    np.savez("data.npz", x=examples()["x"], labels=labels)
    assert refusal(here, "evaluate", "q", "--data", "data.npz") == f"data.npz: {message}"


def test_labels_in_a_column_and_of_any_integer_type_are_taken(here):
    wanted = by_name(evaluate())["golden"]["correct"]
    for labels in (examples()["labels"][:, None], examples()["labels"].astype(np.uint8)):
        np.savez("data.npz", x=examples()["x"], labels=labels)
        assert by_name(evaluate())["golden"]["correct"] == wanted


def test_labels_need_classes(here):
    maker = Maker(3, (6, 5, 2)).conv(4, (3, 3))
    Path("m.tflite").write_bytes(maker.content)
    done("import", "m.tflite", "--out", "q")
    np.savez("data.npz", x=np.zeros((2, 6, 5, 2)), labels=[0, 1])
    assert refusal(here, "evaluate", "q", "--data", "data.npz") == (
        "data.npz: labels need a network with one output for each class; this one gives [B, 6, 5, 4]"
    )


def test_a_few_examples_are_simulated_unless_told_otherwise(ran):
    found = by_name(json.loads(done("evaluate", "q", "--data", "data.npz", "--json", *ICARUS)))
    assert found["icarus"]["examples"] == 4 and list(found) == ["float", "fake", "golden", "icarus"]
    data = examples(3)
    np.savez("data.npz", x=data["x"], labels=data["labels"])
    assert (
        by_name(json.loads(done("evaluate", "q", "--data", "data.npz", "--json", *ICARUS)))["icarus"]["examples"] == 3
    )


def test_without_a_simulator_nothing_is_simulated_but_where_it_was_asked_for(here, monkeypatch):
    def missing(name):
        raise InputError(f"{name} is missing")

    monkeypatch.setattr(flows, "check_simulator", missing)
    lines = done("evaluate", "q", "--data", "data.npz").splitlines()
    assert lines[-1] == "verilator: verilator is missing; nothing was simulated"
    assert refusal(here, "evaluate", "q", "--data", "data.npz", "--hardware", 1) == "verilator is missing"


FLAGS = {
    ("--hardware", "41"): "hardware must be 0 to 40 examples, those of data.npz, not 41",
    ("--hardware", "-1"): "hardware must be 0 to 40 examples, those of data.npz, not -1",
    ("--hardware", "1", "--simulator", "vcs"): "simulator must be verilator, icarus or both, not 'vcs'",
    ("--data", "none.npz"): "cannot read none.npz: No such file or directory",
    ("--data", "q"): "cannot read q: not a file",
}


@pytest.mark.parametrize(("flags", "message"), FLAGS.items(), ids=lambda value: value if type(value) is str else "")
def test_wrong_flags_are_refused(here, flags, message):
    assert refusal(here, "evaluate", "q", "--data", "data.npz", *flags) == message


def test_folders_that_are_none_are_refused(here):
    for name, message in (
        (
            "nowhere",
            "nowhere is not a network folder: no network.toml; make one with bittrue quantize or bittrue import",
        ),
        ("q/layers/fc1", "q/layers/fc1 is not a network folder: no network.toml;"),
    ):
        for words in (("evaluate", name, "--data", "data.npz"), ("report", name)):
            assert refusal(here, *words).startswith(message)
    os.unlink("q/float.onnx")
    assert refusal(here, "evaluate", "q", "--data", "data.npz") == "cannot read q/float.onnx: No such file or directory"


def test_an_interruption_while_simulating_leaves_no_half_run(ran, monkeypatch):
    def interrupted(*given, **options):
        raise KeyboardInterrupt

    before = tree(ran)
    monkeypatch.setattr(flows, "replay", interrupted)
    result = command("evaluate", "q", "--data", "data.npz", "--hardware", 1, *ICARUS)
    assert (result.code, result.out, result.err.strip()) == (130, "", "")
    assert tree(ran) == before


def test_the_report_counts_bits_products_and_cycles(here):
    found = json.loads(done("report", "q", "--json", "--batch", "7"))["costs"]
    network = open_network(Path("q")).network
    conv, fc = network.products
    layers = {one["layer"]: one for one in found["layers"]}
    assert layers["conv1"]["macs"] == 30 * 9 * 4 and layers["fc1"]["macs"] == 24 * 3
    assert layers["conv1"]["memory"]["weights"] == 9 * 4 * 4 and layers["fc1"]["memory"]["weights"] == 24 * 3 * 4
    widths = sum(fmt.width for fmt in conv.spec.parameter_formats.values())
    assert layers["conv1"]["memory"]["parameters"] == 4 * widths
    assert [one["output_bits"] for one in found["layers"]] == [8 * np.prod(shape[1:]) for shape in shapes(network)]
    assert found["activation_bits"] == 8 * (30 + 120) and found["batch"] == 7 and found["input_bits"] == 240
    assert found["memory_bits"] == memory_bits(network) == found["memory"]["bits"] + found["activation_bits"]
    for layer, x in zip((conv, fc), (7 * 30, 7), strict=True):
        cut = flows.tiling(layer.spec, operands_of(layer, x))
        assert layers[layer.name]["cycles"] == cut.cycles
        assert layers[layer.name]["utilization"] == cut.macs / (cut.capacity * cut.cycles)


def shapes(network):
    return [codes.shape for codes in network.trace(network.entry.run(np.zeros((1, *network.shape)))).values()]


def operands_of(layer, m):
    return operands(layer.spec, {**layer.complete_arrays, "a": np.zeros((m, len(layer.arrays["w"])), int)})


@pytest.mark.parametrize("batch", ["0", "-1", "1048577"])
def test_a_batch_that_is_none_is_refused(here, batch):
    assert refusal(here, "report", "q", "--batch", batch) == f"batch must be 1 to 1048576 examples, not {batch}"


def test_scores():
    outputs, reference_ = np.array([[1, 2], [3, 1]]), np.array([[1, 2], [1, 3]])
    found = score(outputs, reference_, np.array([1, 1]))
    assert (found.examples, found.correct, found.same_class, found.largest) == (2, 1, 1, 2.0)
    assert np.isclose(found.sqnr, 10 * np.log10(15 / 8))
    assert score(reference_, reference_).sqnr == np.inf and score(outputs, 0 * outputs).sqnr == -np.inf
    assert score(outputs, reference_, np.array([1, 0, 1, 1])).correct == 2  # labels of more examples
    maps = np.zeros((2, 3, 4))
    assert (
        score(maps, maps, np.array([0, 0])).correct is None
        and score(maps[..., :1, :1], maps[..., :1, :1]).same_class is None
    )


def test_the_hardware_of_a_layer_is_golden_s(ran):
    """Of the folder's own design and arrays, with the activations that the run recorded."""
    opened = open_network(Path("q"))
    for layer in opened.network.layers:
        if isinstance(layer, Product):
            record = read_npz(Path("q/build") / opened.folders[layer.name] / "runs/icarus/hardware.npz")
            given = operands(layer.spec, {**layer.complete_arrays, "a": record["a"]})
            assert record["y"].tolist() == golden(layer.spec, given).tolist()


def test_designs_are_the_network_s_own(ran):
    opened = open_network(Path("q"))
    folders = network_hardware.built(opened.network, opened.build, opened.folders, flows.Progress(quiet=True))
    assert {name: folder.spec for name, folder in folders.items()} == {
        one.name: one.spec for one in opened.network.products
    }


def test_the_float_model_in_the_folder_is_the_source(here):
    assert onnx.load("q/float.onnx") == float_model()
