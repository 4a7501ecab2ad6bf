"""Batch norm folded into requantizers and thresholds: exact for every sum, whatever the sign of gamma."""

from dataclasses import replace

import numpy as np
import pytest
from networks_to_train import inputs, linear, mlp, same, traced
from oracle_cases import need

need("torch")

import torch  # noqa: E402

from golden.formats import Integer, parse  # noqa: E402
from golden.tensors import golden, operands  # noqa: E402
from network.elementwise import Step  # noqa: E402
from network.float_network import FloatNetwork  # noqa: E402
from network.grid import Grid  # noqa: E402
from network.quantizing.recipe import EXACT, LayerFormats, Recipe  # noqa: E402
from train.network import export  # noqa: E402
from train.norm import BatchNorm  # noqa: E402
from train.prepare import Method, trainable  # noqa: E402
from train.thresholds import real_output  # noqa: E402

torch.set_num_threads(1)

NARROW = {"fc1": LayerFormats(activations="uint8")}
RECIPES = {
    "uint8": Recipe(weights="int4"),
    "uint4": Recipe(weights="int4", activations="uint4", layers=NARROW),
    "uint2": Recipe(weights="bipolar", activations="uint2", layers=NARROW),
    "bipolar": Recipe(weights="ternary", activations="bipolar", layers=NARROW, output=EXACT),
    "ternary": Recipe(weights="ternary", activations="int2", symmetric=True, layers=NARROW, output=EXACT),
    "int3": Recipe(weights="mxfp4", activations="int3", symmetric=True, layers=NARROW),
    "tflite": Recipe(weights="int8", activations="int8", platform="tflite-micro"),
}
NORMED = Method(batch_norm=("fc1", "fc2"))
TERNARY = Method(batch_norm=("fc1", "fc2"), narrow=("fc1", "fc2"))


def normed(name, seed=1):
    """A module with batch norm whose gamma has both signs, and its inputs."""
    rng = np.random.default_rng(seed)
    network = mlp(rng)
    if name == "ternary":
        layers = tuple(replace(layer, activation="none") for layer in network.layers)
        network = replace(network, layers=layers)
    x = inputs(rng, network, 60)
    module = trainable(network, [x], RECIPES[name], TERNARY if name == "ternary" else NORMED)
    for layer in module.chain[:2]:
        norm, columns = layer.norm, len(layer.norm.gamma)
        flips = torch.from_numpy(np.where(np.arange(columns) % 3, 1, -1).astype(np.float32))
        with torch.no_grad():
            norm.gamma.mul_(flips * torch.from_numpy(rng.uniform(0.5, 2, columns).astype(np.float32)))
            norm.beta.add_(torch.from_numpy(rng.normal(0, 0.2, columns).astype(np.float32)))
    return module, x


@pytest.mark.parametrize("name", RECIPES)
def test_codes_in_training_are_those_of_the_network_with_the_statistics_of_the_batch(name):
    """With momentum 1 the tracked statistics are those of the last batch."""
    module, x = normed(name)
    for layer in module.chain[:2]:
        layer.norm.momentum = 1.0
    in_training = module.train().trace(x)
    assert same(in_training, traced(export(module), x))
    assert same(in_training, module.eval().trace(x))


@pytest.mark.parametrize("name", RECIPES)
def test_evaluation_takes_tracked_statistics(name):
    module, x = normed(name)
    module.train()(x)
    module.train()(x[:20])
    exported = export(module)
    assert same(module.eval().trace(x), traced(exported, x))
    counted = [layer.spec.requantize == "thresholds" for layer in exported.products[:2]]
    assert counted == [name not in ("uint8", "tflite")] * 2


@pytest.mark.parametrize("name", ["uint4", "uint2", "bipolar", "int3", "ternary"])
def test_thresholds_give_batch_norm_for_every_sum(name):
    """Batch norm in float32 of each sum that the array can form, rounded to a code, against the product's own codes."""
    module, _ = normed(name)
    layer, norm = export(module).products[0], module.chain[0].norm
    (lo, hi), scale = layer.spec.acc_range, layer.x.scale.astype(np.float64) * layer.w.scale
    sums = np.unique(np.linspace(lo, hi, 4001).astype(np.int64))
    f = {key: getattr(norm, key).detach().numpy() for key in ("gamma", "beta", "mean", "variance")}
    sign = np.where(f["gamma"] < 0, -1, 1).astype(np.float32)
    real = (sums[:, None] * np.broadcast_to(scale, sign.shape)).astype(np.float32)
    y = np.abs(f["gamma"]) * (real - sign * f["mean"]) / np.sqrt(f["variance"] + np.float32(1e-5)) + f["beta"]
    if name == "bipolar":
        expected = (y >= 0).astype(np.int64)
    else:
        bounds = (-1, 1) if name == "ternary" else layer.y.fmt.code_range
        y = y if name == "ternary" else np.maximum(y, 0)
        expected = np.clip(np.rint(y / layer.y.scale), *bounds).astype(np.int64)
    found = reached(layer, sums)
    assert found.tolist() == expected.tolist()
    assert len(np.unique(found)) == {"uint4": 16, "uint2": 4, "bipolar": 2, "int3": 4, "ternary": 3}[name]


