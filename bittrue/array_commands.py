"""The commands on one array: generate, simulate, compare, and what goes with them. The work is done in flows."""

from pathlib import Path
from typing import Annotated

import typer

from golden.rounding import ROUNDINGS
from golden.spec import Spec
from golden.tables import FUNCTIONS
from sim.simulators import SIMULATORS

from . import agree as agreeing
from . import flows, report
from .app import Json, Quiet, SimulatorOption, app, chosen_simulators, finish, show
from .errors import InputError
from .folder import check_place, open_folder, write_text
from .formats import listing as formats_listing
from .options import takes_design
from .progress import Progress
from .table import write_table

FolderArgument = Annotated[Path, typer.Argument(help="Build folder, as bittrue generate makes it.", show_default=False)]
Out = Annotated[Path, typer.Option(help="Build folder to make.")]
Inputs = Annotated[
    Path | None,
    typer.Option(
        help="Npz of integer codes: a (M, K), w (K, N) and, where the design takes them, bias, multiplier, shift, "
        "scale, y_zero_point, y_max (N values or one), thresholds (N, T), a_zero_point, w_zero_point (one). Real "
        "a_scale, y_scale (one) and w_scale (N or one) may stand for multiplier, shift, scale, thresholds and y_max. "
        "Some designs take more: w_codebook (N, entries), a_block_scale (M, blocks), w_block_scale and "
        "w_block_zero_point (blocks, N), a_residual or w_residual (as a or w), a_bits, w_bits, mode (one); arrays of "
        "kind vector a (M, K, N).",
        show_default=False,
    ),
]
Random = Annotated[
    int | None, typer.Option(help="Random operands for at least that many outputs (default: 1000).", show_default=False)
]
Seed = Annotated[int, typer.Option(help="Seed of random operands and stalls.")]
Stall = Annotated[float, typer.Option(help="Fraction of cycles in which each stream stalls, 0 to 0.9.")]
Waves = Annotated[bool, typer.Option("--waves", help="Record waves (FST) and a GTKWave save file.")]
Hardware = Annotated[
    Path | None,
    typer.Option(
        help="Your own dump: npz with y (M, N), and the inputs as simulate takes them; without, those of --inputs or "
        "of the last run.",
        show_default=False,
    ),
]


@app.command()
@takes_design
def generate(spec: Spec, out: Out = Path("build/mac_array"), quiet: Quiet = False, as_json: Json = False):
    """Generate Verilog for a chosen bit width, with its manifest.

    --activations and --weights are needed; all else has a default. A design file holds the same names with
    underscores (activations = "int8"); OUT/design.toml is one. A build folder that is there already is replaced.

    Example: bittrue generate --activations int8 --weights int4 --requantize multiplier --output int8
    """
    folder = flows.generate(spec, out, Progress(quiet=quiet))
    show(report.generated(folder), report.generated_json(folder), quiet=quiet, as_json=as_json)


@app.command()
def simulate(
    folder: FolderArgument,
    simulator: SimulatorOption = "verilator",
    inputs: Inputs = None,
    random: Random = None,
    seed: Seed = 1,
    stall: Stall = 0.0,
    waves: Waves = False,
    quiet: Quiet = False,
    as_json: Json = False,
):
    """Run the Verilog in a simulator, under cocotb, and keep what it gives."""
    opened, progress = open_folder(folder), Progress(quiet=quiet)
    simulators, arrays = _prepared(opened.spec, simulator, inputs, random, seed, stall, progress)
    results = {
        name: flows.simulate(opened, name, arrays, progress, stall=stall, seed=seed, waves=waves) for name in simulators
    }
    show(report.simulated(opened, results), report.simulated_json(opened, results), quiet=quiet, as_json=as_json)
    finish(report.simulators_agree(results))


@app.command()
def compare(
    folder: FolderArgument,
    hardware: Hardware = None,
    inputs: Inputs = None,
    quiet: Quiet = False,
    as_json: Json = False,
):
    """Compare what the hardware gave with the golden model; explain the first difference."""
    _compare(open_folder(folder), hardware, inputs, quiet, as_json)


@app.command()
@takes_design
def run(
    spec: Spec,
    out: Out = Path("build/mac_array"),
    simulator: SimulatorOption = "verilator",
    inputs: Inputs = None,
    random: Random = None,
    seed: Seed = 1,
    stall: Stall = 0.0,
    waves: Waves = False,
    quiet: Quiet = False,
    as_json: Json = False,
):
    """Generate, simulate and compare: the three commands in one, with the options of all."""
    progress = Progress(quiet=quiet)
    flows.check_hardware(spec)
    check_place(out)
    simulators, arrays = _prepared(spec, simulator, inputs, random, seed, stall, progress)
    folder = flows.generate(spec, out, progress)
    for name in simulators:
        flows.simulate(folder, name, arrays, progress, stall=stall, seed=seed, waves=waves)
    _compare(folder, None, None, quiet, as_json)


