"""The loader of thresholds in Amaranth's simulator: whole and kept sets, whatever the source and the array do."""

from random import Random

import pytest
from amaranth.lib import data
from test_hdl_stream import CHANCES, simulate

from golden.formats import parse
from golden.spec import Spec
from hdl.thresholds import ThresholdLoader, load_gap, threshold_layout

COUNTS = {"uint1": 1, "int2": 3, "uint3": 7}


def loader_spec(output, search="binary"):
    formats = {"activations": parse("int3"), "weights": parse("int3"), "output": parse(output)}
    return Spec(**formats, cols=3, requantize="thresholds", threshold_search=search)


def random_sets(spec, count, random):
    """Sets of rows [beat][column], ascending; of those after the first, some of one beat, which keeps."""
    lo, hi = spec.threshold_format.code_range
    sets = []
    for number in range(count):
        columns = [sorted(random.randint(lo, hi) for _ in range(spec.threshold_count)) for _ in range(spec.cols)]
        beats = [list(row) for row in zip(*columns, strict=True)]
        sets.append(beats[:1] if number and random.random() < 1 / 3 else beats)
    return sets


def in_use_after_each(spec, sets):
    states = []
    for beats in sets:
        kept = len(beats) < spec.threshold_count
        states.append(states[-1] if kept else beats)
    return states


def packed(spec, row):
    width = spec.threshold_format.width
    return sum((value & (1 << width) - 1) << column * width for column, value in enumerate(row))


class Columns:
    """What columns that listen to the loader have loaded and use."""

    def __init__(self, spec):
        self.layout = data.ArrayLayout(threshold_layout(spec), spec.cols)
        self.waiting = [[None] * spec.cols for _ in range(spec.threshold_count)]
        self.in_use = None

    def hear(self, bits):
        told = self.layout.from_bits(bits)
        for column in range(self.layout.length):
            if told[column].valid:
                self.waiting[told[column].index][column] = told[column].value
        if told[0].swap:
            self.in_use = [list(row) for row in self.waiting]


def through_loader(spec, sets, offer, take, seed):
    """What the columns use after each take; and the enabled cycles from each take to the next beat accepted."""
    dut, random, came, gaps = ThresholdLoader(spec), Random(seed), [], []
    beats = [(row, number == len(rows) - 1) for rows in sets for number, row in enumerate(rows)]
    columns = Columns(spec)

    async def bench(ctx):
        sent, offered, since, cycles = 0, False, None, 0
        while len(came) < len(sets):
            cycles += 1
            assert cycles < 200 * len(beats), f"stuck after {len(came)} sets (seed {seed})"
            enabled = random.random() < 0.8
            taking = enabled and bool(ctx.get(dut.loaded)) and random.random() < take
            offered = offered or (sent < len(beats) and random.random() < offer)
            row, last = beats[sent] if offered else ([0] * spec.cols, random.getrandbits(1))
            for port, value in ((dut.enable, enabled), (dut.take, taking), (dut.i.valid, offered)):
                ctx.set(port, value)
            ctx.set(dut.i.p.data, packed(spec, row))
            ctx.set(dut.i.p.last, last)
            columns.hear(ctx.get(dut.o))
            if offered and ctx.get(dut.i.ready):
                gaps.extend([] if since is None else [since])
                sent, offered, since = sent + 1, False, None
            since = 0 if taking else since + enabled if since is not None else None
            await ctx.tick()
            if taking:
                came.append(columns.in_use)
        assert not ctx.get(dut.unsorted), f"unsorted (seed {seed})"

    simulate(dut, bench)
    return came, gaps


@pytest.mark.parametrize(("offer", "take"), CHANCES)
@pytest.mark.parametrize("search", ["binary", "parallel"])
@pytest.mark.parametrize("output", COUNTS)
def test_loader_puts_each_set_in_use(output, search, offer, take):
    spec = loader_spec(output, search)
    assert spec.threshold_count == COUNTS[output]
    for seed in range(2):
        sets = random_sets(spec, 30, Random(seed))
        came, gaps = through_loader(spec, sets, offer, take, seed)
        assert came == in_use_after_each(spec, sets), f"seed {seed}"
        assert min(gaps) >= load_gap(spec) - 1, f"seed {seed}"
        if offer == 1:
            assert min(gaps) == load_gap(spec) - 1, f"seed {seed}"
