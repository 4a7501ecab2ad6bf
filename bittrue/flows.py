"""The steps behind the commands: generate, simulate, compare. They return results; they print nothing but progress."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from golden.derive import derived
from golden.folds import layer_size
from golden.ieee import Float
from golden.spec import Spec
from golden.tensors import Operands, operands, received, spare_codes
from hdl.requantize import require_hardware
from hdl.verilog import YosysError, to_verilog
from sim.diagnose import Diagnosis, diagnose
from sim.replay import Replay, build_bench, replay
from sim.simulators import SIMULATORS, WAVES, SimulationError, default_cache, require
from sim.stimulus import random_arrays
from sim.streams import tiling
from sim.waves import save_file

from .design import to_toml
from .errors import InputError, as_input_error, writing
from .folder import Folder, check_place, create, replaced
from .npz import read_npz
from .platform import unnamed
from .progress import Progress
from .scales import TileScales, tile_scales

RUN_INPUTS = "inputs.npz"
RUN_OUTPUTS = "hardware.npz"
MOST_PASS_ROWS = 256
NOTES = ("y", "cycles", "beat_cycles", "stall", "verilog_sha256")
OF_TILES = ("y_scale", "y_zero_point")  # outputs where requantize is "dynamic"


def generate(spec: Spec, out: Path, progress: Progress) -> Folder:
    """Verilog and all that belongs to it, in a build folder. Raises InputError."""
    check_hardware(spec)
    check_place(out)
    with progress.step(f"generating {spec.name}"), as_input_error(YosysError, prefix="Yosys"):
        verilog = to_verilog(spec)
    return create(out, spec, verilog)


def check_hardware(spec: Spec):
    """Raises InputError for a design that golden alone has, or that no design file holds."""
    with as_input_error(ValueError):
        require_hardware(spec)
    to_toml(spec)


def check_simulator(name: str):
    """Raises InputError unless this simulator can run here."""
    with as_input_error(SimulationError):
        require(name)
    cache = str(default_cache())
    if name == "verilator" and cache.split() != [cache]:
        raise InputError(
            f"verilator cannot build in a path with spaces, such as {cache}; set XDG_CACHE_HOME to another"
        )


def inputs_from_file(spec: Spec, path: Path) -> dict:
    """The arrays of a user's npz, checked against the design. Raises InputError."""
    arrays = read_npz(path)
    with as_input_error(ValueError, prefix=str(path)):
        operands(spec, arrays)
    return arrays