def test_ternary_outputs_have_two_thresholds():
    module, _ = normed("ternary")
    layer = export(module).products[0]
    assert layer.spec.clip == (-1, 1) and layer.arrays["thresholds"].shape == (9, 2)


def reached(layer, sums):
    """Codes [S, N] of the product for sums, whatever its operands: of wide activations times one weight, 1."""
    spec = layer.spec.with_(
        activations=Integer(31, signed=True), weights=Integer(2, signed=True), depth=1, a_zero_point=False, block=0,
        w_block_scale=None, scale_range=None,
    )  # fmt: skip
    wide = spec.acc_range
    assert wide[0] <= sums[0] and sums[-1] <= wide[1]
    w = np.ones((1, layer.columns), np.int64)
    return golden(spec, operands(spec, {"a": sums[:, None], "w": w, "thresholds": layer.arrays["thresholds"]}))


def test_a_network_begins_as_it_was():
    """In evaluation batch norm gives the sums and the bias again, up to its epsilon."""
    rng = np.random.default_rng(2)
    network = mlp(rng)
    x, recipe = inputs(rng, network), Recipe(weights="int8", activations="uint16", output="int16")
    plain, with_norm = (trainable(network, [x], recipe, method).eval() for method in (Method(), NORMED))
    assert with_norm(x).detach().numpy() == pytest.approx(plain(x).detach().numpy(), abs=2e-3)


def test_before_signs_it_normalizes():
    rng = np.random.default_rng(3)
    network = mlp(rng)
    module = trainable(network, [inputs(rng, network, 200)], RECIPES["bipolar"], NORMED)
    share = module.trace(inputs(rng, network, 200))["fc1"].mean(axis=0)
    assert (share > 0.2).all() and (share < 0.8).all()


def test_gamma_near_zero_leaves_biases_that_fit():
    module, x = normed("uint8")
    with torch.no_grad():
        module.chain[0].norm.gamma[:3] = torch.tensor([0.0, 1e-30, -1e-30])
    exported = export(module)
    assert np.abs(exported.products[0].arrays["bias"]).max() < 1 << 31
    assert same(module.eval().trace(x), traced(exported, x))


@pytest.mark.parametrize(
    ("activation", "codes"), [("none", [-4, -1, 0, 3, 3]), ("relu", [0, 0, 0, 3, 3]), ("relu6", [0, 0, 0, 2, 2])]
)
def test_what_thresholds_stand_for(activation, codes):
    real = real_output("n", Grid(parse("int3"), np.float32(2.5)), Step("add", (1.0,)), activation)
    assert real.run(np.array([-99.0, -3.5, -1.0, 6.6, 99.0])).tolist() == codes


def test_columns_without_gamma_and_beta_give_nothing():
    module, x = normed("uint8")
    with torch.no_grad():
        module.chain[0].norm.gamma[:2], module.chain[0].norm.beta[:2] = 0, 0
    exported = export(module)
    found = module.eval().trace(x)
    assert same(found, traced(exported, x))
    assert not found["fc1"][:, :2].any() and found["fc1"][:, 2:].any()


def test_exact_sums_without_gamma_and_beta_keep_a_scale():
    rng = np.random.default_rng(9)
    network = FloatNetwork("one", (6,), (linear(rng, "fc", 6, 4, "none"),))
    x = inputs(rng, network)
    module = trainable(network, [x], Recipe(output=EXACT), Method(batch_norm=("fc",)))
    with torch.no_grad():
        module.chain[0].norm.gamma[0], module.chain[0].norm.beta[0] = 0, 0
    exported = export(module)
    assert exported.run(x)[:, 0] == pytest.approx(np.zeros(len(x)), abs=1e-30) and exported.run(x)[:, 1:].any()


def test_signs_are_those_of_gamma():
    norm = BatchNorm(np.array([0.0, -1, 2]), np.zeros(3), np.zeros(3), np.ones(3))
    assert norm.signs().tolist() == [1, -1, 1]


