"""What the tests of the command line share: commands run in this process, arrays for a small design."""

import contextlib
import io
import sys
from dataclasses import dataclass

import numpy as np

from bittrue.__main__ import main

DESIGN = """activations = "int4"
weights = "int4"
rows = 2
cols = 3
lanes = 2
depth = 9
requantize = "shift"
bias = "int8"
output = "int5"
y_zero_point = false
"""
A = np.array([[-8, 7, 3], [1, 0, -1], [5, -5, 2], [7, 7, 7], [-8, -8, -8]])
W = np.array([[1, -8], [7, 3], [-2, 0]])
ARRAYS = {"a": A, "w": W, "bias": np.array([5, -100]), "shift": 3}


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


def command(*args):
    """Exit code, stdout and stderr of one command."""
    out, err, argv = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["bittrue", *(str(arg) for arg in args)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as end:
        return Result(end.code, out.getvalue(), err.getvalue())
    finally:
        sys.argv = argv
    raise AssertionError("main ends with SystemExit")


def tree(path):
    """All that is in a folder: path -> content."""
    return {str(item.relative_to(path)): item.is_file() and item.read_bytes() for item in sorted(path.rglob("*"))}


def refusal(path, *args):
    """The one line on stderr of a command that is refused and changes nothing in a folder."""
    before = tree(path)
    result = command(*args)
    assert tree(path) == before
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("bittrue: ")
    assert result.err.count("\n") == 1 and result.err.endswith("\n")
    return result.err.removeprefix("bittrue: ").rstrip("\n")


def done(*args):
    """Stdout of a command that must end well, with nothing on stderr."""
    result = command(*args)
    assert (result.code, result.err) == (0, "")
    return result.out


def save(name, **changes):
    """An npz of ARRAYS with some changed; None leaves one out."""
    arrays = {key: value for key, value in (ARRAYS | changes).items() if value is not None}
    np.savez(name, **arrays)
    return name
