"""Grids of tensors: what they hold, what codes stand for, and codes of real numbers."""

import numpy as np
import pytest

from golden.formats import parse
from network.grid import Grid

INT8 = parse("int8")


def test_zero_points_are_codes():
    for name, lo, hi in (("int8", -128, 127), ("uint4", 0, 15)):
        assert [Grid(parse(name), zero_point=point).zero_point for point in (lo, hi)] == [lo, hi]
        for point in (lo - 1, hi + 1):
            with pytest.raises(ValueError) as error:
                Grid(parse(name), zero_point=point)
            assert str(error.value) == f"zero_point is {point}, outside {name} [{lo}, {hi}]"


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf, 1e-60, 1e60, [0.5, 0.0], [[0.5]]])
def test_scales_are_positive_finite_and_at_most_one_for_each_channel(scale):
    with pytest.raises(ValueError) as error, np.errstate(over="ignore"):
        Grid(INT8, np.array(scale))
    assert str(error.value) == f"scale must be positive and finite, a scalar or [C], not {np.array(scale)}"


def test_values_and_codes_of_channels():
    """Each index of the last axis has its scale; ties to even, in ONNX's order: the zero point after rounding."""
    grid = Grid(parse("int4"), np.float32([0.5, 2]), 1)
    assert grid.values([[3, 3], [-8, -8]]).tolist() == [[1.0, 4.0], [-4.5, -18.0]]
    assert grid.codes([[0.25, 1.0], [0.75, 3.0], [9.0, -99.0]]).tolist() == [[1, 1], [3, 3], [7, -8]]
    assert grid.codes([[9.0, -99.0]], narrow=True).tolist() == [[7, -7]]


def test_fixed_point_counts_its_steps_once():
    grid = Grid(parse("q2.2"), np.float32(0.25))
    assert grid.values([-8, 7]).tolist() == [-2.0, 1.75]
    assert grid.codes([-2.0, 0.3, 1.75]).tolist() == [-8, 1, 7]


def test_signs():
    grid = Grid(parse("bipolar"), np.float32(0.5))
    assert grid.codes([0.0, -0.0, 1e-30, -1e-30]).tolist() == [1, 1, 1, 0]
    assert grid.values(np.array([0, 1])).tolist() == [-0.5, 0.5]
