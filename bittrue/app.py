"""The command line's frame: the program, the options that all commands share, how a command prints and ends."""

import json
import os
from typing import Annotated

import typer

from sim.simulators import SIMULATORS

from . import __version__, flows
from .errors import InputError
from .report import rendered

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Quantized MAC arrays in Verilog, with a bit-exact model and the simulation that compares the two.",
)

SimulatorOption = Annotated[str, typer.Option(help=f"{', '.join(SIMULATORS)} or both.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print errors only.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Codes = Annotated[
    bool, typer.Option("--codes", help="x holds codes of the network's inputs, integers, in place of real numbers.")
]


def _print_version(asked: bool):
    if asked:
        print(__version__)
        raise typer.Exit()


@app.callback()
def _bittrue(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
):
    """Options before the command."""


def show(text, data, *, quiet, as_json):
    """Prints what a command found: for people, or as one JSON object; with quiet nothing."""
    if quiet and not as_json:
        return
    try:
        print(json.dumps(data, indent=2) if as_json else rendered(text), flush=True)
    except BrokenPipeError:
        close_stdout()  # the reader has seen enough; the exit code still tells the result


def close_stdout():
    """Stdout leads nowhere from now on: its reader is gone, or its disk full."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def finish(good):
    """Ends the command: exit code 1 unless all is equal."""
    if not good:
        raise typer.Exit(1)


def named_simulators(name) -> tuple[str, ...]:
    """The simulators that an option names. Raises InputError for unknown ones."""
    if name not in (*SIMULATORS, "both"):
        raise InputError(f"simulator must be {', '.join(SIMULATORS)} or both, not {name!r}")
    return SIMULATORS if name == "both" else (name,)


def check_simulators(names):
    """Raises InputError for those that cannot run here."""
    for each in names:
        flows.check_simulator(each)


def chosen_simulators(name) -> tuple[str, ...]:
    """The simulators that an option names. Raises InputError for unknown ones and those that cannot run here."""
    chosen = named_simulators(name)
    check_simulators(chosen)
    return chosen
