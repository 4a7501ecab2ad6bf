"""Cycles of the same layers on each kind of array, 8x8x4 int8, replayed in a simulator without stalls.

Beats are those of the activation and the weight stream: what must be fetched while the layer runs.
"""

import tempfile
from itertools import product
from pathlib import Path

import numpy as np

from golden.formats import parse
from golden.spec import Spec
from golden.tensors import golden, operands
from hdl.verilog import to_verilog
from sim.replay import build_bench, replay
from sim.simulators import SIMULATORS, available
from sim.stimulus import random_arrays
from sim.streams import tiling

KINDS = ("output_stationary", "weight_stationary")
LAYERS = ((256, 64, 64), (256, 32, 64), (64, 512, 64), (16, 512, 64), (1, 512, 64))


def spec(kind):
    """The array of this kind."""
    int8 = parse("int8")
    return Spec(
        activations=int8, weights=int8, array=kind, lanes=4, bias=parse("int32"), requantize="multiplier", output=int8
    )


def table():
    """Rows of the table, the header first; a run with a mismatch, or not in the cycles told, ends the benchmark."""
    yield "M x K x N", "array", "cycles", "utilization", "A beats", "W beats"
    yield ("---",) * 6
    simulator = next(filter(available, SIMULATORS))
    with tempfile.TemporaryDirectory() as folder:
        designs = {kind: spec(kind) for kind in KINDS}
        cache = Path(folder) / "cache"
        built = {kind: build_bench(one, to_verilog(one), simulator, cache=cache) for kind, one in designs.items()}
        for layer, kind in product(LAYERS, KINDS):
            _check(designs[kind], built[kind], layer, Path(folder) / "run")
            yield row(kind, layer)


def row(kind, layer):
    """One row of the table, by the closed form."""
    design, (m, k, n) = spec(kind), layer
    nothing = {name: np.zeros(n, int) for name in design.parameters}
    given = operands(design, {"a": np.zeros((m, k), int), "w": np.zeros((k, n), int), **nothing})
    cut = tiling(design, given)
    beats = [len(cut.streams(given)[name].data) for name in ("a", "w")]
    used = cut.macs / (cut.capacity * cut.cycles)
    return " x ".join(map(str, layer)), kind, cut.cycles, f"{100 * used:.1f} %", *beats


def _check(design, built, layer, folder):
    m, k, n = layer
    given = operands(design, random_arrays(design, m=m, k=k, n=n, seed=1))
    result = replay(built, design, given, folder)
    if not np.array_equal(result.y, golden(design, given)) or result.cycles != tiling(design, given).cycles:
        raise SystemExit(f"hardware and golden differ on {design.array} {layer}")
