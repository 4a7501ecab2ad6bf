"""What `trainable` refuses, and how steps and zero points are learned."""

import numpy as np
import pytest
from networks_to_train import cnn, inputs, mlp, same, traced
from oracle_cases import need

need("torch")

import torch  # noqa: E402

from golden.formats import parse  # noqa: E402
from network.float_network import FloatAveragePool, FloatNetwork  # noqa: E402
from network.grid import Grid  # noqa: E402
from network.layers import AveragePool  # noqa: E402
from network.quantizing.recipe import LayerFormats, Recipe  # noqa: E402
from network.shapes import Window  # noqa: E402
from train.network import export  # noqa: E402
from train.output import Output  # noqa: E402
from train.prepare import Method, trainable  # noqa: E402
from train.shapes import QuantAveragePool  # noqa: E402
from train.steps import FixedStep, PowerStep, Step, step_of  # noqa: E402

torch.set_num_threads(1)

METHODS = [
    (dict(steps="fixed"), "steps must be one of learned, mean, not 'fixed'"),
    (dict(step_gradient="ste"), "step_gradient must be one of lsq, pact, not 'ste'"),
    (dict(bound="l2"), "bound must be one of norm, centered, not 'l2'"),
    (dict(accumulator=1), "accumulator must be 2 to 63 bits, not 1"),
    (dict(accumulator=64), "accumulator must be 2 to 63 bits, not 64"),
]


@pytest.mark.parametrize(("fields", "message"), METHODS)
def test_methods_that_are_none(fields, message):
    with pytest.raises(ValueError) as raised:
        Method(**fields)
    assert str(raised.value) == message


def test_accumulators_of_2_to_63_bits():
    assert [Method(accumulator=bits).accumulator for bits in (2, 63)] == [2, 63]


@pytest.mark.parametrize("field", ["batch_norm", "narrow"])
def test_layers_that_are_not_there(field):
    rng = np.random.default_rng(1)
    network = mlp(rng)
    with pytest.raises(ValueError) as raised:
        trainable(network, [inputs(rng, network)], Recipe(), Method(**{field: ("fc1", "fc9")}))
    assert str(raised.value) == f"{field} names 'fc9', which is no linear layer of network mlp"


def test_narrow_outputs():
    rng = np.random.default_rng(1)
    network = mlp(rng)
    x = inputs(rng, network)
    with pytest.raises(ValueError) as raised:
        trainable(network, [x], Recipe(), Method(narrow=("fc1",)))
    assert str(raised.value) == "layer fc1: narrow outputs must be signed integers of 2 bits or more, not uint8"
    module = trainable(network, [x], Recipe(), Method(narrow=("fc3",)))
    with torch.no_grad():
        module.chain[2].y.step.growth -= 1
    assert same(module.trace(x), traced(export(module), x))
    assert module.trace(x)["fc3"].min() == -127
    zero_point = module.chain[2].y.zero_point
    assert module.chain[2].y.bounds("none") == (-127 - zero_point, 127 - zero_point)


def test_narrow_outputs_keep_the_bounds_of_an_activation():
    """A platform without activations has them as a clip of codes."""
    rng = np.random.default_rng(1)
    network = mlp(rng)
    x = inputs(rng, network)
    recipe = Recipe(activations="int8", symmetric=True, platform="tosa")
    module = trainable(network, [x], recipe, Method(narrow=("fc1", "fc3")))
    assert [layer.spec.clip for layer in export(module).products] == [(0, 127), (0, 127), (-127, 127)]
    assert module.trace(x)["fc1"].min() == 0


def test_ranges_that_come_with_the_data_are_not_learned():
    rng = np.random.default_rng(1)
    network = mlp(rng)
    with pytest.raises(ValueError) as raised:
        trainable(network, [inputs(rng, network)], Recipe(activation_range="dynamic"))
    assert str(raised.value) == "activation_range must be found from calibration data for training, not 'dynamic'"


