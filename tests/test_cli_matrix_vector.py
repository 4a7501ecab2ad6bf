"""The command line for a matrix-vector unit: its defaults, stored weights from a file, what it refuses."""

from pathlib import Path

import numpy as np
import pytest
from commands import command, done, refusal

from bittrue.design import read_toml, to_spec
from bittrue.flows import random_inputs
from golden.formats import parse
from golden.spec import Spec
from golden.tensors import operands

UNIT = ("--array", "matrix_vector", "--activations", "int8", "--weights", "int4", "--cols", "2", "--lanes", "2")
W = np.array([[1, -8, 3], [7, 0, -2], [5, 4, 0], [0, 0, 1], [2, 2, 2]])


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("layer.npz", w=W)
    return tmp_path


def test_stored_weights_are_in_the_build_folder():
    """K and N are those of the weights unless given; the folder's design makes the same design again."""
    out = done("generate", *UNIT, "--stored-weights", "layer.npz", "--out", "unit")
    assert out.startswith(
        "1x2x2 matrix-vector array, int8 x int4 -> int14, depth 5, accumulator 14 bits, weights stored"
    )
    spec = to_spec(read_toml(Path("unit/design.toml")))
    assert (spec.depth, spec.outputs, spec.rows, spec.stored_weights) == (5, 3, 1, tuple(map(tuple, W.tolist())))


REFUSED = [
    ({"a": W}, "layer.npz: w must be there, a matrix of integer codes"),
    ({"w": W[0]}, "layer.npz: w must be there, a matrix of integer codes"),
    ({"w": W / 2}, "layer.npz: w must be there, a matrix of integer codes"),
    ({"w": np.zeros((300, 300), int)}, "layer.npz: stored_weights must be at most 65536 codes, not 90000"),
    ({"w": W + 1}, "stored_weights[1, 0] is 8, outside int4 [-8, 7]"),
]


@pytest.mark.parametrize(("arrays", "message"), REFUSED)
def test_stored_weights_are_refused(arrays, message, folder):
    np.savez("layer.npz", **arrays)
    assert refusal(folder, "generate", *UNIT, "--stored-weights", "layer.npz", "--out", "unit") == message


def test_more_weights_than_the_design_has_room_for(folder):
    small = ("--stored-weights", "layer.npz", "--outputs", "2")
    assert refusal(folder, "generate", *UNIT, *small) == "stored_weights have N = 3; this design's outputs are 2"


def test_an_unknown_sparsity(folder):
    message = "sparsity must be one of none, 2:4, not '1:2'"
    assert refusal(folder, "generate", *UNIT, "--sparsity", "1:2") == message


@pytest.mark.parametrize("fields", [{"outputs": 3}, {"sparsity": "2:4"}, {"stored_weights": ((1, 2), (3, 4), (5, 6))}])
def test_random_operands_fit_the_design(fields):
    formats = {"activations": parse("int8"), "weights": parse("int4")}
    spec = Spec(**formats, array="matrix_vector", rows=1, cols=2, lanes=2, **fields)
    arrays = random_inputs(spec, 100, 1)
    m, _, n = operands(spec, arrays).shape
    assert m * n >= 100 and n == {"outputs": 3, "sparsity": 5, "stored_weights": 2}[next(iter(fields))]


def test_the_place_of_a_difference_in_words(folder):
    """Five columns in folds of two: y[3, 4] is the first column of the third fold of the fourth vector."""
    done("generate", *UNIT, "--outputs", 5, "--out", "unit")
    a, w = np.arange(20).reshape(4, 5) - 9, np.arange(25).reshape(5, 5) % 16 - 8
    np.savez("dump.npz", a=a, w=w, y=a @ w + (np.arange(20).reshape(4, 5) == 19))
    told = command("compare", "unit", "--hardware", "dump.npz").out
    assert "first difference: y[3, 4], tile 11: vector 3, fold 2, column 0\n" in told
