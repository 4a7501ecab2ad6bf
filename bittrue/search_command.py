"""bittrue search: formats for each layer of a float model, so that it loses least under a budget."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from network.mixed_precision.search import choices
from network.quantizing.recipe import LayerFormats

from . import readers
from . import search_report as report
from .app import Json, Quiet, app, show
from .data import read_calibration, read_examples
from .errors import InputError, as_input_error
from .folder import write_bytes
from .hardware_costs import TARGETS
from .network_flows import check_layers, quantize_model
from .network_folder import check_network_place
from .progress import Progress
from .recipe_options import takes_recipe
from .search_flow import UNITS, charges_of, parse_budget, searched

MOST_TRIES = 1000
MOST_BATCH = 1 << 20


@app.command()
@takes_recipe
def search(
    model: Annotated[Path, typer.Argument(help="Float ONNX model.", show_default=False)],
    calibration: Annotated[
        Path, typer.Option(help="Npz of examples to calibrate on: real x (B, ...).", show_default=False)
    ],
    data: Annotated[
        Path,
        typer.Option(
            help="Npz of examples to choose by: real x (B, ...), and labels (B) for accuracy. Not those that the "
            "result is to be judged on.",
            show_default=False,
        ),
    ],
    budget: Annotated[str, typer.Option(help=f"{', '.join(f'{name}=NUMBER' for name in UNITS)}.", show_default=False)],
    recipe,
    formats: Annotated[str, typer.Option(help="Formats that weights may have, with commas.")] = "int8,int4,int2",
    activation_formats: Annotated[
        str | None,
        typer.Option(
            help="Formats that each layer's inputs may have (default: the one of --activations).", show_default=False
        ),
    ] = None,
    batch: Annotated[int, typer.Option(help="Examples that cycles are counted for.")] = 1,
    target: Annotated[str, typer.Option(help=f"FPGA whose LUTs are counted: {', '.join(TARGETS)}.")] = TARGETS[-1],
    tries: Annotated[int, typer.Option(help="Networks within the budget to run, the best expected among them.")] = 12,
    one_by_one: Annotated[bool, typer.Option("--one-by-one", help="Also run each format in one layer alone.")] = False,
    plot: Annotated[Path | None, typer.Option(help="PNG to write: SQNR by cost.", show_default=False)] = None,
    out: Annotated[Path, typer.Option(help="Network folder to make of the chosen formats.")] = Path("build/network"),
    quiet: Quiet = False,
    as_json: Json = False,
):
    """Search formats for each layer that lose least under a budget of memory, LUTs or cycles.

    All choices of formats are compared by cost and by the noise that each layer alone adds at the outputs, exactly;
    the best ones within the budget are quantized and run. Layers that --layer or the recipe names keep their formats.

    Example: bittrue search model.onnx --calibration c.npz --data v.npz --budget memory=20000 --out build/best
    """
    wanted = parse_budget(budget)
    _check("target", target, TARGETS)
    _check_count("tries", tries, MOST_TRIES)
    _check_count("batch", batch, MOST_BATCH)
    offered = _offered(recipe, formats, activation_formats)
    check_network_place(out)
    if plot is not None and (plot.is_dir() or not plot.parent.is_dir()):
        raise InputError(f"plot must be a file in a folder that is there, not {plot}")
    progress = Progress(quiet=quiet)
    real = readers.float_network(readers.open_model(model))
    check_layers(recipe, [layer.name for layer in real.linears])
    charges = charges_of(wanted, examples=batch, target=target)
    examples = read_calibration(calibration, real.shape), read_examples(data, real.shape, _outputs(real))
    found = searched(real, *examples, recipe, offered, wanted, charges, progress, tries=tries, one_by_one=one_by_one)
    quantize_model(model, calibration, found.recipe, out, progress)
    if plot is not None:
        write_bytes(plot, report.plot(found))
    show(report.search_report(found, out), report.as_json(found, out), quiet=quiet, as_json=as_json)


def _check(name, value, known):
    if value not in known:
        raise InputError(f"{name} must be one of {', '.join(known)}, not {value!r}")


def _check_count(name, value, most):
    if not 1 <= value <= most:
        raise InputError(f"{name} must be 1 to {most}, not {value}")


def _offered(recipe, formats, activation_formats) -> tuple[LayerFormats, ...]:
    """All pairs of the formats that were given. Raises InputError for names that no recipe takes."""
    weights = [one.strip() for one in formats.split(",")]
    activations = [one.strip() for one in (activation_formats or recipe.activations).split(",")]
    for name, key, given in (("formats", "weights", weights), ("activation_formats", "activations", activations)):
        for one in given:
            with as_input_error(ValueError, prefix=name):
                recipe.with_(**{key: one})
    return choices(recipe, weights, activations)


def _outputs(real) -> tuple[int, ...]:
    """The shape of what a float network gives for one example."""
    return real.run(np.zeros((1, *real.shape), np.float32)).shape[1:]
