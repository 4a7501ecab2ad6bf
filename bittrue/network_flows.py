"""The steps behind the commands on networks: quantize and import. They return what was stored, and print nothing."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from network.arrays import Array
from network.dynamic import RealEntry
from network.qdq.write import qdq
from network.qdq.write_dynamic import dynamic_onnx
from network.quantizing.post_training import quantize
from network.quantizing.recipe import Recipe

from . import readers
from .costs import Costs, costs
from .data import read_calibration
from .errors import InputError, as_input_error
from .network_folder import FLOAT, QDQ, NetworkFolder, check_network_place, create_network
from .network_toml import check_kinds
from .progress import Progress

CALIBRATION_BATCH = 32


@dataclass(frozen=True)
class Stored:
    """A network folder that was made, what the network takes, and what is missing in the folder, and why."""

    opened: NetworkFolder
    costs: Costs
    notes: tuple[str, ...]


def quantize_model(path: Path, calibration: Path, recipe: Recipe, out: Path, progress: Progress) -> Stored:
    """Quantizes a float ONNX model on calibration data; stores the network. Raises InputError."""
    check_network_place(out)
    with progress.step(f"reading {path.name}"):
        file = readers.open_model(path)
        real = readers.float_network(file)
        examples = read_calibration(calibration, real.shape)
    check_layers(recipe, [layer.name for layer in real.linears])
    unusual = np.errstate(over="ignore", invalid="ignore")  # quantize refuses numbers that are not finite
    with progress.step("calibrating and quantizing"), as_input_error(ValueError), unusual:
        network = quantize(real, examples.batches(CALIBRATION_BATCH), recipe)
    models = {FLOAT: file.self_contained}
    return _store(out, network, file.source, progress, recipe=recipe, models=models)


def check_layers(recipe: Recipe, names):
    """Raises InputError for formats of a layer that is none of these."""
    if unknown := [name for name in recipe.layers if name not in names]:
        raise InputError(f"layer {unknown[0]!r} is not in the model; its layers with weights are {', '.join(names)}")


def import_model(path: Path, platform: str | None, array: Array, out: Path, progress: Progress) -> Stored:
    """Stores a network that others quantized, on an array. Raises InputError."""
    check_network_place(out)
    with progress.step(f"reading {path.name}"):
        file = readers.open_model(path)
        network = readers.quantized_network(file, platform, array)
    return _store(out, network, file.source, progress, models={})


def _store(out, network, source, progress, *, models, recipe=None):
    check_kinds(network)
    notes = []
    with progress.step(f"writing {out}"):
        with as_input_error(ValueError):
            spent = costs(network)
        write = dynamic_onnx if isinstance(network.entry, RealEntry) else qdq
        try:
            models = {QDQ: write(network).SerializeToString(deterministic=True), **models}
        except ValueError as error:
            notes.append(f"no {QDQ}: {error}")
        opened = create_network(out, network, source=source, recipe=recipe, models=models)
    return Stored(opened, spent, tuple(notes))
