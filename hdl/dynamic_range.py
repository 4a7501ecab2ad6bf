"""The range of each tile of sums and the scale that follows from it: docs/arithmetic.md, section 11."""

from amaranth.hdl import Cat, EnableInserter, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .dynamic_scale import ONE, PATTERN, scale_latency, scale_of, width_bits
from .float_sum import float_range
from .pipeline import Pipeline
from .words import Word, tree_levels

TILE_STAGES = 2  # the ends of the tile, the width between them
HELD = 1


def range_latency(spec: Spec):
    """Cycles from the last row of a tile to its scale."""
    return tree_levels(spec.cols) + TILE_STAGES + scale_latency(spec) + HELD


class DynamicRange(wiring.Component):
    """scale = float32(float32(high - low) / 255), low and high the ends of a tile's sums and of 0; 1 where both are 0.

    `sums` holds one row of float32 numbers that are integers, on `valid`; the row with `last` ends a tile. `scale`, a
    float32 pattern without its sign, and `low` appear `range_latency` cycles after that row and stay until those of the
    next tile come. Reset makes them 1 and 0. Throughput one row per cycle. `enable` low holds all.
    """

    has_reset = True

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_range"
        self._shape = Word(0, *float_range(spec)).shape
        super().__init__(
            {
                "enable": In(1),
                "sums": In(spec.cols * self._shape.width),
                "valid": In(1),
                "last": In(1),
                "scale": Out(PATTERN, init=ONE),
                "low": Out(self._shape),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p = Pipeline(m, self.spec, None)
        row_low, row_high = self._ends_of_row(p)
        low, high, done = self._ends_of_tile(p, row_low, row_high)
        start = p.age
        width = p.step(Word(high - low, 0, (1 << width_bits(self.spec)) - 1), "tile_width").value
        pattern = scale_of(p, width)
        low, done = p.since(low, start, "low_delayed"), _marked(m, done, p.age - start, "done")
        with m.If(done):
            m.d.sync += [self.scale.eq(pattern), self.low.eq(low)]
        assert p.age + HELD == range_latency(self.spec)
        return EnableInserter(self.enable)(m)

    def _ends_of_row(self, p):
        """Least and largest sum of a row: balanced trees with a register after each level."""
        sums = [Signal(self._shape, name=f"sum_{column}") for column in range(self.spec.cols)]
        p.m.d.comb += Cat(*sums).eq(self.sums)
        lows = highs = sums
        for level in range(tree_levels(self.spec.cols)):
            lows = self._level(p, lows, f"low_{level}", lambda one, other: one < other)
            highs = self._level(p, highs, f"high_{level}", lambda one, other: one > other)
            p.age += 1
        return lows[0], highs[0]

    def _level(self, p, values, name, before):
        pairs = [(values[index], values[min(index + 1, len(values) - 1)]) for index in range(0, len(values), 2)]
        return [
            p.hold(one if one is other else Mux(before(one, other), one, other), self._shape, f"{name}_{index}")
            for index, (one, other) in enumerate(pairs)
        ]

    def _ends_of_tile(self, p, row_low, row_high):
        """Least and largest of 0 and a tile's sums so far, and whether these are all."""
        m, fresh, done = p.m, Signal(init=1, name="fresh"), Signal(name="done")
        valid, last = _marked(m, self.valid, p.age, "valid"), _marked(m, self.last, p.age, "last")
        low, high = (Signal(self._shape, name=name, reset_less=True) for name in ("tile_low", "tile_high"))
        least, most = (Signal(self._shape, name=name) for name in ("low_before", "high_before"))
        m.d.comb += [least.eq(Mux(fresh, 0, low)), most.eq(Mux(fresh, 0, high))]
        with m.If(valid):
            m.d.sync += [
                fresh.eq(last),
                low.eq(Mux(row_low < least, row_low, least)),
                high.eq(Mux(row_high > most, row_high, most)),
            ]
        m.d.sync += done.eq(valid & last)
        p.age += 1
        return low, high, done


def _marked(m, mark, cycles, name):
    """A mark some cycles later; none after reset."""
    if cycles == 0:
        return mark
    line = Signal(cycles, name=f"{name}_line")
    m.d.sync += line.eq(Cat(mark, line))
    return line[-1]
