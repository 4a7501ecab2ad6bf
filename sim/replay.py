"""One product through the emitted Verilog in a simulator."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from golden.spec import Spec
from golden.tensors import Operands
from hdl.kinds import kind_of

from .bench import STALL_UNIT, bench
from .packing import Stream
from .simulators import Build, SimulationError, build, run
from .streams import tiling

MAX_CYCLES = (1 << 31) - 1  # a Verilog integer


@dataclass(frozen=True)
class Replay:
    """What came out: y [M, N] int64 codes, cycles from the first beat in to the last beat out, and the cycle (counted
    from the end of reset) in which each output beat was accepted. `of_tiles`: what other output streams say of each
    tile, by name."""

    y: np.ndarray
    cycles: int
    beat_cycles: np.ndarray
    of_tiles: dict[str, np.ndarray] = field(default_factory=dict)


def build_bench(spec: Spec, verilog: str, simulator: str, *, waves=False, cache: Path | None = None) -> Build:
    """The design and its bench, compiled. Raises SimulationError."""
    return build(simulator, {f"{spec.name}.v": verilog, "bench.v": bench(spec)}, "bench", waves=waves, cache=cache)


def replay(built: Build, spec: Spec, operands: Operands, folder: Path, *, stall=0.0, seed=1) -> Replay:
    """Runs the operands through a compiled bench, with each stream stalled in a fraction `stall` of the cycles.

    Leaves `results.xml` and the simulator's log in the folder. Raises SimulationError if too few or too many outputs
    come, or not in time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cut = tiling(spec, operands)
    streams = cut.streams(operands)
    for name, stream in streams.items():
        (folder / f"{name}.hex").write_text(_hex(stream))
    busy = 8 * cut.cycles + sum(len(stream.data) for stream in streams.values()) + 4096
    plusargs = [
        f"+seed={seed}",
        f"+expect={cut.y_beats}",
        f"+limit={min(int(busy / (1 - stall) ** 4), MAX_CYCLES)}",
    ]
    plusargs += [f"+stall_{name}={int(stall * STALL_UNIT)}" for name in (*streams, "y", *cut.tile_streams)]
    run(built, "sim.array_tests", folder, plusargs=plusargs, seed=seed)
    counted = json.loads((folder / "counters.json").read_text())
    if counted["outputs"] != cut.y_beats:
        came = f"{counted['outputs']} came in {counted['cycle']} cycles"
        raise SimulationError(f"{cut.y_beats} output beats expected, {came}")
    data, last, beat_cycles = _read(folder / "y.hex", kind_of(spec).outputs(spec)["y"].bytes)
    if (last != cut.y_ends).any():
        raise SimulationError("m_axis_y_tlast does not mark the last beat of each tile")
    of_tiles = {}
    for name in cut.tile_streams:
        of_tiles |= _of_tiles(cut, name, folder / f"{name}.hex")
    for name in (*(f"{name}.hex" for name in (*streams, "y", *cut.tile_streams)), "counters.json"):
        (folder / name).unlink()
    return Replay(cut.outputs(data), counted["last_cycle"] - counted["first_cycle"] + 1, beat_cycles, of_tiles)


def _of_tiles(cut, name, path):
    """What a stream with one beat per tile says. Raises SimulationError."""
    data, last, _ = _read(path, kind_of(cut.spec).outputs(cut.spec)[name].bytes)
    if len(data) != cut.tiles:
        raise SimulationError(f"{cut.tiles} beats expected on m_axis_{name}, {len(data)} came")
    if not last.all():
        raise SimulationError(f"m_axis_{name}_tlast does not mark every beat")
    return cut.of_tiles(name, data)


def _hex(stream: Stream):
    width = stream.data.shape[1]
    words = np.ascontiguousarray(np.concatenate([stream.data, stream.last[:, None].astype(np.uint8)], axis=1)[:, ::-1])
    text = words.tobytes().hex()
    step = 2 * (width + 1)
    return "\n".join(text[i + 1 : i + step] for i in range(0, len(text), step)) + "\n"


def _read(path, width):
    """Bytes, last flags and cycles of the output beats."""
    lines = [line.split() for line in path.read_text().splitlines()]
    words, cycles = [line[0] for line in lines], [line[1] for line in lines]
    if any(re.search("[xz]", word, re.IGNORECASE) for word in words):  # capitals: in part of a digit
        raise SimulationError("an output beat holds unknown bits (x)")
    last = np.array([word[0] == "1" for word in words])
    data = np.frombuffer(bytes.fromhex("".join(word[1:] for word in words)), np.uint8).reshape(-1, width)[:, ::-1]
    return np.ascontiguousarray(data), last, np.array(cycles, np.int64)
