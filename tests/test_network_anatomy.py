"""Where errors come from: exchanges against plain fractions, shares that add up, planted causes that are named."""

from dataclasses import replace
from fractions import Fraction
from math import inf, log10

import numpy as np
import pytest
from small_networks import linear

from golden.formats import parse
from golden.spec import Spec
from network.elementwise import Step
from network.errors import anatomy as anatomies
from network.errors.anatomy import INPUT, anatomy, shares
from network.errors.exchange import CAUSES, GROUPS, product_stages
from network.errors.histograms import CodeHistogram, histograms
from network.errors.nearest import nearest
from network.errors.reference import compared, outputs
from network.errors.spread import Spread
from network.float_network import FloatAveragePool, FloatNetwork
from network.functions import Logistic, Rescale, Softmax
from network.grid import Grid
from network.layers import AveragePool, Dequantize, Product, Quantize, sum_grid
from network.measure import Error
from network.network import Network
from network.quantizing.post_training import quantize
from network.quantizing.recipe import Recipe
from network.shapes import MaxPool, Reshape, Window

INT4, INT8, UINT8 = parse("int4"), parse("int8"), parse("uint8")
SMALL = Window((2, 2), padding=((0, 1), (1, 0)))


def grid_of(values, fmt=INT8, fraction=1.0):
    """The grid that covers this fraction of values and zero."""
    lo, hi = min(values.min(), 0) * fraction, max(values.max(), 0) * fraction
    scale = np.float32((hi - lo) / (fmt.code_range[1] - fmt.code_range[0]))
    return Grid(fmt, scale, int(np.clip(np.rint(fmt.code_range[0] - lo / scale), *fmt.code_range)))


def product_of(linear, x, y, weights=INT8, **fields):
    """A product for a linear layer between two grids, its weights with a scale for each column."""
    scales = (np.abs(linear.w).max(axis=0) / weights.code_range[1]).astype(np.float32)
    w = Grid(weights, scales)
    given = dict(
        activations=x.fmt, weights=weights, depth=len(linear.w), bias=parse("int32"), a_zero_point=True,
        requantize="multiplier", output=y.fmt, y_zero_point=True, activation=linear.activation,
    )  # fmt: skip
    arrays = {"w": w.codes(linear.w), "bias": np.rint(linear.bias / (x.scale * scales)).astype(int)}
    return Product(linear.name, Spec(**given | fields), arrays, x, w, y, linear.window)


def dense(seed=1, fraction=1.0, weights=INT8, **fields):
    """A float network of two dense layers, the same in codes, and inputs; `fields` are of the second layer's spec."""
    rng = np.random.default_rng(seed)
    real = FloatNetwork(
        "n", (12,), (linear(rng, "one", 12, 9, "relu"), linear(rng, "two", 9, 5, "none")), (Step("mul", (2,)),)
    )
    x = rng.normal(0, 1, (70, 12)).astype(np.float32)
    found = real.trace(x)
    grids = [grid_of(2 * x), grid_of(found["one"], UINT8, fraction), grid_of(found["two"])]
    layers = (
        product_of(real.layers[0], grids[0], grids[1], weights),
        product_of(real.layers[1], grids[1], grids[2], weights, **fields),
    )
    network = Network("n", (12,), Quantize("in", grids[0], before=real.before), layers, Dequantize("out", grids[2]))
    return network, real, x


def with_layer(network, index, layer):
    layers = (*network.layers[:index], layer, *network.layers[index + 1 :])
    return replace(network, layers=layers)


