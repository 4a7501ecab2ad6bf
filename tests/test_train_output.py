"""Grids of trained outputs, gradients through them, and what `trainable` takes of recipe and method."""

from dataclasses import replace

import numpy as np
import pytest
from networks_to_train import inputs, mlp, same, traced
from oracle_cases import need

need("torch")

import torch  # noqa: E402

from golden.formats import parse  # noqa: E402
from network.elementwise import Step as Operation  # noqa: E402
from network.grid import Grid  # noqa: E402
from network.quantizing.post_training import quantize  # noqa: E402
from network.quantizing.recipe import EXACT, LayerFormats, Recipe  # noqa: E402
from train.norm import BatchNorm  # noqa: E402
from train.output import Output  # noqa: E402
from train.prepare import Method, trainable  # noqa: E402
from train.steps import PowerStep, Step  # noqa: E402
from train.straight_through import lsq, pact  # noqa: E402

torch.set_num_threads(1)


def test_codes_bound_before_six_does():
    """255 steps of 1/100 end below 6, 255 steps of 1/10 beyond."""
    ends = {step: Output(Grid(parse("uint8"), np.float32(step)), Recipe()).bounds("relu6") for step in (0.01, 0.1)}
    assert ends == {0.01: (0, 255), 0.1: (0, pytest.approx(60, rel=1e-6))}


def test_narrow_outputs_have_two_bits():
    with pytest.raises(ValueError) as error:
        Output(Grid(parse("int1")), Recipe(), narrow=True)
    assert str(error.value) == "narrow outputs must be signed integers of 2 bits or more, not int1"
    assert Output(Grid(parse("int2")), Recipe(), narrow=True).clip == (-1, 1)


def test_steps_of_outputs_are_the_recipes():
    grid = Grid(parse("uint8"), np.float32(0.25))
    kinds = [type(Output(grid, Recipe(scales=scales)).step) for scales in ("real", "power_of_two")]
    assert kinds == [Step, PowerStep]


def test_signs_pass_gradients_up_to_one_step():
    output = Output(Grid(parse("bipolar"), np.float32(0.25)), Recipe())
    real = torch.tensor([[0.25, -0.25, 0.26, -0.7, 0.0]], requires_grad=True)
    found = output(real, np.array([[1, 0, 1, 0, 1]]), "none")
    assert found.values.tolist() == [[0.25, -0.25, 0.25, -0.25, 0.25]]
    found.values.sum().backward()
    assert real.grad.tolist() == [[1, 1, 0, 0, 1]]


def test_the_gain_of_a_step_counts_the_numbers_of_one_example():
    output = Output(Grid(parse("uint8"), np.float32(0.5)), Recipe())
    real = torch.tensor([[0.6, 1.1, 2.0], [300.0, 0.9, 0.1]])
    output(real, np.array([[1, 2, 4], [255, 2, 0]]), "none").values.sum().backward()
    # level less position inside, the level beyond; growth moves the step by itself
    each = sum(code - 2 * x for code, x in ((1, 0.6), (2, 1.1), (4, 2.0), (2, 0.9), (0, 0.1))) + 255
    assert float(output.step.growth.grad) == pytest.approx(0.5 * each / np.sqrt(3 * 255), rel=1e-5)


def made(recipe=None, method=None, **changes):
    rng = np.random.default_rng(1)
    network = replace(mlp(rng), **changes)
    x = inputs(rng, network)
    return trainable(network, [x], recipe or Recipe(), method), network, x


def test_methods_reach_the_layers():
    for name, gradient in (("lsq", lsq), ("pact", pact)):
        module, *_ = made(method=Method(step_gradient=name))
        assert all(layer.y.gradient is gradient for layer in module.chain)
    for weights, clip in (("bipolar", 1.0), ("ternary", np.inf)):
        module, *_ = made(Recipe(weights=weights), Method(steps="mean"))
        assert [layer.weights.clip for layer in module.chain] == [clip] * 3


def test_corrections_are_left_to_training():
    plain, _, x = made(Recipe(weights="int3"))
    corrected, *_ = made(Recipe(weights="int3", corrections=("equalize", "bias")))
    assert same(plain.trace(x), corrected.trace(x))


def test_statistics_are_of_what_the_first_steps_leave():
    module, network, x = made(method=Method(batch_norm=("fc1",)), before=(Operation("mul", (np.float32(2),)),))
    norm, sums = module.chain[0].norm, 2 * x @ network.layers[0].w
    assert norm.mean.numpy() == pytest.approx(sums.mean(axis=0), abs=1e-4)
    assert norm.variance.numpy() == pytest.approx(sums.var(axis=0), rel=1e-4)


def test_signs_need_batch_norm_behind_an_activation():
    signs = Recipe(weights="ternary", activations="bipolar", layers={"fc1": LayerFormats(activations="uint8")})
    with pytest.raises(ValueError, match=r"^layer fc2: after relu bipolar outputs would all be \+1$"):
        made(signs.with_(output=EXACT), Method(batch_norm=("fc1",)))


def test_columns_of_next_to_nothing_begin_as_they_are_quantized():
    rng = np.random.default_rng(2)
    network = mlp(rng)
    w = network.layers[0].w.copy()
    w[:, 3], w[:, 5] = 1e-12, 1e-25
    bias = network.layers[0].bias.copy()
    bias[5] = 0
    network = replace(network, layers=(replace(network.layers[0], w=w, bias=bias), *network.layers[1:]))
    x = inputs(rng, network)
    module = trainable(network, [x], Recipe())
    assert same(module.trace(x), traced(quantize(network, [x], Recipe()), x))


def test_a_norm_begins_as_what_it_normalizes_and_follows_a_tenth_of_each_batch():
    norm = BatchNorm(np.ones(2), np.zeros(2), np.array([1.0, 2]), np.array([1e-6, 4]))
    norm.keep(np.array([1.0, 2]))
    folded = norm.folded()
    assert folded.factor.tolist() == pytest.approx([1, 1], abs=1e-6)
    assert folded.offset.tolist() == pytest.approx([0, 0], abs=1e-5)
    norm.train().folded(torch.tensor([[3.0, 0.0], [5.0, 4.0]]))
    assert norm.mean.tolist() == pytest.approx([1 + 0.1 * (4 - 1), 2])
    assert norm.variance.tolist() == pytest.approx([0.9e-6 + 0.1, 4])
