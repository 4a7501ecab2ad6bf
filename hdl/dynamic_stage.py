"""From accumulators to codes of their own range: what requantize "dynamic" has in place of the output stage."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.ieee import FLOAT32
from golden.spec import Spec

from .dynamic_quantizer import (
    LARGEST,
    OUTPUT,
    QUOTIENT,
    DynamicQuantizer,
    aligned_age,
    fraction_bits,
    quantizer_latency,
)
from .dynamic_range import DynamicRange, range_latency
from .dynamic_scale import PATTERN, PRECISION
from .float_sum import FloatSum, float_range, float_sum_latency
from .layout import q_beat, y_beat
from .ring import Ring
from .share import shared
from .stream import Skid, packet
from .words import Word, unused


def ring_cycles(spec: Spec):
    """Cycles that a row waits for its scale: from the tile's own last row, or from that of the tile before."""
    return range_latency(spec) + (spec.rows if spec.dynamic_scale == "same_tile" else 0)


def dynamic_latency(spec: Spec):
    """Cycles from an accumulator to its output code."""
    return float_sum_latency(spec) + ring_cycles(spec) + quantizer_latency(spec)


class DynamicStage(wiring.Component):
    """One row of accumulators per cycle in, one beat of uint8 codes out. Latency `dynamic_latency` + 1, throughput 1.

    `acc`, `valid`, `last`, `take` and `enable` are as those of OutputStage; there are no parameters to take. `q` gives
    one beat per tile, with the tile's first beat on `y`: the scale and the zero point that the tile is quantized with.

    All rows wait in a ring for the same time. It brings a tile's first row out just when the scale of that tile (of the
    one before, for "next_tile") is complete, and the last one before the next scale is: tiles are `rows` cycles apart.
    The zero point is what the quantizer makes of the range's lower end; it runs one cycle ahead of the columns.
    """

    has_reset = True

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_output_stage"
        self._shape = Word(0, *float_range(spec)).shape
        super().__init__(
            {
                "acc": In(spec.cols * spec.accumulator_width),
                "valid": In(1),
                "last": In(1),
                "take": In(1),
                "enable": Out(1),
                "y": Out(stream.Signature(packet(y_beat(spec).width))),
                "q": Out(stream.Signature(packet(q_beat(spec).width))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        skids = {name: self._skid(m, platform, name) for name in ("y", "q")}
        moves = Signal()
        m.d.comb += [moves.eq(skids["y"].i.ready & skids["q"].i.ready), self.enable.eq(moves)]
        m.d.comb += unused(self.take, "take")
        sums = self._float_sums(m, platform, moves)
        found = self._range(m, platform, moves, sums)
        scales = self._line(m, moves, found.scale)
        zero_point, used = Signal(OUTPUT, name="zero_point"), Signal(OUTPUT, name="zero_point_used", reset_less=True)
        m.d.comb += zero_point.eq(~self._quantizer(m, platform, moves, "quantize_low", found.low, scales, LARGEST))
        codes = self._codes(m, platform, moves, sums, scales[1:], zero_point)
        with m.If(moves):
            m.d.sync += used.eq(zero_point)
        valid, last, first = self._marks(m, moves)
        self._put(m, skids["y"], codes, last, valid & moves)
        self._put(m, skids["q"], Cat(scales[-1], Const(0, 1), used), 1, valid & moves & first)
        return m

    def _skid(self, m, platform, name):
        port = getattr(self, name)
        skid = Skid(
            f"{self.spec.name}_output" if name == "y" else f"{self.spec.name}_output_{name}", port.payload.shape()
        )
        m.submodules[f"output_{name}"] = shared(platform, skid)
        wiring.connect(m, skid.o, wiring.flipped(port))
        return skid

    @staticmethod
    def _put(m, skid, data, last, valid):
        m.d.comb += [skid.i.p.data.eq(data), skid.i.p.last.eq(last), skid.i.valid.eq(valid)]

    def _float_sums(self, m, platform, moves):
        """float32(acc) of each column, the first one lowest."""
        width, cols = self.spec.accumulator_width, self.spec.cols
        sums = [self.acc.word_select(cols - 1 - column, width) for column in range(cols)]
        if float_sum_latency(self.spec) == 0:
            return Cat(one[: self._shape.width] for one in sums)
        for index, one in enumerate(sums):
            component = FloatSum(self.spec)
            m.submodules[f"float_sum_{index}"] = shared(platform, component)
            m.d.comb += [component.enable.eq(moves), component.acc.eq(one)]
            sums[index] = component.o
        return Cat(sums)

    def _range(self, m, platform, moves, sums):
        component = DynamicRange(self.spec)
        m.submodules.range = shared(platform, component)
        valid, last = (self._later(m, moves, mark, float_sum_latency(self.spec)) for mark in (self.valid, self.last))
        m.d.comb += [component.enable.eq(moves), component.sums.eq(sums), component.valid.eq(valid)]
        m.d.comb += component.last.eq(last)
        return component

    def _later(self, m, moves, mark, cycles):
        """A mark some cycles later; none after reset."""
        if cycles == 0:
            return mark
        line = Signal(cycles, name=f"{mark.name}_line_{cycles}")
        with m.If(moves):
            m.d.sync += line.eq(Cat(mark, line))
        return line[-1]

    def _line(self, m, moves, scale):
        """The scale in each cycle on the way of a row: element i is what it was i cycles ago."""
        taps = [scale]
        for age in range(1, quantizer_latency(self.spec) + 2):
            tap = Signal(PATTERN, name=f"scale_{age}", reset_less=True)
            with m.If(moves):
                m.d.sync += tap.eq(taps[-1])
            taps.append(tap)
        return taps

    def _codes(self, m, platform, moves, sums, scales, zero_point):
        """The codes of all columns, of sums that have waited for their scale."""
        ring = Ring(f"{self.spec.name}_ring", ring_cycles(self.spec), len(sums))
        m.submodules.ring = shared(platform, ring)
        m.d.comb += [ring.enable.eq(moves), ring.i.eq(sums)]
        codes = []
        for index in range(self.spec.cols):
            x = ring.o.word_select(index, self._shape.width)
            codes.append(self._quantizer(m, platform, moves, f"requantize_{index}", x, scales, zero_point))
        return Cat(codes)

    def _quantizer(self, m, platform, moves, name, x, scales, zero_point):
        """The code of x, with the scale that `scales` begins with when x comes."""
        component, first = DynamicQuantizer(self.spec), aligned_age(self.spec)
        m.submodules[name] = shared(platform, component)
        exponent = scales[0][PRECISION - 1 :]
        m.d.comb += [
            component.enable.eq(moves),
            component.sum.eq(x),
            component.amount.eq(FLOAT32.bias + fraction_bits(self.spec) - exponent),
            component.significands.eq(
                Cat(Cat(scale[: PRECISION - 1], Const(1, 1)) for scale in scales[first : first + QUOTIENT + 1])
            ),
            component.zero_point.eq(zero_point),
        ]
        return component.y

    def _marks(self, m, moves):
        """`valid` and `last` beside the codes, and whether the row is the first of its tile."""
        cycles = dynamic_latency(self.spec)
        valid, last = (self._later(m, moves, mark, cycles) for mark in (self.valid, self.last))
        first = Signal(init=1)
        with m.If(moves & valid):
            m.d.sync += first.eq(last)
        return valid, last, first
