"""Faults planted in the emitted Verilog: simulated, they are found, and the diagnosis names the step."""

import re
from functools import cache

import planting
import pytest
from planting import simulated, verilog, with_declaration

from golden.formats import parse
from golden.spec import Spec
from golden.tensors import golden, operands
from sim.diagnose import diagnose
from sim.simulators import available
from sim.stimulus import random_arrays, separates

pytestmark = pytest.mark.skipif(
    not available("icarus"), reason="Icarus Verilog is not installed (Debian: apt-get install iverilog)"
)

SPEC = Spec(
    activations=parse("int8"),
    weights=parse("int4"),
    rows=2,
    cols=2,
    lanes=2,
    depth=15,
    bias=parse("int16"),
    requantize="multiplier",
    output=parse("int8"),
    y_zero_point=True,
    multiplier_style="dsp",
    name="planted",
)
LAST_LANES = r"\$signed\(w_in\[(3:0|7:4)\]\)"


@cache
def stimulus(m):
    arrays = random_arrays(SPEC, m=m, k=SPEC.depth, n=8, seed=4)
    return operands(SPEC, arrays), separates(SPEC, arrays)


def planted(module, pattern, replacement, hits):
    return planting.planted(SPEC, module, pattern, replacement, hits)


def accumulator_one_bit_short():
    top = SPEC.accumulator_width - 2
    return planted("pe", r"\bacc <= (\w+);", rf"acc <= {{ \1[{top}], \1[{top}:0] }};", 1)


def sign_of_weights_lost():
    return planted("pe", LAST_LANES, r"$signed({ 1'b0, w_in[\1] })", 2)


def half_up():
    return verilog(SPEC.with_(rounding="half_up"))


def clip_one_too_low():
    return planted("requantize", r"('h0*7)f\b", r"\1e", 2)


def lanes_swapped():
    other = {"3:0": "7:4", "7:4": "3:0"}
    return planted("pe", LAST_LANES, lambda found: f"$signed(w_in[{other[found[1]]}])", 2)


_TAKES = """reg [7:0] takes;
  always @(posedge clk)
    if (rst) takes <= 0;
    else if (take) takes <= takes + 1;
"""


def stale_parameters_on_the_second_tile():
    text = planted("parameters", r"if \(take\) (in_use_\d) <=", r"if (take && takes != 1) \1 <=", SPEC.cols)
    return with_declaration(SPEC, text, "parameters", _TAKES)


def parameters_one_tile_late():
    late = r"if (take) begin \1 <= takes ? old_\2 : waiting_\2; old_\2 <= waiting_\2; end"
    text = planted("parameters", r"if \(take\) (in_use_(\d)) <= waiting_\2;", late, SPEC.cols)
    width = sum(fmt.width for fmt in SPEC.parameter_formats.values())
    old = "".join(f"  reg [{width - 1}:0] old_{column};\n" for column in range(SPEC.cols))
    return with_declaration(SPEC, text, "parameters", old + _TAKES)


def last_beat_missing():
    return planted("pe", r"\{ flags_in\[0\], enable \}", "{ flags_in[0], ~flags_in[2], enable }", 1)


PLANTS = {
    accumulator_one_bit_short: ("sum", "the accumulator wraps at 14 bits, 1 short of 15"),
    sign_of_weights_lost: ("decode", "sign extension of weights is lost: int4 read as uint4"),
    half_up: ("round", "rounds half_up where the design says half_even"),
    clip_one_too_low: ("clip", "the upper clip bound is one too low: 126 instead of 127"),
    lanes_swapped: ("order", "lanes of W are reversed within a beat"),
    stale_parameters_on_the_second_tile: ("parameters", "the second tile takes the parameter set of the first"),
    parameters_one_tile_late: ("parameters", "tiles take the parameter set of the previous tile"),
    last_beat_missing: ("sum", "the last (beat|product) is missing"),
}


@pytest.mark.parametrize("m", [8, 2])
def test_the_design_itself_agrees(m, tmp_path, monkeypatch):
    given, _ = stimulus(m)
    found = diagnose(SPEC, given, simulated(SPEC, verilog(SPEC), given, tmp_path, monkeypatch))
    assert (found.count, found.compared) == (0, 8 * m)


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_named(plant, tmp_path, monkeypatch):
    step, cause = PLANTS[plant]
    given, unseen = stimulus(2 if plant is stale_parameters_on_the_second_tile else 8)
    assert not any(re.fullmatch(cause, sentence) for sentence in unseen)
    y = simulated(SPEC, plant(), given, tmp_path, monkeypatch)
    found = diagnose(SPEC, given, y)
    assert found.count == (y != golden(SPEC, given)).sum() > 0
    assert found.step == step
    assert re.fullmatch(cause, found.cause)
    assert found.explained == found.compared == y.size
