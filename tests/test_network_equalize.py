"""Cross-layer equalization: the same function, equal ranges on both sides, and what is left alone."""

from dataclasses import replace

import numpy as np
import pytest
import small_networks

from network.float_network import FloatAveragePool, FloatNetwork, Linear
from network.quantizing.equalize import equalized, pairs
from network.quantizing.post_training import quantize
from network.quantizing.recipe import Recipe
from network.shapes import MaxPool, Reshape, Transpose, Window


def uneven(network, rng):
    """The network with columns of very different size, the function unlike."""
    layers = [
        replace(layer, w=(layer.w * rng.lognormal(0, 2, layer.w.shape[1])).astype(np.float32))
        if isinstance(layer, Linear)
        else layer
        for layer in network.layers
    ]
    return replace(network, layers=tuple(layers))


def mixed(rng, last="relu"):
    """Convolutions, a depthwise one with two outputs per channel, pools, flattened maps, dense layers."""
    layers = (
        small_networks.linear(rng, "c1", 9 * 3, 4, window=Window((3, 3), padding=((1, 1), (0, 2)))),
        MaxPool("max", Window((2, 2), (1, 2), padding=((0, 0), (0, 1)))),
        small_networks.linear(rng, "dw", 9, 8, window=Window((3, 3)), depthwise=True),
        FloatAveragePool("mean", Window((2, 1))),
        small_networks.linear(rng, "c2", 2 * 8, 5, "none", window=Window((1, 2))),
        Transpose("moved", (0, 3, 1, 2)),
        Reshape("flat", (-1,)),
        small_networks.linear(rng, "fc1", 5 * 5, 7, last),
        small_networks.linear(rng, "fc2", 7, 3, "none"),
    )
    return FloatNetwork("mixed", (9, 7, 3), layers)


@pytest.mark.parametrize("make", [small_networks.mlp, small_networks.cnn, mixed])
def test_the_function_stays(make):
    rng = np.random.default_rng(1)
    network = uneven(make(rng), rng)
    changed, x = equalized(network), small_networks.inputs(rng, network)
    assert changed.run(x) == pytest.approx(network.run(x), rel=1e-4, abs=1e-5 * float(np.abs(network.run(x)).max()))
    assert any((one.w != other.w).any() for one, other in zip(changed.linears, network.linears, strict=True))


def test_ranges_of_two_layers_by_hand():
    """r1 = 8, 0.5, 3 and r2 = 2, 2, 0: both become 4 and 1; the third is left alone."""
    first = Linear("a", np.array([[8, 0.25, 3], [-4, -0.5, 1]], np.float32), np.array([4, 2, 6], np.float32), "relu")
    second = Linear("b", np.array([[-2, 1], [0.5, 2], [0, 0]], np.float32), np.zeros(2, np.float32))
    one, other = equalized(FloatNetwork("n", (2,), (first, second))).linears
    assert one.w.tolist() == [[4, 0.5, 3], [-2, -1, 1]] and one.bias.tolist() == [2, 4, 6]
    assert other.w.tolist() == [[-4, 2], [0.25, 1], [0, 0]]


def test_channels_of_zeros_are_left_alone():
    first = Linear("a", np.array([[8, 0], [-4, 0]], np.float32), np.array([4, 2], np.float32), "relu")
    second = Linear("b", np.array([[-2, 1], [0.5, 2]], np.float32), np.zeros(2, np.float32))
    one, other = equalized(FloatNetwork("n", (2,), (first, second))).linears
    assert (one.w.tolist(), one.bias.tolist()) == ([[4, 0], [-2, 0]], [2, 2])
    assert other.w.tolist() == [[-4, 2], [0.5, 2]]


def test_ranges_become_equal_on_both_sides():
    rng = np.random.default_rng(2)
    changed = equalized(uneven(mixed(rng), rng))
    w = {layer.name: np.abs(layer.w) for layer in changed.linears}
    columns = {name: one.max(axis=0) for name, one in w.items()}
    assert columns["c1"] == pytest.approx(w["dw"].max(axis=0).reshape(4, 2).max(axis=1), rel=1e-3)
    assert columns["dw"] == pytest.approx(w["c2"].reshape(2, 8, 5).max(axis=(0, 2)), rel=1e-3)
    assert columns["c2"] == pytest.approx(w["fc1"].reshape(5, 5, 7).max(axis=(1, 2)), rel=1e-3)
    assert columns["fc1"] == pytest.approx(w["fc2"].max(axis=1), rel=1e-3)


def test_what_each_row_reads():
    found = {(pair.first, pair.second): pair.reads for pair in pairs(mixed(np.random.default_rng(3)))}
    assert list(found) == [("c1", "dw"), ("dw", "c2"), ("c2", "fc1"), ("fc1", "fc2")]
    assert found["c1", "dw"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert found["dw", "c2"].tolist() == [*range(8), *range(8)]
    assert found["c2", "fc1"].tolist() == [k // 5 for k in range(25)]


def test_what_is_left_alone():
    rng = np.random.default_rng(4)
    found = {pair.second: pair.reason for pair in pairs(mixed(rng, last="relu6"))}
    assert found == {"dw": None, "c2": None, "fc1": None, "fc2": "relu6 is not the same when its input is scaled"}
    layers = (
        small_networks.linear(rng, "c", 3, 4, window=Window((1, 1))),
        Transpose("t", (0, 3, 1, 2)),
        small_networks.linear(rng, "d", 6, 2, "none"),
    )
    network = FloatNetwork("n", (5, 6, 3), layers)
    assert [pair.reason for pair in pairs(network)] == ["channels are mixed between them"]
    assert equalized(network).layers == network.layers
    assert pairs(FloatNetwork("n", (3,), (small_networks.linear(rng, "a", 3, 2),))) == ()


def test_integers_of_a_tensor_gain():
    rng = np.random.default_rng(5)
    network = uneven(small_networks.mlp(rng), rng)
    x = small_networks.inputs(rng, network)
    recipe = Recipe(weights="int6", granularity="tensor")
    losses = [
        np.square(quantize(network, [x], recipe.with_(corrections=one)).run(x) - network.run(x)).mean()
        for one in ((), ("equalize",))
    ]
    assert losses[1] < losses[0] / 2
