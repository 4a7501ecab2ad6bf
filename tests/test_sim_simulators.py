"""Builds in the cache: what tells them apart, two at once, damaged ones."""

import multiprocessing
import subprocess
import sys
from pathlib import Path

import cocotb_tools
import pytest
from simulation import SIMULATORS, missing

from sim import simulators
from sim.simulators import SimulationError, build, run

EACH_SIMULATOR = pytest.mark.parametrize("simulator", SIMULATORS)
NEEDS_ICARUS = pytest.mark.skipif(bool(missing("icarus")), reason=missing("icarus"))
TOP = "module top (input a, output b); inner inner (.a(a), .b(b)); endmodule\n"
INNER = "module inner (input a, output b); assign b = a; endmodule\n"
ROOT = Path(__file__).resolve().parent.parent
SOURCES = {"top.v": TOP, "inner.v": INNER}


def names(folder):
    return sorted(item.name for item in folder.iterdir())


def built(cache, sources=SOURCES, **options):
    return build(options.pop("simulator", "icarus"), sources, "top", cache=cache, **options).folder


@NEEDS_ICARUS
def test_a_build_is_found_again_and_anything_else_is_another(tmp_path, monkeypatch):
    first = built(tmp_path)
    made = (first / "sim.vvp").stat()
    assert built(tmp_path, dict(reversed(SOURCES.items()))) == first
    assert (first / "sim.vvp").stat() == made
    others = [
        built(tmp_path, SOURCES | {"top.v": TOP + "// changed\n"}),
        built(tmp_path, SOURCES | {"inner.v": INNER + "// changed\n"}),
        built(tmp_path, {"top.v": TOP, "other.v": INNER}),
        built(tmp_path, waves=True),
    ]
    monkeypatch.setattr(cocotb_tools, "__file__", "/elsewhere/cocotb_tools/__init__.py")
    others.append(built(tmp_path))
    assert len({first, *others}) == 1 + len(others)


@EACH_SIMULATOR
def test_a_build_that_lost_its_program_is_made_again(simulator, tmp_path):
    folder = built(tmp_path, simulator=simulator)
    before = names(folder)
    program = folder / ("top" if simulator == "verilator" else "sim.vvp")
    program.unlink()
    assert built(tmp_path, simulator=simulator) == folder
    assert names(folder) == before


@pytest.mark.skipif(bool(missing("verilator")), reason=missing("verilator"))
def test_damaged_objects_of_verilator_do_not_stay(tmp_path):
    built(tmp_path, simulator="verilator")
    (runtime,) = tmp_path.glob("runtime-*")
    (runtime / "verilated.o").write_bytes(b"")
    other = SOURCES | {"inner.v": INNER.replace("= a", "= ~a")}
    with pytest.raises(SimulationError, match="verilator could not build top"):
        built(tmp_path, other, simulator="verilator")
    assert built(tmp_path, other, simulator="verilator").is_dir()


@NEEDS_ICARUS
def test_two_builds_at_once(tmp_path):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        first, second = pool.map(built, [tmp_path, tmp_path])
    assert first == second
    assert names(tmp_path) == [first.name]


@EACH_SIMULATOR
def test_a_failed_build_leaves_nothing(simulator, tmp_path):
    with pytest.raises(SimulationError, match=f"{simulator} could not build top: .*rror"):
        built(tmp_path, {"top.v": TOP}, simulator=simulator)
    assert names(tmp_path) == []


@EACH_SIMULATOR
@pytest.mark.parametrize("damage", ["gone", "empty"])
def test_a_build_that_cannot_run_is_named(simulator, damage, tmp_path):
    made = build(simulator, SOURCES, "top", cache=tmp_path / "cache")
    program = made.folder / ("top" if simulator == "verilator" else "sim.vvp")
    if damage == "gone":
        program.unlink()
    else:
        program.write_bytes(b"")
    with pytest.raises(SimulationError, match=str(made.folder)):
        run(made, "sim.array_tests", tmp_path / "run")


def test_the_cache_lies_where_the_user_wants(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert simulators.default_cache() == tmp_path / "bittrue"


def test_what_runs_in_a_simulator_imports_little():
    """Each run begins a new Python: arrays and hardware stay outside, and assertions are not rewritten."""
    program = "import sys, sim.array_tests; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"sim", "cocotb"} <= set(done.stdout.split())
    assert {"numpy", "amaranth", "golden", "hdl"} & set(done.stdout.split()) == set()


REWRITES = """import sys, cocotb
from cocotb.triggers import Timer

@cocotb.test()
async def test(dut):
    await Timer(1)
    print("meta path:", *(type(finder).__name__ for finder in sys.meta_path))
"""


@NEEDS_ICARUS
def test_assertions_are_not_rewritten_in_a_simulator(tmp_path, monkeypatch):
    (tmp_path / "own_tests.py").write_text(REWRITES)
    monkeypatch.syspath_prepend(tmp_path)
    run(build("icarus", SOURCES, "top", cache=tmp_path / "cache"), "own_tests", tmp_path / "run")
    (told,) = [line for line in (tmp_path / "run/simulation.log").read_text().splitlines() if "meta path:" in line]
    assert "AssertionRewritingHook" not in told
