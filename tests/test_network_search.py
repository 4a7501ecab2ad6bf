"""Sensitivities and mixed precision: proxies by hand, costs of the networks themselves, fronts of all assignments."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from small_networks import linear

from network.costs import Charge, memory_bits, memory_charges, total
from network.elementwise import Step
from network.float_network import FloatAveragePool, FloatNetwork, Linear
from network.measure import Error
from network.mixed_precision.search import choices, search
from network.mixed_precision.sensitivity import alone, sensitivities
from network.quantizing.post_training import quantize
from network.quantizing.recipe import LayerFormats, Recipe
from network.shapes import MaxPool, Reshape, Window

RECIPE = Recipe(output="exact", rows=2, cols=2, lanes=2)
DYNAMIC = RECIPE.with_(activation_range="dynamic")


def dense(seed=1, layers=3):
    rng = np.random.default_rng(seed)
    sizes = [(8, 7), (7, 9), (9, 4), (4, 6)][:layers]
    made = [linear(rng, f"fc{i}", *size, "relu" if i + 1 < layers else "none") for i, size in enumerate(sizes)]
    real = FloatNetwork("n", (8,), tuple(made), (Step("mul", (0.5,)),))
    return real, [rng.normal(0, 1, (20, 8)).astype(np.float32) for _ in range(3)]


def convolutions(seed=2):
    rng = np.random.default_rng(seed)
    layers = (
        linear(rng, "conv", 18, 4, "relu", window=Window((3, 3))),
        MaxPool("max", Window((2, 2), stride=(2, 2))),
        linear(rng, "apart", 4, 4, "relu6", window=Window((2, 2)), depthwise=True),
        FloatAveragePool("mean", Window((2, 2))),
        Reshape("flat", (-1,)),
        linear(rng, "last", 4, 3, "none"),
    )
    return FloatNetwork("c", (8, 8, 2), layers), [rng.uniform(-1, 1, (6, 8, 8, 2)).astype(np.float32) for _ in range(2)]


def noise_by_hand(real, batches, name, own):
    """Of one dense layer alone, with the codes of a network, in loops over its layers."""
    noise = signal = 0.0
    layer = {one.name: one for one in own.products}[name]
    for batch in batches:
        x = y = batch.astype(np.float64) * 0.5
        for one in real.layers:
            y = one.run(y)
            if one.name == name:
                codes = np.clip(np.rint(x / layer.x.scale) + layer.x.zero_point, *layer.x.fmt.code_range)
                values = (codes - layer.x.zero_point) * np.float64(layer.x.scale)
                w = layer.arrays["w"] * np.float64(layer.w.scale)
                x = values @ w + layer.arrays["bias"] * np.float64(layer.x.scale) * layer.w.scale
                x = np.maximum(x, 0) if one.activation == "relu" else x
            else:
                x = one.run(x)
        noise, signal = noise + np.square(x - y).sum(), signal + np.square(y).sum()
    return noise, signal


@pytest.mark.parametrize("weights", ["int8", "int3"])
def test_what_one_layer_costs_alone(weights):
    real, batches = dense()
    network = quantize(real, batches, RECIPE.with_(weights=weights, activations="uint5"))
    found = alone(network, real, batches)
    for name in ("fc0", "fc1", "fc2"):
        noise, signal = noise_by_hand(real, batches, name, network)
        assert found.noise[name] == pytest.approx(noise, rel=1e-3)
        assert found.signal == pytest.approx(signal, rel=1e-5)
        assert found.sqnr(name) == pytest.approx(10 * np.log10(signal / noise), abs=0.01)


@pytest.mark.parametrize("name", ["fc0", "fc2"])
def test_what_one_dynamic_layer_costs_alone(name):
    """Its inputs by the range of each batch, all else in float64."""
    real, batches = dense()
    network = quantize(real, batches, DYNAMIC.with_(weights="int4", activations="uint5"))
    own, plain = (next(one for one in net.layers if one.name == name) for net in (network, real))
    noise = 0.0
    for batch in batches:
        x = y = batch.astype(np.float64) * 0.5
        for one in real.layers:
            y, taken = one.run(y), x
            if one is plain:
                lo, hi = min(x.min(), 0), max(x.max(), 0)
                scale = (hi - lo) / 31
                zero = np.rint(-lo / scale)
                taken = (np.clip(np.rint(x / scale) + zero, 0, 31) - zero) * scale
                one = replace(one, w=own.weights.arrays["w"] * own.weights.grid.scale.astype(np.float64))
            x = one.run(taken)
        noise += np.square(x - y).sum()
    assert alone(network, real, batches).noise[name] == pytest.approx(noise, rel=1e-4)


def test_sensitivities_are_of_one_layer_at_a_time():
    real, batches = dense()
    formats = [LayerFormats(weights="int2"), LayerFormats(weights="int8", activations="uint3")]
    x = np.concatenate(batches)
    found = sensitivities(real, batches, RECIPE, formats, x, lambda outputs: outputs)
    assert [(one.layer, one.formats) for one in found] == [(f"fc{i}", own) for i in range(3) for own in formats]
    for one in found:
        network = quantize(real, batches, RECIPE.with_(layers={one.layer: one.formats}))
        assert one.others.tolist() == network.run(x).tolist()
        apart = alone(network, real, batches)
        own = Error.between(real.run(x), one.alone)
        assert own.sqnr == pytest.approx(apart.sqnr(one.layer), abs=1e-3)
        assert abs(Error.between(real.run(x), one.others).sqnr - own.sqnr) < 1.5  # the other layers have eight bits


def test_sensitivities_are_of_what_the_network_gives_in_the_end():
    real, batches = dense()
    ended = FloatNetwork("n", (8,), real.layers, real.before, (Step("softmax"),))
    found = sensitivities(ended, batches, RECIPE, [LayerFormats(weights="int4")], batches[0], lambda outputs: outputs)
    assert np.allclose([one.alone.sum(axis=1) for one in found], 1)
    assert np.allclose([one.others.sum(axis=1) for one in found], 1)


def test_a_recipe_s_own_layers_stay_while_others_vary():
    real, batches = dense()
    recipe = RECIPE.with_(layers={"fc1": LayerFormats(weights="int4")})
    found = sensitivities(real, batches, recipe, [LayerFormats(weights="int2")], batches[0], lambda outputs: outputs)
    for one, weights in zip(found, (("int2", "int4"), ("int8", "int2"), ("int8", "int4", "int2")), strict=True):
        layers = {f"fc{i}": LayerFormats(weights=name) for i, name in enumerate(weights)}
        network = quantize(real, batches, RECIPE.with_(layers=layers))
        assert one.others.tolist() == network.run(batches[0]).tolist()


def every(real, batches, formats, charges, recipe):
    """(cost, noise) of all assignments on the front: costs of each network itself, noises of the layers' own."""
    names, points = [layer.name for layer in real.linears], []
    own = {}
    for choice in formats:
        network = quantize(real, batches, recipe.with_(layers=dict.fromkeys(names, choice)))
        own[choice] = alone(network, real, batches).noise
    for assigned in product(formats, repeat=len(names)):
        network = quantize(real, batches, recipe.with_(layers=dict(zip(names, assigned, strict=True))))
        noise = 0.0
        for name, choice in zip(names, assigned, strict=True):
            noise += own[choice][name]
        points.append((total(charges(network)), noise))
    return {
        one for one in points if not any(other != one and other[0] <= one[0] and other[1] <= one[1] for other in points)
    }


