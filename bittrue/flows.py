"""The steps behind the commands: generate, simulate, compare. They return results; they print nothing but progress."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from golden.spec import Spec
from golden.tensors import Operands, golden, operands
from hdl.timing import cycles
from hdl.verilog import YosysError, to_verilog
from sim.diagnose import Diagnosis, diagnose
from sim.replay import Replay, build_bench, replay
from sim.simulators import WAVES, SimulationError
from sim.stimulus import random_arrays
from sim.streams import tiling
from sim.waves import save_file

from .errors import InputError, as_input_error, writing
from .folder import Folder, create
from .npz import read_npz, write_npz
from .progress import Progress

RUN_INPUTS = "inputs.npz"
RUN_OUTPUTS = "hardware.npz"
NOTES = ("y", "cycles", "beat_cycles", "stall", "verilog_sha256")


def generate(spec: Spec, out: Path, progress: Progress) -> Folder:
    """Verilog and all that belongs to it, in a build folder. Raises InputError."""
    with progress.step(f"generating {spec.name}"), as_input_error(YosysError, prefix="Yosys"):
        verilog = to_verilog(spec)
    return create(out, spec, verilog)


def inputs_from_file(folder: Folder, path: Path) -> dict:
    """The arrays of a user's npz, checked against the design. Raises InputError."""
    arrays = read_npz(path)
    with as_input_error(ValueError, prefix=str(path)):
        operands(folder.spec, arrays)
    return arrays


def random_inputs(spec: Spec, outputs: int, seed: int) -> dict:
    """Arrays of a product with at least that many outputs, odd in every direction, over at least two tiles a side."""
    n = 2 * spec.cols + 1
    m = max(-(-outputs // n), spec.rows + 1)
    k = min(spec.depth, 4 * max(spec.lanes, spec.rows) + spec.lanes // 2 + 1)
    return random_arrays(spec, m=m, k=k, n=n, seed=seed)


def simulate(folder: Folder, simulator: str, arrays: dict, progress: Progress, *, stall, seed, waves) -> Replay:
    """Runs the folder's Verilog; leaves inputs.npz, hardware.npz and results.xml in its run. Raises InputError."""
    spec, run = folder.spec, folder.run(simulator)
    with as_input_error(ValueError):
        given = operands(spec, arrays)
    with as_input_error(SimulationError):
        with progress.step(f"building with {simulator}"):
            built = build_bench(spec, folder.verilog, simulator, waves=waves)
        with writing(run):
            run.mkdir(parents=True, exist_ok=True)
            for stale in (RUN_INPUTS, RUN_OUTPUTS):
                (run / stale).unlink(missing_ok=True)
            with progress.watch(f"simulating in {simulator}", run / "y.hex", tiling(spec, given).y_beats):
                result = replay(built, spec, given, run, stall=stall, seed=seed)
    notes = {"y": result.y, "cycles": result.cycles, "beat_cycles": result.beat_cycles, "stall": stall}
    write_npz(run / RUN_INPUTS, arrays)
    write_npz(run / RUN_OUTPUTS, {**arrays, **notes, "verilog_sha256": folder.sha256})
    return result


@dataclass(frozen=True)
class Comparison:
    """One dump of hardware outputs against golden; `depth` is the K of its product."""

    source: str
    diagnosis: Diagnosis
    depth: int
    cycles: int | None = None
    expected_cycles: int | None = None
    utilization: float | None = None
    y: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.int64), repr=False)

    @property
    def agrees(self):
        return self.diagnosis.count == 0 and self.diagnosis.compared > 0


def compare_run(folder: Folder, simulator: str, progress: Progress) -> Comparison:
    """Compares what a simulator gave. Raises InputError where there is no run, or one of another Verilog."""
    path = folder.run(simulator) / RUN_OUTPUTS
    if not path.is_file():
        raise InputError(f"{path} is not there; run bittrue simulate {folder.path} --simulator {simulator}")
    record = read_npz(path)
    if str(record.get("verilog_sha256")) != folder.sha256:
        raise InputError(f"{path} comes from another Verilog; run bittrue simulate {folder.path} again")
    result = _compare(folder, simulator, path, record, progress)
    _mark_waves(folder, simulator, result, record)
    return result


def compare_dump(folder: Folder, path: Path, inputs: Path | None, progress: Progress) -> Comparison:
    """Compares a user's own dump: `y`, with the inputs in the same file, in another, or those of the last run.

    Raises InputError.
    """
    record = read_npz(path)
    if "y" not in record:
        raise InputError(f"{path}: y: array missing")
    if "a" not in record:
        source = inputs or _latest_inputs(folder)
        record = {**read_npz(source), **{name: record[name] for name in NOTES if name in record}}
    return _compare(folder, path.name, path, record, progress)


def _latest_inputs(folder):
    runs = sorted(folder.path.glob(f"runs/*/{RUN_INPUTS}"), key=lambda path: path.stat().st_mtime)
    if not runs:
        raise InputError("the dump has no inputs and nothing was simulated here; give them with --inputs FILE.npz")
    return runs[-1]


def _compare(folder, source, path, record, progress):
    arrays = {name: value for name, value in record.items() if name not in NOTES}
    with as_input_error(ValueError, prefix=str(path)):
        given = operands(folder.spec, arrays)
        with progress.step("comparing with golden"):
            diagnosis = diagnose(folder.spec, given, record["y"])
    return Comparison(source, diagnosis, given.shape[1], *_speed(folder.spec, given, record), y=record["y"])


def _speed(spec, given: Operands, record):
    """Cycles measured, cycles by the closed form (without stalls), utilization."""
    if "cycles" not in record:
        return None, None, None
    cut, counted = tiling(spec, given), int(record["cycles"])
    unstalled = float(record.get("stall", 1)) == 0
    expected = cycles(spec, [cut.beats] * cut.tiles) if unstalled else None
    return counted, expected, cut.macs / (spec.rows * spec.cols * spec.lanes * counted)


def _mark_waves(folder, simulator, result, record):
    """A GTKWave save file beside the waves that opens on the first mismatch, or on the first output."""
    run = folder.run(simulator)
    waves = run / WAVES
    if not waves.is_file():
        return
    first = result.diagnosis.first
    cut = tiling(folder.spec, operands(folder.spec, {k: v for k, v in record.items() if k not in NOTES}))
    beat = cut.y_beat_index(*first.index) if first else 0
    with writing(run):
        (run / "waves.gtkw").write_text(save_file(folder.spec, waves, int(record["beat_cycles"][beat])))


def golden_outputs(spec: Spec, arrays: dict) -> np.ndarray:
    """Golden codes for arrays that were checked before."""
    return golden(spec, operands(spec, arrays))
