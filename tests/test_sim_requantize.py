"""Every requantizer in the shipped Verilog: 107520 outputs each, with ties and extremes, equal to golden in Verilator
and in Icarus (where most take a tenth of them); and these operands would show the neighbouring rules."""

from dataclasses import replace

import numpy as np
import pytest
from requantizer_stimulus import INT32, M, N, design, stimulus
from simulation import missing, verilog

from golden.ieee import FLOAT32
from golden.requantize import requantize_array
from golden.rounding import ROUNDINGS
from golden.scale import wrap32
from golden.tensors import accumulators, golden
from sim.replay import build_bench, replay

ZERO_POINT_MATTERS = ("toward_zero", "half_away", "half_even", "dpu")  # to the roundings that see sign or odd codes
DOUBLED = ("tflite", "double_half_up", "tflite_single")
FEW = 42  # rows of A, for the second simulator
ALIKE = {  # rules that only differ where relu, or a sign for an output, hides it
    "relu": {"tflite": "double_half_up"},
    "relu6": {"half_even": "dpu", "tflite": "double_half_up"},
    "sign": {"half_away": "half_down"},
}

FULL = {"bias": "int32", "output": "int8", "y_zero_point": True}
ONCE = {
    "shift": design(requantize="shift", rounding="half_even", **FULL),
    "multiplier": design(requantize="multiplier", rounding="half_even", **FULL),
    "tflite": design(requantize="tflite", **FULL),
    "double_half_up": design(requantize="double_half_up", **FULL),
    "tflite_single": design(requantize="tflite_single", **FULL),
    "mult16": design(requantize="mult16", **FULL),
    "float32": design(requantize="float32", **FULL),
    "thresholds, binary": design(requantize="thresholds", output="int8", rows=8),
    "thresholds, parallel": design(requantize="thresholds", output="uint4", rows=8, threshold_search="parallel"),
    "none": design(bias="int32", output="int16"),
}
OTHERS = {
    f"{kind}, {rounding}": design(requantize=kind, rounding=rounding, **FULL)
    for kind in ("shift", "multiplier")
    for rounding in ROUNDINGS
    if rounding != "half_even"
}
OTHERS |= {
    f"shift, zero point before, {rounding}": design(
        requantize="shift", rounding=rounding, zero_point_order="before_rounding", **FULL
    )
    for rounding in ZERO_POINT_MATTERS
}
TABLE = tuple(int(code) for code in np.random.default_rng(9).permutation(256))
OTHERS |= {
    "multiplier, zero point before, relu": design(
        requantize="multiplier", rounding="half_away", zero_point_order="before_rounding", activation="relu", **FULL
    ),
    "multiplier of 32 bits, uint8": design(
        requantize="multiplier", multiplier_bits=32, rounding="half_up", **FULL | {"output": "uint8"}
    ),
    "multiplier of 8 bits, int16": design(
        requantize="multiplier", multiplier_bits=8, rounding="half_down", **FULL | {"output": "int16"}
    ),
    "shift, relu6": design(requantize="shift", rounding="half_even", activation="relu6", **FULL),
    "shift, wraps": design(requantize="shift", rounding="half_up", overflow="wrap", **FULL),
    "shift, bipolar": design(requantize="shift", rounding="half_away", output="bipolar", bias="int32"),
    "tflite, relu": design(requantize="tflite", activation="relu", **FULL),
    "tflite, relu6": design(requantize="tflite", activation="relu6", **FULL),
    "tflite, table": design(requantize="tflite", **FULL | {"output": "uint8"}, table=TABLE, table_input="int8"),
    "mult16, int16": design(requantize="mult16", **FULL | {"output": "int16"}),
    "mult16, sums of 48 bits": design(requantize="mult16", weights="int16", **FULL | {"output": "int16"}),
    "float32, relu6": design(requantize="float32", activation="relu6", **FULL),
    "float32, int16, clip": design(requantize="float32", **FULL | {"output": "int16"}, clip=(-20000, 30001)),
    "float32, uint8, table": design(
        requantize="float32", **FULL | {"output": "int8"}, table=tuple(c - 128 for c in TABLE), table_input="uint8"
    ),
    "thresholds, binary, clip": design(requantize="thresholds", output="int8", clip=(-100, 50), rows=8),
}
CASES = {name: replace(spec, name="requantizer") for name, spec in (ONCE | OTHERS).items()}
EACH_CASE = pytest.mark.parametrize("name", CASES)


def seed_of(name):
    return 7000 + list(CASES).index(name)


def operands_of(name):
    return stimulus(CASES[name], seed_of(name))


def check(name, simulator, folder, rows=M):
    """Simulates the first rows of a case and counts the outputs that differ from golden's."""
    spec, given = CASES[name], operands_of(name)
    given = replace(given, a=given.a[:rows])
    came = replay(build_bench(spec, verilog(spec), simulator), spec, given, folder).y
    wrong = np.argwhere(came != golden(spec, given))
    assert came.shape == (rows, N)
    assert not len(wrong), f"seed {seed_of(name)}: {len(wrong)} of {came.size} differ, first at {wrong[0]}"


@pytest.mark.skipif(bool(missing("verilator")), reason=missing("verilator"))
@EACH_CASE
def test_in_verilator(name, tmp_path):
    assert M * N > 10**5
    check(name, "verilator", tmp_path)


