"""Training of the digits: it repeats, and it brings two bits back to what the float network reaches."""

import numpy as np
import pytest
from networks_to_train import inputs, mlp, same, traced
from oracle_cases import need

need("torch")

import torch  # noqa: E402

from network.quantizing.post_training import quantize  # noqa: E402
from network.quantizing.recipe import Recipe  # noqa: E402
from train.fitting import fit  # noqa: E402
from train.network import export  # noqa: E402
from train.prepare import trainable  # noqa: E402

POINTS = 0.02


def fitted(seed):
    rng = np.random.default_rng(1)
    network = mlp(rng)
    x, labels = inputs(rng, network, 50), rng.integers(0, 5, 50)
    module = trainable(network, [x], Recipe(weights="int3"))
    return fit(module, x, labels, epochs=2, batch=16, rate=0.01, seed=seed), x


def test_a_seed_gives_the_same_network_again():
    threads = torch.get_num_threads()
    (first, x), (again, _), (other, _) = fitted(1), fitted(1), fitted(2)
    assert torch.get_num_threads() == threads
    assert not first.training
    assert same(first.trace(x), traced(export(again), x))
    assert not same(first.trace(x), other.trace(x))
    pairs = zip(first.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


def test_a_batch_has_no_more_than_all_examples():
    rng = np.random.default_rng(1)
    network = mlp(rng)
    x = inputs(rng, network, 5)
    with pytest.raises(ValueError) as raised:
        fit(trainable(network, [x], Recipe()), x, np.zeros(5), epochs=1, batch=6, rate=0.01, seed=1)
    assert str(raised.value) == "batch must be 1 to 5, the number of examples, not 6"


@pytest.mark.parametrize("weights", ["int2", "bipolar"])
def test_trained_digits_are_within_two_points_of_float(weights):
    need("sklearn")
    from examples.digits.data import held_out, training
    from examples.digits.float_networks import float_network
    from examples.digits.float_networks import inputs as pixels

    (seen, labels), (images, truth) = training(), held_out()
    network, x, images = float_network("mlp"), pixels(seen), pixels(images)
    recipe = Recipe(weights=weights)

    def correct(one):
        return (one.run(images).argmax(axis=1) == truth).mean()

    module = fit(trainable(network, [x], recipe), x, labels, epochs=10, batch=64, rate=0.01, seed=0)
    exported = export(module)
    assert same(module.trace(images), traced(exported, images))
    assert correct(exported) >= correct(network) - POINTS
    assert correct(quantize(network, [x], recipe)) < 0.7


class Scaled(torch.nn.Module):
    """Logits x * w, and a penalty of 100 sum w**2; it keeps what it was given and how."""

    def __init__(self):
        super().__init__()
        self.w, self.seen = torch.nn.Parameter(torch.tensor([0.5, -0.25, 1.0])), []

    def forward(self, x):
        self.seen.append((x[:, 0].tolist(), self.training, torch.get_num_threads()))
        return torch.from_numpy(x) * self.w

    def penalty(self):
        return 100 * self.w.square().sum()


@pytest.mark.parametrize(("count", "batch"), [(14, 4), (12, 4), (7, 7)])
def test_each_step_by_hand(count, batch):
    """Batches of the permutations of a seed, what is left over left out; Adam, and a rate that falls to nothing as a
    half cosine, in numpy."""
    rng = np.random.default_rng(3)
    x, labels = rng.normal(0, 1, (count, 3)).astype(np.float32), rng.integers(0, 3, count)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        module = fit(Scaled().eval(), x, labels, epochs=3, batch=batch, rate=0.1, seed=7)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)

    order, steps = np.random.default_rng(7), 3 * (count // batch)
    w, first, second, seen = np.array([0.5, -0.25, 1.0]), np.zeros(3), np.zeros(3), []
    for step in range(steps):
        if step % (count // batch) == 0:
            shuffled = order.permutation(count)
        chosen = shuffled[step % (count // batch) * batch :][:batch]
        powers = np.exp(x[chosen] * w)
        missing = powers / powers.sum(axis=1, keepdims=True) - np.eye(3)[labels[chosen]]
        slope = (missing * x[chosen]).mean(axis=0) + 1e-3 * 200 * w
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
        rate = 0.1 * (1 + np.cos(np.pi * step / steps)) / 2
        w = w - rate * first / (1 - 0.9 ** (step + 1)) / (np.sqrt(second / (1 - 0.999 ** (step + 1))) + 1e-8)
        seen.append((x[chosen, 0].tolist(), True, 1))
    assert module.seen == seen and not module.training
    assert module.w.detach().numpy() == pytest.approx(w, abs=1e-4)