def random_inputs(spec: Spec, outputs: int, seed: int) -> dict:
    """Arrays of a product with at least that many outputs, odd in every direction, over at least two tiles a side.

    Raises InputError where no weights keep the design's promise.
    """
    n = 2 * spec.cols + 1
    least = max(4 * spec.beat_depth, 4 * spec.rows, 2 * spec.block)
    k = min(spec.depth, least + spec.beat_depth // 2 + 1)
    k, n = layer_size(spec, k, n)
    tile = min(spec.pass_rows, MOST_PASS_ROWS) if spec.array == "weight_stationary" else spec.rows
    m = max(-(-outputs // n), tile + 1)
    with as_input_error(ValueError):
        return random_arrays(unnamed(spec), m=m, k=k, n=n, seed=seed)


def simulate(folder: Folder, simulator: str, arrays: dict, progress: Progress, *, stall, seed, waves) -> Replay:
    """Runs the folder's Verilog; leaves inputs.npz, hardware.npz and results.xml in its run. Raises InputError.

    A run takes the place of the one before. One that fails leaves its log there, and no hardware.npz.
    """
    spec, run = folder.spec, folder.run(simulator)
    with as_input_error(ValueError):
        given = operands(spec, arrays)
    cannot_build = as_input_error(OSError, prefix=f"cannot build in the cache {default_cache()}")
    with as_input_error(SimulationError), cannot_build, progress.step(f"building with {simulator}"):
        built = build_bench(spec, folder.verilog, simulator, waves=waves)
    with replaced(run) as fresh:
        try:
            with progress.watch(f"simulating in {simulator}", fresh / "y.hex", tiling(spec, given).y_beats):
                result = replay(built, spec, given, fresh, stall=stall, seed=seed)
        except SimulationError as error:
            failure = str(error).replace(str(fresh), str(run))
        else:
            recorded = {**derived_arrays(spec, arrays, given), **arrays}
            _record(fresh, recorded, result, stall=stall, verilog_sha256=folder.sha256)
            return result
    raise InputError(failure)


def derived_arrays(spec: Spec, arrays: dict, given: Operands) -> dict:
    """The parameters that followed from real scales among the arrays, as an npz holds them: scales as real numbers."""
    names = set(derived(spec, arrays, given.shape[2]))
    formats = {name: fmt for name, fmt in spec.parameter_formats.items() if name in names}
    return {
        name: fmt.decode(value) if isinstance(fmt, Float) else value
        for name, value in given.parameters.items()
        if (fmt := formats.get(name)) is not None
    }


def _record(run, arrays, result, **notes):
    outputs = {"y": result.y, **result.of_tiles, "cycles": result.cycles, "beat_cycles": result.beat_cycles}
    np.savez_compressed(run / RUN_INPUTS, **arrays)
    np.savez_compressed(run / RUN_OUTPUTS, **arrays, **outputs, **notes)


@dataclass(frozen=True)
class Comparison:
    """One dump of hardware outputs y [M, N] against golden."""

    source: str
    given: Operands = field(repr=False)
    y: np.ndarray = field(repr=False)
    diagnosis: Diagnosis
    cycles: int | None = None
    expected_cycles: int | None = None
    utilization: float | None = None
    scales: TileScales | None = None
    spares: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def depth(self):
        """K of the product."""
        return self.given.shape[1]

    @property
    def agrees(self):
        right_scales = self.scales is None or self.scales.mismatches == 0
        return self.diagnosis.count == 0 and self.diagnosis.compared > 0 and right_scales

    def has_inputs_of(self, other):
        """Whether another comparison was of the same product."""
        pairs = zip(_inputs(self.given), _inputs(other.given), strict=True)
        return all(np.array_equal(one, another) for one, another in pairs)


def _inputs(given):
    return given.a, given.w, given.a_zero_point, given.w_zero_point, *given.parameters.values(), *given.extras.values()


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
    own = sorted(set(record) - not_inputs(folder.spec))
    if own and inputs is not None:
        raise InputError(f"{path} has inputs of its own ({', '.join(own)}); give them there or with --inputs, not both")
    if not own:
        record |= read_npz(inputs or _latest_inputs(folder))
    return _compare(folder, path.name, path, record, progress)


def _latest_inputs(folder):
    runs = [path for name in SIMULATORS if (path := folder.run(name) / RUN_INPUTS).is_file()]
    if not runs:
        raise InputError("the dump has no inputs and nothing was simulated here; give them with --inputs FILE.npz")
    return max(runs, key=lambda path: path.stat().st_mtime)


def _compare(folder, source, path, record, progress):
    arrays = {name: value for name, value in record.items() if name not in not_inputs(folder.spec)}
    with as_input_error(ValueError, prefix=str(path)):
        if "y" not in record:
            raise InputError(f"{path}: y: array missing")
        given = received(folder.spec, arrays)
        speed = _speed(folder.spec, given, record)
        with progress.step("comparing with golden"):
            diagnosis = diagnose(unnamed(folder.spec), given, record["y"])
        scales = tile_scales(folder.spec, given, record)
    return Comparison(source, given, record["y"], diagnosis, *speed, scales, spare_codes(folder.spec, given))


def not_inputs(spec: Spec) -> set[str]:
    """Names of the arrays of a run that are no inputs of this design."""
    return {*NOTES, *(OF_TILES if spec.requantize == "dynamic" else ())}


def _speed(spec, given: Operands, record):
    """Cycles measured, cycles by the closed form (without stalls), utilization. Raises ValueError."""
    if "cycles" not in record:
        return None, None, None
    counted = record["cycles"]
    if counted.shape or counted.dtype.kind not in "iu" or counted < 1:
        raise ValueError(f"cycles must be one positive integer, not {counted}")
    cut, counted = tiling(spec, given), int(counted)
    unstalled = np.array_equal(record.get("stall"), 0)
    return counted, cut.cycles if unstalled else None, cut.macs / (cut.capacity * counted)


def _mark_waves(folder, simulator, result, record):
    """A GTKWave save file beside the waves that opens on the first mismatch, or on the first output."""
    run = folder.run(simulator)
    waves = run / WAVES
    if not waves.is_file():
        return
    first = result.diagnosis.first
    beat = tiling(folder.spec, result.given).y_beat_index(*first.index) if first else 0
    row, col = (first.row, first.col) if first else (folder.spec.rows - 1, 0)
    with as_input_error(KeyError, IndexError, TypeError, ValueError, prefix=f"{run / RUN_OUTPUTS}: beat_cycles"):
        cycle = int(record["beat_cycles"][beat])
    with writing(run):
        (run / "waves.gtkw").write_text(save_file(folder.spec, waves, cycle, row, col))