def test_errors_are_sums_over_all_numbers():
    rng = np.random.default_rng(1)
    x, found, steps = rng.normal(size=(40, 3)), rng.normal(size=(40, 3)), np.array([0.5, 1, 4])
    found[:7] = x[:7]
    flat = [(a, b, s) for rows in zip(x, found, strict=True) for a, b, s in zip(*rows, steps, strict=True)]
    error = Error.between(x[:11], found[:11], steps) + Error.between(x[11:], found[11:], steps)
    assert (error.count, error.differing) == (120, 99)
    assert error.mean == pytest.approx(sum((b - a) / s for a, b, s in flat) / 120)
    assert error.rms == pytest.approx((sum(((b - a) / s) ** 2 for a, b, s in flat) / 120) ** 0.5)
    assert error.largest == max(abs((b - a) / s) for a, b, s in flat)
    noise, signal, power = (sum(map(square, flat)) for square in (lambda t: (t[1] - t[0]) ** 2, _first, _second))
    assert error.sqnr == pytest.approx(10 * log10(signal / noise))
    assert error.cosine == pytest.approx(sum(a * b for a, b, _ in flat) / (signal * power) ** 0.5)
    assert (Error.between(x, x).sqnr, Error.between(0 * x, x).sqnr) == (inf, -inf)
    assert (Error.between(0 * x, 0 * x).cosine, Error.between(0 * x, x).cosine) == (1, 0)


def _first(t):
    return t[0] ** 2


def _second(t):
    return t[1] ** 2


def test_nearest_is_exact_next_to_ties():
    factors = [Fraction(1, 2), Fraction(3, 8), Fraction(float(np.float32(0.1))), Fraction(1, 6), Fraction(2**40, 3)]
    numbers = np.concatenate([np.arange(-300, 300), np.random.default_rng(1).integers(-(2**31), 2**31, 300)])
    numbers = np.repeat(numbers[:, None], 5, axis=1)
    assert nearest(numbers, factors).tolist() == [
        [float(round(int(number) * factor)) for number, factor in zip(row, factors, strict=True)] for row in numbers
    ]
    almost = Fraction(1, 2) + Fraction(1, 10**25)  # in float64 one half
    assert nearest(np.array([[1], [3], [-1]]), [almost]).tolist() == [[1], [2], [-1]]
    assert nearest(np.array([[10**30]], object), [Fraction(1, 10**30)]).tolist() == [[1]]


def left_over(values, start, scale, codes):
    lo, hi = (start - 0.5) * scale, (start + codes - 0.5) * scale
    return sum(max(lo - v, 0) ** 2 + max(v - hi, 0) ** 2 for v in values)


@pytest.mark.parametrize("scale", [0.02, 0.07, 0.3])
def test_the_best_place_of_a_grid(scale):
    values = np.random.default_rng(2).exponential(1, 300) - 0.4
    spread = Spread.empty(values.min(), values.max()).with_(values[:100]).with_(values[100:])
    assert spread.step(16) == (values.max() - values.min()) / 15
    found = spread.start(scale, 16, 5)
    best = min(left_over(values, start, scale, 16) for start in range(-15, 1))
    assert left_over(values, found, scale, 16) <= best * 1.002 + 1e-6
    assert spread.start(1.0, 16, -3) == -3  # where nothing is left over, where it is
    with pytest.raises(ValueError, match=r"^numbers must lie in \["):
        spread.with_([99.0])


