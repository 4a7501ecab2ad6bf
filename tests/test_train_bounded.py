"""Weights that keep sums inside an accumulator: the designs take the width, and give what wide ones give."""

import numpy as np
import pytest
from networks_to_train import inputs, linear, mlp, same, traced
from oracle_cases import need

need("torch")

import torch  # noqa: E402

from network.float_network import FloatNetwork  # noqa: E402
from network.quantized_weights import QuantizedWeights  # noqa: E402
from network.quantizing.recipe import Recipe  # noqa: E402
from network.quantizing.weights import quantized_weights  # noqa: E402
from train.bounded import BoundedWeights, CenteredWeights, centered_bound, norm_bound  # noqa: E402
from train.network import export  # noqa: E402
from train.prepare import Method, trainable  # noqa: E402

torch.set_num_threads(1)


def test_bounds_are_the_largest():
    for bits in (8, 12, 16):
        for lo, hi in ((0, 255), (-128, 127), (0, 1), (-255, 255)):
            norm, most = norm_bound(bits, (lo, hi)), 2 ** (bits - 1) - 1
            assert norm * max(-lo, hi) <= most < (norm + 1) * max(-lo, hi)
            centered = centered_bound(bits, (lo, hi))
            assert centered * (hi - lo) / 2 <= most < (centered + 1) * (hi - lo) / 2
    assert (norm_bound(16, (0, 255)), centered_bound(16, (0, 255))) == (128, 256)
    assert norm_bound(16, (-128, 127)) == 255


def trained(bits, bound, activations="uint8", seed=1, steps=8):
    rng = np.random.default_rng(seed)
    network = mlp(rng)
    x, recipe = inputs(rng, network), Recipe(weights="int5", activations=activations, output="exact")
    module = trainable(network, [x], recipe, Method(accumulator=bits, bound=bound))
    adam, goal = torch.optim.Adam(module.parameters(), lr=0.05), torch.from_numpy(rng.integers(0, 5, len(x)))
    for _ in range(steps):
        adam.zero_grad()
        (torch.nn.functional.cross_entropy(module(x), goal) + 0.001 * module.penalty()).backward()
        adam.step()
    return module, x


@pytest.mark.parametrize("bound", ["norm", "centered"])
@pytest.mark.parametrize("activations", ["uint8", "int8", "uint4"])
@pytest.mark.parametrize("bits", [10, 13, 15])
def test_the_exported_design_takes_the_width_and_is_exact(bits, activations, bound):
    module, x = trained(bits, bound, activations)
    exported = export(module)
    assert same(module.trace(x), traced(exported, x))
    for layer in exported.products:
        spec = layer.spec
        assert spec.accumulator == bits and spec.accumulator_is_exact and spec.accumulator_overflow is None
        (a_lo, a_hi), w = spec.a_value_range, layer.arrays["w"]
        ends = np.abs(w.clip(max=0)).sum(axis=0), w.clip(min=0).sum(axis=0)
        highest = max(int((a_hi * ends[1] - a_lo * ends[0]).max()), 0)
        lowest = max(int((a_hi * ends[0] - a_lo * ends[1]).max()), 0)
        assert spec.accumulator_range == (-lowest, highest)
        assert max(highest, lowest) <= 2 ** (bits - 1) - 1
        extreme = np.where(w.T > 0, a_hi, a_lo)
        assert (extreme @ w).diagonal().max() == highest
    assert any(np.any(layer.arrays["w"]) for layer in exported.products)


def test_the_bound_is_used_up():
    """Where weights want more, magnitudes come near the bound: some column has half of it and more."""
    module, _ = trained(15, "norm", steps=0)
    layer = module.chain[0]
    bound, sums = layer.weights.bound, np.abs(layer.lowered(module.entry.y).arrays["w"]).sum(axis=0)
    assert bound // 2 < sums.max() <= bound


