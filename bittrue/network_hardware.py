"""The products of a network through their generated Verilog, one after the other; other layers run in golden."""

from dataclasses import dataclass, field
from pathlib import Path

from network.dynamic import DynamicProduct
from network.layers import Product
from network.network import Network

from . import flows
from .errors import InputError, as_input_error
from .flows import Comparison
from .folder import Folder, open_folder
from .progress import Progress

SIMULATION = {"stall": 0.0, "seed": 1, "waves": False}


@dataclass(frozen=True)
class LayerRun:
    """One product in one simulator, on the codes that came to it there: its outputs compared with golden's."""

    layer: str
    folder: Folder = field(repr=False)
    comparison: Comparison = field(repr=False)


def run_hardware(network: Network, x, simulator: str, builds: dict[str, Folder], progress: Progress):
    """(real outputs, a LayerRun for each product) of real inputs x [B, *shape].

    Each layer takes the codes that the hardware before it gave, so that a fault is seen in its own layer and, further
    on, in the outputs. Raises InputError.
    """
    codes, runs = network.entry.run(x), []
    for layer in network.layers:
        if not isinstance(layer, Product | DynamicProduct):
            codes = layer.run(codes)
            continue
        folder, (arrays, outputs) = builds[layer.name], _taken(layer, codes)
        with as_input_error(InputError, prefix=f"layer {layer.name}"):
            result = flows.simulate(folder, simulator, {**layer.complete_arrays, **arrays}, progress, **SIMULATION)
            comparison = flows.compare_run(folder, simulator, progress)
        runs.append(LayerRun(layer.name, folder, comparison))
        codes = outputs(result.y)
    return network.exit.run(codes), runs


def _taken(layer, x):
    """What the array takes of a layer's inputs, and the layer's outputs as a function of the array's."""
    if isinstance(layer, DynamicProduct):
        return layer.taken(x).arrays, lambda y: layer.outputs(y, x)
    return {"a": layer.matrix(x)}, lambda y: layer.shaped(y, x)


def built(network: Network, out: Path, folders: dict[str, str], progress: Progress) -> dict[str, Folder]:
    """The build folder of each product, by its name: made in `out` unless it is there already.

    folders : the name of the folder of each product. Raises InputError for designs that golden alone has, and for
    build folders that were edited.
    """
    check_designs(network)
    return {layer.name: _built(layer.spec, out / folders[layer.name], progress) for layer in network.on_arrays}


def check_designs(network: Network):
    """Raises InputError, naming the layer, for designs that golden alone has."""
    for layer in network.on_arrays:
        with as_input_error(InputError, prefix=f"layer {layer.name}"):
            flows.check_hardware(layer.spec)


def _built(spec, place, progress):
    if (place / "manifest.json").is_file() and (folder := open_folder(place)).spec == spec:
        return folder
    return flows.generate(spec, place, progress)
