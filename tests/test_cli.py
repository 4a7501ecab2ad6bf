"""The commands as a stranger uses them, with Icarus: what they write, print and return."""

import io
import json
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import ARRAYS, A, W, command, done, save
from rich.console import Console
from simulation import missing

import bittrue.progress
from bittrue import __version__, flows
from bittrue.design import FIELDS, to_spec
from bittrue.progress import Progress
from examples.digits import network
from golden.tensors import golden, operands
from sim.replay import Replay

ICARUS = ("--simulator", "icarus")
SMALL = ("--activations", "int2", "--weights", "int2", "--rows", "2", "--cols", "2", "--depth", "4")


def spec_of(folder):
    return to_spec(tomllib.loads((Path(folder) / "design.toml").read_text()))


def load(path):
    with np.load(path) as file:
        return dict(file)


@pytest.mark.parametrize(
    "program", [[sys.executable, "-m", "bittrue"], [str(Path(sys.executable).with_name("bittrue"))]]
)
def test_the_program_runs_by_both_names(program, tmp_path):
    said = subprocess.run([*program, "--version"], capture_output=True, text=True, cwd=tmp_path)
    assert (said.returncode, said.stdout, said.stderr) == (0, f"{__version__}\n", "")
    refused = subprocess.run([*program, "compare", "x"], capture_output=True, text=True, cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        "bittrue: x is not a build folder: no manifest.json; make one with bittrue generate --out x\n"
    )


def test_without_a_command_help_is_shown():
    result = command()
    assert (result.code, result.err) == (2, "")
    assert all(name in result.out for name in ("generate", "simulate", "compare", "run", "demo"))


def test_help_names_every_field_of_a_design(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = done("generate", "--help")
    flags = [f"--{name.replace('_', '-')}" for name in FIELDS if name != "accumulator_range"]
    assert [flag for flag in flags if flag not in text] == []
    assert "Example: bittrue generate --activations int8 --weights int4" in text


def test_flags_make_a_build_folder(tmp_path):
    out = tmp_path / "build" / "x"
    text = done(
        *("generate", "--activations", "int8", "--weights", "int4", "--rows", "2", "--cols", "4", "--lanes", "1"),
        *("--depth", "512", "--output", "int8", "--requantize", "multiplier", "--rounding", "half_up"),
        *("--overflow", "saturate", "--clip", "-100,90", "--out", out),
    )
    assert sorted(path.name for path in out.iterdir()) == ["design.toml", "mac_array.v", "manifest.json"]
    assert text.startswith("2x4x1 array, int8 x int4 -> int8, depth 512, accumulator 21 bits\n")
    spec = spec_of(out)
    assert (spec.rounding, spec.clip, str(spec.bias), spec.y_zero_point) == ("half_up", (-100, 90), "int32", True)


def test_flags_win_over_the_file_and_a_resolved_design_makes_the_same_verilog(here):
    done("generate", "design.toml", "--rows", "1", "--rounding", "floor", "--out", "y")
    assert (spec_of("y").rows, spec_of("y").cols, spec_of("y").rounding) == (1, 3, "floor")
    again = json.loads(done("generate", "y/design.toml", "--out", "z", "--json"))
    assert again["sha256"] == json.loads(Path("y/manifest.json").read_text())["verilog"]["sha256"]
    assert Path("z/design.toml").read_text() == Path("y/design.toml").read_text()


def test_simulate_leaves_codes_cycles_and_inputs(here):
    record = load("x/runs/icarus/hardware.npz")
    assert record["y"].dtype == np.int64 and record["cycles"] > 0
    np.testing.assert_array_equal(record["y"], golden(spec_of("x"), operands(spec_of("x"), ARRAYS)))
    for file in ("hardware.npz", "inputs.npz"):
        assert {name: load(f"x/runs/icarus/{file}")[name].tolist() for name in ARRAYS} == {
            name: np.asarray(value).tolist() for name, value in ARRAYS.items()
        }
    assert Path("x/runs/icarus/results.xml").read_text().count("<testcase ") == 1


@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 9, 5)])
def test_any_shape_runs(here, shape):
    m, k, n = shape
    rng = np.random.default_rng(5)
    save("i.npz", a=rng.integers(-8, 8, (m, k)), w=rng.integers(-8, 8, (k, n)), bias=None, shift=np.full(n, 2))
    done("simulate", "x", *ICARUS, "--inputs", "i.npz", "--quiet")
    result = json.loads(done("compare", "x", "--json"))["results"][0]
    assert (result["compared"], result["mismatches"]) == (m * n, 0)


