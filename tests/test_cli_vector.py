"""The vector unit by the command line: a depthwise layer, its dump compared, what it refuses."""

from pathlib import Path

import numpy as np
import pytest
from commands import command
from simulation import missing

from bittrue.design import to_spec
from golden.depthwise import windows
from golden.tensors import golden, operands

FIELDS = {"array": "vector", "activations": "int8", "weights": "int4", "cols": 3, "depth": 9, "a_zero_point": True}
FLAGS = ("--array", "vector", "--activations", "int8", "--weights", "int4", "--cols", "3", "--depth", "9")
LAYER = (*FLAGS, "--a-zero-point", "--inputs", "layer.npz", "--simulator", "icarus", "--out", "x")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a 3 x 3 depthwise layer of five channels."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x, kernel = rng.integers(-128, 128, (4, 5, 5)), rng.integers(-8, 8, (3, 3, 5))
    a = windows(x, (3, 3), stride=2, padding=1, pad_code=7)
    arrays = {"a": a, "w": kernel.reshape(9, -1), "a_zero_point": 7}
    np.savez("layer.npz", **arrays)
    return arrays


@pytest.mark.skipif(bool(missing("icarus")), reason=missing("icarus"))
def test_a_depthwise_layer(here):
    result = command("run", *LAYER)
    assert result.code == 0
    with np.load("x/runs/icarus/hardware.npz") as record:
        y, cycles = record["y"], int(record["cycles"])
    assert y.tolist() == golden(to_spec(FIELDS), operands(to_spec(FIELDS), here)).tolist()
    assert cycles == 9 * (1 + 6 * 2) + latency()
    np.savez("dump.npz", y=y + (np.arange(30).reshape(6, 5) == 13))
    told = command("compare", "x", "--hardware", "dump.npz", "--inputs", "layer.npz").out
    a, w = here["a"], here["w"]
    assert "first difference: y[2, 3], tile 8, channel 0\n" in told
    assert f"a[2, 0, 3] = {a[2, 0, 3]} .. a[2, 8, 3] = {a[2, 8, 3]}; w[0, 3] = {w[0, 3]} .. w[8, 3] = {w[8, 3]}" in told


def latency():
    """(V.1) in figures: entry 2, products of 9 bits and 4 in planes 2, accumulator 1, clip and output buffer 2."""
    return 2 + 2 + 1 + 2


def test_refusals(here):
    result = command("generate", *FLAGS, "--rows", "2", "--out", "y")
    assert (result.code, result.err) == (2, "bittrue: rows must be 1 with array 'vector', not 2\n")
    others = [flag for flag in LAYER if flag not in ("--array", "vector")]
    result = command("run", *others)
    message = "a [M, K, N] needs array 'vector', not 'output_stationary'; it has shape [6, 9, 5]"
    assert (result.code, result.err) == (2, f"bittrue: layer.npz: {message}\n")
    assert not Path("y").exists() and not Path("x").exists()
