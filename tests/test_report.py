"""bittrue.report: how a difference is told, for requantizers whose steps are not bias, scale and round."""

import numpy as np
from designs import design

from bittrue.flows import Comparison
from bittrue.report import explain
from golden.tensors import golden, operands
from sim.diagnose import diagnose


def told(spec, arrays):
    """The report on a dump whose output [0, 1] is off by one."""
    given = operands(spec, arrays)
    y = golden(spec, given)
    y[0, 1] ^= 1
    return explain(Comparison("board.npz", given, y, diagnose(spec, given, y)))


def test_thresholds():
    spec = design("int4", "int4", depth=2, requantize="thresholds", output="int2")
    thresholds = np.array([[-5, 0, 5], [-1, 3, 9]])
    said = told(spec, {"a": np.array([[2, 1]]), "w": np.array([[1, 3], [0, -1]]), "thresholds": thresholds})
    assert "first difference: y[0, 1]" in said
    assert "golden's steps: accumulator 5, thresholds reached 2, code 0\n" in said


def test_tables():
    table = tuple(range(15, -1, -1))
    fields = {"requantize": "shift", "output": "uint4", "table": table, "table_input": "int4"}
    spec = design("int4", "int4", depth=2, **fields)
    said = told(spec, {"a": np.array([[2, 1]]), "w": np.array([[1, 3], [0, -1]]), "shift": 1})
    assert "accumulator 5, biased 5, scaled 5, rounded 2, table read at 2, code 5\n" in said
