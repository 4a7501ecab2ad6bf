"""A network on examples by every route: in float, fake-quantized, in golden's codes, in simulated hardware."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from network.example_shapes import most_elements
from network.onnx.read_float import read_float

from . import flows
from .data import Examples
from .errors import InputError, as_input_error, reason
from .models import read_onnx_model
from .network_folder import NetworkFolder
from .network_hardware import LayerRun, built, check_designs, run_hardware
from .progress import Progress
from .scores import Score, boundary_of, score

BATCH_ELEMENTS = 1 << 22
SAMPLE = 4
RECORDED, FLOAT, FAKE, GOLDEN = "recorded", "float", "fake", "golden"


@dataclass(frozen=True)
class Route:
    """What one route gave: outputs float32 [B, ...] of the first B examples, or why there are none."""

    name: str
    outputs: np.ndarray | None = field(default=None, repr=False)
    refusal: str = ""


@dataclass(frozen=True)
class Evaluation:
    """All routes on the same examples, and the runs of each product in each simulator, by the simulator's name.

    boundary : where a single output goes over to class 1.
    """

    labels: np.ndarray | None = field(repr=False)
    routes: tuple[Route, ...]
    runs: dict[str, list[LayerRun]]
    boundary: float = 0.0

    @property
    def agrees(self):
        """Whether every simulated layer gave golden's outputs, and golden the recorded ones where there are any."""
        return all(run.comparison.agrees for runs in self.runs.values() for run in runs) and not self.differing

    @property
    def recorded(self) -> int | None:
        """How many outputs were recorded; None where none were."""
        found = [route.outputs.size for route in self.routes if route.name == RECORDED and route.outputs is not None]
        return found[0] if found else None

    @property
    def differing(self) -> int:
        """How many of golden's outputs are not the recorded ones; 0 where none were recorded."""
        found = {route.name: route.outputs for route in self.routes}
        return int(np.count_nonzero(found[RECORDED] != found[GOLDEN])) if RECORDED in found else 0

    @property
    def reference(self) -> Route:
        """What the others are compared with: the first route that gave outputs."""
        return next(route for route in self.routes if route.outputs is not None)

    def score(self, route: Route) -> Score | None:
        """How near a route's outputs are to the labels and to the reference; None where there are no outputs."""
        if route.outputs is None or self.reference.outputs is None:
            return None
        reference = self.reference.outputs[: len(route.outputs)]
        return score(route.outputs, reference, self.labels, boundary=self.boundary)


def evaluate(
    opened: NetworkFolder,
    examples: Examples,
    progress: Progress,
    *,
    hardware: int | None,
    simulators: tuple[str, ...],
    out: Path | None = None,
) -> Evaluation:
    """Runs the examples by every route; the first `hardware` of them in each of the simulators. Raises InputError.

    hardware : None: SAMPLE of them, or none and why, where a simulator is missing or a design is golden's alone.
    out : where the build folders of the products are, or are made; by default in the network folder.
    """
    network, refused = opened.network, ()
    if hardware is None:
        refused = _refused(network, simulators)
        hardware = 0 if refused else min(SAMPLE, len(examples.x))
    ways = {FLOAT: _float(opened)} if opened.float_model is not None else {}
    ways |= {FAKE: network.fake, GOLDEN: network.run}
    builds = built(network, out or opened.build, opened.folders, progress) if hardware else {}
    batches = examples.batches(max(1, BATCH_ELEMENTS // most_elements(network)))
    routes, runs = [_route(name, run, batches, progress) for name, run in ways.items()], {}
    if examples.recorded is not None:
        routes.insert(0, Route(RECORDED, _values(network, examples.recorded)))
    for simulator in simulators if hardware else ():
        outputs, runs[simulator] = run_hardware(network, examples.x[:hardware], simulator, builds, progress)
        routes.append(Route(simulator, outputs))
    boundary = boundary_of(network.layers, network.exit.after)
    return Evaluation(examples.labels, (*routes, *refused), runs, boundary)


def _values(network, recorded):
    """Recorded outputs as real numbers, of codes what the network makes of them. Raises InputError for other codes."""
    if recorded.dtype.kind == "f":
        return recorded.astype(np.float32)
    if (grid := network.grids[-1]) is None:
        raise InputError(f"recorded outputs must be real numbers, as the network's are, not {recorded.dtype}")
    lo, hi = grid.fmt.code_range
    if recorded.min() < lo or recorded.max() > hi:
        raise InputError(f"recorded outputs must be codes of {grid.fmt} [{lo}, {hi}], and {recorded.max()} is there")
    return network.exit.run(recorded.astype(np.int64))


def _refused(network, simulators) -> tuple[Route, ...]:
    """The first simulator, with what keeps the network from it; or none."""
    try:
        check_designs(network)
        for simulator in simulators:
            flows.check_simulator(simulator)
    except InputError as error:
        return (Route(simulators[0], refusal=f"{error}; nothing was simulated"),)
    return ()


def _float(opened) -> Callable:
    model = read_onnx_model(opened.float_model)
    with as_input_error(ValueError, prefix=str(opened.float_model)):
        return read_float(model).run


def _route(name, run, batches, progress):
    """A route that cannot be taken, such as fake quantization of a table, says so in place of its outputs."""
    with progress.step(f"computing {name}"), np.errstate(over="ignore", invalid="ignore"):
        try:
            return Route(name, np.concatenate([run(batch) for batch in batches]))
        except ValueError as error:
            if name == GOLDEN:
                raise InputError(reason(error)) from error
            return Route(name, refusal=reason(error))
