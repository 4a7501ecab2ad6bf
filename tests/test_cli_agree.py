"""bittrue agree: what it compares, what it prints, what it refuses."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from commands import DESIGN, command, done, refusal
from simulation import missing

from bittrue import agree
from golden.agreement import Agreement
from golden.platform_table import PLATFORMS
from golden.reasons import OWN, Reason

ICARUS = ("--simulator", "icarus")
NEEDS_ICARUS = pytest.mark.skipif(bool(missing("icarus")), reason=missing("icarus"))
TOML = """activations = "int8"
weights = "int8"
rows = 2
cols = 2
depth = 8
output = "int8"
platform = "tflite-micro"
"""
A, W = np.arange(-21, 27).reshape(6, 8), np.zeros((8, 3), int)
W[:2] = [[32, 32, 32], [64, 0, -64]]
TIES = {"a_scale": np.float32(0.25), "w_scale": np.float32(0.5), "y_scale": np.float32(8)}  # d = 1/64


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A folder with d.toml, i.npz and a build folder x whose run has real scales and many ties."""
    if reason := missing("icarus"):
        pytest.skip(reason)
    home = tmp_path_factory.mktemp("ran")
    (home / "d.toml").write_text(TOML)
    np.savez(home / "i.npz", a=A, w=W, bias=np.array([0, 2, -64]), y_zero_point=np.int64(3), **TIES)
    done("run", home / "d.toml", *ICARUS, "--inputs", home / "i.npz", "--out", home / "x")
    return home


@pytest.fixture
def there(ran, monkeypatch):
    monkeypatch.chdir(ran)
    return ran


def agreed(*words):
    result = json.loads(done("agree", *words, "--json"))
    return result, {row.pop("platform"): row for row in result["platforms"]}


def test_the_hardware_of_the_latest_run_is_compared(there):
    result, rows = agreed("x")
    assert (result["hardware"], result["about"]) == (True, "hardware's outputs of x/runs/icarus/hardware.npz")
    assert list(rows) == list(PLATFORMS)
    assert rows["tflite-micro"] == {
        **{"compared": 18, "differing": 0, "largest": 0, "first": None},
        **{"examined": 0, "reasons": [], "refusal": None},
    }
    ruy = rows["litert-ruy-x86"]
    assert ruy["differing"] > 0 and ruy["largest"] == 1
    assert [reason["reason"] for reason in ruy["reasons"]] == ["ties: half_away here, half_up there"]
    assert ruy["first"]["there"] == ruy["first"]["here"] + 1
    y = np.load("x/runs/icarus/hardware.npz")["y"]
    assert y[tuple(ruy["first"]["index"])] == ruy["first"]["here"]


def test_the_table_has_a_row_for_every_platform(there):
    about, header, *rows = done("agree", "x").splitlines()
    assert about == "hardware's outputs of x/runs/icarus/hardware.npz"
    assert header.split() == ["platform", "differ", "largest", "first", "difference", "reason"]
    assert [row.split()[0] for row in rows] == list(PLATFORMS)
    lines = {row.split()[0]: " ".join(row.split()[1:]) for row in rows}
    assert lines["tflite-micro"] == "0 of 18 - -"
    assert lines["tensorrt"] == "- - - no rule: published only as clip(x / s), ties to even; the rest is unpublished"
    assert lines["litert-ruy-x86"].endswith("ties: half_away here, half_up there")
    assert " of 18 1 y[" in lines["litert-ruy-x86"]


def test_quiet_prints_nothing_and_the_folder_stays_as_it_was(there):
    before = {path: path.stat().st_mtime_ns for path in Path("x").rglob("*")}
    assert done("agree", "x", "--quiet") == ""
    assert {path: path.stat().st_mtime_ns for path in Path("x").rglob("*")} == before


def test_golden_stands_for_hardware_that_did_not_run(there):
    result, rows = agreed("x", "--inputs", "i.npz")
    assert (result["hardware"], result["about"]) == (False, "golden stands for the hardware, operands of i.npz")
    assert rows["litert-ruy-x86"] == agreed("x")[1]["litert-ruy-x86"]
    assert agreed("d.toml", "--inputs", "i.npz")[1] == rows
    result, rows = agreed("x", "--random", "200", "--seed", "4")
    assert result["about"] == "golden stands for the hardware, random operands, seed 4"
    assert rows["tflite-micro"]["compared"] >= 200
    assert agreed("d.toml", "--random", "200", "--seed", "4")[1] == rows
    assert agreed("d.toml", "--random", "200", "--seed", "5")[1] != rows


def test_a_folder_without_a_run_takes_random_operands(there, tmp_path):
    done("generate", "d.toml", "--out", tmp_path / "y")
    result, _ = agreed(tmp_path / "y")
    assert result["about"] == "golden stands for the hardware, random operands, seed 1"


