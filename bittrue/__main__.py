"""The command line. One short function per command; the work is done in flows."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import Abort, TyperException

from golden.spec import Spec
from sim.simulators import SIMULATORS

from . import __version__, flows, report
from .errors import InputError
from .folder import Folder, open_folder
from .options import takes_design
from .progress import Progress

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Quantized MAC arrays in Verilog, with a bit-exact model and the simulation that compares the two.",
)

FolderArgument = Annotated[Path, typer.Argument(help="Build folder, as bittrue generate makes it.", show_default=False)]
Out = Annotated[Path, typer.Option(help="Build folder to make.")]
SimulatorOption = Annotated[str, typer.Option(help=f"{', '.join(SIMULATORS)} or both.")]
Inputs = Annotated[
    Path | None,
    typer.Option(help="Npz with a, w and the parameters the design takes, as integer codes.", show_default=False),
]
Random = Annotated[
    int | None, typer.Option(help="Random operands for at least that many outputs (default: 1000).", show_default=False)
]
Seed = Annotated[int, typer.Option(help="Seed of random operands and stalls.")]
Stall = Annotated[float, typer.Option(help="Fraction of cycles in which each stream stalls, 0 to 0.9.")]
Waves = Annotated[bool, typer.Option("--waves", help="Record waves (FST) and a GTKWave save file.")]
Hardware = Annotated[
    Path | None, typer.Option(help="Your own dump: npz with y, and the inputs or --inputs.", show_default=False)
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print errors only.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
@takes_design
def generate(spec: Spec, out: Out = Path("build/mac_array"), quiet: Quiet = False, as_json: Json = False):
    """Generate Verilog for a chosen bit width, with its manifest."""
    folder = flows.generate(spec, out, Progress(quiet=quiet))
    _print(report.generated(folder), report.generated_json(folder), quiet, as_json)


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
    opened = open_folder(folder)
    results = _simulate(opened, simulator, inputs, random, seed, stall, waves, Progress(quiet=quiet))
    _print(report.simulated(opened, results), report.simulated_json(opened, results), quiet, as_json)
    _finish(report.simulators_agree(results))


@app.command()
def compare(
    folder: FolderArgument,
    hardware: Hardware = None,
    inputs: Inputs = None,
    quiet: Quiet = False,
    as_json: Json = False,
):
    """Compare what the hardware gave with the golden model; explain the first difference."""
    opened = open_folder(folder)
    _compare(opened, hardware, inputs, quiet, as_json)


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
    """Generate, simulate and compare."""
    _simulators(simulator)
    folder = flows.generate(spec, out, Progress(quiet=quiet))
    _simulate(folder, simulator, inputs, random, seed, stall, waves, Progress(quiet=quiet))
    _compare(folder, None, None, quiet, as_json)


@app.command()
def demo(
    out: Out = Path("build/digits"),
    simulator: SimulatorOption = "verilator",
    quiet: Quiet = False,
    as_json: Json = False,
):
    """Classify handwritten digits with three quantized networks, every layer through generated Verilog."""
    from .demo import run_demo

    results = run_demo(out, _simulators(simulator)[0], Progress(quiet=quiet))
    _print(report.demonstrated(results), report.demonstrated_json(results), quiet, as_json)
    _finish(all(result.agrees for result in results))


@app.command()
def version():
    """Print the version."""
    print(__version__)


def _simulators(name):
    if name == "both":
        return SIMULATORS
    if name not in SIMULATORS:
        raise InputError(f"simulator must be {', '.join(SIMULATORS)} or both, not {name!r}")
    return (name,)


def _simulate(folder: Folder, simulator, inputs, random, seed, stall, waves, progress):
    chosen = _simulators(simulator)
    if not 0 <= stall <= 0.9:
        raise InputError(f"stall must be 0 to 0.9, not {stall}")
    if inputs is not None and random is not None:
        raise InputError("give --inputs or --random, not both")
    if random is not None and not 1 <= random <= 10**7:
        raise InputError(f"random must be 1 to 10000000 outputs, not {random}")
    if not 0 <= seed < 1 << 31:
        raise InputError(f"seed must be 0 to 2147483647, not {seed}")
    arrays = (
        flows.inputs_from_file(folder, inputs) if inputs else flows.random_inputs(folder.spec, random or 1000, seed)
    )
    return {
        name: flows.simulate(folder, name, arrays, progress, stall=stall, seed=seed, waves=waves) for name in chosen
    }


def _compare(folder, hardware, inputs, quiet, as_json):
    progress = Progress(quiet=quiet)
    if hardware is not None:
        results = [flows.compare_dump(folder, hardware, inputs, progress)]
    else:
        if inputs is not None:
            raise InputError("inputs go with --hardware; a simulated run has its own")
        ran = [name for name in SIMULATORS if (folder.run(name) / flows.RUN_OUTPUTS).is_file()]
        results = [flows.compare_run(folder, name, progress) for name in ran or SIMULATORS[:1]]
    _print(report.compared(folder, results), report.compared_json(folder, results), quiet, as_json)
    _finish(all(result.agrees for result in results) and report.dumps_agree(results))


def _print(text, data, quiet, as_json):
    if as_json:
        print(json.dumps(data, indent=2))
    elif not quiet:
        report.show(text)


def _finish(good):
    if not good:
        raise typer.Exit(1)


def main():
    """Runs the command line; whatever the user can mend is one line on stderr and exit code 2."""
    try:
        code = app(standalone_mode=False)
    except InputError as error:
        sys.exit(_refuse(str(error)))
    except TyperException as error:
        sys.exit(_refuse(_one_line(error)))
    except Abort:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    sys.exit(code if isinstance(code, int) else 0)


def _one_line(error: TyperException):
    message = getattr(error, "format_message", lambda: str(error))()
    return " ".join(message.split())


def _refuse(message):
    if message:
        print(f"bittrue: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
