"""Adaptive rounding: neighbours of each weight, a loss below that of the nearest codes, the same result each time."""

from dataclasses import replace
from itertools import product as choices

import numpy as np
import pytest
import small_networks

from golden.formats import parse
from network.float_network import Linear
from network.grid import Grid
from network.quantized_weights import QuantizedWeights
from network.quantizing import adaround
from network.quantizing.adaround import adaptively_rounded
from network.quantizing.neighbours import next_codes
from network.quantizing.post_training import quantize
from network.quantizing.recipe import Recipe
from network.quantizing.weights import quantized_weights
from network.shapes import Window

FORMATS = (
    *("int2", "int4", "uint4", "q1.4", "sm3", "ternary", "bipolar", "pot3", "apot3", "codebook2"),
    *("float4_e2m1fn", "float8_e4m3fn", "mxfp4", "mxint8", "nvfp4"),
)


def layer_and_data(rng, activation="relu", k=24, n=6, count=300):
    """A dense layer, correlated inputs and the same in steps of 1/8."""
    layer = small_networks.linear(rng, "a", k, n, activation)
    x = (rng.normal(0, 1, (count, 5)) @ rng.normal(0, 0.5, (5, k)) + rng.normal(0, 0.2, (count, k))).astype(np.float32)
    return (
        layer,
        [x[: count // 3], x[count // 3 :]],
        [np.rint(8 * one) / 8 for one in (x[: count // 3], x[count // 3 :])],
    )


def loss(layer, w, inputs, values):
    found = 0.0
    for x, quantized in zip(inputs, values, strict=True):
        y = replace(layer, w=w.astype(np.float64)).run(quantized)
        found += np.square(y - layer.run(x.astype(np.float64))).sum(axis=0)
    return found


@pytest.mark.parametrize("name", FORMATS)
def test_neighbours_of_each_code(name):
    """By all real numbers that the codes of its column, or of its block, stand for."""
    w = np.random.default_rng(1).normal(0, 0.2, (20, 3)).astype(np.float32)
    weights = quantized_weights(w, name, Recipe())
    own = weights.real
    lo, hi = weights.grid.fmt.code_range
    every = []
    for code in range(lo, hi + 1):
        if getattr(weights.grid.fmt, "is_number", lambda code: True)(code):
            every.append(weights.with_codes(np.full(w.shape, code)).real)
    every = np.stack(every)
    if name in ("int2", "int4", "mxint8"):
        every = every[1:]
    for direction in (-1, 1):
        found = weights.with_codes(next_codes(weights, direction)).real
        beyond = every > own if direction > 0 else every < own
        nearest = np.where(beyond, every, np.inf * direction)
        expected = nearest.min(axis=0) if direction > 0 else nearest.max(axis=0)
        assert found.tolist() == np.where(np.isfinite(expected), expected, own).tolist()


def test_neighbours_at_the_ends_and_at_zero():
    """Fixed point takes the least code, which other signed integers leave out; zero has no sign."""
    for name, scale, codes, below, above in (
        ("q1.4", 2.0**-4, [-16, -15, 15], [-16, -15, 14], [-15, -14, 15]),
        ("int4", 1.0, [-8, -7, 7], [-8, -7, 6], [-7, -6, 7]),
        ("sm4", 1.0, [9, 0, 1, 15], [10, 9, 0, 15], [0, 1, 2, 14]),
    ):
        fmt = parse(name)
        weights = QuantizedWeights({"weights": fmt}, {"w": np.array([codes]).T}, Grid(fmt, np.float32(scale)))
        found = [next_codes(weights, direction)[:, 0].tolist() for direction in (-1, 1)]
        assert found == [below, above], name


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("activation", ["none", "relu6"])
def test_each_weight_goes_to_a_neighbour_and_no_column_loses(name, activation):
    layer, inputs, values = layer_and_data(np.random.default_rng(2), activation)
    weights = quantized_weights(layer.w, name, Recipe())
    found = adaptively_rounded(layer, weights, inputs, values, seed=1)
    low, high = (weights.with_codes(next_codes(weights, direction)).real for direction in (-1, 1))
    assert ((found.real == weights.real) | (found.real == low) | (found.real == high)).all()
    before, after = (loss(layer, one.real, inputs, values) for one in (weights, found))
    assert (after <= before * (1 + 1e-6)).all()
    fine = name in ("float8_e4m3fn", "mxint8")
    assert after.sum() < before.sum() * (0.97 if fine else 0.75)


def test_it_depends_on_its_seed_alone():
    layer, inputs, values = layer_and_data(np.random.default_rng(3), k=60, n=20)
    weights = quantized_weights(layer.w, "int4", Recipe())
    found = [adaptively_rounded(layer, weights, inputs, values, seed=seed).arrays["w"].tolist() for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


def test_it_comes_near_what_trying_all_finds():
    """Eight weights in each of 40 columns, 256 ways to round them: most of what the best one gains is gained."""
    layer, inputs, values = layer_and_data(np.random.default_rng(4), "none", k=8, n=40)
    weights = quantized_weights(layer.w, "int3", Recipe())
    own, w = weights.arrays["w"], layer.w
    low = np.where(weights.real > w, next_codes(weights, -1), own)
    high = np.where(weights.real > w, own, next_codes(weights, 1))
    ways = choices((False, True), repeat=8)
    rounded = (weights.with_codes(np.where(np.array(up)[:, None], high, low)).real for up in ways)
    best = np.min([loss(layer, one, inputs, values) for one in rounded], axis=0)
    nearest = loss(layer, weights.real, inputs, values)
    found = loss(layer, adaptively_rounded(layer, weights, inputs, values, seed=1).real, inputs, values)
    assert (best <= found * (1 + 1e-9)).all() and (found <= nearest * (1 + 1e-9)).all()
    assert (nearest - found).sum() > 0.7 * (nearest - best).sum()


def loss_by_hand(v, x, wanted, bias, lo, hi, usual, beta):
    """What the search minimizes, from its definition: of each column half the mean square by K and by what the nearest
    codes lose; and what pushes h to its ends, once it counts."""
    h = np.clip(1.2 / (1 + np.exp(-v)) - 0.1, 0, 1)
    missing = np.clip(x @ (lo + h * (hi - lo)) + bias, 0, 6) - wanted
    loss = (np.square(missing).mean(axis=0) * len(v) / usual).sum() / 2
    return loss if beta is None else loss + 2 * (1 - np.abs(2 * h - 1) ** beta).sum()


def slopes(loss, v):
    found = np.zeros(v.shape)
    for place in np.ndindex(v.shape):
        ends = []
        for move in (1e-5, -1e-5):
            moved = v.copy()
            moved[place] += move
            ends.append(loss(moved))
        found[place] = (ends[0] - ends[1]) / 2e-5
    return found


def test_the_search_is_adam_on_the_loss(monkeypatch):
    """Ten steps against differences of the loss in float64; ReLU6 stops some outputs at either end."""
    monkeypatch.setattr(adaround, "STEPS", 10)
    layer, inputs, values = layer_and_data(np.random.default_rng(9), "relu6", k=5, n=4, count=60)
    layer = replace(layer, w=layer.w * 4)
    weights = quantized_weights(layer.w, "int3", Recipe())
    own, real = weights.arrays["w"], weights.real
    lo = weights.with_codes(np.where(real > layer.w, next_codes(weights, -1), own)).real
    hi = weights.with_codes(np.where(real > layer.w, own, next_codes(weights, 1))).real
    x, wanted = np.concatenate(values), layer.run(np.concatenate(inputs)).astype(np.float64)
    rows = adaround.Rows(x.astype(np.float32), wanted.astype(np.float32), layer.bias, (0, 6))
    usual = np.square(np.clip(x @ real + layer.bias, 0, 6) - wanted).mean(axis=0)
    assert rows.losses(real) == pytest.approx(usual, rel=1e-4)
    assert ((wanted == 0).any(), (wanted == 6).any()) == (True, True)
    search = adaround._Search(rows, lo, hi, layer.w, usual)
    up = search.run(np.random.default_rng(1))

    part = np.where(hi > lo, (layer.w - lo) / np.where(hi > lo, hi - lo, 1), 0)
    inner = (np.clip(part, 0.01, 0.99) + 0.1) / 1.2
    v, rng = np.log(inner / (1 - inner)), np.random.default_rng(1)
    first, second, ends = np.zeros(v.shape), np.zeros(v.shape), 0
    for step in range(1, 11):
        chosen, done = rng.integers(0, 60, 60), (step - 1) / 10
        beta = 2 + 18 * (1 + np.cos(np.pi * (done - 0.2) / 0.8)) / 2 if done >= 0.2 else None
        given = x[chosen], wanted[chosen], layer.bias.astype(np.float64), lo, hi, usual, beta
        slope = slopes(lambda v, given=given: loss_by_hand(v, *given), v)
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
        v = v - 0.05 * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        ends += int((np.abs(1.2 / (1 + np.exp(-v)) - 0.6) > 0.5).sum())
    assert search.v == pytest.approx(v, abs=2e-3) and ends
    assert up.tolist() == (v >= 0).tolist()


def test_rows_are_drawn_from_each_batch_alike(monkeypatch):
    monkeypatch.setattr(adaround, "MOST_ROWS", 12)
    layer = small_networks.linear(np.random.default_rng(10), "a", 2, 3)
    batches = [np.stack([np.arange(count), np.full(count, count)], axis=1) for count in (40, 30, 2)]
    found = adaround._rows(layer, [one + 0.5 for one in batches], batches, np.random.default_rng(1))
    assert [int((found.x[:, 1] == count).sum()) for count in (40, 30, 2)] == [4, 4, 2]
    assert len(set(map(tuple, found.x.tolist()))) == 10 and found.x[:4, 0].max() > 4
    assert found.wanted.tolist() == layer.run(found.x + np.float32(0.5)).tolist()
    one_each = adaround._rows(layer, batches[:1] * 13, batches[:1] * 13, np.random.default_rng(1))
    assert len(one_each.x) == 13


def test_nearest_codes_stay_where_nothing_can_be_gained():
    layer = Linear("a", np.array([[1.0, -7.0], [7.0, 3.0]], np.float32), np.zeros(2, np.float32))
    x = [np.random.default_rng(5).normal(0, 1, (40, 2)).astype(np.float32)]
    weights = quantized_weights(layer.w, "int4", Recipe(granularity="tensor"))
    found = adaptively_rounded(layer, weights, x, x, seed=1)
    assert found.arrays["w"].tolist() == weights.arrays["w"].tolist() == [[1, -7], [7, 3]]


@pytest.mark.parametrize("depthwise", [False, True])
def test_convolutions(depthwise):
    rng = np.random.default_rng(6)
    window = Window((3, 2), (2, 1), padding=((1, 0), (1, 1)))
    layer = small_networks.linear(rng, "c", 6 if depthwise else 18, 6, window=window, depthwise=depthwise)
    x = [np.cumsum(rng.normal(0, 0.3, (10, 7, 6, 3)), axis=1).astype(np.float32)]
    weights = quantized_weights(layer.w, "int3", Recipe())
    found = adaptively_rounded(layer, weights, x, x, seed=1)
    losses = [
        np.square(replace(layer, w=one.real.astype(np.float32)).run(x[0]) - layer.run(x[0])).mean()
        for one in (weights, found)
    ]
    assert losses[1] < losses[0] * 0.8


def test_whole_networks_gain():
    rng = np.random.default_rng(7)
    network = small_networks.mlp(rng, (20, 24, 24, 6))
    mix = rng.normal(0, 0.5, (6, 20))
    x = (rng.normal(0, 1, (600, 6)) @ mix).astype(np.float32)
    losses = [
        np.square(
            quantize(network, [x[:400]], Recipe(weights="int3", corrections=one)).run(x[400:]) - network.run(x[400:])
        ).mean()
        for one in ((), ("adaround",))
    ]
    assert losses[1] < losses[0] * 0.5


def test_the_seed_of_a_recipe_is_used():
    rng = np.random.default_rng(8)
    network = small_networks.mlp(rng, (60, 20))
    x = small_networks.inputs(rng, network, 300)
    found = [
        quantize(network, [x], Recipe(weights="int4", corrections=("adaround",), seed=seed)).products[0].arrays["w"]
        for seed in (1, 2)
    ]
    assert (found[0] != found[1]).any()
