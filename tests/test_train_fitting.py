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
