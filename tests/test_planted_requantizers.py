"""Faults planted in the Verilog of thresholds, float32, relu6 and tables: simulated, they are found and named."""

import pytest
from designs import PERMUTATION, design
from planting import planted, simulated, verilog, with_declaration

from golden.tensors import golden, operands
from sim.diagnose import diagnose
from sim.simulators import available
from sim.stimulus import random_arrays, separates

pytestmark = pytest.mark.skipif(
    not available("icarus"), reason="Icarus Verilog is not installed (Debian: apt-get install iverilog)"
)

SMALL = {"rows": 2, "cols": 2, "lanes": 2, "depth": 15, "multiplier_style": "dsp", "name": "planted"}
COUNTING = {"requantize": "thresholds", **SMALL}
SPECS = {
    "search": design("int8", "int4", output="int4", **COUNTING),
    "short search": design("int8", "int4", output="int4", clip=(-8, 6), **COUNTING),
    "parallel": design("int8", "int4", output="int3", threshold_search="parallel", **COUNTING),
    "float": design("int8", "int4", requantize="float32", output="int8", bias="int32", y_zero_point=True, **SMALL),
    "relu6": design("int8", "int4", requantize="shift", output="int8", bias="int16", activation="relu6", **SMALL),
    "table": design(
        "int8", "int4", requantize="shift", output="int6", bias="int16", table=PERMUTATION, table_input="int6", **SMALL
    ),
}
COMPARISON = r"\$signed\((acc\w*)\) >= \$signed\((read__data\w*)\)"
# spec, pattern in its requantizer, replacement, places; step, cause
PLANTS = {
    "search passes": (
        *("search", COMPARISON, r"$signed(\1) > $signed(\2)", 4),
        *("threshold", "a sum equal to a threshold does not count as reaching it: > instead of >="),
    ),
    "search unsigned": (
        *("search", COMPARISON, r"$unsigned(\1) >= $unsigned(\2)", 4),
        *("threshold", "sums and thresholds are compared as unsigned"),
    ),
    "search without the last": (
        *("short search", r"<= 4'he;", "<= 4'hd;", 4),
        *("threshold", "the last threshold is ignored"),
    ),
    "search one comparison early": (
        *("search", r"\{ decided_2, _\w+ \}", "{ decided_2, 1'h0 }", 1),
        *("threshold", "the search ends one comparison early: the count's lowest bit is missing"),
    ),
    "thresholds stored in reverse": (
        *("search", r"parameters\[5:2\] \+ 4'h1", "4'hf - parameters[5:2]", 4),
        *("threshold", "thresholds are searched in reverse order"),
    ),
    "smallest code missing": (
        *("search", r"decided_3 \+ 4'h8", "decided_3", 1),
        *("threshold", "the smallest code, -8, is not added to the count"),
    ),
    "parallel passes": (
        *("parallel", r"\$signed\(acc\) >= \$signed\((in_use_\d)\)", r"$signed(acc) > $signed(\1)", 7),
        *("threshold", "a sum equal to a threshold does not count as reaching it: > instead of >="),
    ),
    "parallel without the first": (
        *("parallel", r"reached_0 <= _\w+;", "reached_0 <= 1'h0;", 1),
        *("threshold", "the first threshold is ignored"),
    ),
    "sum truncated": (
        *("float", r"sum_cut <= _\w+;", "sum_cut <= shifted_sum_2[24:1];", 1),
        *("scale", "the sum is truncated to 24 bits instead of rounded"),
    ),
    "product truncated": (
        *("float", r"product_cut <= _\w+;", "product_cut <= shifted_product_4[24:1];", 1),
        *("scale", "the product is truncated to 24 bits instead of rounded"),
    ),
    "ties away": (
        *("float", r"shifted_right_4\[0\] & _\w+;", "shifted_right_4[0];", 2),
        *("round", "rounds half_away where the design says half_even"),
    ),
    "exponent": ("float", r"9'h096 -", "9'h095 -", 1, "scale", "the scale's exponent is one too high"),
    "leading one": (
        *("float", r"\{ 1'h1, scale_delayed", "{ 1'h0, scale_delayed", 1),
        *("scale", "the leading one of the scale's significand is missing"),
    ),
    "upper bound": (
        *("relu6", r"at_most <= _\w+;", "at_most <= rectified > 16'd127 ? 8'd127 : rectified[7:0];", 1),
        *("clip", "relu6's upper bound is missing"),
    ),
    "table missing": (
        *("table", r"\by <= \{.*\};", "y <= code;", 1),
        *("table", "the table is not applied: outputs are the codes it is read with"),
    ),
}


def stimulus(spec, m=8):
    arrays = random_arrays(spec, m=m, k=spec.depth, n=8, seed=4)
    return operands(spec, arrays), separates(spec, arrays)


def check(spec, text, step, cause, folder, monkeypatch, m=8):
    given, unseen = stimulus(spec, m)
    assert cause not in unseen
    y = simulated(spec, text, given, folder, monkeypatch)
    found = diagnose(spec, given, y)
    assert found.count == (y != golden(spec, given)).sum() > 0
    assert found.step == step
    if "truncated" in cause:  # what float32 rounds off shows in few outputs
        assert cause in (found.cause, *found.alternatives) and len(found.alternatives) <= 3
    else:
        assert found.cause == cause
    assert found.explained == found.compared == y.size


@pytest.mark.parametrize("name", SPECS)
def test_the_designs_themselves_agree(name, tmp_path, monkeypatch):
    spec = SPECS[name]
    given, _ = stimulus(spec)
    found = diagnose(spec, given, simulated(spec, verilog(spec), given, tmp_path, monkeypatch))
    assert (found.count, found.compared) == (0, 64)


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_bug_is_named(name, tmp_path, monkeypatch):
    of, pattern, replacement, hits, step, cause = PLANTS[name]
    text = planted(SPECS[of], "requantize", pattern, replacement, hits)
    check(SPECS[of], text, step, cause, tmp_path, monkeypatch)


@pytest.mark.parametrize(("offset", "cause"), [(1, "the table is read one entry too high"), (32, "the sign bit of")])
def test_a_table_read_elsewhere(offset, cause, tmp_path, monkeypatch):
    spec = SPECS["table"]
    given, _ = stimulus(spec)
    text = planted(spec, "requantize", r"code <= (_\w+);", rf"code <= \1 + 6'd{offset};", 1)
    found = diagnose(spec, given, simulated(spec, text, given, tmp_path, monkeypatch))
    assert found.step == "table"
    assert found.cause.startswith(cause)


TAKES = """reg [7:0] takes;
  always @(posedge clk)
    if (rst) takes <= 0;
    else if (take) takes <= takes + 1;
"""


def test_thresholds_kept_for_a_tile_too_long(tmp_path, monkeypatch):
    spec = SPECS["search"]
    late = r"assign o[\1] = take & \2 & (takes != 1);"
    text = planted(spec, "thresholds", r"assign o\[(\d+)\] = take & (\w+);", late, spec.cols)
    text = with_declaration(spec, text, "thresholds", TAKES)
    cause = "the second tile takes the thresholds of the first"
    check(spec, text, "parameters", cause, tmp_path, monkeypatch, m=2)
