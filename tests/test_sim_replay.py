"""What the bench refuses: a top that breaks the rules of its output stream is found, and the message says how."""

import re

import numpy as np
import pytest
from simulation import missing, random_operands, verilog

from golden.formats import parse
from golden.spec import Spec
from golden.tensors import golden
from sim.replay import build_bench, replay
from sim.simulators import SimulationError

pytestmark = pytest.mark.skipif(bool(missing("icarus")), reason=missing("icarus"))
SPEC = Spec(activations=parse("int4"), weights=parse("int4"), rows=3, cols=2, depth=8, name="ruled")
LAST = "assign m_axis_y_tlast = "
DATA = "assign m_axis_y_tdata = "
VALID = ("y__valid(m_axis_y_tvalid)", "y__valid(valid)")


def rewritten(*changes, more=""):
    """The Verilog with parts of the top module replaced, each exactly once."""
    top, others = re.fullmatch(r"(.*?endmodule\n)(.*)", verilog(SPEC), re.DOTALL).groups()
    for old, new in changes:
        assert top.count(old) == 1, old
        top = top.replace(old, new)
    return top.replace("endmodule", f"{more}\nendmodule") + others


BROKEN = {
    "last inverted": (rewritten((LAST, f"{LAST}~")), "m_axis_y_tlast does not mark the last beat of each tile"),
    "unknown bit": (
        rewritten((DATA, f"{DATA}{{1'bx, 1'b0}} ^ ")),
        r"an output beat holds unknown bits \(x\)",
    ),
    "data change before they are accepted": (
        rewritten((DATA, f"{DATA}{{8{{m_axis_y_tready}}}} ^ ")),
        "m_axis_y changed or withdrew a beat before it was accepted",
    ),
    "beats lost": (
        rewritten(VALID, more="wire valid; assign m_axis_y_tvalid = valid & ~m_axis_y_tlast;"),
        "12 output beats expected, 8 came in .* cycles",
    ),
    "none": (rewritten(VALID, more="wire valid; assign m_axis_y_tvalid = 1'b0;"), "no output came"),
    "beats twice": (
        rewritten(
            ("y__ready(m_axis_y_tready)", "y__ready(m_axis_y_tready & odd)"),
            more="reg odd; always @(posedge aclk) odd <= aresetn & ~odd;",
        ),
        "12 output beats expected, (1[3-9]|2.) came in .* cycles",
    ),
}


def replayed(text, folder):
    given = random_operands(SPEC, 5, 7, 3, seed=2)
    built = build_bench(SPEC, text, "icarus", cache=folder / "cache")
    return given, replay(built, SPEC, given, folder / "run", stall=0.3, seed=4).y


def test_the_top_as_it_is_keeps_the_rules(tmp_path):
    given, y = replayed(rewritten(), tmp_path)
    assert np.array_equal(y, golden(SPEC, given))


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_named(name, tmp_path):
    text, message = BROKEN[name]
    with pytest.raises(SimulationError, match=message):
        replayed(text, tmp_path)
