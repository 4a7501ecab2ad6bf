"""Arrays whose precision is chosen at run time, by the commands from flags to a comparison."""

import json
from pathlib import Path

import numpy as np
import pytest
from commands import done, refusal
from test_sim_formats import NEEDS_ICARUS

ICARUS = ("--simulator", "icarus")
SHAPE = ("--rows", "2", "--cols", "3", "--depth", "20")
KINDS = {
    "bit_serial": ("--lanes", "4", "--activations", "int6", "--weights", "uint4"),
    "scalable": ("--lanes", "1", "--activations", "int8", "--weights", "uint8"),
}
EACH_KIND = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def built(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done("generate", "--array", kind, *KINDS[kind], *SHAPE, "--out", "x")
    return kind


@NEEDS_ICARUS
@EACH_KIND
def test_from_flags_to_a_comparison(built):
    done("simulate", "x", *ICARUS, "--random", "200", "--seed", "3", "--stall", "0.2")
    done("compare", "x")
    said = json.loads(done("run", "x/design.toml", "--out", "y", *ICARUS, "--random", "100", "--json"))
    assert said["equal"]
    assert said["results"][0]["cycles"] == said["results"][0]["closed_form_cycles"]


PRECISIONS = {
    "bit_serial": ({"a_bits": 3, "w_bits": 2}, "a_bits is 3, which holds [-4, 3], but a[1, 2] is 9"),
    "scalable": ({"mode": 2}, "mode is 2, which holds [-8, 7], but a[1, 2] is 9"),
}


@NEEDS_ICARUS
@EACH_KIND
def test_a_precision_given_with_the_operands(built):
    given, message = PRECISIONS[built]
    rng = np.random.default_rng(1)
    arrays = {"a": rng.integers(0, 2, (5, 7)), "w": rng.integers(0, 2, (7, 4))}
    np.savez("i.npz", **arrays, **given)
    done("simulate", "x", *ICARUS, "--inputs", "i.npz")
    recorded = dict(np.load("x/runs/icarus/inputs.npz"))
    assert {name: int(recorded[name]) for name in given} == given
    assert done("compare", "x")
    arrays["a"][1, 2] = 9
    np.savez("i.npz", **arrays, **given)
    assert refusal(Path("x"), "simulate", "x", *ICARUS, "--inputs", "i.npz") == f"i.npz: {message}"


@pytest.mark.parametrize(("kind", "name"), [("bit_serial", "a_bits"), ("bit_serial", "w_bits"), ("scalable", "mode")])
def test_a_precision_is_one_number(built, name):
    np.savez("i.npz", a=np.zeros((5, 7), int), w=np.zeros((7, 4), int), **{name: np.array([1, 2])})
    message = f"i.npz: {name} must be one number, not of shape [2]"
    assert refusal(Path("x"), "simulate", "x", "--inputs", "i.npz") == message


FIELDS = {"bit_serial": ["a", "raise", "negative"], "scalable": ["a", "mode"]}


@EACH_KIND
def test_the_manifest(built):
    manifest = json.loads(Path("x/manifest.json").read_text())
    assert [field["name"] for field in manifest["streams"]["s_axis_a"]["fields"]] == FIELDS[built]
    assert manifest["streams"]["s_axis_a"]["padding"] == "lanes without a pair: zeros on A or on W"
    assert "by its own precision" in manifest["timing"]["cycles_is"]


def test_the_manifest_in_figures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done("generate", "--array", "bit_serial", *KINDS["bit_serial"], *SHAPE, "--out", "x")
    timing = json.loads(Path("x/manifest.json").read_text())["timing"]
    count, tree, requantizer = 1, 1, 1
    assert timing["latency"] == 2 + 3 + (count + tree) + requantizer + 2
    beats = 5 * 6 * 4
    assert timing["example"] == {
        **{"tiles": 1, "a_bits": 6, "w_bits": 4, "beats": beats},
        "cycles": beats + timing["latency"] + 2 - 1,
    }
    done("generate", "--array", "scalable", *KINDS["scalable"], *SHAPE, "--out", "y")
    timing = json.loads(Path("y/manifest.json").read_text())["timing"]
    assert timing["latency"] == 2 + 3 + 5 + requantizer + 2
    assert [one["beats"] for one in timing["example"]] == [20, 10, 5, 2]
    assert [one["cycles"] for one in timing["example"]] == [beats + timing["latency"] + 1 for beats in (20, 10, 5, 2)]
