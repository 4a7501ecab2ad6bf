"""Halves, which go to even in weights and outputs, in training as in evaluation; ties of other formats; exact sums."""

import numpy as np
import pytest
from oracle_cases import need

need("torch")

import torch  # noqa: E402

from golden.formats import parse  # noqa: E402
from network.float_network import Linear  # noqa: E402
from network.grid import Grid  # noqa: E402
from network.quantized_weights import QuantizedWeights  # noqa: E402
from network.quantizing.recipe import Recipe  # noqa: E402
from train.bounded import BoundedWeights  # noqa: E402
from train.codes import Codes  # noqa: E402
from train.layers import QuantLinear  # noqa: E402
from train.norm import BatchNorm, Bias  # noqa: E402
from train.output import Output  # noqa: E402
from train.weights import SteppedWeights, TableWeights  # noqa: E402

torch.set_num_threads(1)

ONE = np.float32(1)


def stepped(name, scale=ONE):
    grid = Grid(parse(name), np.asarray(scale, np.float32))
    return SteppedWeights(QuantizedWeights({"weights": grid.fmt}, {}, grid), Recipe())


def coded(weights, w):
    values, quantized = weights(torch.tensor(w, dtype=torch.float32).reshape(1, -1))
    return quantized.arrays["w"][0].tolist(), values[0].tolist()


def test_integers_round_halves_to_even_and_take_the_least_code():
    codes, values = coded(stepped("int3", 0.5), np.arange(-10, 10) / 4)
    expected = [min(max(round(float(k) / 2), -4), 3) for k in range(-10, 10)]
    assert codes == expected and values == [code / 2 for code in expected]
    assert -4 in codes and 3 in codes


def test_ternary_weights_up_to_half_a_step_are_zero():
    assert coded(stepped("ternary"), [-2, -0.51, -0.5, 0, 0.5, 0.51, 3])[0] == [-1, -1, 0, 0, 0, 1, 1]


def test_powers_of_two_halfway_go_to_the_one_nearer_to_zero():
    _, values = coded(stepped("pot4"), [-3, -1.5, 0.5, 1.5, 3, 6, 12, 100])
    assert values == [-2, -1, 0, 1, 2, 4, 8, 64]


def test_small_floats_round_halves_to_even():
    step = 0.5  # of float4_e2m1fn, whose numbers are 0, 0.5, 1, 1.5, 2, 3, 4, 6
    _, values = coded(stepped("float4_e2m1fn", step), [0.25, 0.75, 1.25, 2.5, 3.5, 5, -5, 7])
    assert values == [0, 1, 1, 2, 4, 4, -4, 6]


def test_entries_of_tables_halfway_take_the_lower_one():
    fmt = parse("codebook2")
    tables = {"w_codebook": np.array([[-127, 0, 40, 127]]), "w": np.zeros((1, 1), np.int64)}
    weights = TableWeights(QuantizedWeights({"weights": fmt}, tables, Grid(fmt, np.ones(1, np.float32))))
    values, quantized = weights(torch.tensor([[-63.5], [-63.0], [20.0], [20.5], [83.5], [84.0], [500.0]]))
    assert quantized.arrays["w"][:, 0].tolist() == [0, 1, 1, 2, 2, 3, 3]
    assert values[:, 0].tolist() == [-127, 0, 0, 40, 40, 127, 127]


def test_bounded_weights_round_towards_zero():
    w = np.array([[1.9], [-1.9], [0.99], [-3.2]], np.float32)
    grid = Grid(parse("int8"), np.ones((1,), np.float32))
    weights = BoundedWeights(QuantizedWeights({"weights": grid.fmt}, {}, grid), Recipe(), w, 1000)
    assert weights(torch.tensor(w))[1].arrays["w"][:, 0].tolist() == [1, -1, 0, -3]


def norms(kind, offset):
    if kind == "bias":
        return Bias(np.array([offset, -offset]))
    return BatchNorm([1.0, -1.0], [offset, -offset], [0.0, 0.0], [1.0, 1.0], epsilon=0.0)


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize(("y", "kind"), [("int8", "bias"), ("int8", "batch norm"), ("int4", "batch norm")])
def test_outputs_round_halves_to_even(y, kind, offset):
    """Sums of whole numbers on a grid of twos: every other one is a tie."""
    layer = Linear("fc", np.array([[1.0, -1.0]], np.float32), np.zeros(2, np.float32))
    module = QuantLinear(
        layer, stepped("int2", [1, 1]), norms(kind, offset), Output(Grid(parse(y), 2 * ONE), Recipe()), Recipe()
    )
    codes = np.arange(-21, 22)[:, None]
    x = Codes(torch.tensor(codes, dtype=torch.float32), codes, Grid(parse("int8"), ONE))
    lo, hi = parse(y).code_range
    negative = codes[:, 0] * (1 if kind == "batch norm" else -1)  # gamma turns the second column around
    expected = [
        [min(max(round((s + o) / 2), lo), hi) for s, o in zip(pair, (offset, -offset), strict=True)]
        for pair in zip(codes[:, 0].tolist(), negative.tolist(), strict=True)
    ]
    module.eval()
    assert module(x).codes.tolist() == expected
    assert module.lowered(x.grid).run(codes).tolist() == expected
    if isinstance(module.norm, BatchNorm):
        module.norm.momentum = 0.0
        module.norm.folded = lambda sums=None: BatchNorm.folded(module.norm)  # the statistics stay
    assert module.train()(x).codes.tolist() == expected


def test_gradients_of_exact_sums_stop_at_the_activation():
    w = np.array([[1.0, -1.0, 2.0]], np.float32)
    layer = Linear("fc", w, np.zeros(3, np.float32), "relu6")
    module = QuantLinear(layer, stepped("int3", [1, 1, 1]), Bias(np.zeros(3)), None, Recipe())
    values = torch.tensor([[2.0], [4.0]], requires_grad=True)
    y = module(Codes(values, np.array([[2], [4]]), Grid(parse("uint8"), ONE)))
    assert y.codes.tolist() == [[2, 0, 4], [4, 0, 6]] and y.values.tolist() == y.codes.tolist()
    y.values.sum().backward()
    assert values.grad.tolist() == [[1 + 2], [1]]
