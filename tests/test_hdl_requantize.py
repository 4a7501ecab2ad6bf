"""The requantizer in Amaranth's simulator against golden.requantize: small accumulators exhaustively, extremes."""

from itertools import product
from random import Random

import pytest
from amaranth.sim import Simulator

from golden.checks import MAX_SHIFT
from golden.formats import parse
from golden.requantize import requantize
from golden.rounding import ROUNDINGS
from golden.spec import Spec
from hdl.requantize import Requantizer, requantizer_latency

OUTPUTS = {
    "saturate": {"output": "int4"},
    "wrap": {"output": "int4", "overflow": "wrap"},
    "wrap unsigned": {"output": "uint3", "overflow": "wrap"},
    "clip": {"output": "int5", "clip": (-7, 10)},
    "relu": {"output": "uint4", "activation": "relu", "bias": "int5"},
    "zero point": {"output": "uint5", "y_zero_point": True, "activation": "relu"},
    "bipolar": {"output": "bipolar", "bias": "int4"},
    "wide": {"output": "int24", "bias": "int6"},
}
EACH_OUTPUT = pytest.mark.parametrize("output", OUTPUTS)
EACH_ROUNDING = pytest.mark.parametrize("rounding", ROUNDINGS)


def design(accumulator=7, **fields):
    """A spec whose accumulator takes every value of so many bits."""
    fields = {name: parse(value) if name in ("output", "bias") else value for name, value in fields.items()}
    wrapping = {"accumulator": accumulator, "accumulator_overflow": "wrap", "depth": 1 << 20}
    return Spec(activations=parse("int16"), weights=parse("int16"), **(wrapping | fields))


def raw(spec, parameters):
    """The bits of one column's parameters, the first in the lowest bits."""
    bits = offset = 0
    for name, fmt in spec.parameter_formats.items():
        bits |= (parameters[name] & (1 << fmt.width) - 1) << offset
        offset += fmt.width
    return bits


def run(spec, vectors, stall=0.0, seed=1):
    """Raw outputs for vectors (acc, parameters), one per enabled cycle; while not enabled, inputs are noise."""
    dut, random = Requantizer(spec), Random(seed)
    latency, outputs = requantizer_latency(spec), []

    async def bench(ctx):
        def put(acc, bits, enable):
            ctx.set(dut.acc, acc)
            if spec.parameters:
                ctx.set(dut.parameters.as_value(), bits)
            ctx.set(dut.enable, enable)

        for number, (acc, parameters) in enumerate([*vectors, *[vectors[0]] * (latency - 1)], start=1):
            while stall and random.random() < stall:
                before = ctx.get(dut.y)
                put(random.getrandbits(spec.accumulator_width - 1), random.getrandbits(8), 0)
                await ctx.tick()
                assert ctx.get(dut.y) == before, f"y moved while not enabled (seed {seed})"
            put(acc, raw(spec, parameters), 1)
            await ctx.tick()
            if number >= latency:
                outputs.append(ctx.get(dut.y))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return outputs


def check(spec, vectors, **how):
    assert len(vectors) > 100
    came = run(spec, vectors, **how)
    wanted = [requantize(acc, spec, **parameters) & (1 << spec.y.width) - 1 for acc, parameters in vectors]
    wrong = [i for i, (y, code) in enumerate(zip(came, wanted, strict=True)) if y != code]
    first = [(vectors[i], came[i], wanted[i]) for i in wrong[:3]]
    assert not wrong, f"{len(wrong)} of {len(vectors)}; (acc, parameters), y, expected: {first} {how}"


def others(spec, random):
    """Random values of the parameters beside multiplier and shift."""
    names = [name for name in spec.parameters if name in ("bias", "y_zero_point")]
    return {name: random.randint(*spec.parameter_formats[name].code_range) for name in names}


def every_acc(spec):
    half = 1 << spec.accumulator_width - 1
    return range(-half, half)