CASES = {
    "weights": (dense, ["int8", "int4", "int2"], [], RECIPE),
    "weights and activations": (dense, ["int6", "int3"], ["uint8", "uint4"], RECIPE),
    "convolutions": (convolutions, ["int6", "int3"], ["uint8", "uint4"], RECIPE),
    "dynamic": (dense, ["int6", "int3", "int2"], ["uint8", "int4"], DYNAMIC),
    "dynamic convolutions": (convolutions, ["int6", "int3", "int2"], ["uint8"], DYNAMIC),
}


@pytest.mark.parametrize("case", CASES)
def test_the_front_is_that_of_all_networks(case):
    network_of, weights, activations, recipe = CASES[case]
    real, batches = network_of()
    formats = choices(recipe, weights, activations)
    found = search(real, batches, recipe, formats, memory_charges)
    assert found.front.exact and len(found.front.points) > 4
    points = {(point.cost, point.noise) for point in found.front.points}
    assert points == every(real, batches, formats, memory_charges, recipe)
    for point in found.front.points:
        assert memory_bits(quantize(real, batches, found.recipe_of(point))) == point.cost


def test_noise_that_is_expected_is_near_the_noise_that_is():
    real, batches = dense(layers=4)
    x = np.concatenate(batches)
    found = search(real, batches, RECIPE, choices(RECIPE, ["int8", "int5", "int3"]), memory_charges)
    for point in found.front.points[::4]:
        network = quantize(real, batches, found.recipe_of(point))
        measured = Error.between(real.run(x), network.run(x)).sqnr
        assert abs(measured - found.sqnr(point)) < 2.5