def test_pools_with_dilation_are_not_trained():
    grid = Grid(parse("uint8"))
    with pytest.raises(ValueError) as raised:
        QuantAveragePool(AveragePool("p", Window((2, 2), dilation=(2, 1)), grid, grid))
    assert str(raised.value) == "layer p: a pool is trained with dilation (1, 1), not (2, 1)"


def test_gradients_of_output_steps_have_names():
    with pytest.raises(ValueError) as raised:
        Output(Grid(parse("uint8")), Recipe(), "plain")
    assert str(raised.value) == "gradient must be one of lsq, pact, not 'plain'"


def test_steps_are_learned_as_the_recipe_lets_them():
    grid = Grid(parse("int4"), np.array([0.5, 0.25], np.float32))
    real, power = step_of(grid, Recipe()), step_of(grid, Recipe(scales="power_of_two"))
    fixed = step_of(Grid(parse("q2.2"), np.float32(0.25)), Recipe())
    assert (type(real), type(power), type(fixed)) == (Step, PowerStep, FixedStep)
    assert type(step_of(Grid(parse("float8_e4m3fn"), np.float32(0.25)), Recipe())) is Step
    for step in (real, power, fixed):
        assert torch.equal(step(), step.initial)
        with torch.no_grad():
            step.growth.fill_(0.7)
    assert real().tolist() == pytest.approx([0.5 * np.exp(0.7), 0.25 * np.exp(0.7)])
    assert power().tolist() == [1, 0.5]
    assert float(fixed().detach()) == 0.25
    power().sum().backward()
    assert power.growth.grad.tolist() == pytest.approx([1 * np.log(2), 0.5 * np.log(2)])


@pytest.mark.parametrize("recipe", [Recipe(activations="uq1.7"), Recipe(activations="int8", output="q3.5")])
def test_fixed_point_outputs_keep_their_grid(recipe):
    rng = np.random.default_rng(2)
    network = cnn(rng)
    x = np.abs(inputs(rng, network))
    module = trainable(network, [x], recipe)
    adam = torch.optim.Adam(module.parameters(), lr=0.02)
    module(x).square().sum().backward()
    adam.step()
    exported = export(module)
    assert same(module.trace(x), traced(exported, x))
    fixed = [grid for grid in exported.grids if grid.fmt.fraction]
    assert fixed and all(grid.scale == 2.0**-grid.fmt.fraction for grid in fixed)


@pytest.mark.parametrize("platform", ["tflite-micro", "onnxruntime", "qonnx"])
def test_average_pools_of_platforms(platform):
    """One keeps the grid, one has a grid of its own, one divides by a power of two."""
    rng = np.random.default_rng(3)
    pool = FloatAveragePool("mean", Window((3, 3), stride=(2, 2)))
    network = cnn(rng)
    layers = tuple(pool if layer.name == "max" else layer for layer in network.layers if layer.name != "mean")
    sizes = [layer for layer in layers if layer.name not in ("pointwise", "first", "flat", "fc")]
    network = FloatNetwork("pools", network.shape, tuple(sizes))
    x = inputs(rng, network)
    recipe = Recipe(activations="uint8", platform=platform, layers={"conv": LayerFormats(activations="uint8")})
    module = trainable(network, [x], recipe)
    adam = torch.optim.Adam(module.parameters(), lr=0.05)
    before = module.chain[1].y.grid.scale
    for _ in range(3):
        adam.zero_grad()
        module(x).square().sum().backward()
        adam.step()
    exported = export(module)
    assert module.chain[1].y.grid.scale != before
    assert same(module.trace(x), traced(exported, x))


def test_outputs_pass_gradients_between_their_bounds():
    grid = Grid(parse("uint8"), np.float32(0.125), 100)
    bounds = {
        "none": (-100, 155),
        "relu": (0, 155),
        "relu6": (0, 48),
    }
    for activation, expected in bounds.items():
        assert Output(grid, Recipe()).bounds(activation) == expected
