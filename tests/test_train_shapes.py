"""Layers without weights in training: the codes of golden, the values that gradients go through, and the gradients."""

import numpy as np
import pytest
from networks_to_train import POOL
from oracle_cases import need

need("torch")

import torch  # noqa: E402

from golden.formats import parse  # noqa: E402
from network.grid import Grid  # noqa: E402
from network.layers import AveragePool, mean  # noqa: E402
from network.shapes import MaxPool, Reshape, Transpose, Window  # noqa: E402
from train.codes import Codes  # noqa: E402
from train.shapes import Moved, QuantAveragePool  # noqa: E402

torch.set_num_threads(1)
GRID = Grid(parse("int8"), np.float32(0.5), 100)
WIDE = Window((2, 3), stride=(1, 2), dilation=(2, 1), padding=((1, 0), (0, 1)))


def given(seed=1):
    """Maps 2 x 5 x 6 x 3 whose values are all below zero."""
    codes = np.random.default_rng(seed).integers(-128, 90, (2, 5, 6, 3))
    return Codes(torch.tensor(GRID.values(codes), dtype=torch.float32, requires_grad=True), codes, GRID)


def slopes(run, x, grads):
    """Of sum(grads * run(x)) by differences, in float64."""
    found = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        ends = []
        for move in (1e-3, -1e-3):
            moved = x.copy()
            moved[place] += move
            ends.append((grads * run(moved)).sum())
        found[place] = (ends[0] - ends[1]) / 2e-3
    return found


@pytest.mark.parametrize(
    "layer",
    [MaxPool("m", POOL), MaxPool("m", WIDE), Transpose("t", (0, 3, 1, 2)), Reshape("r", (6, 15))],
    ids=["max pool", "with dilation", "transpose", "reshape"],
)
def test_what_moves_codes_moves_values_and_gradients(layer):
    x = given()
    found = Moved(layer)(x)
    assert found.codes.tolist() == layer.run(x.codes).tolist() and found.grid is GRID
    assert found.values.tolist() == GRID.values(found.codes).tolist()
    grads = np.random.default_rng(2).normal(0, 1, found.codes.shape)
    distinct = np.random.default_rng(3).permutation(x.codes.size).reshape(x.codes.shape) - 1000.0
    moved = Codes(torch.tensor(distinct, requires_grad=True), x.codes, GRID)
    Moved(layer)(moved).values.backward(torch.from_numpy(grads))
    assert moved.values.grad.numpy() == pytest.approx(slopes(layer.run, distinct, grads), abs=1e-6)


@pytest.mark.parametrize("platform", ["tflite-micro", "onnxruntime"])
def test_average_pools(platform):
    """Outputs keep the proportion of scales; padding does not count, in gradients neither."""
    y = Grid(parse("int8"), np.float32(0.125), -3) if platform == "onnxruntime" else GRID
    layer, x = AveragePool("a", POOL, GRID, y, platform), given()
    found = QuantAveragePool(layer)(x)
    assert found.codes.tolist() == layer.run(x.codes).tolist()
    assert found.values.tolist() == y.values(found.codes).tolist()
    twice = QuantAveragePool(layer).lowered(Grid(GRID.fmt, GRID.scale * 2, GRID.zero_point))
    assert (float(twice.x.scale), float(twice.y.scale), twice.y.zero_point) == (1.0, 2 * y.scale, y.zero_point)
    grads = np.random.default_rng(2).normal(0, 1, found.codes.shape)
    found.values.backward(torch.tensor(grads, dtype=torch.float32))
    expected = slopes(lambda values: mean(POOL, values), GRID.values(x.codes), grads)
    assert x.values.grad.numpy() == pytest.approx(expected, abs=1e-5)
