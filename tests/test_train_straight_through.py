"""Gradients through quantizers against their closed forms, in plain Python, and against finite differences."""

import numpy as np
import pytest
from oracle_cases import need

need("torch")

import torch  # noqa: E402

from golden.formats import parse  # noqa: E402
from network.quantizing.recipe import Recipe  # noqa: E402
from network.quantizing.weights import quantized_weights  # noqa: E402
from train.steps import level_range  # noqa: E402
from train.straight_through import LookedUp, OnGrid, Replaced, Sign, lsq, lsq_gain, pact  # noqa: E402
from train.weights import MeanWeights, SteppedWeights, TableWeights  # noqa: E402

torch.set_num_threads(1)
LO, HI = -2, 1
X = [[-1.7, -1.0, -0.3, 0.2], [0.5, 0.26, 0.9, -0.74]]
STEP = [0.5, 0.5, 0.25, 1.0]
GRAD = [[1.0, -2.0, 0.5, 3.0], [-0.7, 0.1, 2.0, 1.5]]


def level(position):
    return min(max(round(position), LO), HI)


def gradients(gradient, gain=1.0):
    x = torch.tensor(X, dtype=torch.float64, requires_grad=True)
    step = torch.tensor(STEP, dtype=torch.float64, requires_grad=True)
    levels = torch.tensor([[float(level(a / s)) for a, s in zip(row, STEP, strict=True)] for row in X]).double()
    values = OnGrid.apply(x, step, levels, LO, HI, gain, gradient)
    values.backward(torch.tensor(GRAD, dtype=torch.float64))
    return values, x.grad, step.grad


def closed_form(rule):
    """Gradients of x and of each step, summed in Python; `rule` is that of one element's step."""
    of_x = [[g * (LO < a / s < HI) for a, s, g in zip(*rows, strict=True)] for rows in zip(X, [STEP] * 2, GRAD)]  # noqa: B905
    each = [[g * rule(a / s) for a, s, g in zip(*rows, strict=True)] for rows in zip(X, [STEP] * 2, GRAD)]  # noqa: B905
    return of_x, [sum(column) for column in zip(*each, strict=True)]


def of_lsq(position):
    """Equation 3 of the paper."""
    if position <= LO:
        return LO
    return HI if position >= HI else round(position) - position


def of_pact(position):
    return HI if position >= HI else 0


@pytest.mark.parametrize(("gradient", "rule"), [(lsq, of_lsq), (pact, of_pact)])
def test_gradients_are_those_of_the_papers(gradient, rule):
    values, of_x, of_step = gradients(gradient)
    assert values.tolist() == [[s * level(a / s) for a, s in zip(row, STEP, strict=True)] for row in X]
    expected_x, expected_step = closed_form(rule)
    assert of_x.tolist() == expected_x
    assert of_step.tolist() == pytest.approx(expected_step, abs=1e-12)


def test_the_positions_lie_inside_beyond_and_on_both_ends():
    positions = [a / s for row in X for a, s in zip(row, STEP, strict=True)]
    assert LO in positions and HI in positions
    assert min(positions) < LO and max(positions) > HI
    assert sum(LO < position < HI for position in positions) >= 3


def test_the_step_of_lsq_is_the_slope_of_a_value_whose_rounding_stands_still():
    """d/ds of s * clip(x / s + r), where r = level - x / s0 is what rounding added, by finite differences."""
    _, _, of_step = gradients(lsq)
    h = 1e-6
    for column, s0 in enumerate(STEP):
        total = 0.0
        for row, grads in zip(X, GRAD, strict=True):
            x, position = row[column], row[column] / s0

            def value(s, x=x, position=position):
                inside = LO < position < HI
                return s * (x / s + level(position) - position) if inside else s * level(position)

            total += grads[column] * (value(s0 + h) - value(s0 - h)) / (2 * h)
        assert float(of_step[column]) == pytest.approx(total, abs=1e-6)


def test_the_gain_scales_the_gradient_of_the_step_alone():
    _, of_x, of_step = gradients(lsq)
    _, of_x_too, scaled = gradients(lsq, gain=lsq_gain(100, 4))
    assert lsq_gain(100, 4) == 1 / 20
    assert torch.equal(of_x, of_x_too)
    assert torch.allclose(scaled, of_step / 20)


def test_the_gain_of_levels_that_end_at_zero_counts_one():
    assert (lsq_gain(4, 0), lsq_gain(4, 4), lsq_gain(16, 1)) == (0.5, 0.25, 0.25)


def test_levels_are_counted_from_the_zero_point():
    assert level_range(parse("uint4"), 8) == (-8, 7) and level_range(parse("int4")) == (-8, 7)


@pytest.mark.parametrize("granularity", ["tensor", "channel"])
def test_steps_of_weights_have_the_gradient_of_lsq(granularity):
    """Of each step: level less position inside the levels, level beyond, by 1 / sqrt(count * 7)."""
    w = np.random.default_rng(6).normal(0, 1, (20, 3)).astype(np.float32)
    weights = SteppedWeights(quantized_weights(w, "int4", Recipe(granularity=granularity)), Recipe())
    with torch.no_grad():
        weights.step.growth.fill_(-0.4)
    values, quantized = weights(torch.from_numpy(w))
    values.sum().backward()
    step, codes = quantized.grid.scale.astype(np.float64), quantized.arrays["w"]
    position = w / step
    each = np.where((position > -8) & (position < 7), codes - position, codes)
    assert (np.abs(position) > 8).any()
    total, count = (each.sum(), 60) if granularity == "tensor" else (each.sum(axis=0), 20)
    assert weights.step.growth.grad.numpy() == pytest.approx(step * total / np.sqrt(count * 7), rel=1e-3)


