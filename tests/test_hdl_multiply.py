"""Dot products under Amaranth's simulator: every style gives the exact sum, at every operand pair of small formats."""

import itertools

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from golden.checks import MULTIPLIER_STYLES
from golden.formats import parse
from golden.spec import Spec
from hdl.mac import a_shape, w_shape
from hdl.multiply import DspDot, PlaneDot, dot_product

SMALL = [parse(f"{sign}int{width}") for width in range(1, 5) for sign in ("", "u")]
STYLES = [style for style in MULTIPLIER_STYLES if style != "auto"]


def spec_of(activations, weights, style, lanes=1, **fields):
    return Spec(activations=activations, weights=weights, lanes=lanes, multiplier_style=style, **fields)


def sums(spec, a, w):
    """The dot products of decoded rows a [beats, lanes] and w [beats, lanes], one per cycle."""
    dot = dot_product(spec)
    m = Module()
    operands = [
        [Signal(shape(spec), name=f"{name}_{lane}") for lane in range(spec.lanes)]
        for name, shape in (("a", a_shape), ("w", w_shape))
    ]
    result = Signal(spec.accumulator_width + 1)
    m.d.comb += result.eq(dot.build(m, *operands, None).value)
    got = []

    async def bench(ctx):
        for beat in range(len(a) + dot.latency):
            if beat < len(a):
                for signal, value in zip(operands[0] + operands[1], [*a[beat], *w[beat]], strict=True):
                    ctx.set(signal, int(value))
            if beat >= dot.latency:
                got.append(ctx.get(result.as_signed()))
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return got


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("activations", SMALL, ids=str)
def test_every_pair_of_codes(activations, style):
    for weights in SMALL:
        codes = [range(fmt.code_range[0], fmt.code_range[1] + 1) for fmt in (activations, weights)]
        pairs = list(itertools.product(*codes))
        got = sums(spec_of(activations, weights, style), [[x] for x, _ in pairs], [[y] for _, y in pairs])
        assert got == [x * y for x, y in pairs], f"{activations} x {weights}"


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("activations", "weights", "lanes", "zero_points"),
    [
        ("int8", "int8", 3, False),
        ("uint8", "int5", 4, True),
        ("int3", "uint9", 5, True),
        ("uint1", "int8", 1, False),
        ("uint1", "int8", 7, False),
        ("int16", "int12", 2, False),
        ("uint28", "int32", 2, False),
    ],
)
def test_lanes_extremes_and_random(activations, weights, lanes, zero_points, style):
    spec = spec_of(
        parse(activations), parse(weights), style, lanes, a_zero_point=zero_points, w_zero_point=zero_points, depth=8
    )
    seed = 11
    rng = np.random.default_rng(seed)
    beats = [
        [[bounds[corner]] * lanes for corner in corners] + rng.integers(*bounds, (200, lanes), endpoint=True).tolist()
        for bounds, corners in ((spec.a_range, (0, 0, 1, 1)), (spec.w_range, (0, 1, 0, 1)))
    ]
    expected = [sum(x * y for x, y in zip(*rows, strict=True)) for rows in zip(*beats, strict=True)]
    assert sums(spec, *beats) == expected, f"seed {seed}"


def test_auto_takes_adders_for_narrow_operands_only():
    assert isinstance(dot_product(spec_of(parse("int8"), parse("int4"), "auto")), PlaneDot)
    assert isinstance(dot_product(spec_of(parse("int8"), parse("int5"), "auto")), DspDot)
