"""Bias correction: mean errors of channels vanish, up to the step of a bias."""

from dataclasses import replace

import numpy as np
import pytest
import small_networks

from network.float_network import Linear
from network.quantizing.correction import bias_corrected
from network.quantizing.post_training import quantize
from network.quantizing.recipe import Recipe
from network.quantizing.weights import quantized_weights


def test_the_mean_error_by_hand():
    layer = Linear("a", np.array([[1.0], [2.0]], np.float32), np.array([0.5], np.float32))
    weights = quantized_weights(layer.w / 1.75, "q3.1", Recipe())
    assert weights.real.tolist() == [[0.5], [1]]
    inputs = [np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[2.0, 2.0]])]
    values = [np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[1.0, 2.0]])]
    # 1.5, 2.5 and 6.5 are wanted; without a bias there are 0.5, 2 and 2.5
    found = bias_corrected(layer, weights, inputs, values)
    assert found.bias.tolist() == [np.float32(3.5 - 5 / 3)]
    assert found.w is layer.w


def test_means_are_taken_in_float64():
    """Of numbers near 10000 that are 1/1024 off: in float32 the sums of 16 of them are off by more than that."""
    layer = Linear("a", np.ones((16, 1), np.float32), np.zeros(1, np.float32))
    weights = quantized_weights(layer.w, "q2.1", Recipe())
    values = np.random.default_rng(3).integers(1, 1 << 11, (50, 16)) / 2048 + 10000
    inputs = values + 2.0**-10
    found = bias_corrected(layer, weights, [inputs[:20], inputs[20:]], [values[:20], values[20:]])
    assert found.bias.tolist() == [2.0**-6] and found.bias.dtype == np.float32


def mean_errors(quantized, network, x):
    """Of each layer's sums, in each channel, in steps of a bias, by what reaches it in both networks."""
    values, codes, found = x, quantized.entry.run(x), {}
    for layer, plain in zip(quantized.layers, network.layers, strict=True):
        if isinstance(plain, Linear):
            errors = layer.real_sums(layer.x.values(codes)) - plain.sums(values.astype(np.float64))
            errors = errors.reshape(-1, errors.shape[-1]).mean(axis=0)
            found[plain.name] = np.abs(errors / (layer.x.scale * layer.w.scale)).max()
        values, codes = plain.run(values), layer.run(codes)
    return found


@pytest.mark.parametrize("weights", ["int3", "ternary", "mxfp4", "codebook2"])
@pytest.mark.parametrize("make", [small_networks.mlp, small_networks.cnn])
def test_mean_errors_vanish(make, weights):
    rng = np.random.default_rng(1)
    network = make(rng)
    if make is small_networks.cnn and weights in ("mxfp4", "codebook2"):
        network = replace(network, layers=(*network.layers[:1], *network.layers[2:4]))
        network = replace(network, layers=(network.layers[0], small_networks.linear(rng, "c2", 5, 6)))
    x = small_networks.inputs(rng, network) + np.float32(0.5)
    recipe = Recipe(weights=weights)
    plain, corrected = (quantize(network, [x[:7], x[7:]], recipe.with_(corrections=one)) for one in ((), ("bias",)))
    assert max(mean_errors(plain, network, x).values()) > 1
    assert max(mean_errors(corrected, network, x).values()) < 0.51
    assert [one.arrays["w"].tolist() for one in plain.products] == [
        one.arrays["w"].tolist() for one in corrected.products
    ]


def test_outputs_come_nearer():
    rng = np.random.default_rng(2)
    network = small_networks.mlp(rng, (20, 30, 30, 6))
    x = small_networks.inputs(rng, network, 200) + np.float32(0.5)
    losses = [
        np.square(
            quantize(network, [x[:100]], Recipe(weights="int2", corrections=one)).run(x[100:]) - network.run(x[100:])
        ).mean()
        for one in ((), ("bias",))
    ]
    assert losses[1] < losses[0] * 0.7
