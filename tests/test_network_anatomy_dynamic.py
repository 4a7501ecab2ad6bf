"""Where errors come from in dynamic networks: each exchange by hand, shares that add up, planted causes named."""

from dataclasses import replace

import numpy as np
import pytest
import small_networks

from network.errors import anatomy as anatomies
from network.errors.anatomy import INPUT, anatomy, shares
from network.errors.dynamic_exchange import dynamic_stages, taken_stages
from network.errors.histograms import histograms
from network.float_network import FloatNetwork
from network.layers import mean
from network.quantizing.post_training import quantize
from network.quantizing.recipe import Recipe

DYNAMIC = Recipe(activation_range="dynamic")
MLP = small_networks.mlp(np.random.default_rng(1))
CNN = small_networks.cnn(np.random.default_rng(2))
X = small_networks.inputs(np.random.default_rng(3), MLP, 40) + np.float32(0.3)
MAPS = small_networks.inputs(np.random.default_rng(4), CNN, 9)
FORMATS = (
    ("uint8", "int8"), ("int8", "int4"), ("uint4", "codebook4"), ("float8_e4m3fn", "ternary"), ("uint8", "mxfp4"),
    ("mxfp8_e4m3", "mxfp8_e4m3"), ("nvfp4", "nvfp4"), ("float8_e5m2", "float8_e5m2"),
)  # fmt: skip


def of(network, x, **fields):
    quantized = quantize(network, [x], DYNAMIC.with_(**fields))
    return quantized, anatomy(quantized, x, network, batch=len(x))


def grown(changes, cause):
    return sum(change.growth for change in changes if change.cause == cause)


@pytest.mark.parametrize("x", [X, np.abs(X) + 1], ids=["both signs", "positive"])
@pytest.mark.parametrize("signed", [False, True])
def test_each_exchange_by_hand(signed, x):
    """Of a dense layer with ReLU whose bias was corrected; float64 throughout, but for the last one."""
    recipe = DYNAMIC.with_(activations="int5" if signed else "uint5", weights="int3", corrections=("bias",))
    layer, linear = quantize(MLP, [x], recipe).layers[0], MLP.layers[0]
    least, most = min(x.min(), np.float32(0)), x.max()
    width, codes = (np.abs(x).max(), 15) if signed else (most - least, 31)
    scale, step = np.float64(width / np.float32(codes)), (float(most) - float(least)) / 31
    zero = 0 if signed else np.rint(-least / scale)
    codes = np.clip(np.rint(x / scale) + zero, *((-16, 15) if signed else (0, 31))) - zero
    w = layer.weights.arrays["w"] * layer.weights.grid.scale.astype(float)
    expected = {
        "rounding": np.rint(x.astype(float) / step) * step @ linear.w.astype(float) + linear.bias,
        "range": codes * scale @ linear.w.astype(float) + linear.bias,
        "weights": codes * scale @ w + linear.bias,
        "bias": codes * scale @ w + layer.bias,
        "accumulator": codes * scale @ w + layer.bias,
        "rule": layer.run(x),
    }
    found = dict([*taken_stages(layer, linear, x), *dynamic_stages(layer, linear, x)])
    assert list(found) == list(expected) and (linear.bias != layer.bias).any()
    for cause, y in expected.items():
        assert found[cause] == pytest.approx(np.maximum(y, 0), rel=1e-9, abs=1e-9), cause
    assert found["rule"].tolist() == layer.run(x).tolist()


@pytest.mark.parametrize("pair", FORMATS, ids="-".join)
def test_shares_add_up(pair):
    quantized, found = of(MLP, X, activations=pair[0], weights=pair[1])
    wanted, golden = MLP.trace(X.astype(float)), quantized.trace(quantized.entry.run(X))
    assert not found.on_grids and found.weights_known and found.entry.accumulated.noise == 0
    assert sum(shares(found.chain, found.output.noise).values()) == pytest.approx(1)
    assert sum(change.step.total for change in found.chain) == pytest.approx(found.output.total)
    for layer in found.layers:
        difference = golden[layer.name].astype(float) - wanted[layer.name]
        assert layer.accumulated.noise == pytest.approx(np.square(difference).sum(), rel=1e-4)
        assert layer.accumulated.rms == pytest.approx(np.sqrt(np.square(difference).mean()), rel=1e-4)
        assert sum(change.growth for change in layer.changes) == pytest.approx(layer.local.noise)
    assert {change.place for change in found.chain} == {"fc1", "fc2", "fc3"}
    assert {change.place for change in found.layers[1].changes} == {INPUT, "fc2"}


