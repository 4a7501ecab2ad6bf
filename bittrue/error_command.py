"""bittrue errors: where the error of a quantized network comes from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from network.dynamic import RealEntry
from network.errors.anatomy import BATCH, Anatomy, anatomy
from network.errors.histograms import CodeHistogram, histograms
from network.errors.reference import compared
from network.example_shapes import most_elements
from network.float_network import FloatNetwork
from network.onnx.read_float import read_float

from . import error_report as report
from .app import Codes, Json, Quiet, app, show
from .data import codes_on, read_examples
from .errors import InputError, as_input_error
from .evaluate import BATCH_ELEMENTS
from .models import read_onnx_model
from .network_folder import NetworkFolder, open_network
from .network_toml import folder_names
from .plots import causes_plot, check_plots_place, histogram_plot, sqnr_plot, write_plots
from .progress import Progress

OWN = "the network's own real numbers"


@dataclass(frozen=True)
class Found:
    """The anatomy of a network's errors, its numbers against its codes, and what golden was compared with."""

    anatomy: Anatomy
    histograms: tuple[CodeHistogram, ...]
    reference: str

    def of_layer(self, name: str) -> list[CodeHistogram]:
        """The histograms of what a layer takes, where it is known, and of what it gives."""
        names = [self.anatomy.entry.name, *(layer.name for layer in self.anatomy.layers)]
        wanted = names[max(names.index(name) - 1, 0) : names.index(name) + 1]
        return [one for one in self.histograms if one.name in wanted]


@app.command()
def errors(
    folder: Annotated[Path, typer.Argument(help="Network folder.", show_default=False)],
    data: Annotated[
        Path, typer.Option(help="Npz of examples: real x (B, ...) in the model's layout.", show_default=False)
    ],
    codes: Codes = False,
    layer: Annotated[
        str | None,
        typer.Option(help="A layer to show in full: each exchange, its numbers against its codes.", show_default=False),
    ] = None,
    plots: Annotated[
        Path | None, typer.Option(help="Folder for plots of all layers (PNG).", show_default=False)
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
):
    """Say where a quantized network's error comes from: rounding, clipping, ranges, weights, sums, platform.

    Golden is compared with the float model in the folder or, without one, with the network's own real numbers. Real
    ingredients are exchanged for those of golden one by one; what each exchange adds to the error is its share.

    Example: bittrue errors build/q --data test.npz --layer fc1 --plots build/plots
    """
    opened = open_network(folder)
    if plots is not None:
        check_plots_place(plots)
    names = [opened.network.entry.name, *(one.name for one in opened.network.layers)]
    if layer is not None and layer not in names:
        raise InputError(f"layer must be one of {', '.join(names)}, not {layer!r}")
    found = examined(opened, _inputs(opened, data, codes), Progress(quiet=quiet))
    if plots is not None:
        write_plots(plots, drawn(found))
    text = (
        report.anatomy_report(found.anatomy, found.reference)
        if layer is None
        else report.layer_report(found.anatomy, layer, found.of_layer(layer))
    )
    show(text, report.as_json(found.anatomy, found.histograms, found.reference), quiet=quiet, as_json=as_json)


def _inputs(opened, data, codes):
    on = codes_on(opened.network) if codes else None
    return read_examples(data, opened.network.shape, codes_on=on).x


def examined(opened: NetworkFolder, x, progress: Progress) -> Found:
    """The anatomy of a stored network on examples. Raises InputError."""
    real, told = real_network(opened)
    network, batch = opened.network, _batch(opened.network)
    unusual = np.errstate(over="ignore", invalid="ignore")  # numbers that no float32 holds count as they come
    with progress.step("exchanging ingredients"), as_input_error(ValueError, prefix=str(opened.path)), unusual:
        found = anatomy(network, x, real, batch=batch)
        return Found(found, histograms(network, x, real, batch=batch), told)


def _batch(network):
    """Examples at a time; where ranges are those of the batch as many as bittrue evaluate takes."""
    most = max(1, BATCH_ELEMENTS // most_elements(network))
    return most if isinstance(network.entry, RealEntry) else min(BATCH, most)


def real_network(opened: NetworkFolder) -> tuple[FloatNetwork | None, str]:
    """The float network that a stored one's layers stand for, and what it is; None where the folder has none."""
    if opened.float_model is None or opened.recipe is None:
        return None, OWN
    model = read_onnx_model(opened.float_model)
    with as_input_error(ValueError, prefix=str(opened.float_model)):
        return compared(read_float(model), opened.recipe), opened.float_model.name


def drawn(found: Found) -> dict[str, bytes]:
    """All plots, by the names of their files."""
    names = folder_names([one.name for one in found.histograms])
    plots = {"sqnr": sqnr_plot(found.anatomy), "causes": causes_plot(found.anatomy)}
    return plots | {f"histogram-{names[one.name]}": histogram_plot(one) for one in found.histograms}