def plain_stages(layer, linear, codes, spread):
    """The exchanges of a dense layer, by cause, one number at a time, in fractions."""
    scale_x, scale_y = Fraction(float(layer.x.scale)), Fraction(float(layer.y.scale))
    scale_w = [Fraction(float(s)) for s in layer.w.scale]
    lo, hi = layer.y.fmt.code_range
    step = Fraction(spread.step(hi - lo + 1))
    half = 1 << layer.spec.accumulator_width - 1
    found = {}
    for m, n in np.ndindex(len(codes), layer.columns):
        a = [int(code) - layer.x.zero_point for code in codes[m]]
        w, bias = [int(code) for code in layer.arrays["w"][:, n]], int(layer.arrays["bias"][n])
        acc = sum(x * y for x, y in zip(a, w, strict=True))
        held = (acc + half) % (2 * half) - half
        unit, multiplier, shift = scale_x * scale_w[n], *_encoded(scale_x * scale_w[n] / scale_y)
        relu = (lambda v: max(v, Fraction(0))) if linear.activation == "relu" else (lambda v: v)

        def code(value, zero_point=layer.y.zero_point):
            return min(max(round(value) + zero_point, lo), hi) - zero_point

        found[m, n] = {
            "weights": relu(
                scale_x * sum(x * y for x, y in zip(a, w, strict=True)) * scale_w[n] + _real(linear.bias[n])
            ),
            "bias": (real := relu(unit * (acc + bias))),
            "rounding": round(real / step) * step,
            "range": round(real / scale_y) * scale_y,
            "zero point": code(real / scale_y) * scale_y,
            "accumulator": code(relu(unit * (held + bias)) / scale_y) * scale_y,
            "scale": code(relu((held + bias) * Fraction(multiplier, 1 << shift))) * scale_y,
            "rule": (int(layer.run(codes[m : m + 1])[0, n]) - layer.y.zero_point) * scale_y,
        }
    return found


def _real(number):
    return Fraction(float(number))


def _encoded(scale):
    """Equation 5.2 with 8 bits."""
    shift = 0
    while scale * 2**shift < 2**7:
        shift += 1
    return round(scale * 2**shift), shift


@pytest.mark.parametrize(("activation", "own_activation"), [("none", "none"), ("relu", "relu"), ("none", "relu")])
def test_exchanges_against_fractions(activation, own_activation):
    fields = {"multiplier_bits": 8, "accumulator": 15, "accumulator_overflow": "wrap", "rounding": "floor"}
    network, real, x = dense(**fields)
    layer, own = network.layers[1], replace(real.layers[1], activation=own_activation)
    y = Grid(INT8, layer.y.scale / 2, layer.y.zero_point)
    layer = replace(layer, spec=layer.spec.with_(activation=activation), y=y)
    codes = list(network.trace(network.entry.run(x[:20])).values())[0]
    outputs = own.run(layer.x.values(codes))
    spread = Spread.empty(outputs.min(), outputs.max()).with_(outputs)
    stages = dict(product_stages(layer, own, codes, spread))
    plain = plain_stages(layer, own, codes, spread)
    for cause, values in stages.items():
        if cause != "clipping":
            expected = [[float(plain[m, n][cause]) for n in range(5)] for m in range(20)]
            assert np.allclose(values, expected, rtol=1e-6, atol=1e-7), cause
    assert len({values.tobytes() for values in stages.values()}) >= 7  # the exchanges do something
    assert set(stages) == {*plain[0, 0], "clipping"}


def parts_of(found, group):
    return shares(found.chain, found.output.noise)[group]


def test_shares_add_up_and_batches_do_not_matter():
    network, real, x = dense(weights=INT4)
    found = anatomy(network, x, real)
    assert sum(shares(found.chain, found.output.noise).values()) == pytest.approx(1)
    assert sum(change.step.total for change in found.chain) == pytest.approx(found.output.total)
    for layer in found.layers:
        assert layer.local is not None
        assert sum(shares(layer.changes, layer.local.noise).values()) == pytest.approx(1)
        assert sum(change.step.total for change in layer.changes) == pytest.approx(layer.local.total)
    other = anatomy(network, x, real, batch=7)
    assert other.output.noise == pytest.approx(found.output.noise)
    for one, another in zip(found.chain, other.chain, strict=True):
        assert (one.place, one.cause, one.step.differing) == (another.place, another.cause, another.step.differing)
        assert one.step.rms == pytest.approx(another.step.rms)
    assert {change.cause for change in found.chain} <= set(CAUSES) and set(CAUSES.values()) == set(GROUPS)