def test_a_layer_alone_takes_real_numbers():
    quantized, found = of(MLP, X, weights="int4")
    wanted = MLP.trace(X.astype(float))
    difference = quantized.layers[1].run(wanted["fc1"]) - wanted["fc2"]
    assert found.layers[1].local.noise == pytest.approx(np.square(difference).sum(), rel=1e-5)


def test_ranges_are_those_of_batches():
    quantized, found = of(MLP, X)
    assert anatomy(quantized, X, MLP, batch=40).output.noise != anatomy(quantized, X, MLP, batch=1).output.noise
    parts = [anatomy(quantized, X[at : at + 8], MLP).output.noise for at in range(0, 40, 8)]
    assert anatomy(quantized, X, MLP, batch=8).output.noise == pytest.approx(sum(parts))


def test_weights_of_two_bits():
    found = of(MLP, X, weights="int2")[1]
    assert shares(found.chain, found.output.noise)["weights"] > 0.9


def test_a_symmetric_range_of_positive_numbers_is_twice_too_wide():
    """Half of the codes stand for nothing behind ReLU: three times the error of rounding is the range's."""
    network = FloatNetwork("n", (13,), (MLP.layers[0],))
    x = np.abs(small_networks.inputs(np.random.default_rng(5), network, 400))
    found = of(network, x, activations="int4", weights="int16")[1]
    assert grown(found.chain, "range") == pytest.approx(3 * grown(found.chain, "rounding"), rel=0.4)
    unsigned = of(network, x, activations="uint4", weights="int16")[1]
    assert abs(grown(unsigned.chain, "range")) < 0.05 * grown(unsigned.chain, "rounding")


def test_sums_in_float32_are_the_accumulator_s():
    exact = of(MLP, X, activations="float8_e4m3fn", weights="float8_e4m3fn")[1]
    rounded = of(MLP, X, activations="float8_e5m2", weights="float8_e5m2")[1]
    steps = [sum(one.step.differing for one in found.chain if one.cause == "accumulator") for found in (exact, rounded)]
    assert steps[0] == 0 < steps[1]


def test_biases_that_are_corrected_take_error_back():
    found = of(MLP, X, weights="int2", corrections=("bias",))[1]
    assert grown(found.layers[1].changes, "bias") < 0 < grown(found.layers[1].changes, "weights")
    assert grown(of(MLP, X, weights="int2")[1].chain, "bias") == 0


@pytest.mark.parametrize("pair", [("uint8", "int8"), ("int4", "int4"), ("float8_e4m3fn", "int6")])
def test_convolutions_and_pools(pair):
    quantized, found = of(CNN, MAPS, activations=pair[0], weights=pair[1])
    assert sum(shares(found.chain, found.output.noise).values()) == pytest.approx(1)
    assert [layer.name for layer in found.layers if layer.local is None] == ["max", "moved", "flat"]
    pool = next(one for one in found.layers if one.name == "mean")
    assert [change.cause for change in pool.changes] == ["rule"]
    x = CNN.trace(MAPS.astype(float))["c2"].astype(np.float32)
    difference = mean(CNN.layers[4].window, x).astype(np.float32) - CNN.layers[4].run(
        CNN.trace(MAPS.astype(float))["c2"]
    )
    assert pool.local.noise == pytest.approx(np.square(difference).sum(), rel=0.1)


def test_without_a_float_network_weights_are_what_they_are():
    quantized = quantize(CNN, [MAPS], DYNAMIC.with_(weights="int2"))
    found = anatomy(quantized, MAPS)
    assert not found.weights_known and "weights" not in {change.cause for change in found.chain}
    assert shares(found.chain, found.output.noise)["rounding"] > 0.9
    assert found.output.sqnr > 25
    assert histograms(quantized, MAPS) == ()


def test_constant_activations():
    for value in (0.0, 0.7):
        found = of(MLP, np.full((3, 13), value, np.float32))[1]
        assert sum(shares(found.chain, found.output.noise).values()) == pytest.approx(1)


def test_a_chain_that_ends_elsewhere_is_refused(monkeypatch):
    def planted(*given):
        for cause, values in dynamic_stages(*given):
            yield cause, values + (cause == "rule")

    monkeypatch.setattr(anatomies, "dynamic_stages", planted)
    with pytest.raises(ArithmeticError, match="^layer fc1: the exchanges end at other numbers than golden's$"):
        of(MLP, X)


def test_networks_that_do_not_belong_together():
    quantized = quantize(MLP, [X], DYNAMIC)
    wide = replace(MLP.layers[2], w=MLP.layers[2].w[:, :4])
    with pytest.raises(ValueError, match=r"^layer fc3: weights must have one shape, not \[7, 5\] and \[7, 4\]$"):
        anatomy(quantized, X, replace(MLP, layers=(*MLP.layers[:2], wide)))
