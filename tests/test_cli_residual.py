"""Residual codes by the command line: a layer, its manifest, the accumulator for real weights, a swapped dump."""

import json
from pathlib import Path

import numpy as np
import pytest
from commands import command
from simulation import missing

from golden.formats import parse
from golden.residual import quantize_residual, restored

FLAGS = ("--activations", "int4", "--weights", "int4", "--rows", "2", "--cols", "3", "--depth", "9", "--residual", "4")


@pytest.fixture
def layer(tmp_path, monkeypatch):
    """A folder with a product of real weights, each as two codes."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    real = rng.normal(0, 1, (9, 4))
    w, fine, scale = quantize_residual(real, parse("int4"), 4)
    assert np.abs(restored(w, fine, parse("int4"), 4, scale) - real).max() < scale
    arrays = {"a": rng.integers(-8, 8, (5, 9)), "w": w, "w_residual": fine}
    np.savez("layer.npz", **arrays)
    return arrays


@pytest.mark.skipif(bool(missing("icarus")), reason=missing("icarus"))
def test_a_layer(layer):
    run = command("run", *FLAGS, "--inputs", "layer.npz", "--simulator", "icarus", "--out", "x")
    assert run.code == 0, run.err
    with np.load("x/runs/icarus/hardware.npz") as record:
        y = record["y"]
    assert y.tolist() == (layer["a"] @ (16 * layer["w"] + layer["w_residual"])).tolist()
    np.savez("swapped.npz", y=layer["a"] @ (16 * layer["w_residual"] + layer["w"]))
    told = command("compare", "x", "--hardware", "swapped.npz", "--inputs", "layer.npz").out
    assert "they part at: sum: the passes are swapped" in told


def test_manifest(layer):
    made = command("generate", *FLAGS, "--out", "x")
    assert made.out.startswith(
        "2x3x1 array, int4 x int4 -> int15, depth 9, accumulator 15 bits, weights of two codes, 4 bits apart\n"
    )
    record = json.loads(Path("x/manifest.json").read_text())
    assert record["accumulator"]["range"] == [9 * -8 * 17 * 7, 9 * 8 * 17 * 8]
    assert "9 products of int4 [-8, 7] and int4 * 16 + int4 [-136, 119] sum to" in record["accumulator"]["why"]
    assert "tile i having b[i] = 2 * ceil(K / 1) beats" in record["timing"]["cycles_is"]
    assert record["timing"]["example"]["beats"] == 18
    fields = [field["name"] for field in record["streams"]["s_axis_a"]["fields"]]
    assert fields == ["a", "raise"] and "raise on the first beat" in record["streams"]["s_axis_a"]["about"]


def test_weights_of_two_codes_bound_the_accumulator(layer):
    command("generate", *FLAGS, "--weights-from", "layer.npz", "--out", "x")
    w = 16 * layer["w"] + layer["w_residual"]
    lo, hi = (f(-8 * w, 7 * w).sum(axis=0) for f in (np.minimum, np.maximum))
    assert json.loads(Path("x/manifest.json").read_text())["accumulator"]["range"] == [lo.min(), hi.max()]
    np.savez("half.npz", w=layer["w"])
    refused = command("generate", *FLAGS, "--weights-from", "half.npz", "--out", "y")
    assert (refused.code, refused.err) == (2, "bittrue: half.npz: w_residual: array missing\n")


def test_refusals(layer):
    refused = command("run", *FLAGS[:-2], "--inputs", "layer.npz", "--out", "y")
    message = "w_residual: this design takes no such array; it takes a, w"
    assert (refused.code, refused.err) == (2, f"bittrue: layer.npz: {message}\n")
    refused = command("generate", *FLAGS, "--w-zero-point", "--out", "y")
    message = "w_zero_point must be left out with residual codes of the weights"
    assert (refused.code, refused.err) == (2, f"bittrue: {message}\n")
    assert not Path("y").exists()