def test_errors_are_those_of_golden_against_the_float_network():
    network, real, x = dense()
    found = anatomy(network, x, real)
    wanted, traced = real.trace(x.astype(float)), network.trace(network.entry.run(x))
    for layer, product in zip(found.layers, network.products, strict=True):
        golden = product.y.values(traced[product.name])
        difference = golden - wanted[product.name].astype(float)
        assert layer.accumulated.rms == pytest.approx(np.sqrt(np.mean((difference / product.y.scale) ** 2)), rel=1e-4)
    alone = network.layers[1].run(network.layers[1].x.codes(wanted["one"]))
    difference = network.layers[1].y.values(alone) - wanted["two"]
    assert found.layers[1].local.noise == pytest.approx(np.sum(difference**2), rel=1e-3)
    assert found.output == found.layers[1].accumulated
    assert np.allclose(network.exit.run(traced["two"]), network.layers[1].y.values(traced["two"]))


def test_a_network_that_was_equalized():
    _, real, x = dense()
    first = replace(real.layers[0], w=real.layers[0].w * np.float32([20, 1, 1, 0.1, 1, 1, 1, 5, 1]))
    real, recipe = replace(real, layers=(first, real.layers[1])), Recipe(corrections=("equalize",))
    network = quantize(real, [x], recipe)
    plain, own = anatomy(network, x, real), anatomy(network, x, compared(real, recipe))
    assert own.layers[0].accumulated.sqnr > 35 > 20 > plain.layers[0].accumulated.sqnr
    assert own.output.sqnr == pytest.approx(plain.output.sqnr, rel=1e-4)
    assert compared(real, Recipe()) is real


def test_biases_that_are_corrected_take_error_back():
    _, real, x = dense()
    network = quantize(real, [x], Recipe(weights="int2", corrections=("bias",)))
    found = anatomy(network, x, real)
    taken = {change.cause: change.growth for change in found.layers[1].changes if change.place == "two"}
    assert taken["weights"] > 0 > taken["bias"]


@pytest.mark.parametrize("weights", ["int4", "ternary", "pot4", "codebook2", "mxfp4"])
def test_every_kind_of_weights(weights):
    _, real, x = dense()
    found = anatomy(quantize(real, [x], Recipe(weights=weights)), x, real)
    assert parts_of(found, "weights") > 0.8
    growths = {change.cause: change.growth for change in found.chain if change.place == "two"}
    assert abs(growths["scale"]) + abs(growths["rule"]) < 1e-3 * found.output.noise


def test_functions_of_codes():
    network, _, x = dense()
    scores = Grid(INT8, np.float32(1 / 256), -128)
    more = (
        Rescale("wider", "tflite-micro", network.grids[-1], Grid(INT8, network.grids[-1].scale * 2)),
        Softmax("soft", "tflite-micro", Grid(INT8, network.grids[-1].scale * 2), scores),
        Logistic("curve", "tflite-micro", scores, scores),
    )
    found = anatomy(replace(network, layers=(*network.layers, *more), exit=Dequantize("out", scores)), x)
    assert list(dict.fromkeys(change.place for change in found.chain)) == [
        INPUT,
        "one",
        "two",
        "wider",
        "soft",
        "curve",
    ]
    wider, soft, curve = found.layers[2:]
    for layer in (wider, soft, curve):
        last = layer.changes[-1]
        assert last.cause == "rule" and last.step.largest <= 1.001
        assert layer.local is not None and layer.local.rms < 2
    real = anatomy(network, x).layers[1].accumulated.signal
    assert wider.accumulated.signal == pytest.approx(real)  # the same real numbers on another grid
    assert sum(shares(found.chain, found.output.noise).values()) == pytest.approx(1)


def test_half_a_range_clips():
    whole, half = (anatomy(*_swapped(dense(fraction=fraction))) for fraction in (1.0, 0.5))
    assert parts_of(half, "clipping") > 0.9 > 0.1 > abs(parts_of(whole, "clipping"))
    place = max(half.chain, key=lambda change: change.growth)
    assert (place.place, place.cause) == ("one", "clipping")
    assert {change.place for change in half.chain} == {INPUT, "one", "two"}


