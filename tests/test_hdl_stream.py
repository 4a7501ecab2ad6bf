"""Stream pieces in Amaranth's simulator: nothing lost, doubled or out of order, whatever either side does."""

from random import Random

import pytest
from amaranth.sim import Simulator

from golden.formats import parse
from golden.spec import Spec
from hdl.layout import p_beats, p_columns
from hdl.parameters import ParameterBank
from hdl.stream import Skid

CHANCES = [(1.0, 1.0), (1.0, 0.3), (0.3, 1.0), (0.5, 0.5), (0.9, 0.9), (0.1, 0.9)]


def simulate(dut, bench):
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def through_skid(items, offer, accept, seed):
    """What comes out of a Skid, and in how many cycles, with the source and the sink active in that part of them."""
    dut, random, came, cycles = Skid("skid", 8), Random(seed), [], 0

    async def bench(ctx):
        nonlocal cycles
        sent, offered, stalled = 0, False, None
        while len(came) < len(items):
            assert cycles < 50 * len(items), f"stuck after {len(came)} items (seed {seed})"
            offered = offered or (sent < len(items) and random.random() < offer)
            ctx.set(dut.i.valid, offered)
            ctx.set(dut.i.payload, items[sent] if offered else random.getrandbits(8))
            now = [ctx.get(dut.i.ready), ctx.get(dut.o.valid), ctx.get(dut.o.payload)]
            for ready in (0, 1, random.random() < accept):
                ctx.set(dut.o.ready, ready)
                assert [ctx.get(dut.i.ready), ctx.get(dut.o.valid), ctx.get(dut.o.payload)] == now, "waits for o.ready"
            assert stalled is None or now[1:] == [1, stalled], f"moved while stalled (seed {seed})"
            stalled = now[2] if now[1] and not ready else None
            if now[1] and ready:
                came.append(now[2])
            if offered and now[0]:
                sent, offered = sent + 1, False
            cycles += 1
            await ctx.tick()
        for _ in range(5):
            assert not ctx.get(dut.o.valid), f"more came than went in (seed {seed})"
            await ctx.tick()

    simulate(dut, bench)
    return came, cycles


@pytest.mark.parametrize(("offer", "accept"), CHANCES)
@pytest.mark.parametrize("seed", range(3))
def test_skid_keeps_every_item(offer, accept, seed):
    random = Random(seed)
    items = [random.getrandbits(8) for _ in range(400)]
    came, _ = through_skid(items, offer, accept, seed)
    assert came == items, f"seed {seed}"


def test_skid_takes_one_item_per_cycle():
    items = list(range(200))
    assert through_skid(items, 1.0, 1.0, seed=0) == (items, len(items) + 1)


def bank_spec(rows, cols):
    return Spec(
        **{"activations": parse("int2"), "weights": parse("int2"), "rows": rows, "cols": cols},
        **{"requantize": "shift", "bias": parse("int5"), "output": parse("int4")},
    )


def random_sets(spec, count, random, shortest):
    """Parameter sets as lists of beats; those of `shortest` or more beats, up to all."""
    width = p_columns(spec) * spec_width(spec)
    return [
        [random.getrandbits(width) for _ in range(random.randint(min(shortest, p_beats(spec)), p_beats(spec)))]
        for _ in range(count)
    ]


def spec_width(spec):
    return sum(fmt.width for fmt in spec.parameter_formats.values())


def in_use_after_each(spec, sets):
    """The columns' parameters after each set is taken into use: columns that a set does not reach keep theirs."""
    width, per_beat = spec_width(spec), p_columns(spec)
    columns, states = [0] * spec.cols, []
    for beats in sets:
        for index, beat in enumerate(beats):
            for place in range(per_beat):
                if index * per_beat + place < spec.cols:
                    columns[index * per_beat + place] = beat >> place * width & (1 << width) - 1
        states.append(sum(value << column * width for column, value in enumerate(columns)))
    return states


def through_bank(spec, sets, offer, take, seed):
    """`o` after each take, and the cycles until the last."""
    dut, random, came, cycles = ParameterBank(spec), Random(seed), [], 0
    beats = [(beat, number == len(parts) - 1) for parts in sets for number, beat in enumerate(parts)]

    async def bench(ctx):
        nonlocal cycles
        sent, loaded, offered = 0, 0, False
        while len(came) < len(sets):
            assert cycles < 100 * len(beats), f"stuck after {len(came)} sets (seed {seed})"
            assert ctx.get(dut.loaded) == loaded - len(came), f"loaded after {loaded} sets in, {len(came)} taken"
            taking = loaded > len(came) and random.random() < take
            offered = offered or (sent < len(beats) and random.random() < offer)
            data, last = beats[sent] if offered else (random.getrandbits(len(dut.i.p.data)), random.getrandbits(1))
            ctx.set(dut.take, taking)
            ctx.set(dut.i.valid, offered)
            ctx.set(dut.i.p.data, data)
            ctx.set(dut.i.p.last, last)
            assert ctx.get(dut.i.ready) == (taking or loaded == len(came)), "ready"
            before = ctx.get(dut.o)
            if offered and ctx.get(dut.i.ready):
                sent, loaded, offered = sent + 1, loaded + last, False
            cycles += 1
            await ctx.tick()
            if taking:
                came.append(ctx.get(dut.o))
            else:
                assert ctx.get(dut.o) == before, f"changed without a take (seed {seed})"

    simulate(dut, bench)
    return came, cycles


@pytest.mark.parametrize(("offer", "take"), CHANCES)
@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (1, 4), (2, 5), (3, 3), (8, 2), (4, 7)])
def test_bank_puts_each_set_in_use(rows, cols, offer, take):
    """Whole sets, and sets that end early."""
    spec = bank_spec(rows, cols)
    for seed, shortest in enumerate((99, 1)):
        sets = random_sets(spec, 60, Random(seed), shortest)
        came, _ = through_bank(spec, sets, offer, take, seed)
        assert came == in_use_after_each(spec, sets), f"seed {seed}"


@pytest.mark.parametrize(("rows", "cols"), [(1, 4), (2, 5), (4, 4), (4, 7)])
def test_bank_loads_while_a_set_is_taken(rows, cols):
    """At full speed the first beat of a set comes in the very cycle that takes the set before."""
    spec = bank_spec(rows, cols)
    sets = random_sets(spec, 30, Random(5), shortest=99)
    came, cycles = through_bank(spec, sets, 1.0, 1.0, seed=5)
    assert came == in_use_after_each(spec, sets)
    assert cycles == 30 * p_beats(spec) + 1 <= 30 * rows + 1


def test_bank_in_figures():
    """Five columns on two rows: three columns per beat, two beats, the sixth place ignored."""
    spec = bank_spec(2, 5)
    width = spec_width(spec)
    assert (p_columns(spec), p_beats(spec), width) == (3, 2, 5 + 6)

    def beat(*values):
        return sum(value << width * place for place, value in enumerate(values))

    came, _ = through_bank(spec, [[beat(1, 2, 3), beat(4, 5, 6)], [beat(7, 8, 9)]], 1.0, 1.0, seed=0)
    assert came == [beat(1, 2, 3, 4, 5), beat(7, 8, 9, 4, 5)]