@pytest.mark.skipif(bool(missing("icarus")), reason=missing("icarus"))
@EACH_CASE
def test_in_icarus(name, tmp_path):
    check(name, "icarus", tmp_path, M if name in ONCE else FEW)


def wrong_outputs(spec, given):
    """(what is wrong, the outputs then), one thing wrong at a time."""
    for change in wrong_fields(spec):
        yield str(change), golden(spec.with_(**change), given)
    if spec.requantize in WRONG:
        yield from WRONG[spec.requantize](spec, given)


def wrong_fields(spec):
    """Fields of neighbouring specs: another rounding, rule, order, activation, overflow, clip or table."""
    hidden = ALIKE.get("sign" if spec.y.width == 1 else spec.activation, {})
    plain = spec.requantize in ("shift", "multiplier")
    rule, field = (spec.rounding, "rounding") if plain else (spec.requantize, "requantize")
    others = ROUNDINGS if plain else DOUBLED if rule in DOUBLED else ()
    yield from ({field: other} for other in others if other not in (rule, hidden.get(rule)))
    if plain and spec.y_zero_point and spec.rounding in ZERO_POINT_MATTERS:
        before = spec.zero_point_order == "before_rounding"
        yield {"zero_point_order": "after_rounding" if before else "before_rounding"}
    if spec.activation != "none":
        yield {"activation": "none"}
    if spec.clip is not None and not spec.threshold_count:
        yield {"clip": (spec.clip[0], spec.clip[1] - 1)}
    if spec.overflow == "wrap":
        yield {"overflow": "saturate"}
    if spec.table is not None:
        yield {"table": spec.table[1:] + spec.table[:1]}


def wrong_mult16(spec, given):
    """Other roundings than half_up of the same product."""
    parameters = given.parameters | {"shift": 15 - given.parameters["shift"]}
    for rounding in ("half_down", "half_away", "half_even"):
        other = spec.with_(requantize="multiplier", multiplier_bits=15, rounding=rounding)
        yield rounding, golden(other, replace(given, parameters=parameters))


def wrong_float32(spec, given):
    """The product not rounded to float32, the sum neither, and ties away from zero."""
    sums, scale = biased(spec, given), FLOAT32.decode(given.parameters["scale"])
    with np.errstate(over="ignore", invalid="ignore"):
        product = np.float64(np.float32(sums) * scale)
        rounded = {
            "float64": np.rint(np.float64(np.float32(sums)) * scale),
            "exact": np.rint(sums * np.float64(scale)),
            "away": np.where(abs(product) % 1 == 0.5, product + np.sign(product) / 2, np.rint(product)),
        }
    others = {name: value for name, value in given.parameters.items() if name.startswith("y_")}
    for name, integers in rounded.items():
        integers = np.clip(integers, *INT32).astype(np.int64)
        yield name, requantize_array(integers, spec.with_(requantize="none", bias=None), **others)


def wrong_thresholds(spec, given):
    """Above the threshold rather than at it, and sets that come one column late."""
    thresholds = given.parameters["thresholds"]
    above = np.minimum(thresholds + 1, spec.threshold_format.code_range[1])
    for name, wrong in (("above", above), ("late", np.roll(thresholds, 1, axis=0))):
        yield name, golden(spec, replace(given, parameters={"thresholds": wrong}))


WRONG = {"mult16": wrong_mult16, "float32": wrong_float32, "thresholds": wrong_thresholds}


@EACH_CASE
def test_operands_show_neighbouring_rules(name):
    spec, given = CASES[name], operands_of(name)
    y = golden(spec, given)
    differing = {wrong: int((other != y).sum()) for wrong, other in wrong_outputs(spec, given)}
    assert all(differing.values()), f"seed {seed_of(name)}: {differing}"
    assert differing or spec.requantize == "none"


def biased(spec, given):
    """Sums plus bias, as Python integers or as the int32 that they wrap to."""
    sums = (accumulators(spec, given) + given.parameters.get("bias", 0)).astype(object)
    return wrap32(sums).astype(np.int64) if spec.rule is not None and spec.rule.wraps else sums


def ties(spec, given):
    """How many outputs come from the middle between two integers, or from a sum that is a threshold."""
    sums, parameters = biased(spec, given), given.parameters
    if spec.requantize == "thresholds":
        return int((sums[:, :, None] == parameters["thresholds"]).any(axis=2).sum())
    if spec.requantize == "float32":
        with np.errstate(over="ignore", invalid="ignore"):
            return int((np.float32(sums) * FLOAT32.decode(parameters["scale"]) % 1 == 0.5).sum())
    shift = parameters["shift"].astype(object)
    shift = shift if spec.rule is None else spec.rule.multiplier_bits - shift
    one = np.array([1 << int(s) for s in shift], object)
    return int(((2 * sums * parameters.get("multiplier", 1)) % (2 * one) == one).sum())


@pytest.mark.parametrize("name", [name for name in CASES if name != "none"])
def test_operands_hold_ties(name):
    assert ties(CASES[name], operands_of(name)) > 1000, f"seed {seed_of(name)}"


@EACH_CASE
def test_operands_reach_the_codes(name):
    """All of them, or most where an activation bounds the codes, or the output is wide."""
    spec = CASES[name]
    lo, hi = spec.clip_range if spec.table is None else spec.y.code_range
    found = len(np.unique(golden(spec, operands_of(name))))
    least = 1500 if spec.y.width > 8 else (hi - lo + 1) * (1 if spec.activation == "none" else 3 / 4)
    assert found >= least, f"seed {seed_of(name)}"
