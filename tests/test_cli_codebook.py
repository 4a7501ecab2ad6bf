"""Codebooks on the command line: random and own operands, real weights, refusals, the record of a run."""

import json

import numpy as np
import pytest
from commands import command, done, refusal
from simulation import missing

from bittrue.folder import open_folder
from golden.codebook import codebook_for
from golden.formats import parse

DESIGN = ("--activations", "int8", "--weights", "codebook4", "--rows", 2, "--cols", 3, "--lanes", 2, "--depth", 20)
NEEDS_ICARUS = pytest.mark.skipif(bool(missing("icarus")), reason=missing("icarus"))


def own(**changes):
    """A product with weights that k-means made of normal ones."""
    rng = np.random.default_rng(1)
    w, table, _ = codebook_for(rng.normal(size=(17, 7)), 4, parse("int8"))
    arrays = {"a": rng.integers(-128, 128, (5, 17)), "w": w, "w_codebook": table} | changes
    np.savez("layer.npz", **{name: value for name, value in arrays.items() if value is not None})
    return arrays


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@NEEDS_ICARUS
def test_random_operands():
    done("run", *DESIGN, "--random", 40, "--simulator", "icarus", "--stall", 0.2, "--out", "x")
    with np.load("x/runs/icarus/inputs.npz") as arrays:
        assert arrays["w_codebook"].shape == (arrays["w"].shape[1], 16)


@NEEDS_ICARUS
def test_own_operands_and_a_fault_in_a_dump():
    arrays = own()
    done("run", *DESIGN, "--inputs", "layer.npz", "--simulator", "icarus", "--out", "x")
    with np.load("x/runs/icarus/hardware.npz") as dump:
        record = dict(dump)
    entries = arrays["w_codebook"][np.arange(7), arrays["w"]]
    assert (record["y"] == arrays["a"] @ entries).all()
    entries = np.roll(arrays["w_codebook"], -1, axis=1)[np.arange(7), arrays["w"]]
    np.savez("dump.npz", y=arrays["a"] @ entries, **{name: arrays[name] for name in ("a", "w", "w_codebook")})
    said = command("compare", "x", "--hardware", "dump.npz")
    assert said.code == 1 and "codebooks are read one entry too high" in said.out


def test_real_weights_need_their_table(tmp_path):
    arrays = own()
    done("generate", *DESIGN, "--weights-from", "layer.npz", "--out", "x")
    spec = open_folder(tmp_path / "x").spec
    entries = arrays["w_codebook"][np.arange(7), arrays["w"]]
    assert spec.accumulator_range[1] == np.maximum(entries * -128, entries * 127).sum(axis=0).max()
    assert spec.accumulator_width < spec.with_(accumulator_range=None).accumulator_width
    own(w_codebook=None)
    message = refusal(tmp_path, "generate", *DESIGN, "--weights-from", "layer.npz", "--out", "y")
    assert message == "layer.npz: w_codebook: array missing"


def test_the_manifest_describes_the_stream():
    done("generate", *DESIGN, "--out", "x")
    with open("x/manifest.json") as file:
        record = json.load(file)
    stream = record["streams"]["s_axis_c"]
    assert stream["fields"] == [{"name": "w_codebook", "format": "int8", "shape": [3], "lsb": 0}]
    assert stream["about"].startswith("one set of 16 beats per tile") and stream["tdata_bits"] == 24
    assert record["formats"]["w_codebook"] == "int8" and record["formats"]["weights"] == "codebook4"
    assert record["timing"]["cycles"].startswith("16 + 1 + b[0] + sum over i > 0 of max(b[i] + x[i], 2) + ")


def test_refusals(tmp_path):
    own(w_codebook=np.zeros((3, 16), int))
    done("generate", *DESIGN, "--out", "x")
    message = refusal(tmp_path, "simulate", "x", "--inputs", "layer.npz")
    assert message == "layer.npz: w_codebook must have shape [N, entries] = [7, 16], not [3, 16]"
    message = refusal(tmp_path, "generate", "--activations", "codebook4", "--weights", "int8", "--out", "y")
    assert message == "activations take no codebook, which only weights can have, not codebook4"
