"""Columns of processing elements in Amaranth's simulator against plain Python integers: one body for all products.

Operands come at some cycle, their flags `latency` cycles later, `start` when the last row's accumulator is ready; row r
gets its activations r cycles after row 0.
"""

from dataclasses import fields
from random import Random

import pytest
from amaranth.sim import Simulator
from oracle import clamp, wrap

from golden.formats import parse
from golden.spec import Spec
from hdl.column import Column
from hdl.layout import has_pad_mark
from hdl.mac import ProcessingElement, a_shape, w_shape
from hdl.multiply import BinaryDot, DspDot, PlaneDot, SignDot, dot_product

INTEGERS = [
    "int4 x int4",
    "uint4 x int3",
    "int3 x uint4",
    "uint3 x uint3",
    "int1 x uint1",
    "uint1 x int4",
    "int2 x int1",
]
KINDS = {f"{kind} in {multiply}": dot for kind in INTEGERS for multiply, dot in (("logic", PlaneDot), ("dsp", DspDot))}
KINDS |= {"bipolar x int4": SignDot, "int4 x bipolar": SignDot, "uint4 x bipolar": SignDot}
KINDS |= {"bipolar x bipolar": BinaryDot}
ROWS_OF_LANES = {1: 1, 2: 3, 3: 2, 7: 1}
EACH_KIND = pytest.mark.parametrize("kind", KINDS)
EACH_LANES = pytest.mark.parametrize("lanes", ROWS_OF_LANES)


def design(kind, lanes, rows=None, **fields):
    kind, _, multiply = kind.partition(" in ")
    fields |= {"multiplier_style": multiply} if multiply else {}
    a, w = (parse(name) for name in kind.split(" x "))
    return Spec(activations=a, weights=w, rows=rows or ROWS_OF_LANES[lanes], cols=1, lanes=lanes, depth=64, **fields)


def narrow(spec, overflow):
    """The same with an accumulator that the sums overflow."""
    return spec.with_(accumulator=max(spec.exact_accumulator_width - 3, 2), accumulator_overflow=overflow)


def operand(random, fmt, interval):
    """What travels in the array: an integer of the interval, often an end of it; a bipolar code as it is."""
    lo, hi = (0, 1) if fmt == parse("bipolar") else interval
    return random.choice((lo, hi, random.randint(lo, hi)))


def random_tile(spec, random):
    """Beats (a [rows][lanes], w [lanes], pad); only the last has a pad mark, and then its last lane holds noise."""
    count, steady = random.choice((1, 2, 3, 5, 8)), random.random() < 1 / 4
    beats = []
    for number in range(count):
        pad = has_pad_mark(spec) and number == count - 1 and random.random() < 1 / 2
        a = [[operand(random, spec.activations, spec.a_range) for _ in range(spec.lanes)] for _ in range(spec.rows)]
        w = [operand(random, spec.weights, spec.w_range) for _ in range(spec.lanes)]
        beats.append((a, w, pad))
    return [beats[0][:2] + (pad,) for _, _, pad in beats] if steady else beats


def number_of(fmt, code):
    return 2 * code - 1 if fmt == parse("bipolar") else code


def accumulator(spec, beats, row, width=None, overflow=None):
    """The accumulator of one row after all beats of a tile."""
    total = 0
    for a, w, pad in beats:
        pairs = list(zip(a[row], w, strict=True))[: spec.lanes - pad]
        total += sum(number_of(spec.activations, x) * number_of(spec.weights, y) for x, y in pairs)
        if overflow == "wrap":
            total = wrap(total, width, signed=True)
        elif overflow == "saturate":
            total = clamp(total, -(1 << width - 1), (1 << width - 1) - 1)
    return total


def slots(spec, tiles, random, bubbles):
    """What enters in each cycle: None or (tile, beat). Last beats are at least `rows` cycles apart."""
    line, last = [], -spec.rows
    for tile, beats in enumerate(tiles):
        for beat in range(len(beats)):
            while random.random() < bubbles or (beat == len(beats) - 1 and len(line) < last + spec.rows):
                line.append(None)
            line.append((tile, beat))
        last = len(line) - 1
    return line


def packed(values, shape, extra=0):
    bits = sum((value & (1 << shape.width) - 1) << index * shape.width for index, value in enumerate(values))
    return bits | extra << len(values) * shape.width


def drained(spec, tiles, *, seed, bubbles=0.0, stalls=0.0, marks=None):
    """Accumulators as they leave the column, one list per tile, the last row first.

    `marks` are the bits beyond valid, first and last of each beat's flags, per tile.
    """
    random = Random(seed)
    dut, latency = Column(spec), dot_product(spec).latency
    line = slots(spec, tiles, random, bubbles)
    came = [[] for _ in tiles]
    mark = 1 if has_pad_mark(spec) else 0

    def at(cycle):
        return line[cycle] if 0 <= cycle < len(line) else None

    def ends(cycle):
        slot = at(cycle)
        return slot is not None and slot[1] == len(tiles[slot[0]]) - 1

    def row_bits(row, slot):
        if slot is None:
            return random.getrandbits(spec.lanes * a_shape(spec).width + mark)
        a, _, pad = tiles[slot[0]][slot[1]]
        return packed(a[row], a_shape(spec), int(pad))

    def noise(ctx):
        for port in (dut.a_in, dut.w_in, dut.start, dut.flags_in.as_value()):
            ctx.set(port, random.getrandbits(len(port)))

    async def bench(ctx):
        for cycle in range(len(line) + latency + 2 * spec.rows + 4):
            while random.random() < stalls:
                ctx.set(dut.enable, 0)
                noise(ctx)
                await ctx.tick()
            width = len(dut.a_in) // spec.rows
            ctx.set(dut.enable, 1)
            ctx.set(dut.a_in, sum(row_bits(row, at(cycle - row)) << row * width for row in range(spec.rows)))
            slot = at(cycle)
            ctx.set(dut.w_in, random.getrandbits(len(dut.w_in)) if slot is None else w_bits(slot))
            flagged = at(cycle - latency)
            first, last = flagged is not None and flagged[1] == 0, ends(cycle - latency)
            mark_bits = marks[flagged[0]][flagged[1]] if marks and flagged is not None else 0
            ctx.set(dut.flags_in.as_value(), (flagged is not None) | first << 1 | last << 2 | mark_bits << 3)
            ready = cycle - latency - spec.rows - 1
            ctx.set(dut.start, ends(ready))
            for step in range(spec.rows):
                if ends(ready - step):
                    came[at(ready - step)[0]].append(ctx.get(dut.drain))
            await ctx.tick()

    def w_bits(slot):
        return packed(tiles[slot[0]][slot[1]][1], w_shape(spec))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return came


