"""Modules in training give the codes of the network that is built of them, layer by layer, sample by sample."""

import numpy as np
import pytest
from networks_to_train import cnn, inputs, mlp, same, traced
from oracle_cases import need

need("torch")

import torch  # noqa: E402

from golden.microscaling import dequantize_blocks, quantize_blocks  # noqa: E402
from network.quantizing.post_training import quantize  # noqa: E402
from network.quantizing.recipe import LayerFormats, Recipe  # noqa: E402
from train.network import export  # noqa: E402
from train.prepare import Method, trainable  # noqa: E402
from train.weights import RecipeWeights  # noqa: E402

torch.set_num_threads(1)

DENSE = {"depthwise": LayerFormats(weights="int8")}  # whose array takes no codebooks and no blocks
FORMATS = ("int8", "int5", "int3", "int2", "uint4", "q1.3", "sm4", "bipolar", "pot4", "apot5", "float6_e3m2fn")
IN_TABLES_OR_BLOCKS = ("codebook3", "mxint8", "mxfp4", "nvfp4")
RECIPES = {
    **{name: Recipe(weights=name) for name in FORMATS},
    **{name: Recipe(weights=name, layers=DENSE) for name in IN_TABLES_OR_BLOCKS},
    "tensor": Recipe(weights="int4", granularity="tensor", output="int16"),
    "codebook tensor": Recipe(weights="codebook2", granularity="tensor", layers=DENSE),
    "powers of two": Recipe(weights="int6", scales="power_of_two"),
    "exact": Recipe(weights="int4", granularity="tensor", output="exact"),
    "tflite": Recipe(platform="tflite-micro", activations="int8"),
    "onnxruntime": Recipe(platform="onnxruntime", activations="uint8", output="uint8"),
    "tosa": Recipe(platform="tosa", activations="int8", weight_range="mse"),
    "mixed": Recipe(weights="int4", layers={"pointwise": LayerFormats(weights="ternary", activations="int6")}),
}


def moved(module, x, labels=5, steps=3):
    """The module after some steps of training at a rate that moves all of it."""
    adam = torch.optim.Adam(module.parameters(), lr=0.02)
    draw = torch.Generator().manual_seed(1)
    for _ in range(steps):
        adam.zero_grad()
        given = module(x)
        torch.nn.functional.cross_entropy(given, torch.randint(labels, (len(x),), generator=draw)).backward()
        adam.step()
    return module


@pytest.mark.parametrize("name", RECIPES)
def test_codes_are_those_of_post_training_quantization_then_those_of_the_exported_network(name):
    rng = np.random.default_rng(1)
    network = cnn(rng)
    x = inputs(rng, network)
    module = trainable(network, [x[:20], x[20:]], RECIPES[name])
    if name != "mixed":
        assert same(module.trace(x), traced(quantize(network, [x[:20], x[20:]], RECIPES[name]), x))
    before = module.trace(x)
    for mode in (module.train(), module.eval()):
        moved(mode, x)
        exported = export(module)
        assert same(module.trace(x), traced(exported, x))
        assert module(x).detach().numpy().tolist() == exported.run(x).astype(np.float32).tolist()
    assert not same(before, module.trace(x))


@pytest.mark.parametrize("name", ["bipolar", "ternary"])
@pytest.mark.parametrize("granularity", ["channel", "tensor"])
def test_steps_that_are_means(name, granularity):
    rng = np.random.default_rng(2)
    network = cnn(rng)
    x, recipe = inputs(rng, network), Recipe(weights=name, granularity=granularity)
    module = trainable(network, [x], recipe, Method(steps="mean"))
    assert same(module.trace(x), traced(quantize(network, [x], recipe), x))
    moved(module, x)
    assert same(module.trace(x), traced(export(module), x))


def test_every_parameter_gets_a_gradient():
    rng = np.random.default_rng(3)
    network = cnn(rng)
    x = inputs(rng, network)
    codebook = Recipe(weights="codebook2", layers=DENSE)
    for recipe in (Recipe(weights="int4"), codebook, Recipe(scales="power_of_two")):
        normed = () if recipe.scales == "power_of_two" else ("conv",)
        module = trainable(network, [x], recipe, Method(batch_norm=normed))
        module.train()
        module(x).square().sum().backward()
        missing = [name for name, one in module.named_parameters() if one.grad is None or not one.grad.abs().sum()]
        assert missing == []


@pytest.mark.parametrize("make", [mlp, cnn])
def test_gradients_are_those_of_the_float_network_where_quantization_is_fine(make):
    """Against finite differences of network.float_network in float64, which shares no code with the modules."""
    rng = np.random.default_rng(4)
    network = make(rng)
    x = inputs(rng, network, 8)
    names = {layer.name for layer in network.linears}
    recipe = Recipe(weights="int16", activations="uint16", output="int16", layers={n: LayerFormats() for n in names})
    module = trainable(network, [x, 1.5 * x], recipe)  # so that few outputs lie on the end of their range
    weight = torch.from_numpy(rng.normal(0, 1, (8, 5)).astype(np.float32))
    (module(x) * weight).sum().backward()
    for index, layer in enumerate(network.layers):
        if layer.name not in names:
            continue
        own = module.chain[index]
        for tensor, change in ((own.weight, layer.w), (own.norm.bias, layer.bias)):
            direction = rng.normal(0, 1, change.shape)
            if change.ndim == 2:  # the largest weight of a column lies on the end of its range: no gradient there
                direction[np.abs(change).argmax(axis=0), np.arange(change.shape[1])] = 0
            found = float((tensor.grad.numpy() * direction).sum())
            assert found == pytest.approx(
                slope(network, layer, change, direction, x, weight.numpy()), rel=0.02, abs=0.02
            )


def slope(network, layer, change, direction, x, weight):
    """The derivative of sum(weight * network(x)) along a direction of the weights or the bias of a layer."""
    ends, kept = [], change.copy()
    for h in (2e-5, -2e-5):
        change[...] = kept + h * direction
        run = x.astype(np.float64)
        for one in network.layers:
            run = one.run(run)
        ends.append((run * weight).sum())
    change[...] = kept
    return (ends[0] - ends[1]) / 4e-5


def test_groups_of_weights():
    rng = np.random.default_rng(6)
    network = mlp(rng)
    x, recipe = inputs(rng, network), Recipe(weights="int4", granularity="group", group=4, lanes=2)
    module = trainable(network, [x], recipe)
    assert same(module.trace(x), traced(quantize(network, [x], recipe), x))
    moved(module, x)
    assert same(module.trace(x), traced(export(module), x))


@pytest.mark.parametrize("name", ["mxfp8_e4m3", "mxfp8_e5m2"])
def test_blocks_far_apart(name):
    """Sums of more than 64 bits, which no output has as they are."""
    rng = np.random.default_rng(7)
    w = (rng.normal(0, 1, (70, 3)) * np.where(np.arange(70)[:, None] < 32, 1, 1e-9)).astype(np.float32)
    values, quantized = RecipeWeights(name, Recipe())(torch.from_numpy(w))
    codes, exponents = quantize_blocks(w.T, name)
    assert values.tolist() == dequantize_blocks(codes, exponents, name).T.astype(np.float32).tolist()
    assert quantized.spec_fields["scale_range"][1] - quantized.spec_fields["scale_range"][0] > 25


def test_export_leaves_the_mode_alone():
    rng = np.random.default_rng(5)
    network = mlp(rng)
    module = trainable(network, [inputs(rng, network)], Recipe())
    export(module.train())
    assert module.training