def test_tables_of_zeros_and_tables_in_any_order():
    w = np.random.default_rng(7).normal(0, 1, (20, 3)).astype(np.float32)
    w[:, 1] = 0
    weights = TableWeights(quantized_weights(w, "codebook2", Recipe()))
    with torch.no_grad():
        weights.tables.copy_(weights.tables.flip(1))
    values, quantized = weights(torch.from_numpy(w))
    assert quantized.grid.scale[1] == 1 and not values[:, 1].any()
    entries = quantized.arrays["w_codebook"] * quantized.grid.scale[:, None]
    nearest = np.abs(w[:, :, None] - entries).min(axis=-1)
    assert np.abs(w - values.detach().numpy()) == pytest.approx(nearest, abs=1e-6)
    assert (np.diff(quantized.arrays["w_codebook"]) >= 0).all()


def test_a_shared_step_sums_over_everything():
    x = torch.tensor(X, requires_grad=True)
    step = torch.tensor(0.5, requires_grad=True)
    OnGrid.apply(x, step, torch.ones(2, 4), LO, HI, 1.0, lsq).sum().backward()
    assert step.grad.shape == ()
    expected = sum(1.0 if not LO < a / 0.5 < HI else 1 - a / 0.5 for row in X for a in row)
    assert float(step.grad) == pytest.approx(expected, abs=1e-5)


def test_signs_pass_gradients_up_to_the_clip():
    x = torch.tensor([[-1.5, -1.0, 0.0, 0.4, 1.0, 1.0001]], requires_grad=True)
    step = torch.tensor([3.0], requires_grad=True)
    signs = torch.tensor([[-1.0, -1, 1, 1, 1, 1]])
    values = Sign.apply(x, step.expand(1).clone(), signs, 1.0)
    assert values.tolist() == (3 * signs).tolist()
    grads = torch.tensor([[1.0, 2, 3, 4, 5, 6]])
    values.backward(grads)
    assert x.grad.tolist() == [[0, 2, 3, 4, 5, 0]]


def test_the_step_of_signs_sums_signed_gradients():
    step = torch.tensor([1.0, 2.0], requires_grad=True)
    signs = torch.tensor([[1.0, -1], [-1, 0]])
    Sign.apply(torch.zeros(2, 2), step, signs, 1.0).backward(torch.tensor([[1.0, 2], [3, 4]]))
    assert step.grad.tolist() == [1 - 3, -2]


def test_tables_get_the_sum_of_those_that_point_to_an_entry():
    rng = np.random.default_rng(1)
    codes, grads = rng.integers(0, 3, (4, 7)), rng.normal(0, 1, (4, 7)).astype(np.float32)
    x, tables = torch.zeros(4, 7, requires_grad=True), torch.zeros(4, 3, requires_grad=True)
    values = torch.full((4, 7), 9.0)
    found = LookedUp.apply(x, tables, torch.from_numpy(codes), values)
    assert torch.equal(found, values)
    found.backward(torch.from_numpy(grads))
    assert torch.equal(x.grad, torch.from_numpy(grads))
    for t in range(4):
        for entry in range(3):
            total = sum(float(g) for g, code in zip(grads[t], codes[t], strict=True) if code == entry)
            assert float(tables.grad[t, entry]) == pytest.approx(total, abs=1e-5)


def test_what_is_replaced_gets_the_gradient():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    Replaced.apply(x, torch.tensor([5.0, 6.0])).backward(torch.tensor([3.0, 4.0]))
    assert x.grad.tolist() == [3, 4]


@pytest.mark.parametrize(("name", "clip"), [("bipolar", 1.0), ("ternary", np.inf)])
def test_steps_that_are_means_pass_gradients_to_what_they_are_the_mean_of(name, clip):
    """of_w = grad * (|w| <= clip) * 1 + sign * sum(grad * sign) / count, sums over the column, signs 0 left out."""
    rng = np.random.default_rng(2)
    start, grads = rng.normal(0, 0.7, (9, 4)).astype(np.float32), rng.normal(0, 1, (9, 4))
    w = torch.tensor(start, requires_grad=True)
    values, quantized = MeanWeights(name, Recipe(), clip)(w)
    values.backward(torch.tensor(grads, dtype=torch.float32))
    signs = np.sign(quantized.grid.fmt.decode(quantized.arrays["w"]))
    assert (np.abs(start) > 1).any() and (name == "bipolar" or (signs == 0).any())
    for n in range(4):
        of_step, count = sum(grads[:, n] * signs[:, n]), sum(abs(signs[:, n]))
        expected = [
            grad * (abs(one) <= clip) + sign * of_step / count
            for grad, one, sign in zip(grads[:, n], start[:, n], signs[:, n], strict=True)
        ]
        assert w.grad[:, n].tolist() == pytest.approx(expected, abs=1e-5)