def test_a_network_that_is_equalized_is_compared_with_what_it_stands_for():
    real, batches = dense()
    first = real.layers[0]
    uneven = Linear("fc0", first.w * np.float32([8, 1, 0.1, 1, 30, 1, 1]), first.bias, "relu")
    real = FloatNetwork("n", (8,), (uneven, *real.layers[1:]), real.before)
    recipe, x = RECIPE.with_(corrections=("equalize",), granularity="tensor"), np.concatenate(batches)
    found = search(real, batches, recipe, choices(recipe, ["int8", "int4"]), memory_charges)
    one = sensitivities(real, batches, recipe, [LayerFormats(weights="int4")], x, lambda outputs: outputs)[0]
    for expected, y in (
        (found.sqnr(found.front.points[-1]), quantize(real, batches, found.recipe_of(found.front.points[-1])).run(x)),
        (Error.between(real.run(x), one.alone).sqnr, one.others),
    ):
        assert abs(expected - Error.between(real.run(x), y).sqnr) < 2


def test_budgets():
    real, batches = dense()
    found = search(real, batches, RECIPE, choices(RECIPE, ["int8", "int2"]), memory_charges)
    costs = [point.cost for point in found.front.points]
    assert found.within(costs[2]) == found.front.points[:3]
    assert found.within(costs[0] - 1) == ()
    assert set(found.formats(found.front.points[0]).values()) == {LayerFormats(weights="int2", activations="uint8")}
    assert set(found.formats(found.front.points[-1]).values()) == {LayerFormats(weights="int8", activations="uint8")}


def test_layers_that_the_recipe_names_keep_their_formats():
    real, batches = dense()
    recipe = RECIPE.with_(layers={"fc0": LayerFormats(weights="int7")})
    found = search(real, batches, recipe, choices(recipe, ["int8", "int2"]), memory_charges)
    kept = {found.formats(point)["fc0"] for point in found.front.points}
    assert kept == {LayerFormats(weights="int7", activations="uint8")}
    for point in found.front.points:
        assert memory_bits(quantize(real, batches, found.recipe_of(point))) == point.cost


def test_any_cost_of_products():
    real, batches = dense()

    def charges(network):
        return [Charge(int(one.spec.weights.width**2), one.spec.y.width) for one in network.products]

    formats = choices(RECIPE, ["int8", "int4"], ["uint8", "uint2"])
    found = search(real, batches, RECIPE, formats, charges)
    assert {(point.cost, point.noise) for point in found.front.points} == every(real, batches, formats, charges, RECIPE)
    again = search(real, batches, RECIPE, formats, charges)
    assert again.front == found.front


def test_choices():
    assert choices(RECIPE, ["int4", "int2", "int4"]) == (
        LayerFormats(weights="int4", activations="uint8"), LayerFormats(weights="int2", activations="uint8"),
    )  # fmt: skip
    assert len(choices(RECIPE, ["int4", "int2"], ["uint8", "uint4", "uint2"])) == 6