def test_compare_prints_counts_cycles_and_utilization(here):
    header, row = done("compare", "x").splitlines()
    assert " ".join(header.split()) == "hardware outputs compared mismatches cycles closed form utilization"
    cycles = str(load("x/runs/icarus/hardware.npz")["cycles"])
    utilization = f"{100 * A.size * W.shape[1] / (2 * 3 * 2 * int(cycles)):.2f}"
    assert row.split() == ["icarus", "10", "0", cycles, cycles, utilization, "%"]


@pytest.mark.parametrize("words", [("generate", *SMALL, "--out", "y"), ("simulate", "x", *ICARUS), ("compare", "x")])
def test_quiet_prints_nothing_and_json_one_object(here, words):
    assert done(*words, "--quiet") == ""
    assert isinstance(json.loads(done(*words, "--json", "--quiet")), dict)


def test_run_is_the_three_in_one_and_paths_may_have_spaces(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = json.loads(
        done("run", *SMALL, *ICARUS, "--out", "a b/c d", "--random", "40", "--seed", "3", "--stall", "0.3", "--json")
    )
    assert result["equal"] and result["results"][0]["compared"] >= 40
    assert result["results"][0]["closed_form_cycles"] is None
    assert (tmp_path / "a b" / "c d" / "runs" / "icarus" / "hardware.npz").is_file()


@pytest.mark.skipif(bool(missing("verilator")), reason=missing("verilator"))
def test_both_simulators_agree(here):
    said = json.loads(done("simulate", "x", "--simulator", "both", "--inputs", "inputs.npz", "--json"))
    assert said["simulators_agree"] and set(said["runs"]) == {"verilator", "icarus"}
    assert done("compare", "x").splitlines()[-1] == "the dumps are equal"
    done("simulate", "x", *ICARUS, "--random", "10", "--quiet")
    assert done("compare", "x").splitlines()[-1] == (
        "the dumps come from different inputs and are not compared with each other"
    )


def test_simulators_that_differ_are_exit_code_1(here, monkeypatch):
    simulate = flows.simulate

    def differing(folder, name, arrays, progress, **options):
        result = simulate(folder, "icarus", arrays, progress, **options)
        return replace(result, y=result.y ^ (name == "verilator"))

    monkeypatch.setattr(flows, "simulate", differing)
    monkeypatch.setattr(flows, "check_simulator", lambda name: None)
    both = ("simulate", "x", "--simulator", "both", "--inputs", "inputs.npz")
    result = command(*both)
    assert (result.code, result.err) == (1, "")
    assert result.out.splitlines()[-1] == "simulators DIFFER; bittrue compare says where"
    result = command(*both, "--json")
    assert (result.code, json.loads(result.out)["simulators_agree"]) == (1, False)


def test_waves_open_at_a_cycle_and_go_with_the_next_run(here):
    done("simulate", "x", *ICARUS, "--inputs", "inputs.npz", "--waves", "--quiet")
    done("compare", "x", "--quiet")
    run = Path("x/runs/icarus")
    assert (run / "waves.fst").stat().st_size > 0 and "waves.fst" in (run / "waves.gtkw").read_text()
    done("simulate", "x", *ICARUS, "--inputs", "inputs.npz", "--quiet")
    assert sorted(path.name for path in run.glob("waves*")) == []


def test_real_weights_make_the_accumulator_narrower(here):
    done("generate", "design.toml", "--weights-from", "inputs.npz", "--out", "y")
    assert (spec_of("x").accumulator_width, spec_of("y").accumulator_width) == (11, 8)
    assert spec_of("y").accumulator_range == (-80, 85)
    done("simulate", "y", *ICARUS, "--inputs", "inputs.npz", "--quiet")
    assert json.loads(done("compare", "y", "--json"))["equal"]


def test_a_changed_output_is_found_and_explained(here):
    path = Path("x/runs/icarus/hardware.npz")
    record = load(path)
    record["y"][3, 1] ^= 1
    np.savez(path, **record)
    result = command("compare", "x")
    assert (result.code, result.err) == (1, "")
    right, wrong = int(record["y"][3, 1]) ^ 1, int(record["y"][3, 1])
    assert [line.split() for line in result.out.splitlines()[2:]] == [
        line.split()
        for line in (
            "first difference: y[3, 1], tile 1, array row 1, column 1",
            "operands a[3, 0] = 7 .. a[3, 2] = 7; w[0, 1] = -8 .. w[2, 1] = 0",
            f"hardware {wrong} {wrong & 31:05b}",
            f"golden {right} {right & 31:05b}",
            "golden's steps: accumulator -35, biased -135, scaled -135, rounded -17, code -16",
            "they part at: unknown: no single known fault explains these outputs",
            "1 of 10 outputs differ",
        )
    ]
    explained = command("compare", "x", "--json")
    explanation = json.loads(explained.out)["results"][0]["explanation"]
    assert explained.code == 1 and (explanation["index"], explanation["step"]) == ([3, 1], "unknown")
    assert command("compare", "x", "--quiet").out == ""


@pytest.mark.parametrize(
    ("flags", "step", "cause"),
    [
        (("--rounding", "half_up"), "round", "rounds half_up where the design says half_even"),
        (("--overflow", "wrap"), "clip", "outputs wrap where the design says saturate"),
    ],
)
def test_a_dump_of_another_design_names_the_step(here, flags, step, cause):
    done("run", "design.toml", *flags, *ICARUS, "--random", "500", "--out", "y", "--quiet")
    result = command("compare", "x", "--hardware", "y/runs/icarus/hardware.npz", "--json")
    comparison = json.loads(result.out)["results"][0]
    assert result.code == 1 and comparison["mismatches"] > 0
    assert (comparison["explanation"]["step"], comparison["explanation"]["explained"]) == (step, comparison["compared"])
    assert cause in (comparison["explanation"]["cause"], *comparison["explanation"]["alternatives"])


def test_a_dump_of_outputs_alone_takes_inputs_from_the_run_or_a_file(here):
    y = load("x/runs/icarus/hardware.npz")["y"]
    np.savez("dump.npz", y=y.astype(np.int8))
    for more in ((), ("--inputs", "inputs.npz")):
        result = json.loads(done("compare", "x", "--hardware", "dump.npz", *more, "--json"))["results"][0]
        assert (result["compared"], result["mismatches"], result["cycles"]) == (10, 0, None)


def test_demo_classifies_digits_layer_by_layer(tmp_path, monkeypatch):
    pytest.importorskip("sklearn", reason="scikit-learn is missing: pip install scikit-learn")
    if reason := missing("icarus"):
        pytest.skip(reason)
    images, labels = network.held_out()
    monkeypatch.setattr(network, "held_out", lambda: (images[:5], labels[:5]))
    monkeypatch.setattr(network, "VERSIONS", ("bipolar",))
    result = json.loads(done("demo", *ICARUS, "--out", tmp_path / "digits", "--json"))
    (only,) = result["networks"]
    assert (result["equal"], only["network"], only["images"], only["mismatches"]) == (True, "bipolar", 5, 0)
    assert only["outputs"] == 5 * (48 + 32 + 10)


def test_a_demo_with_a_wrong_output_is_exit_code_1(tmp_path, monkeypatch):
    pytest.importorskip("sklearn", reason="scikit-learn is missing: pip install scikit-learn")
    images, labels = network.held_out()
    monkeypatch.setattr(network, "held_out", lambda: (images[:3], labels[:3]))
    monkeypatch.setattr(network, "VERSIONS", ("bipolar",))
    monkeypatch.setattr(flows, "check_simulator", lambda name: None)
    monkeypatch.setattr(flows, "simulate", lambda folder, name, arrays, *_, **__: one_wrong(folder.spec, arrays))
    result = command("demo", "--out", tmp_path / "digits", "--json")
    (only,) = json.loads(result.out)["networks"]
    assert (result.code, only["mismatches"] > 0) == (1, True)


def one_wrong(spec, arrays):
    y = golden(spec, operands(spec, arrays))
    y[0, 0] ^= 1
    return Replay(y, 100, np.array([0]))


def progress_of(seconds, *, terminal, monkeypatch):
    monkeypatch.setattr(bittrue.progress, "PATIENCE_S", 0.05)
    monkeypatch.setattr(bittrue.progress, "POLL_S", 0.01)
    progress = Progress()
    progress.console = Console(file=io.StringIO(), force_terminal=terminal, width=80)
    with progress.step("building"):
        time.sleep(seconds)
    return progress.console.file.getvalue()


def test_progress_shows_on_a_terminal_for_what_takes_long(monkeypatch):
    assert "building" in progress_of(0.3, terminal=True, monkeypatch=monkeypatch)
    assert progress_of(0.3, terminal=False, monkeypatch=monkeypatch) == ""
    assert progress_of(0, terminal=True, monkeypatch=monkeypatch) == ""


def test_report_page_tells_the_last_comparison(here):
    done("compare", "x")
    page = (here / "x" / "report.html").read_text()
    assert "icarus" in page
    assert "utilization" in page