def test_integers_are_what_all_have_where_no_real_scales_are_given(there, tmp_path):
    """d = 1/64 is the same number in every encoding: the same outputs differ as with scales."""
    numbers = {"multiplier": np.int64(1 << 30), "shift": np.int64(-5)}
    np.savez(tmp_path / "n.npz", a=A, w=W, bias=np.array([0, 2, -64]), y_zero_point=np.int64(3), **numbers)
    rows = agreed("x", "--inputs", tmp_path / "n.npz")[1]
    scaled = agreed("x")[1]
    assert rows.pop("deeploy")["compared"] == 18 and scaled.pop("deeploy")["compared"] == 0
    assert rows == scaled


def test_samples_before_there_is_hardware(there):
    result, rows = agreed("d.toml", "--sample", "160")
    assert result["about"] == "golden stands for the hardware, 160 sums of each kind, seed 1"
    kinds = rows["litert-ruy-x86"]["kinds"]
    assert set(kinds) == {"random", "ties", "extremes"}
    assert kinds["ties"]["differing"] > 10 and all(kind["compared"] == 160 for kind in kinds.values())
    assert all(kind["differing"] == 0 for kind in rows["tflite-micro"]["kinds"].values())
    assert agreed("x", "--sample", "160")[1] == rows
    assert agreed("d.toml", "--sample", "160", "--seed", "2")[1] != rows
    about, header, *lines = done("agree", "d.toml", "--sample", "160").splitlines()
    assert header.split()[:7] == ["platform", "differ,", "random", "differ,", "ties", "differ,", "extremes"]
    assert [line.split()[0] for line in lines] == list(PLATFORMS)
    ruy = next(line for line in lines if line.split()[0] == "litert-ruy-x86")
    assert "ties[" in ruy or "random[" in ruy
    assert done("agree", "d.toml").splitlines()[0] == "golden stands for the hardware, 1000 sums of each kind, seed 1"


def test_designs_without_a_platform_and_golden_only_rules_agree_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("d.toml").write_text(DESIGN)
    assert agreed("d.toml", "--sample", "32")[1]["tosa"]["kinds"]["ties"]["compared"] > 0
    Path("d.toml").write_text(TOML.replace('platform = "tflite-micro"', 'requantize = "float64_away"'))
    rows = agreed("d.toml", "--sample", "64")[1]
    assert rows["litert-reference"]["kinds"]["ties"]["differing"] == 0
    assert rows["onnxruntime"]["kinds"]["ties"]["differing"] > 0


def test_an_output_that_the_model_does_not_explain_is_said(there, tmp_path, monkeypatch):
    done("run", "d.toml", *ICARUS, "--inputs", "i.npz", "--out", tmp_path / "y", "--quiet")
    path = tmp_path / "y" / "runs" / "icarus" / "hardware.npz"
    record = dict(np.load(path))
    record["y"][1, 2] ^= 1
    np.savez(path, **record)
    row = agreed(tmp_path / "y")[1]["tflite-micro"]
    assert (row["differing"], row["reasons"]) == (1, [{"reason": OWN, "outputs": 1}])
    assert row["first"]["index"] == [1, 2]


def test_the_latest_of_two_runs_is_taken(there, tmp_path):
    done("run", "d.toml", *ICARUS, "--inputs", "i.npz", "--out", tmp_path / "y", "--quiet")
    runs = tmp_path / "y" / "runs"
    (runs / "verilator").mkdir()
    record = dict(np.load(runs / "icarus" / "hardware.npz"))
    np.savez(runs / "verilator" / "hardware.npz", **record)
    os.utime(runs / "verilator" / "hardware.npz", (1, 1))
    assert "runs/icarus/" in agreed(tmp_path / "y")[0]["about"]
    os.utime(runs / "icarus" / "hardware.npz", (0, 0))
    assert "runs/verilator/" in agreed(tmp_path / "y")[0]["about"]


RULE = "the rule behind thresholds is not known; give a platform and a_scale, w_scale and y_scale"
SAMPLE = "sample must be 1 to 1000000 sums, not"
WRONG = {
    ("agree",): "Missing argument 'target'.",
    ("agree", "nowhere"): "cannot read nowhere: No such file or directory",
    ("agree", "."): ". is not a build folder: no manifest.json; make one with bittrue generate --out .",
    ("agree", "d.toml", "--sample", "0"): f"{SAMPLE} 0",
    ("agree", "d.toml", "--sample", "-1"): f"{SAMPLE} -1",
    ("agree", "d.toml", "--sample", "9999999"): f"{SAMPLE} 9999999",
    ("agree", "d.toml", "--random", "0"): "random must be 1 to 10000000 outputs, not 0",
    ("agree", "d.toml", "--seed", "-1"): "seed must be 0 to 2147483647, not -1",
    ("agree", "d.toml", "--sample", "9", "--random", "9"): "give --random or --sample, not both",
    ("agree", "x", "--inputs", "i.npz", "--sample", "9"): "give --inputs or --sample, not both",
    ("agree", "x", "--inputs", "no.npz"): "cannot read no.npz: No such file or directory",
    ("agree", "t.toml"): RULE,
    ("agree", "w.toml"): "w.toml: rows must be positive, not 0",
    ("agree", "p.toml"): "p.toml: platform 'tensorrt' has no published rule for requantization",
}


