"""The fixed-point rules of golden.rules, and zero points added before rounding, in hardware: equal bit by bit."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from golden.formats import parse
from golden.requantize import requantize
from golden.rules import RULES
from golden.spec import Spec
from hdl.requantize import Requantizer, requantizer_latency

VALUES = 1500
FIXED = [name for name, rule in RULES.items() if not rule.is_float]


def spec_of(requantize, **fields):
    return Spec(
        **{
            "activations": parse("int8"),
            "weights": parse("int8"),
            "accumulator": 32,
            "bias": parse("int32"),
            "requantize": requantize,
            "output": parse("int8"),
            "y_zero_point": True,
            **fields,
        }
    )


def stimulus(spec, seed):
    """Accumulators of every size and parameters: useful, tying, extreme."""
    rng = np.random.default_rng(seed)
    size = 1 << rng.integers(0, spec.accumulator_width - 10, VALUES)
    accumulators = rng.integers(-size, size)
    accumulators[:6] = [*spec.acc_range, 0, -1, 1, 3]
    lo, hi = spec.shift_range
    useful = {"shift": (0, 12), "multiplier": (30, 44)}.get(spec.requantize, (-14, 2))
    parameters = {
        "bias": np.where(rng.random(VALUES) < 0.2, rng.integers(-(1 << 31), 1 << 31, VALUES), 0),
        "shift": np.where(rng.random(VALUES) < 0.7, rng.integers(*useful, VALUES), rng.integers(lo, hi + 1, VALUES)),
        "y_zero_point": rng.integers(-20 if spec.y.signed else 0, 20, VALUES),
    }
    parameters["shift"][:4] = [lo, hi, lo, hi]
    if "multiplier" in spec.parameters:
        width = spec.parameter_formats["multiplier"].width
        power = rng.random(VALUES) < 0.5
        parameters["multiplier"] = np.where(power, 1 << width - 1, rng.integers(0, 1 << width, VALUES))
        parameters["multiplier"][:4] = [0, 0, (1 << width) - 1, (1 << width) - 1]
    return accumulators, {name: parameters[name] for name in spec.parameters}


def outputs(spec, accumulators, parameters):
    """The hardware's codes, one value per cycle; `enable` falls now and then."""
    dut, latency = Requantizer(spec), requantizer_latency(spec)
    words = np.zeros(len(accumulators), object)
    offset = 0
    for name, fmt in spec.parameter_formats.items():
        words = words | (parameters[name].astype(object) % (1 << fmt.width)) << offset
        offset += fmt.width
    got = []

    async def bench(ctx):
        pauses = np.random.default_rng(1).random(2 * len(words)) < 0.1
        for index in range(len(words) + latency):
            ctx.set(dut.enable, 1)
            if index < len(words):
                ctx.set(dut.acc, int(accumulators[index]))
                ctx.set(dut.parameters.as_value(), int(words[index]))
            if index >= latency:
                code = ctx.get(dut.y)
                got.append(code - (code >> spec.y.width - 1 << spec.y.width if spec.y.signed else 0))
            if pauses[index]:
                ctx.set(dut.enable, 0)
                await ctx.tick()
                ctx.set(dut.enable, 1)
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return got


def check(spec, seed):
    accumulators, parameters = stimulus(spec, seed)
    rows = [{name: int(values[i]) for name, values in parameters.items()} for i in range(VALUES)]
    expected = [requantize(int(acc), spec, **row) for acc, row in zip(accumulators, rows, strict=True)]
    assert len(set(expected)) > 20, "the stimulus says nothing"
    got = outputs(spec, accumulators, parameters)
    differ = [(int(a), row, g, e) for a, row, g, e in zip(accumulators, rows, got, expected, strict=True) if g != e]
    assert differ == [], f"seed {seed}: accumulator, parameters, hardware, golden"


@pytest.mark.parametrize("activation", ["none", "relu"])
@pytest.mark.parametrize("output", ["int8", "uint8", "int32"])
@pytest.mark.parametrize("rule", FIXED)
def test_rule(rule, output, activation):
    check(spec_of(rule, output=parse(output), activation=activation), 3)


@pytest.mark.parametrize("fields", [{"accumulator": 20, "depth": 16}, {"bias": None}, {"overflow": "wrap"}])
@pytest.mark.parametrize("rule", FIXED)
def test_rule_on_other_sums(rule, fields):
    check(spec_of(rule, output=parse("int16"), **fields), 4)


@pytest.mark.parametrize(("accumulator", "bias"), [(40, "int46"), (47, "int40"), (60, "int62")])
def test_wide_sums_of_mult16(accumulator, bias):
    wide = {"activations": parse("int16"), "accumulator": accumulator, "bias": parse(bias), "output": parse("int16")}
    check(spec_of("mult16", **wide), 5)


@pytest.mark.parametrize("rounding", ["toward_zero", "half_up", "half_away", "half_even", "ceil"])
@pytest.mark.parametrize("activation", ["none", "relu"])
@pytest.mark.parametrize("scaling", ["shift", "multiplier"])
def test_zero_point_before_rounding(scaling, activation, rounding):
    check(spec_of(scaling, rounding=rounding, activation=activation, zero_point_order="before_rounding"), 6)


def test_the_stimulus_tells_the_rules_apart():
    outcomes = {}
    for rule in ("tflite", "double_half_up", "tflite_single"):
        spec = spec_of(rule)
        accumulators, parameters = stimulus(spec, 3)
        codes = requantize(accumulators, spec, **parameters)
        outcomes[rule] = tuple(codes.tolist())
    assert len(set(outcomes.values())) == 3