def test_signs_take_the_place_of_an_activation():
    module, x = normed("bipolar")
    before, layer = module.eval().trace(x)["fc1"], module.chain[0]
    layer.layer = replace(layer.layer, activation="relu")
    assert module.trace(x)["fc1"].tolist() == before.tolist() and set(before.ravel()) == {0, 1}


def test_platforms_keep_their_rule_behind_batch_norm():
    rng = np.random.default_rng(7)
    network = mlp(rng)
    x, recipe = inputs(rng, network), Recipe(activations="int4", layers=NARROW, platform="tflite-micro")
    module = trainable(network, [x], recipe, NORMED)
    exported = export(module)
    assert {layer.spec.requantize for layer in exported.products} == {"tflite"}
    assert same(module.eval().trace(x), traced(exported, x))


def test_gradients_go_through_factor_and_offset():
    """Of exact sums s: d/d gamma = sum (s - mean) / deviation, d/d beta = count, d/dw = x * gamma / deviation."""
    rng = np.random.default_rng(8)
    network = FloatNetwork("one", (6,), (linear(rng, "fc", 6, 4, "none"),))
    x = inputs(rng, network, 100)
    module = trainable(network, [x], Recipe(output=EXACT), Method(batch_norm=("fc",))).eval()
    layer = module.chain[0]
    with torch.no_grad():
        layer.norm.gamma.mul_(1.5)
    values = torch.from_numpy(module.entry.y.values(module.entry.run(x)).astype(np.float32))
    module(x).sum().backward()
    norm, w = layer.norm, layer.quantized()[0]
    deviation = torch.sqrt(norm.variance + 1e-5)
    gamma = ((values @ w - norm.mean) / deviation).sum(dim=0)
    assert torch.allclose(norm.gamma.grad, gamma, rtol=1e-3, atol=1e-3)
    assert norm.beta.grad.tolist() == [100] * 4
    inner = torch.ones(6, 4)
    inner[(layer.weight.abs() == layer.weight.abs().max(dim=0).values)] = 0
    expected = values.sum(dim=0)[:, None] * norm.gamma / deviation
    assert torch.allclose(layer.weight.grad * inner, expected * inner, rtol=1e-3, atol=1e-3)


def test_statistics_are_of_the_weights_as_they_were():
    """A column whose gamma turns negative keeps mean and variance."""
    rng = np.random.default_rng(4)
    network = FloatNetwork("one", (6,), (linear(rng, "fc", 6, 4, "none"),))
    x = inputs(rng, network, 100)
    for sign in (1, -1):
        module = trainable(network, [x], Recipe(weights="int8"), Method(batch_norm=("fc",)))
        norm = module.chain[0].norm
        norm.momentum = 1.0
        with torch.no_grad():
            norm.gamma.mul_(sign)
        module.train()(x)
        expected = x @ network.layers[0].w
        assert norm.mean.numpy() == pytest.approx(expected.mean(axis=0), abs=0.05)
        assert norm.variance.numpy() == pytest.approx(expected.var(axis=0), rel=0.05)


def test_gradients_of_batch_norm_are_those_of_torch():
    rng = np.random.default_rng(5)
    sums = torch.tensor(rng.normal(1, 2, (30, 4)), dtype=torch.float32, requires_grad=True)
    own = BatchNorm(np.array([1.0, -2, 0.5, 3]), np.array([0.1, 0, -1, 2]), np.zeros(4), np.ones(4))
    own.train()
    flipped = sums * own.signs()
    folded = own.folded(flipped)
    (flipped * folded.factor + folded.offset).square().sum().backward()
    other = torch.nn.BatchNorm1d(4)
    with torch.no_grad():
        other.weight.copy_(own.gamma)
        other.bias.copy_(own.beta)
    again = sums.detach().clone().requires_grad_()
    other(again).square().sum().backward()
    for found, expected in ((sums, again), (own.gamma, other.weight), (own.beta, other.bias)):
        assert torch.allclose(found.grad, expected.grad, atol=1e-3, rtol=1e-3)


def test_scales_that_are_powers_of_two_leave_batch_norm_to_thresholds():
    rng = np.random.default_rng(6)
    network = mlp(rng)
    x, recipe = inputs(rng, network), Recipe(scales="power_of_two")
    message = (
        "^layer fc1: outputs must have at most 4 bits behind batch norm where scales are powers of two, not uint8$"
    )
    with pytest.raises(ValueError, match=message):
        trainable(network, [x], recipe, NORMED)
    narrow = replace(recipe, layers={"fc2": LayerFormats(activations="uint4")})
    module = trainable(network, [x], narrow, Method(batch_norm=("fc1",)))
    assert same(module.eval().trace(x), traced(export(module), x))