@pytest.mark.parametrize(("words", "message"), WRONG.items(), ids=lambda value: value if type(value) is str else "")
def test_wrong_input_is_one_line(there, words, message):
    Path("t.toml").write_text(TOML.replace('platform = "tflite-micro"', 'requantize = "thresholds"'))
    Path("w.toml").write_text(TOML.replace("rows = 2", "rows = 0"))
    Path("p.toml").write_text(TOML.replace("tflite-micro", "tensorrt"))
    assert refusal(there, *words) == message


def test_thresholds_without_scales_are_refused(there, tmp_path):
    Path("t.toml").write_text(TOML.replace('platform = "tflite-micro"', 'requantize = "thresholds"'))
    np.savez(tmp_path / "t.npz", a=A, w=W, thresholds=np.arange(255))
    assert refusal(there, "agree", "t.toml", "--inputs", tmp_path / "t.npz") == f"{tmp_path}/t.npz: {RULE}"


def test_damaged_runs_are_refused(there, tmp_path):
    done("run", "d.toml", *ICARUS, "--inputs", "i.npz", "--out", tmp_path / "y", "--quiet")
    path = tmp_path / "y" / "runs" / "icarus" / "hardware.npz"
    record = dict(np.load(path))
    for changes, message in (
        ({"verilog_sha256": "0"}, f"{path} comes from another Verilog; run bittrue simulate {tmp_path}/y again"),
        ({"y": None}, f"{path}: y: array missing"),
        ({"y": record["y"][:1]}, f"{path}: y must be integers of shape [6, 3]"),
        ({"y": record["y"] * 1.0}, f"{path}: y must be integers of shape [6, 3]"),
        ({"a": None}, f"{path}: a: array missing"),
        (
            {"shift": record["shift"] + 1},
            f"{path}: shift is not what the real scales come to: shift[0] is {record['shift'][0] + 1} "
            f"where they give {record['shift'][0]}; "
            "leave out shift or the scales",
        ),
    ):
        np.savez(path, **{name: value for name, value in (record | changes).items() if value is not None})
        assert refusal(there, "agree", tmp_path / "y") == message


def test_several_reasons_are_counted_and_the_rest_is_in_json():
    found = [Reason("one", 5), Reason("two", 3), Reason("three", 1), Reason("four", 1)]
    row = Agreement("p", 20, 12, 1, ((0, 1), 2, 3), tuple(found), 10, "too large")
    compared = agree.Compared("about", True, {"": [row]})
    assert agree._why([row]) == "one (5 of 10); two (3 of 10); 2 more, see --json; others left out: too large"
    only = Agreement("p", 20, 12, 1, ((0, 1), 2, 3), tuple(found[:1]), 5)
    assert agree._why([only]) == "one"
    assert len(agree.as_json(compared)["platforms"][0]["reasons"]) == 4


def test_help_says_what_it_does():
    text = done("agree", "--help")
    assert "--sample" in text and "platform" in text
    assert command("agree", "--help").code == 0


def test_a_design_of_integers_that_a_model_brings_agrees_with_its_platform(tmp_path, monkeypatch):
    """Deeploy's multiplier, shift and addend: what the others lack is the addend."""
    monkeypatch.chdir(tmp_path)
    done("generate", "--platform", "deeploy", *("--activations", "int8", "--weights", "int8", "--output", "int8"))
    rng = np.random.default_rng(1)
    matrices = {"a": rng.integers(-128, 128, (40, 12)), "w": rng.integers(-128, 128, (12, 4))}
    integers = {"multiplier": np.array([3, 5, 7, 100]), "shift": np.array([9, 10, 11, 14]), "add": [17, -300, 1000, 5]}
    np.savez("i.npz", **matrices, **integers)
    rows = json.loads(done("agree", "build/mac_array", "--inputs", "i.npz", "--json"))["platforms"]
    found = {row["platform"]: row for row in rows}
    assert found["deeploy"]["differing"] == 0
    assert found["tosa"]["differing"] > 0
    assert all("addend" in reason["reason"] for reason in found["tosa"]["reasons"])
