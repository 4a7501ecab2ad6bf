"""Float32 steps: each against plain Python floats, ties of each rounding, and which of them never fall."""

import math

import numpy as np
import pytest

from network.elementwise import OPERATIONS, ROUNDING_STEPS, Step, applied, is_rising

X = [-2.5, -1.5, -0.5, -0.25, 0.0, 0.5, 0.75, 1.5, 2.5]
ROUNDED = {
    "round_half_even": [-2, -2, 0, 0, 0, 0, 1, 2, 2],
    "round_half_away": [-3, -2, -1, 0, 0, 1, 1, 2, 3],
    "round_half_to_zero": [-2, -1, 0, 0, 0, 0, 1, 1, 2],
    "round_away": [-3, -2, -1, -1, 0, 1, 1, 2, 3],
    "round_toward_zero": [-2, -1, 0, 0, 0, 0, 0, 1, 2],
    "round_ceil": [-2, -1, 0, 0, 0, 1, 1, 2, 3],
    "round_floor": [-3, -2, -1, -1, 0, 0, 0, 1, 2],
}


@pytest.mark.parametrize("name", ROUNDING_STEPS)
def test_ties_of_each_rounding(name):
    assert Step(name)(X).tolist() == ROUNDED[name]


PLAIN = {
    "add": lambda x: x + 0.5,
    "sub": lambda x: x - 0.5,
    "mul": lambda x: x * 0.5,
    "div": lambda x: x / 0.5,
    "relu": lambda x: max(x, 0.0),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": math.tanh,
}


@pytest.mark.parametrize("name", PLAIN)
def test_each_operation_of_one_number(name):
    step = Step(name, (0.5,) if name in ("add", "sub", "mul", "div") else ())
    assert step(X).dtype == np.float32
    assert step(X).tolist() == pytest.approx([PLAIN[name](x) for x in X], rel=1e-6, abs=1e-7)


def test_operations_along_the_last_axis():
    """Also of numbers whose powers float32 does not hold."""
    for row in ([1.0, -2.0, 0.5], [1000.0, 999.0, -1000.0], [-2000.0, -2001.0, -2000.5]):
        total = math.fsum(math.exp(x - max(row)) for x in row)
        shares = [math.exp(x - max(row)) / total for x in row]
        found = Step("softmax")([row, row])
        assert found.tolist() == [pytest.approx(shares, rel=1e-5, abs=1e-30)] * 2
        logarithms = [x - max(row) - math.log(total) for x in row]
        assert Step("log_softmax")([row, row]).tolist() == [pytest.approx(logarithms, rel=1e-5)] * 2


def test_batch_norm_adds_epsilon_to_the_variance():
    step = Step("batch_norm", ([2.0, -1], [0.5, 0], [1.0, 3], [0.0, 8.0], 1.0))
    assert step([[3.0, 6.0]]).tolist() == [[2 * 2 / 1 + 0.5, -1 * 3 / 3]]


def test_levels_that_are_reached_count():
    """Also the one that is met; each channel has its own, or all have the same."""
    assert Step("reached", ([[0.0, 1, 2], [-5, -5, 9]],))([[1.0, -5.0], [-0.1, 9.0]]).tolist() == [[2, 2], [0, 3]]
    assert Step("reached", ([[0.0, 1]],))([[0.0, 1.0, 2.0, -1.0]]).tolist() == [[1, 2, 2, 0]]


def test_operations_round_to_float32_and_say_nothing_of_what_is_not_finite():
    assert applied((Step("mul", (1e30,)), Step("mul", (1e30,))), [1.0, -1.0, 0.0]).tolist() == [np.inf, -np.inf, 0]
    assert np.isnan(applied((Step("div", (0.0,)),), [0.0])[0])
    assert applied((Step("add", (1.0,)), Step("sub", (1.0,))), [2.0**-25])[0] == 0


def test_steps_that_never_fall():
    """By trying: more operands than one sign make a step fall somewhere, and so does what mixes channels."""
    rising = {
        **{name: () for name in (*ROUNDING_STEPS, "relu", "sigmoid", "tanh")},
        **{name: (2.0,) for name in ("add", "sub", "mul", "div")},
        "clip": (-1.0, 1.0),
    }
    x = np.linspace(-3, 3, 601)
    for name, operands in rising.items():
        assert is_rising(Step(name, operands)) and (np.diff(Step(name, operands)(x)) >= 0).all(), name
    for name in ("mul", "div"):
        assert not is_rising(Step(name, ([2.0, -1.0],))) and not is_rising(Step(name, (-1.0,)))
        assert (np.diff(Step(name, (-1.0,))(x)) < 0).any()
    assert is_rising(Step("mul", (0.0,)))
    others = {"softmax": (), "log_softmax": (), "batch_norm": (1.0, 0.0, 0.0, 1.0, 0.0), "reached": ([[0.0]],)}
    assert not any(is_rising(Step(name, operands)) for name, operands in others.items())
    assert {*rising, *others} == set(OPERATIONS)
