"""Packed ternary weights in hardware: every byte, every pair of codes, the spare codes, faults found and named."""

import numpy as np
import oracle
import pytest
import test_sim_formats as formats
from amaranth.sim import Simulator
from icarus import compiled, played
from simulation import SIMULATORS, random_operands, verilog, write_streams

from golden.formats import parse
from golden.spec import Spec
from golden.tensors import golden, operands
from hdl.trits import TritRegister
from sim.diagnose import diagnose
from sim.hypotheses import hypotheses
from sim.machine import Machine
from sim.replay import build_bench, replay
from sim.stimulus import random_arrays, separates
from sim.streams import tiling

NEEDS_ICARUS = formats.NEEDS_ICARUS


def spec_of(activations="int3", **fields):
    fields = {"rows": 2, "cols": 4, "lanes": 3, "depth": 13, "name": "trits"} | fields
    return Spec(activations=parse(activations), weights=parse("ternary"), w_packing="trits", **fields)


def test_every_byte():
    """Five digits to base 3, lowest first; five zeros where there are none."""
    component, got = TritRegister(spec_of()), []

    async def bench(ctx):
        ctx.set(component.enable, 1)
        for byte in range(256):
            ctx.set(component.i, byte)
            await ctx.tick()
            got.append(ctx.get(component.o))
        ctx.set(component.enable, 0)
        ctx.set(component.i, 0)
        await ctx.tick()
        assert ctx.get(component.o) == got[-1]

    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    codes = {0: 3, 1: 0, 2: 1}
    expected = [sum(codes[byte // 3**i % 3] << 2 * i for i in range(5)) if byte < 243 else 0 for byte in range(256)]
    assert got == expected


@NEEDS_ICARUS
@pytest.mark.parametrize("a_name", formats.PARTNERS)
def test_every_pair_of_codes(a_name, tmp_path):
    """Twelve codes per beat, in three bytes."""
    spec = spec_of(a_name)
    products = [*formats.every_pair(a_name, "ternary")]
    products += [formats.random_pair(a_name, "ternary", k, seed=k) for k in (11, 13)]
    compiled(spec, tmp_path)
    came, _ = played(spec, [operands(spec, {"a": a, "w": w}) for a, w in products], tmp_path)
    for (a, w), y in zip(products, came, strict=True):
        assert y.tolist() == formats.expected(a_name, "ternary", a, w)


SHAPES = {
    "one column": (3, 1, 1),
    "five in a byte": (1, 5, 1),
    "six": (2, 3, 2),
    "ten": (4, 2, 5),
    "eleven": (2, 11, 1),
}


@NEEDS_ICARUS
@pytest.mark.parametrize("name", SHAPES)
def test_cycles_and_stalls(name, tmp_path):
    """The closed form is that of codes side by side."""
    rows, cols, lanes = SHAPES[name]
    spec = spec_of("int5", rows=rows, cols=cols, lanes=lanes, depth=23)
    given = random_operands(spec, 2 * rows + 1, 23, 2 * cols + 1, seed=1)
    compiled(spec, tmp_path)
    for stall in (0.0, 0.5):
        (y,), cycles = played(spec, [given], tmp_path, a=stall, w=stall, y=stall)
        assert y.tolist() == golden(spec, given).tolist()
        expected = tiling(spec.with_(w_packing="codes"), given).cycles
        assert cycles == expected if not stall else cycles >= expected


@pytest.mark.parametrize("simulator", [each for each in SIMULATORS if each.values[0] == "verilator"])
def test_in_verilator(simulator, tmp_path):
    spec = spec_of("int5", depth=40)
    given = random_operands(spec, 7, 29, 9, seed=2)
    came = replay(build_bench(spec, verilog(spec), simulator), spec, given, tmp_path, stall=0.2)
    assert came.y.tolist() == golden(spec, given).tolist()


@NEEDS_ICARUS
def test_bytes_that_hold_no_trits_are_zeros_in_hardware(tmp_path, monkeypatch):
    spec = spec_of(rows=1, cols=5, lanes=1)
    given = operands(spec, {"a": np.array([[3, 2]]), "w": np.array([[1, 1, -1, 1, 1], [1, -1, 0, -1, 1]])})
    compiled(spec, tmp_path)

    def spoiled(spec, products, folder):
        plusargs = write_streams(spec, products, folder)
        first, second = (folder / "w.hex").read_text().splitlines()
        (folder / "w.hex").write_text(f"{first[0]}fa\n{second}\n")
        return plusargs

    monkeypatch.setattr("icarus.write_streams", spoiled)
    (y,), _ = played(spec, [given], tmp_path)
    assert y.tolist() == [[2, -2, 0, -2, 2]]


@pytest.mark.parametrize("activations", ["int8", "uint4", "bipolar"])
def test_faults_of_packed_trits_are_named(activations):
    spec = spec_of(activations, depth=20, requantize="shift", output=parse("int8"), bias=parse("int16"))
    arrays = random_arrays(spec, m=5, k=17, n=9, seed=3)
    given = operands(spec, arrays)
    machine, planted = Machine(spec, given), set()
    for hypothesis in hypotheses(machine):
        if "trits" in hypothesis.cause:
            found = diagnose(spec, given, hypothesis.y(machine.window()))
            assert (found.step, found.explained) == (hypothesis.step, found.compared)
            assert hypothesis.cause in (found.cause, *found.alternatives)
            planted.add(hypothesis.cause)
    assert planted == {
        "trits are in reverse order within each byte",
        "trits of weights count as 0, 1, 2 where they mean -1, 0, 1",
    }
    assert not planted & set(separates(spec, arrays))


def test_reversed_trits_by_hand():
    """Planted in plain Python: five columns of one lane share a byte, and two more the next, with three zeros."""
    spec = spec_of("int4", rows=2, cols=7, lanes=1)
    given = operands(spec, random_arrays(spec, m=3, k=6, n=7, seed=1))
    rows = [[*row[:5][::-1], *[*row[5:], 0, 0, 0][::-1][:2]] for row in given.w.tolist()]
    found = diagnose(spec, given, np.array(oracle.product(given.a, np.array(rows, object))))
    assert found.cause == "trits are in reverse order within each byte"
