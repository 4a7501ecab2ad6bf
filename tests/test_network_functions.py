"""Functions of codes: golden's rule with the grids' own scales and zero points, and the function of real numbers."""

import math

import numpy as np
import pytest

from golden import platforms
from golden.formats import parse
from network.functions import Logistic, Rescale, Softmax
from network.grid import Grid

INT8, UINT8 = parse("int8"), parse("uint8")
X, SCORES = Grid(INT8, np.float32(0.1), -5), Grid(INT8, np.float32(2.0**-8), -128)
CODES = np.random.default_rng(1).integers(-128, 128, (6, 5))


def test_rescaling():
    y = Grid(INT8, np.float32(0.07), 20)
    found = Rescale("r", "tflite-micro", X, y)
    zero_points = {"x_zero_point": -5, "y_zero_point": 20}
    scales = {"x_scale": np.float32(0.1), "y_scale": np.float32(0.07)}
    assert found.run(CODES).tolist() == platforms.rescale(
        "tflite-micro", CODES, **scales, **zero_points, y_format="int8"
    ).tolist()  # fmt: skip
    exact = np.clip((CODES + 5) * (0.1 / 0.07) + 20, -128, 127)
    assert np.abs(found.run(CODES) - exact).max() <= 0.51
    assert found.real([0.25, -3.0]).tolist() == [0.25, -3.0]


@pytest.mark.parametrize("beta", [None, 2.0])
def test_softmax(beta):
    found = Softmax("s", "tflite-micro", X, SCORES, *([beta] if beta else []))
    expected = platforms.softmax("tflite-micro", CODES, x_scale=np.float32(0.1), beta=beta or 1.0, x_format="int8")
    assert found.run(CODES).tolist() == expected.tolist()
    for row in ([1.0, 2.0, -0.5], [1000.0, 999.5, -1000.0]):
        powers = [math.exp((beta or 1.0) * (x - max(row))) for x in row]
        assert found.real([row])[0].tolist() == pytest.approx([x / math.fsum(powers) for x in powers])
    near = found.fake(X.values(CODES)) - SCORES.values(found.run(CODES))
    assert np.abs(near).max() <= 2 * 2.0**-8


def test_the_logistic_function():
    found = Logistic("l", "tflite-micro", X, SCORES)
    expected = platforms.logistic("tflite-micro", CODES, x_scale=np.float32(0.1), x_zero_point=-5, x_format="int8")
    assert found.run(CODES).tolist() == expected.tolist()
    x = [-600.0, -20.0, -1.0, 0.0, 3.0, 1000.0]
    assert found.real(x).tolist() == pytest.approx([1 / (1 + math.exp(-one)) for one in x], rel=1e-12)
    assert 0 <= found.real(np.array(-1e6)) < 1e-300