@pytest.mark.parametrize(("kind", "bound"), [(BoundedWeights, 9), (CenteredWeights, 20)])
def test_values_are_those_of_the_codes_and_norms_stay_below(kind, bound):
    rng = np.random.default_rng(2)
    w = (rng.normal(0, 1, (50, 6)) ** 5).astype(np.float32)
    initial = quantized_weights(w, "int4", Recipe())
    weights = kind(initial, Recipe(), w, bound)
    values, quantized = weights(torch.from_numpy(w))
    assert isinstance(quantized, QuantizedWeights)
    codes = quantized.arrays["w"]
    assert values.detach().numpy().tolist() == (codes * quantized.grid.scale).astype(np.float32).tolist()
    assert 0 < np.abs(codes).sum(axis=0).max() <= bound
    if kind is CenteredWeights:
        assert codes.clip(min=0).sum(axis=0).max() <= bound / 2


def test_exact_quotients_do_not_pass_the_bound():
    """Equal weights whose quotients by the step are whole: nothing is left to rounding towards zero."""
    w = np.full((8, 1), 1.0, np.float32)
    initial = quantized_weights(w, "int8", Recipe())
    weights = BoundedWeights(initial, Recipe(), w, 16)
    with torch.no_grad():
        for growth in np.linspace(-3, 3, 301):
            weights.step.growth.fill_(growth)
            assert np.abs(weights(torch.from_numpy(w))[1].arrays["w"]).sum() <= 16


def test_columns_of_zeros_stay_zeros():
    w = np.random.default_rng(4).normal(0, 1, (10, 3)).astype(np.float32)
    w[:, 1] = 0
    weights = BoundedWeights(quantized_weights(w, "int8", Recipe()), Recipe(), w, 200)
    values, quantized = weights(torch.from_numpy(w))
    assert not quantized.arrays["w"][:, 1].any() and values[:, 1].tolist() == [0] * 10
    assert quantized.arrays["w"][:, [0, 2]].any(axis=0).all()


def test_steps_have_the_gradient_of_lsq():
    """Below the bound: the sum over a column of level - w / step, by 1 / sqrt(count * 7)."""
    w = np.random.default_rng(5).normal(0, 1, (20, 3)).astype(np.float32)
    weights = BoundedWeights(quantized_weights(w, "int4", Recipe()), Recipe(), w, 10_000)
    with torch.no_grad():
        weights.step.growth.fill_(0.3)
    values, quantized = weights(torch.from_numpy(w))
    values.sum().backward()
    step = quantized.grid.scale.astype(np.float64)
    each = quantized.arrays["w"] - w / step
    expected = step * each.sum(axis=0) / np.sqrt(20 * 7)
    assert weights.step.growth.grad.numpy() == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_a_network_adds_up_the_penalties_of_its_layers():
    module, _ = trained(10, "norm")
    terms = [float(layer.weights.penalty().detach()) for layer in module.chain]
    assert len(terms) == 3 and min(terms) > 0
    assert float(module.penalty().detach()) == pytest.approx(sum(terms))


def test_the_penalty_is_what_lies_beyond_the_bound():
    w = np.full((8, 1), 1.0, np.float32)
    initial = quantized_weights(w, "int8", Recipe())
    tight, loose = (BoundedWeights(initial, Recipe(), w, bound) for bound in (127 * 2, 127 * 16))
    assert float(loose.penalty().detach()) == 0
    assert float(tight.penalty().detach()) == pytest.approx(2, abs=1e-3)
    tight.penalty().backward()
    assert tight.t.grad.tolist() == [1]


REFUSED = [
    ("int4", 4, "layer fc: accumulator must hold one product of uint8, not 4 bits"),
    ("ternary", 16, "layer fc: accumulators bound weights of signed integers without blocks, not ternary"),
    ("uint4", 16, "layer fc: accumulators bound weights of signed integers without blocks, not uint4"),
    ("mxint8", 16, "layer fc: accumulators bound weights of signed integers without blocks, not q2.6"),
]


@pytest.mark.parametrize(("weights", "bits", "message"), REFUSED)
def test_what_has_no_bound_is_refused(weights, bits, message):
    rng = np.random.default_rng(3)
    network = FloatNetwork("one", (6,), (linear(rng, "fc", 6, 4),))
    x = np.abs(inputs(rng, network))
    with pytest.raises(ValueError) as raised:
        trainable(network, [x], Recipe(weights=weights), Method(accumulator=bits))
    assert str(raised.value) == message
