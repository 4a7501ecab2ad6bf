"""Cycles per second of the replayed emitted Verilog, 8x8x4 int8, a product of about a million MACs, no stalls.

The whole run counts: packing, simulator start, simulation, reading back. The build does not; its time stands beside it.
"""

import tempfile
import time
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

PRODUCTS = {"10^6 MACs": (64, 256, 64), "16 * 10^6 MACs": (256, 512, 128)}


def spec():
    """The array that is simulated."""
    int8 = parse("int8")
    return Spec(activations=int8, weights=int8, lanes=4, bias=parse("int32"), requantize="multiplier", output=int8)


def table():
    """Rows of the table, the header first; a run with a mismatch ends the benchmark."""
    yield "simulator", "product", "cycles", "build s", "run s", "cycles/s", "MACs/s", "utilization"
    yield ("---",) * 8
    design = spec()
    verilog = to_verilog(design)
    for simulator in filter(available, SIMULATORS):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            built = build_bench(design, verilog, simulator, cache=Path(folder) / "cache")
            build_s = time.perf_counter() - start
            for name, (m, k, n) in PRODUCTS.items():
                yield simulator, name, *_measure(design, built, (m, k, n), Path(folder) / "run", build_s)


def _measure(design, built, shape, folder, build_s):
    m, k, n = shape
    given = operands(design, random_arrays(design, m=m, k=k, n=n, seed=1))
    start = time.perf_counter()
    result = replay(built, design, given, folder)
    run_s = time.perf_counter() - start
    if not np.array_equal(result.y, golden(design, given)):
        raise SystemExit("hardware and golden differ")
    macs = tiling(design, given).macs
    used = macs / (design.rows * design.cols * design.lanes * result.cycles)
    return (
        result.cycles,
        f"{build_s:.1f}",
        f"{run_s:.2f}",
        f"{result.cycles / run_s:,.0f}",
        f"{macs / run_s:,.0f}",
        f"{100 * used:.2f} %",
    )
