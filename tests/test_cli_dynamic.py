"""Dynamic quantization on the command line: scales recorded, compared and told."""

import json

import numpy as np
import pytest
from commands import command, done, refusal

from golden.dynamic import dynamic
from golden.spec import Spec
from sim.simulators import available

DESIGN = """activations = "int8"
weights = "int4"
rows = 2
cols = 3
depth = 9
requantize = "dynamic"
output = "uint8"
"""
A, W = np.array([[100, -7], [3, 4], [0, 0]]), np.array([[1, -8, 3, 0], [7, 3, -2, 1]])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "design.toml").write_text(DESIGN)
    done("generate", "design.toml", "--out", "x")
    return tmp_path / "x"


def dump(folder, **changes):
    """A dump as hardware gives it, some of it changed."""
    spec = Spec(**_fields(folder))
    made = dynamic(A @ W, spec)
    arrays = {"a": A, "w": W, "y": made.y, "y_scale": made.y_scale, "y_zero_point": made.y_zero_point} | changes
    np.savez(folder.parent / "board.npz", **{name: value for name, value in arrays.items() if value is not None})
    return folder.parent / "board.npz"


def _fields(folder):
    from bittrue.folder import open_folder

    spec = open_folder(folder).spec
    return {name: getattr(spec, name) for name in spec.__dataclass_fields__}


def test_what_a_build_folder_says(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["streams"]["m_axis_q"]["fields"] == [
        {"name": "y_scale", "format": "float32", "shape": [1], "lsb": 0},
        {"name": "y_zero_point", "format": "uint8", "shape": [1], "lsb": 32},
    ]
    assert manifest["dynamic"]["scale_of"] == "the tile itself"
    assert manifest["scales"] is None
    assert 'dynamic_scale = "same_tile"' in (folder / "design.toml").read_text()
    assert 'bias = "none"' in (folder / "design.toml").read_text()


@pytest.mark.skipif(not available("icarus"), reason="Icarus Verilog is not installed")
def test_simulate_and_compare(folder):
    np.savez("inputs.npz", a=A, w=W)
    done("simulate", "x", "--simulator", "icarus", "--inputs", "inputs.npz")
    made = dynamic(A @ W, Spec(**_fields(folder)))
    with np.load(folder / "runs" / "icarus" / "hardware.npz") as record:
        assert record["y"].tolist() == made.y.tolist()
        assert record["y_scale"].tolist() == made.y_scale.tolist()
        assert record["y_zero_point"].tolist() == made.y_zero_point.tolist()
    said = done("compare", "x")
    assert (
        "icarus: scales and zero points of tiles: 0 of 4 differ; golden's scales are 0.043137256 to 4.4509802" in said
    )


def test_a_wrong_scale_is_told(folder):
    scales = dynamic(A @ W, Spec(**_fields(folder))).y_scale
    board = dump(folder, y_scale=scales * np.array([1, 1, 2, 1], np.float32))
    result = command("compare", "x", "--hardware", board)
    assert (result.code, result.err) == (1, "")
    assert "scales and zero points of tiles: 1 of 4 differ" in result.out
    assert f"first in tile 2: hardware scale {2 * scales[2]}, zero point 162, golden scale {scales[2]}" in result.out
    told = json.loads(command("compare", "x", "--hardware", board, "--json").out)
    assert (told["equal"], told["results"][0]["mismatches"], told["results"][0]["scales"]["mismatches"]) == (
        False,
        0,
        1,
    )


def test_a_dump_need_not_say_its_scales(folder):
    said = done("compare", "x", "--hardware", dump(folder, y_scale=None, y_zero_point=None))
    assert "board.npz: no y_scale and y_zero_point of the tiles were given" in said


def test_the_first_difference_names_its_scale(folder):
    made = dynamic(A @ W, Spec(**_fields(folder)))
    result = command("compare", "x", "--hardware", dump(folder, y=made.y ^ (np.arange(12).reshape(3, 4) == 1)))
    assert (
        "accumulator -821, scale 4.45098019, zero point 184, scaled -184.453751, rounded -184, code 0\n" in result.out
    )


def test_refusals(folder):
    path = folder.parent
    assert refusal(path, "compare", "x", "--hardware", dump(folder, y_scale=np.ones(3))).endswith(
        "y_scale must hold 4 float32 numbers, one for each tile, not float64 [3]"
    )
    assert refusal(path, "compare", "x", "--hardware", dump(folder, y_zero_point=np.ones(4))).endswith(
        "y_zero_point must hold 4 integers, one for each tile, not float64 [4]"
    )
    rule = "requantize 'dynamic' scales by the range of its own sums, which no platform here does"
    assert refusal(path, "agree", "x") == rule
    assert refusal(path, "generate", "design.toml", "--bias", "int8", "--out", "z") == (
        "bias must be left out with requantize 'dynamic', not int8"
    )
    assert refusal(path, "generate", "design.toml", "--dynamic-scale", "each", "--out", "z") == (
        "dynamic_scale must be one of same_tile, next_tile, not 'each'"
    )
    assert refusal(path, "generate", "design.toml", "--platform", "onnxruntime", "--out", "z") == (
        "requantize must be 'float32' or 'thresholds' on platform 'onnxruntime', not 'dynamic'"
    )