def expected(spec, tiles, *narrow_by):
    return [[accumulator(spec, beats, row, *narrow_by) for row in reversed(range(spec.rows))] for beats in tiles]


@EACH_KIND
def test_the_kind_of_product(kind):
    assert isinstance(dot_product(design(kind, 3)), KINDS[kind])


@EACH_LANES
@EACH_KIND
def test_exact_accumulator(kind, lanes):
    spec, seed = design(kind, lanes), 7
    tiles = [random_tile(spec, Random(seed + number)) for number in range(30)]
    for bubbles, stalls in ((0.0, 0.0), (0.4, 0.3)):
        came = drained(spec, tiles, seed=seed, bubbles=bubbles, stalls=stalls)
        assert came == expected(spec, tiles), f"bubbles {bubbles}, stalls {stalls}, seed {seed}"


@pytest.mark.parametrize("overflow", ["wrap", "saturate"])
@EACH_LANES
@EACH_KIND
def test_narrow_accumulator(kind, lanes, overflow):
    spec, seed = narrow(design(kind, lanes), overflow), 8
    tiles = [random_tile(spec, Random(seed + number)) for number in range(40)]
    tiles += [[beat] * (64 // lanes) for beat in (random_tile(spec, Random(number))[0] for number in range(6))]
    wanted = expected(spec, tiles, spec.accumulator_width, overflow)
    assert wanted != expected(spec, tiles), "nothing overflows"
    assert drained(spec, tiles, seed=seed, bubbles=0.1, stalls=0.1) == wanted, f"seed {seed}"


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_shortest_tiles_back_to_back(rows):
    """Tiles of one beat, `rows` cycles apart: each accumulator is drained while the next one sums."""
    spec = design("int4 x int4 in dsp", 2, rows=rows)
    tiles = [random_tile(spec, Random(number))[:1] for number in range(40)]
    assert drained(spec, tiles, seed=9) == expected(spec, tiles)


@pytest.mark.parametrize("lanes", [2, 3, 7])
def test_pad_marks_in_every_beat(lanes):
    """A padded lane counts nothing, whatever it holds, in any beat."""
    spec = design("bipolar x bipolar", lanes)
    random = Random(10)
    tiles = [[(a, w, random.random() < 1 / 2) for a, w, _ in random_tile(spec, random)] for _ in range(60)]
    assert drained(spec, tiles, seed=10) == expected(spec, tiles)


class Raised(Spec):
    """A design whose beats have the mark `raise`, of three places."""

    raise_bits = 3


@pytest.mark.parametrize("kind", ["int4 x int4 in dsp", "uint4 x int3 in logic", "bipolar x bipolar"])
def test_a_raised_beat_multiplies_the_accumulator(kind):
    """acc * 8 + the beat's products, modulo 2**width, in any beat but the first, whose mark says nothing."""
    plain, random = design(kind, 3), Random(12)
    spec = Raised(**{field.name: getattr(plain, field.name) for field in fields(Spec)})
    tiles = [random_tile(spec, random) for _ in range(60)]
    marks = [[random.randrange(2) for _ in beats] for beats in tiles]

    def total(beats, marked, row):
        value = 0
        for beat, mark in zip(beats, marked, strict=True):
            value = (value << 3 * mark) + accumulator(spec, [beat], row)
        return wrap(value, spec.accumulator_width, signed=True)

    rows = list(reversed(range(spec.rows)))
    wanted = [[total(beats, marked, row) for row in rows] for beats, marked in zip(tiles, marks, strict=True)]
    assert wanted != expected(spec, tiles)
    assert drained(spec, tiles, seed=12, bubbles=0.2, stalls=0.2, marks=marks) == wanted


def test_an_element_passes_everything_on():
    """Operands and flags one enabled cycle later; while nothing waits in it, what drains from above too."""
    spec, random = design("int4 x int4 in dsp", 2, rows=2), Random(11)
    dut = ProcessingElement(spec)
    inputs = (dut.a_in, dut.w_in, dut.drain_in)
    outputs = (dut.a_out, dut.w_out, dut.drain_out)

    async def bench(ctx):
        held = None
        for _ in range(300):
            enable = random.random() < 0.7
            values = [random.getrandbits(len(port) - 1) for port in inputs]
            flags = random.getrandbits(2)
            ctx.set(dut.enable, enable)
            ctx.set(dut.flags_in.as_value(), flags)
            for port, value in zip(inputs, values, strict=True):
                ctx.set(port, value)
            await ctx.tick()
            held = [flags, *values] if enable else held
            if held:
                came = [ctx.get(dut.flags_out.as_value()), *(ctx.get(port) for port in outputs)]
                assert came == held

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
