"""The commands on networks: quantize, import, report, evaluate. The work is done in flows."""

from pathlib import Path
from typing import Annotated

import typer

from golden.platform_table import PLATFORMS
from network.arrays import KINDS, Array

from . import network_flows as flows
from . import network_report as report
from .app import Codes, Json, Quiet, SimulatorOption, app, check_simulators, finish, named_simulators, show
from .costs import MOST_BATCH, costs
from .data import codes_on, read_examples
from .errors import InputError, as_input_error
from .evaluate import SAMPLE
from .evaluate import evaluate as evaluated
from .network_folder import open_network
from .progress import Progress
from .recipe_options import takes_recipe

NetworkArgument = Annotated[
    Path,
    typer.Argument(help="Network folder, as bittrue quantize or bittrue import makes it.", show_default=False),
]
Out = Annotated[Path, typer.Option(help="Network folder to make.")]
Data = Annotated[
    Path,
    typer.Option(
        help="Npz of examples: real x (B, ...) in the model's layout; labels (B), numbers of classes, for accuracy.",
        show_default=False,
    ),
]
_DEFAULT = Array()
_ARRAY = f"Array that every layer runs on, but depthwise ones: {', '.join(KINDS)}"
_ROWS, _COLS, _LANES = "Its rows; matrix_vector has one", "Its columns", "Its lanes: products per element and cycle"
_OTHER = f"(default: the folder's; {_DEFAULT.kind} where its size is given)."
Batch = Annotated[int, typer.Option(help="Examples that cycles are counted for.")]


@app.command()
@takes_recipe
def quantize(
    model: Annotated[Path, typer.Argument(help="Float ONNX model.", show_default=False)],
    calibration: Annotated[
        Path, typer.Option(help="Npz of examples: real x (B, ...) in the model's layout.", show_default=False)
    ],
    recipe,
    out: Out = Path("build/network"),
    quiet: Quiet = False,
    as_json: Json = False,
):
    """Quantize a float ONNX model after training, to a network folder.

    OUT/layers/NAME/design.toml is the design of a layer for bittrue generate, arrays.npz beside it its weights;
    OUT/model.onnx the quantized model for other programs. A network folder that is there already is replaced.

    Example: bittrue quantize model.onnx --calibration data.npz --weights int4 --activations uint8 --out build/q
    """
    stored = flows.quantize_model(model, calibration, recipe, out, Progress(quiet=quiet))
    _print_stored(stored, quiet, as_json)


@app.command("import")
def import_(
    model: Annotated[Path, typer.Argument(help="Quantized model: TFLite or ONNX.", show_default=False)],
    out: Out = Path("build/network"),
    platform: Annotated[
        str | None,
        typer.Option(
            help=f"Platform whose numbers the hardware gives: {', '.join(PLATFORMS)} (default: the one that a "
            "model names which bittrue wrote, else the program's that such models are for).",
            show_default=False,
        ),
    ] = None,
    array: Annotated[str, typer.Option(help=f"{_ARRAY}.")] = _DEFAULT.kind,
    rows: Annotated[int, typer.Option(help=f"{_ROWS}.")] = _DEFAULT.rows,
    cols: Annotated[int, typer.Option(help=f"{_COLS}.")] = _DEFAULT.cols,
    lanes: Annotated[int, typer.Option(help=f"{_LANES}.")] = _DEFAULT.lanes,
    quiet: Quiet = False,
    as_json: Json = False,
):
    """Read a network that others quantized (TFLite; ONNX with QDQ, QOperator, dynamic or QONNX nodes), to a folder.

    Example: bittrue import model.tflite --out build/q
    """
    with as_input_error(ValueError):
        chosen = Array(kind=array, rows=rows, cols=cols, lanes=lanes)
    stored = flows.import_model(model, platform, chosen, out, Progress(quiet=quiet))
    _print_stored(stored, quiet, as_json)


@app.command("report")
def report_(
    folder: NetworkArgument,
    batch: Batch = 1,
    array: Annotated[str | None, typer.Option(help=f"{_ARRAY} {_OTHER}", show_default=False)] = None,
    rows: Annotated[int | None, typer.Option(help=f"{_ROWS}, likewise.", show_default=False)] = None,
    cols: Annotated[int | None, typer.Option(help=f"{_COLS}, likewise.", show_default=False)] = None,
    lanes: Annotated[int | None, typer.Option(help=f"{_LANES}, likewise.", show_default=False)] = None,
    quiet: Quiet = False,
    as_json: Json = False,
):
    """Say what a network takes: memory, multiply-accumulates, cycles of each layer on its array or on another.

    Example: bittrue report build/q --array weight_stationary --rows 16 --cols 16
    """
    if not 1 <= batch <= MOST_BATCH:
        raise InputError(f"batch must be 1 to {MOST_BATCH} examples, not {batch}")
    opened = open_network(folder)
    given = {"kind": array, "rows": rows, "cols": cols, "lanes": lanes}
    given = {name: value for name, value in given.items() if value is not None}
    with as_input_error(ValueError):
        network = Array(**given).placed(opened.network) if given else opened.network
        found = costs(network, batch)
    show(report.stored(opened, found), report.stored_json(opened, found), quiet=quiet, as_json=as_json)


@app.command()
def evaluate(
    folder: NetworkArgument,
    data: Data,
    hardware: Annotated[
        int | None,
        typer.Option(
            help=f"Examples to run through every layer's generated Verilog, 0 for none (default: {SAMPLE}, where the "
            "simulator is there).",
            show_default=False,
        ),
    ] = None,
    simulator: SimulatorOption = "verilator",
    codes: Codes = False,
    recorded: Annotated[
        str | None,
        typer.Option(
            help="Array of --data: outputs that another program gave, codes or real numbers, to compare with.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the build folders of the layers (default: FOLDER/build).", show_default=False),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
):
    """Compare a network in float, fake-quantized, in golden's codes and in simulated hardware.

    Example: bittrue evaluate build/q --data test.npz --hardware 20
    bittrue evaluate build/imported --data io.npz --codes --recorded y
    """
    opened = open_network(folder)
    simulators = named_simulators(simulator)
    if hardware:
        check_simulators(simulators)
    on = {"codes_on": codes_on(opened.network) if codes else None, "recorded": recorded}
    examples = read_examples(data, opened.network.shape, opened.output_shape, **on)
    if hardware is not None and not 0 <= hardware <= len(examples.x):
        raise InputError(f"hardware must be 0 to {len(examples.x)} examples, those of {data}, not {hardware}")
    found = evaluated(opened, examples, Progress(quiet=quiet), hardware=hardware, simulators=simulators, out=out)
    show(report.evaluated(found), report.evaluated_json(found), quiet=quiet, as_json=as_json)
    finish(found.agrees)


def _print_stored(stored, quiet, as_json):
    given = (stored.opened, stored.costs, stored.notes)
    show(report.stored(*given), report.stored_json(*given), quiet=quiet, as_json=as_json)
