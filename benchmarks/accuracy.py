"""Digits told right, % of 450 held-out images, by the codes of the whole network (`Network.run`).

Activations uint8, logits int8, weights with a scale per channel (blocks bring their own). MLP: 64-48-32-10; CNN: two
convolutions and a dense layer (examples/digits). "quantized": after training, by least and largest values alone;
"corrected": with ranges of least square error, adaptive rounding and corrected biases; "trained": quantized, then
trained (train.fitting), the mean of {seeds} seeds. Bits are those of one weight, its share of a block's scale counted.
"""

import importlib.util
import multiprocessing
from dataclasses import dataclass

import numpy as np

from examples.digits.data import held_out, training
from examples.digits.float_networks import NAMES, float_network, inputs
from golden.block_formats import NAMED_BLOCKS
from golden.formats import parse
from network.quantizing.post_training import quantize
from network.quantizing.recipe import Recipe

WEIGHTS = ("int8", "int4", "int3", "int2", "ternary", "bipolar", "pot4", "codebook4", "codebook2")
BLOCKS = ("mxfp8_e4m3", "mxfp6_e2m3", "mxfp4")
CORRECTED = {"weight_range": "mse", "corrections": ("adaround", "bias")}
SEEDS = (0, 1)
FIT = {
    "mlp": dict(epochs=20, batch=64, rate=1e-2),
    "cnn": dict(epochs=40, batch=64, rate=2e-2),
}
WHOLE_WITH = ("torch", "sklearn")

if __doc__:
    __doc__ = __doc__.format(seeds=len(SEEDS))


@dataclass(frozen=True)
class Job:
    """One number of the table: `how` is "quantized", "corrected" or "trained"."""

    model: str
    weights: str
    how: str
    seed: int = 0

    def __call__(self) -> float:
        """The share of digits told right, in %."""
        images, _ = training()
        recipe = Recipe(weights=self.weights, **(CORRECTED if self.how == "corrected" else {}))
        made = trained if self.how == "trained" else quantize
        more = {"seed": self.seed} if self.how == "trained" else {}
        return right(made(float_network(self.model), [inputs(images)], recipe, **more))


def trained(network, batches, recipe, *, seed):
    """The network of codes, trained on the images that it was calibrated on."""
    from train.fitting import fit
    from train.network import export
    from train.prepare import trainable

    _, labels = training()
    return export(fit(trainable(network, batches, recipe), batches[0], labels, seed=seed, **FIT[network.name]))


def right(network) -> float:
    """The share of held-out digits that a network tells right, in %."""
    images, labels = held_out()
    return 100 * float((network.run(inputs(images)).argmax(axis=1) == labels).mean())


def bits(weights) -> str:
    return f"{NAMED_BLOCKS[weights].bits:g}" if weights in NAMED_BLOCKS else str(parse(weights).width)


def jobs(weights) -> list[list[Job]]:
    """Those of one row, a list for each cell."""
    cells = []
    for model in NAMES:
        cells += [[Job(model, weights, how)] for how in ("quantized", "corrected")]
        cells.append([Job(model, weights, "trained", seed) for seed in SEEDS if importlib.util.find_spec("torch")])
    return cells


def table():
    """Rows of the table, the header first; without PyTorch nothing is trained."""
    hows = ("quantized", "corrected", "trained")
    header = ["weights", "bits", *(f"{name.upper()} {how}" for name in NAMES for how in hows)]
    yield header
    yield ["---"] * len(header)
    reached = [f"{right(float_network(name)):.1f}" for name in NAMES for _ in hows]
    yield ["float32", "32", *reached]
    with multiprocessing.get_context("spawn").Pool() as pool:
        for weights in (*WEIGHTS, *BLOCKS):
            cells = [pool.map_async(_run, cell, chunksize=1) for cell in jobs(weights)]
            yield [weights, bits(weights), *(_mean(cell.get()) for cell in cells)]


def _run(job):
    return job()


def _mean(found):
    return f"{np.mean(found):.1f}" if found else "-"