@app.command()
def agree(
    target: Annotated[Path, typer.Argument(help="Build folder, or design file (TOML).", show_default=False)],
    inputs: Inputs = None,
    random: Random = None,
    sample: Annotated[
        int | None,
        typer.Option(
            help="Instead of a product: that many sums of each kind, random, ties and extremes (default for a file: "
            "1000).",
            show_default=False,
        ),
    ] = None,
    seed: Seed = 1,
    quiet: Quiet = False,
    as_json: Json = False,
):
    """Say where the outputs differ from those of every platform of golden.platforms, and why.

    Of a build folder, the hardware's outputs of the latest run are compared; without a run, or with --inputs, --random
    or --sample, golden stands for the hardware. Differences are information: the exit code is 0.
    """
    _check_choice(inputs=inputs, random=random, sample=sample)
    _check_draw(random, seed)
    if sample is not None and not 1 <= sample <= agreeing.MOST_SAMPLES:
        raise InputError(f"sample must be 1 to {agreeing.MOST_SAMPLES} sums, not {sample}")
    spec, folder = agreeing.opened(target)
    if folder is None and inputs is None and random is None:
        sample = sample or agreeing.DEFAULT_OUTPUTS
    with Progress(quiet=quiet).step("computing as every platform does"):
        compared = (
            agreeing.of_samples(spec, sample, seed)
            if sample
            else agreeing.of_product(spec, folder, inputs, random, seed)
        )
    show(agreeing.table(compared), agreeing.as_json(compared), quiet=quiet, as_json=as_json)


@app.command()
def table(
    function: Annotated[str, typer.Argument(help=f"{', '.join(FUNCTIONS)}.", show_default=False)],
    x_scale: Annotated[float, typer.Option(help="Real value of one step of the input.", show_default=False)],
    y_scale: Annotated[float, typer.Option(help="Real value of one step of the output.", show_default=False)],
    x_format: Annotated[str, typer.Option(help="Format of the input codes, at most 16 bits.")] = "int8",
    x_zero_point: Annotated[int, typer.Option(help="Code of the input that stands for zero.")] = 0,
    y_format: Annotated[str, typer.Option(help="Format of the output codes, likewise.")] = "int8",
    y_zero_point: Annotated[int, typer.Option(help="Code of the output that stands for zero.")] = 0,
    rounding: Annotated[str, typer.Option(help=f"{', '.join(ROUNDINGS)}.")] = "half_even",
    out: Annotated[Path, typer.Option(help="Npz to write.")] = Path("table.npz"),
    quiet: Quiet = False,
    as_json: Json = False,
):
    """Make the table of a function of one code, for generate --table.

    y = saturate(round(function(x_scale * (x - x_zero_point)) / y_scale) + y_zero_point), in float64.

    Example: bittrue table gelu --x-scale 0.04 --y-scale 0.03 --y-zero-point -100
    """
    formats = {"x_format": x_format, "y_format": y_format, "rounding": rounding}
    numbers = {"x_scale": x_scale, "y_scale": y_scale, "x_zero_point": x_zero_point, "y_zero_point": y_zero_point}
    entries = write_table(out, function, **formats, **numbers)
    show(
        report.tabled(out, entries, x_format, y_format), report.tabled_json(out, entries), quiet=quiet, as_json=as_json
    )


@app.command()
def formats(as_json: Json = False):
    """List the number formats of operands, and how an element multiplies each pair of them."""
    show(report.formats_listed(), formats_listing(), quiet=False, as_json=as_json)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the build folders of all layers.")] = Path("build/digits"),
    simulator: Annotated[str, typer.Option(help=f"{' or '.join(SIMULATORS)}.")] = "verilator",
    quiet: Quiet = False,
    as_json: Json = False,
):
    """Classify handwritten digits with three quantized networks, every layer through generated Verilog."""
    from .demo import run_demo

    if simulator not in SIMULATORS:
        raise InputError(f"simulator must be {' or '.join(SIMULATORS)}, not {simulator!r}")
    flows.check_simulator(simulator)
    results = run_demo(out, simulator, Progress(quiet=quiet))
    show(report.demonstrated(results), report.demonstrated_json(results), quiet=quiet, as_json=as_json)
    finish(all(result.agrees for result in results))


def _prepared(spec, simulator, inputs, random, seed, stall, progress):
    """The simulators and the arrays of a run: all that can be wrong with it, before anything is written."""
    if not 0 <= stall <= 0.9:
        raise InputError(f"stall must be 0 to 0.9, not {stall}")
    _check_choice(inputs=inputs, random=random)
    _check_draw(random, seed)
    chosen = chosen_simulators(simulator)
    with progress.step("preparing the operands"):
        if inputs is not None:
            return chosen, flows.inputs_from_file(spec, inputs)
        return chosen, flows.random_inputs(spec, random or 1000, seed)


def _check_choice(**options):
    """Raises InputError for two options of which each says what the operands are."""
    given = [f"--{name}" for name, value in options.items() if value is not None]
    if len(given) > 1:
        raise InputError(f"give {given[0]} or {given[1]}, not both")


def _check_draw(random, seed):
    if random is not None and not 1 <= random <= 10**7:
        raise InputError(f"random must be 1 to 10000000 outputs, not {random}")
    if not 0 <= seed < 1 << 31:
        raise InputError(f"seed must be 0 to 2147483647, not {seed}")


def _compare(folder, hardware, inputs, quiet, as_json):
    progress = Progress(quiet=quiet)
    if hardware is not None:
        results = [flows.compare_dump(folder, hardware, inputs, progress)]
    else:
        if inputs is not None:
            raise InputError("inputs go with --hardware; a simulated run has its own")
        ran = [name for name in SIMULATORS if (folder.run(name) / flows.RUN_OUTPUTS).is_file()]
        results = [flows.compare_run(folder, name, progress) for name in ran or SIMULATORS[:1]]
    text = report.compared(folder, results)
    write_text(folder.path / "report.html", report.as_html(folder, text))
    show(text, report.compared_json(folder, results), quiet=quiet, as_json=as_json)
    finish(all(result.agrees for result in results))