def _swapped(made):
    network, real, x = made
    return network, x, real


def test_weights_of_two_bits():
    found = anatomy(*_swapped(dense(weights=parse("int2"))))
    assert parts_of(found, "weights") > 0.9


def test_a_zero_point_in_the_wrong_place_is_no_clipping():
    network, real, x = dense()
    layer = network.layers[0]
    moved = replace(layer, y=Grid(UINT8, layer.y.scale, 128))
    second = replace(network.layers[1], x=moved.y)
    found = anatomy(replace(network, layers=(moved, second)), x, real)
    first = found.layers[0]
    by_cause = {change.cause: change.growth for change in first.changes if change.place == "one"}
    assert by_cause["clipping"] == 0 and by_cause["zero point"] > 0.9 * first.local.noise


def test_a_range_twice_too_wide_costs_rounding():
    network, real, x = dense()
    layer = network.layers[1]
    wide = replace(layer, y=Grid(INT8, layer.y.scale * 4, layer.y.zero_point // 4))
    found = anatomy(replace(network, layers=(network.layers[0], wide), exit=Dequantize("out", wide.y)), x, real)
    shared = shares(
        [change for change in found.layers[1].changes if change.place == "two"], found.layers[1].local.noise
    )
    assert shared["range"] > 5 * shared["rounding"] > 0


def test_an_accumulator_that_wraps():
    network, real, x = dense()
    narrow = replace(network.layers[1], spec=network.layers[1].spec.with_(accumulator=12, accumulator_overflow="wrap"))
    found = anatomy(with_layer(network, 1, narrow), x, real)
    assert parts_of(found, "accumulator") > 0.9
    assert max(found.chain, key=lambda change: change.growth).cause == "accumulator"
    clean = anatomy(network, x, real)
    assert [change.step.differing for change in clean.chain if change.cause == "accumulator"] == [0, 0]


def test_an_accumulator_that_saturates():
    network, real, x = dense()
    fields = {"accumulator": 12, "accumulator_overflow": "saturate"}
    narrow = replace(network.layers[1], spec=network.layers[1].spec.with_(**fields))
    assert parts_of(anatomy(with_layer(network, 1, narrow), x, real), "accumulator") > 0.5


def test_double_rounding_is_the_platform_s_and_counted():
    network, real, x = dense()
    layer = network.layers[1]
    # scales whose quotient is 1/4: two roundings of ties differ from one
    w, y = Grid(INT8, np.float32(0.25)), Grid(INT8, layer.x.scale * np.float32(1), layer.y.zero_point)
    spec = layer.spec.with_(requantize="tflite")
    layer = replace(layer, spec=spec, w=w, y=y)
    found = anatomy(replace(network, layers=(network.layers[0], layer), exit=Dequantize("out", y)), x, real)
    codes = layer.x.codes(np.maximum(real.layers[0].run(2 * x.astype(float)), 0))
    sums = (codes - layer.x.zero_point) @ layer.arrays["w"] + layer.arrays["bias"]
    ideal = [[min(max(round(Fraction(int(s), 4)) + y.zero_point, -128), 127) for s in row] for row in sums]
    differing = int((layer.run(codes) != ideal).sum())
    changes = {change.cause: change for change in found.layers[1].changes if change.place == "two"}
    assert changes["rule"].step.differing == differing >= 8
    assert changes["scale"].step.differing == 0
    assert changes["rule"].step.largest == 1
    chain = [change for change in found.chain if (change.place, change.cause) == ("two", "rule")]
    assert chain[0].step.differing > 0 and shares(chain, found.output.noise)["platform"] != 0


@pytest.mark.parametrize("rule", ["tflite_single", "mult16", "float32"])
def test_rules_of_platforms_have_the_scale_that_golden_takes(rule):
    network, real, x = dense()
    layer = replace(network.layers[1], spec=network.layers[1].spec.with_(requantize=rule))
    found = anatomy(with_layer(network, 1, layer), x, real)
    moved = {change.cause: change.step for change in found.layers[1].changes if change.place == "two"}
    assert moved["scale"].largest <= 1 and moved["rule"].largest <= 1
    assert moved["rule"].differing < 0.02 * moved["rule"].count  # another encoding of the scale would move most outputs
    assert moved["scale"].differing < 0.02 * moved["scale"].count


def test_eight_bits_of_multiplier_are_the_scale():
    network, real, x = dense(multiplier_bits=8)
    found = anatomy(network, x, real)
    growths = {change.cause: change.step.differing for change in found.chain if change.place == "two"}
    assert growths["scale"] > 0 and growths["rule"] == 0


def test_without_a_float_network_weights_are_what_they_are():
    network, _, x = dense()
    found = anatomy(network, x)
    assert not found.weights_known
    assert "weights" not in {change.cause for change in found.chain}
    assert parts_of(found, "weights") == pytest.approx(0)
    assert parts_of(found, "rounding") > 0.8


def test_a_chain_that_ends_elsewhere_is_refused(monkeypatch):
    network, real, x = dense()
    original = anatomies.product_stages

    def planted(*given):
        for cause, values in original(*given):
            yield cause, values + (cause == "rule")

    monkeypatch.setattr(anatomies, "product_stages", planted)
    with pytest.raises(ArithmeticError, match="^layer one: the exchanges end at other numbers than golden's$"):
        anatomy(network, x, real)


def convolutions(seed=3):
    """A convolution, a depthwise one, pools and a dense layer with exact sums, as a float network and in codes."""
    rng = np.random.default_rng(seed)
    pool = Window((2, 2), stride=(2, 2))
    real = FloatNetwork(
        "c", (8, 7, 2),
        (
            linear(rng, "conv", 8, 3, "relu6", window=SMALL),
            MaxPool("max", pool),
            linear(rng, "apart", 4, 6, "none", window=SMALL, depthwise=True),
            FloatAveragePool("mean", Window((2, 2), padding=((0, 0), (1, 0)))),
            Reshape("flat", (-1,)),
            linear(rng, "last", 54, 4, "none"),
        ),
    )  # fmt: skip
    x = rng.uniform(-1, 1, (9, 8, 7, 2)).astype(np.float32)
    found = real.trace(x)
    grids = [grid_of(x), grid_of(found["conv"], UINT8), grid_of(found["apart"])]
    last = product_of(real.layers[5], grids[2], Grid(INT8))
    spec = last.spec.with_(requantize="none", output=None, y_zero_point=False)
    layers = (
        product_of(real.layers[0], grids[0], grids[1]),
        real.layers[1],
        product_of(real.layers[2], grids[1], grids[2], array="vector", rows=1),
        AveragePool("mean", real.layers[3].window, grids[2], grids[2], "tflite-micro"),
        real.layers[4],
        replace(last, spec=spec, y=sum_grid(spec, last.x, last.w)),
    )
    return Network("c", (8, 7, 2), Quantize("in", grids[0]), layers, Dequantize("out", layers[-1].y)), real, x


def test_convolutions_and_pools():
    network, real, x = convolutions()
    found = anatomy(network, x, real)
    assert [layer.name for layer in found.layers] == ["conv", "max", "apart", "mean", "flat", "last"]
    assert [layer.local is None for layer in found.layers] == [False, True, False, False, True, False]
    assert sum(shares(found.chain, found.output.noise).values()) == pytest.approx(1)
    assert found.output.sqnr > 25
    assert network.grids[3].zero_point and [c.step.largest <= 1.001 for c in found.layers[3].changes] == [True] * 10
    places = dict.fromkeys(change.place for change in found.chain)
    assert list(places) == [INPUT, "conv", "apart", "mean", "last"]
    rounding = [change.cause for change in found.chain if change.place == "last"]
    assert rounding == ["weights", "bias", "clipping", "accumulator", "rule"]
    assert (
        sum(change.step.differing for change in found.chain if change.place == "last" and change.cause == "rule") == 0
    )


def test_thresholds_and_signs():
    rng = np.random.default_rng(5)
    bipolar = parse("bipolar")
    spec = Spec(activations=INT4, weights=bipolar, depth=6, bias=parse("int8"), output=bipolar)
    x, w = Grid(INT4, np.float32(0.5)), Grid(bipolar, np.float32(0.25))
    first = Product(
        "sign", spec, {"w": rng.integers(0, 2, (6, 7)), "bias": rng.integers(-4, 5, 7)}, x, w, Grid(bipolar)
    )
    counts = Spec(activations=bipolar, weights=bipolar, depth=7, requantize="thresholds", output=parse("uint2"))
    real = Quantize("q", Grid(parse("uint2"), np.float32(0.5)), before=(Step("mul", (1.5,)), Step("relu")))
    # by hand: y = clip(round(sum * 0.25 * 1.5 / 0.5)) reaches 1, 2, 3 at sums of 1, 2 (a tie, to even) and 4
    thresholds = np.array([[1, 2, 4]])
    arrays = {"w": rng.integers(0, 2, (7, 3)), "thresholds": np.repeat(thresholds, 3, axis=0)}
    second = Product("count", counts, arrays, Grid(bipolar), w, real.y, real=real)
    network = Network("b", (6,), Quantize("in", x), (first, second), Dequantize("out", real.y))
    found = anatomy(network, rng.normal(0, 2, (60, 6)).astype(np.float32))
    assert [change.cause for change in found.chain if change.place == "sign"] == [
        "bias",
        "rounding",
        "accumulator",
        "rule",
    ]
    assert [c.step.differing for c in found.chain if c.cause in ("rule", "accumulator")] == [0] * 5
    assert found.layers[0].local is not None and found.layers[0].local.noise > 0


@pytest.mark.parametrize("zero_point", [0, 30])
def test_a_clip_that_is_the_activation(zero_point):
    network, _, x = dense()
    y = Grid(UINT8, network.layers[0].y.scale, zero_point)
    network = replace(network, layers=(replace(network.layers[0], y=y), replace(network.layers[1], x=y)))
    layer = network.layers[0]
    spec = layer.spec.with_(activation="none", clip=(zero_point, 255))
    clipped = anatomy(with_layer(network, 0, replace(layer, spec=spec)), x)
    assert clipped.output == anatomy(network, x).output
    assert clipped.output.sqnr > 25


def test_histograms_count_every_number():
    network, real, x = dense(fraction=0.5)
    found = {one.name: one for one in histograms(network, x, real, batch=11)}
    assert list(found) == ["in", "one", "two"]
    values = real.trace(x.astype(float))["one"].reshape(-1)
    codes = [round(v / float(network.layers[0].y.scale)) + network.layers[0].y.zero_point for v in values]
    one = found["one"]
    assert (one.total, one.below, one.above) == (630, 0, sum(code > 255 for code in codes)) and one.above > 20
    held = [min(code, 255) for code in codes]
    assert one.counts.tolist() == [held.count(code) for code in range(256)]
    assert one.unused == 256 - len(set(held))
    wide = convolutions()
    assert [each.name for each in histograms(wide[0], wide[2])] == ["in", "conv", "max", "apart", "mean", "flat"]


def test_histograms_at_the_ends():
    grid = Grid(INT4, np.float32(0.5), 2)
    found = CodeHistogram.empty("x", -8, 7).with_(grid, np.array([[-5.4, -5.2, -5.0, 2.5, 2.7, 2.8]]))
    found = found.with_(grid, np.array([2.6]))  # codes: -9, -8, -8, 7, 7, 8 and 7
    assert (found.below, found.above, found.total, found.unused) == (1, 1, 7, 14)
    assert (found.counts[0], found.counts[-1]) == (3, 4)


def test_a_narrow_entry():
    network, _, x = dense()
    entry = Quantize("in", Grid(INT4, np.float32(0.2)), narrow=True)
    layer = replace(network.layers[0], x=entry.y, spec=network.layers[0].spec.with_(activations=INT4))
    found = anatomy(replace(network, entry=entry, layers=(layer, network.layers[1])), x)
    changes = {change.cause: change.step for change in found.chain if change.place == INPUT}
    assert changes["zero point"].differing + changes["clipping"].differing > 50 and changes["rule"].differing == 0


def test_ends_of_a_clip_count_as_an_activation():
    network, _, _ = dense()
    y = Grid(UINT8, np.float32(0.5), 30)
    spec = network.layers[0].spec.with_(activation="none", clip=(10, 100))
    sums = np.array([-20, -9, 3, 34, 36.0])
    assert outputs(replace(network.layers[0], y=y, spec=spec), sums).tolist() == [-10, -9, 3, 34, 35]
    spec = spec.with_(activation="relu6", clip=None)
    assert outputs(replace(network.layers[0], y=y, spec=spec), sums).tolist() == [0, 0, 3, 6, 6]


def test_histograms_of_wide_formats_have_wide_bins():
    network, real, x = dense()
    y = Grid(parse("int12"), network.layers[1].y.scale / 16)
    layer = replace(network.layers[1], y=y, spec=network.layers[1].spec.with_(output=y.fmt))
    found = histograms(replace(network, layers=(network.layers[0], layer), exit=Dequantize("out", y)), x, real)[-1]
    assert (found.width, len(found.counts), found.lo) == (16, 256, -2048)
    values = real.trace(x.astype(float))["two"]
    codes = np.clip(np.rint(values / float(y.scale)), -2048, 2047).astype(int).reshape(-1).tolist()
    assert found.counts[128] == sum(0 <= code < 16 for code in codes) > 0
    assert found.unused == 4096 - len(set(codes))


def _table():
    network, real, x = dense()
    layer = network.layers[1]
    table = tuple(range(-128, 128))
    return with_layer(network, 1, replace(layer, spec=layer.spec.with_(table=table, table_input=INT8))), x


def _float_sums():
    network, _, x = dense()
    given, layer = {"activations": UINT8, "weights": INT8, "depth": 9}, network.layers[1]
    spec = Spec(**given, block_sum="float32", output=parse("float32"))
    first = replace(network.layers[0], y=Grid(UINT8, network.layers[0].y.scale))
    sums = Product("two", spec, {"w": layer.arrays["w"]}, first.y, layer.w, Grid(spec.y))
    return replace(network, layers=(first, sums), exit=Dequantize("out", sums.y)), x


ERRORS = {
    "layer two: sums in float32 are not taken apart": lambda: anatomy(*_float_sums()),
    "inputs must have shape [B, 12] with B at least 1, not [0, 12]": lambda: anatomy(dense()[0], np.zeros((0, 12))),
    "layers of the quantized and of the float network must have the same names, not one, two and one, three": lambda: (
        anatomy(*_other(lambda real: replace(real.layers[1], name="three")))
    ),
    "layer two: Product does not stand for Reshape": lambda: anatomy(*_other(lambda _: Reshape("two", (-1,)))),
    "layer two: weights must have one shape, not [9, 5] and [9, 4]": lambda: anatomy(
        *_other(lambda real: replace(real.layers[1], w=real.layers[1].w[:, :4]))
    ),
    "layer two: a table has no function of real numbers": lambda: anatomy(*_table()),
    "numbers to compare must have one shape, not [2] and [3]": lambda: Error.between([1, 2], [1, 2, 3]),
}


def _other(last):
    network, real, x = dense()
    return network, x, replace(real, layers=(real.layers[0], last(real)))


@pytest.mark.parametrize("message", ERRORS)
def test_errors(message):
    with pytest.raises(ValueError) as error:
        ERRORS[message]()
    assert str(error.value) == message
