"""Waves and the GTKWave save file that opens on the first difference."""

import re
import shutil
import subprocess

import numpy as np
import pytest

from bittrue import flows
from bittrue.design import to_spec
from bittrue.npz import read_npz
from bittrue.progress import Progress
from sim.clock import PERIOD_NS, RESET_CYCLES
from sim.simulators import SIMULATORS, WAVES, SimulationError, available, check_waves
from sim.streams import tiling
from sim.waves import save_file as saved

QUIET = Progress(quiet=True)


@pytest.fixture(params=SIMULATORS)
def run(request, tmp_path):
    """A simulated build folder with waves."""
    if not available(request.param):
        pytest.skip(f"{request.param} is not installed")
    try:
        check_waves(request.param)
    except SimulationError as error:
        pytest.skip(str(error))
    spec = to_spec({"activations": "int4", "weights": "int3", "rows": 2, "cols": 3, "lanes": 2, "depth": 16})
    folder = flows.generate(spec, tmp_path / "x", QUIET)
    arrays = flows.random_inputs(spec, 40, 5)
    flows.simulate(folder, request.param, arrays, QUIET, stall=0.2, seed=5, waves=True)
    return folder, request.param


def save_file(folder, simulator):
    return (folder.run(simulator) / "waves.gtkw").read_text()


def marker_ps(text):
    return int(re.search(r"^\*\S+ (\d+) ", text, re.MULTILINE)[1])


def test_opens_on_the_first_difference(run):
    folder, simulator = run
    path = folder.run(simulator) / flows.RUN_OUTPUTS
    record = read_npz(path)
    record["y"][3, 4] ^= 1
    np.savez_compressed(path, **record)
    result = flows.compare_run(folder, simulator, QUIET)
    assert result.diagnosis.first.index == (3, 4)
    beat = tiling(folder.spec, result.given).y_beat_index(3, 4)
    period_ps = PERIOD_NS * 1000
    accepted_ps = (RESET_CYCLES + int(record["beat_cycles"][beat])) * period_ps
    text = save_file(folder, simulator)
    assert accepted_ps - period_ps < marker_ps(text) < accepted_ps
    assert "bench.dut.array.columns_0.column_1.row_1.acc" in text


def test_names_signals_that_the_waves_hold(run):
    if shutil.which("fst2vcd") is None:
        pytest.skip("fst2vcd is not installed (Debian: apt-get install gtkwave)")
    folder, simulator = run
    flows.compare_run(folder, simulator, QUIET)
    named = {line for line in save_file(folder, simulator).splitlines() if line.startswith("bench.")}
    assert len(named) > 10
    held = signals(folder.run(simulator) / WAVES)
    assert named - held == set()


def test_names_signals_of_a_weight_stationary_array(tmp_path):
    if not available("icarus") or shutil.which("fst2vcd") is None:
        pytest.skip("needs Icarus and fst2vcd (Debian: apt-get install iverilog gtkwave)")
    size = {"rows": 2, "cols": 17, "lanes": 2, "depth": 16, "pass_rows": 4}
    spec = to_spec({"array": "weight_stationary", "activations": "int4", "weights": "int3", **size})
    folder = flows.generate(spec, tmp_path / "x", QUIET)
    flows.simulate(folder, "icarus", flows.random_inputs(spec, 40, 5), QUIET, stall=0.2, seed=5, waves=True)
    flows.compare_run(folder, "icarus", QUIET)
    held = signals(folder.run("icarus") / WAVES)
    for column in (0, 16):
        text = saved(spec, folder.run("icarus") / WAVES, 30, 1, column)
        named = {line for line in text.splitlines() if line.startswith("bench.")}
        assert f"bench.dut.array.accumulator_{column}.acc[{spec.accumulator_width - 1}:0]" in named
        assert named - held == set()


def test_shows_the_beat_at_the_marker(run):
    if shutil.which("fst2vcd") is None:
        pytest.skip("fst2vcd is not installed (Debian: apt-get install gtkwave)")
    folder, simulator = run
    result = flows.compare_run(folder, simulator, QUIET)
    time = marker_ps(save_file(folder, simulator))
    data = value_at(folder.run(simulator) / WAVES, "m_axis_y_tdata", time)
    width = folder.spec.y.width
    code = data & ((1 << width) - 1)
    expected = int(result.y[folder.spec.rows - 1, 0])
    assert np.uint64(code) == np.uint64(expected % (1 << width))


def dump(waves):
    return subprocess.run(["fst2vcd", waves], capture_output=True, text=True, check=True).stdout


def signals(waves):
    """Full names, with their ranges, of all signals in the waves."""
    scope, names = [], set()
    for line in dump(waves).splitlines():
        words = line.split()
        if words[:1] == ["$scope"]:
            scope.append(words[2])
        elif words[:1] == ["$upscope"]:
            scope.pop()
        elif words[:1] == ["$var"]:
            names.add(".".join([*scope, "".join(words[4:-1])]))
        elif words[:1] == ["$enddefinitions"]:
            break
    return names


def value_at(waves, name, time_ps):
    """The value of the top's signal of that name at a time."""
    text = dump(waves)
    step_ps = {"1ps": 1, "1ns": 1000}[re.search(r"\$timescale\s+(\S+)", text)[1]]
    code = re.search(rf"\$var \w+ \d+ (\S+) {name} ", text[text.index("$scope module dut") :])[1]
    value, now = None, 0
    for line in text[text.index("$enddefinitions") :].splitlines():
        if line.startswith("#"):
            now = int(line[1:]) * step_ps
            if now > time_ps:
                break
        elif line.endswith(f" {code}"):
            value = line.split()[0][1:]
    return int(value, 2)