@EACH_OUTPUT
@EACH_ROUNDING
def test_every_accumulator_by_every_shift(output, rounding):
    spec, random = design(requantize="shift", rounding=rounding, **OUTPUTS[output]), Random(1)
    shifts = [*range(9), MAX_SHIFT]
    check(spec, [(acc, {"shift": s} | others(spec, random)) for s, acc in product(shifts, every_acc(spec))])


@EACH_OUTPUT
@EACH_ROUNDING
def test_multipliers(output, rounding):
    """Products that end in a tie, and the extremes; a sample of the rest."""
    spec = design(requantize="multiplier", multiplier_bits=8, rounding=rounding, **OUTPUTS[output])
    random = Random(2)
    cases = list(product([0, 1, 2, 3, 96, 128, 171, 255], [0, 1, 3, 6, 8, 9, 12, 15, 16, MAX_SHIFT], every_acc(spec)))
    cases = random.sample(cases, 1000)
    check(spec, [(acc, {"multiplier": m, "shift": s} | others(spec, random)) for m, s, acc in cases])


@EACH_OUTPUT
def test_no_scaling(output):
    spec, random = design(requantize="none", **OUTPUTS[output]), Random(3)
    check(spec, [(acc, others(spec, random)) for acc in every_acc(spec)])


@EACH_ROUNDING
@pytest.mark.parametrize("bits", [8, 31, 32])
def test_extremes_of_wide_accumulators(bits, rounding):
    fields = {"requantize": "multiplier", "multiplier_bits": bits, "bias": "int32", "output": "int16"}
    spec, random = design(32, rounding=rounding, y_zero_point=True, **fields), Random(4)
    tops = {name: fmt.code_range for name, fmt in spec.parameter_formats.items()}
    accs = [every_acc(spec)[0], every_acc(spec)[-1], -1, 0, 1]
    multipliers = [0, 1, 1 << bits - 1, (1 << bits) - 1]
    vectors = [
        (acc, {"multiplier": m, "shift": s, "bias": bias, "y_zero_point": random.choice((*tops["y_zero_point"], 0))})
        for acc, m, s, bias in product(accs, multipliers, [0, 1, 2, 30, 31, 32, 47, 61, 62], [*tops["bias"], 0])
    ]
    vectors += [tie(spec, random) for _ in range(300)]
    check(spec, vectors)


def tie(spec, random):
    """A vector whose scaled value is an odd number of halves, or next to it: where a rounding rule shows."""
    power = random.randrange(spec.multiplier_bits)
    shift = random.randrange(power + 1, power + 20)
    halves = 2 * random.randrange(-500, 500) + 1
    acc = (halves << shift - power - 1) + random.choice((-1, 0, 0, 0, 1))
    return acc, {"multiplier": 1 << power, "shift": shift, "bias": 0, "y_zero_point": random.randrange(-99, 99)}


@pytest.mark.parametrize("requantizer", ["none", "shift", "multiplier"])
def test_enable_holds_everything(requantizer):
    fields = {"bias": "int6", "output": "int6", "y_zero_point": True, "multiplier_bits": 8, "rounding": "half_even"}
    spec, random = design(requantize=requantizer, **fields), Random(5)
    vectors = [
        (acc, {"multiplier": random.getrandbits(8), "shift": random.randrange(14)} | others(spec, random))
        for acc in [*every_acc(spec), *every_acc(spec)]
    ]
    taken = [(acc, {name: value for name, value in given.items() if name in spec.parameters}) for acc, given in vectors]
    check(spec, taken, stall=0.4, seed=6)


def test_wrap_and_relu_of_a_fixed_vector():
    """In figures: (-5 + 2) * 3 / 2**1 = -4.5."""
    fields = {"requantize": "multiplier", "multiplier_bits": 8, "bias": "int4", "output": "int4"}
    vector = (-5, {"bias": 2, "multiplier": 3, "shift": 1})
    wanted = {
        "floor": -5,
        "ceil": -4,
        "toward_zero": -4,
        "half_up": -4,
        "half_down": -5,
        "half_away": -5,
        "half_even": -4,
        "dpu": -4,
    }
    assert {
        rounding: run(design(rounding=rounding, **fields), [vector] * 2)[0] - 16 for rounding in ROUNDINGS
    } == wanted
