"""The output-stationary systolic array: entry, columns of processing elements, drain, requantizers."""

from amaranth.hdl import Cat, EnableInserter, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from . import timing
from .column import Column
from .decode import decoded
from .layout import a_beat, has_pad_mark, p_beat, w_beat, y_beat
from .mac import FLAGS, a_bundle_width, w_bundle_width
from .multiply import dot_product
from .parameters import ParameterBank
from .requantize import Requantizer, parameter_layout, requantizer_latency
from .share import shared
from .skew import Skew
from .stream import Skid
from .words import unused


def packet(width):
    """Stream payload: the bits of one beat, and whether it ends a tile or a parameter set."""
    return data.StructLayout({"data": width, "last": 1})


class Entry(wiring.Component):
    """Joins a beat of A and a beat of W, decodes them, and tells the first and the last beat of a tile.

    Waits with a tile's last beat until `rows` cycles after the previous one, so that drained accumulators never meet.
    A tile ends where either stream says `last`; they must agree. Latency 1.
    """

    has_reset = True

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_entry"
        super().__init__(
            {
                "enable": In(1),
                "a": In(stream.Signature(packet(a_beat(spec).width))),
                "w": In(stream.Signature(packet(w_beat(spec).width))),
                "a_out": Out(spec.rows * a_bundle_width(spec)),
                "w_out": Out(spec.cols * w_bundle_width(spec)),
                "flags": Out(FLAGS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        rows = self.spec.rows
        accepted, last, held = Signal(), Signal(), Signal()
        m.d.comb += last.eq(self.a.p.last | self.w.p.last)
        gap = Signal(range(rows))
        if rows > 1:
            m.d.comb += held.eq(last & (gap != 0))
            with m.If(accepted & last):
                m.d.sync += gap.eq(rows - 1)
            with m.Elif(gap != 0):
                m.d.sync += gap.eq(gap - 1)
        m.d.comb += [
            accepted.eq(self.a.valid & self.w.valid & self.enable & ~held),
            self.a.ready.eq(accepted),
            self.w.ready.eq(accepted),
        ]
        first = Signal(init=1)
        with m.If(accepted):
            m.d.sync += first.eq(last)
        flags = Signal(FLAGS)
        m.d.sync += [flags.valid.eq(accepted), flags.first.eq(first), flags.last.eq(accepted & last)]
        a_held = Signal(self.a_out.shape(), reset_less=True)
        w_held = Signal(self.w_out.shape(), reset_less=True)
        m.d.sync += [a_held.eq(self._activations(m)), w_held.eq(self._weights(m))]
        m.d.comb += [self.flags.eq(flags), self.a_out.eq(a_held), self.w_out.eq(w_held)]
        return EnableInserter(self.enable)(m)

    def _activations(self, m):
        spec, bits = self.spec, self.a.p.data
        codes = bits[: spec.rows * spec.lanes * spec.activations.width]
        zero_point = bits[-spec.activations.width :] if spec.a_zero_point else None
        operands = decoded(m, codes, spec.activations, spec.a_range, zero_point, "a")
        if not has_pad_mark(spec):
            return operands
        return Cat(Cat(operands.word_select(row, spec.lanes), bits[len(codes)]) for row in range(spec.rows))

    def _weights(self, m):
        spec, bits = self.spec, self.w.p.data
        codes = bits[: spec.cols * spec.lanes * spec.weights.width]
        zero_point = bits[-spec.weights.width :] if spec.w_zero_point else None
        return decoded(m, codes, spec.weights, spec.w_range, zero_point, "w")


class Schedule(wiring.Component):
    """When things happen behind the entry, all from one delay line of its flags.

    `column_flags` reach the top of column c `element_latency + c` cycles after the operands left the entry. `starts[c]`
    lets column c drain. `take` puts the next parameter set in use, one cycle before the aligned accumulators of the
    tile's last row appear; `valid` and `last` go with the requantized outputs.
    """

    has_reset = True

    def __init__(self, spec: Spec, *, element_latency, requantizer_latency):
        self.spec = spec
        self.element_latency = element_latency
        self.requantizer_latency = requantizer_latency
        self.module_name = f"{spec.name}_schedule"
        super().__init__(
            {
                "enable": In(1),
                "flags": In(FLAGS),
                "column_flags": Out(FLAGS.size * spec.cols),
                "starts": Out(spec.cols),
                "take": Out(1),
                "valid": Out(1),
                "last": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        rows, cols, bits = self.spec.rows, self.spec.cols, FLAGS.size
        flags = self._line(m, self.flags.as_value(), self.element_latency + cols - 1, "flags_line")
        ends = self._line(m, self.flags.last, self.element_latency + rows + cols, "last_line")
        m.d.comb += [
            self.column_flags.eq(flags[self.element_latency * bits :]),
            self.starts.eq(ends[-cols:]),
            self.take.eq(ends[-2]),
        ]
        remaining = Signal(range(rows)) if rows > 1 else None
        begins = self.starts[-1]
        valid, last = begins, begins
        if remaining is not None:
            valid, last = begins | (remaining != 0), remaining == 1
            with m.If(begins):
                m.d.sync += remaining.eq(rows - 1)
            with m.Elif(remaining != 0):
                m.d.sync += remaining.eq(remaining - 1)
        m.d.comb += self.valid.eq(self._line(m, valid, self.requantizer_latency, "valid_line")[-1])
        m.d.comb += self.last.eq(self._line(m, last, self.requantizer_latency, "out_last_line")[-1])
        return EnableInserter(self.enable)(m)

    @staticmethod
    def _line(m, value, cycles, name):
        """The value now, one cycle ago, ... `cycles` cycles ago, side by side. Reset to zero."""
        line = Signal(cycles * len(value), name=name)
        m.d.sync += line.eq(Cat(value, line))
        return Cat(value, line)


class Array(wiring.Component):
    """Y = requantize(A @ W), tile by tile, on rows x cols elements.

    Streams (layout of the beats: hdl/layout.py): `a` and `w` move together, one beat of each per cycle; the beat with
    `last` ends a tile on both. `p`, where the design takes parameters, brings one set per tile, in order. `y` gives
    `rows` beats per tile, the last row first, `last` on the final one.

    A tile of B beats takes max(B, rows) cycles; tiles follow each other without a gap. A stall on `y`, or a parameter
    set that is late, holds the whole array; missing beats on `a` or `w` pass through it as bubbles.
    """

    has_reset = True

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_array"
        self._element_latency = dot_product(spec).latency
        self._requantizer_latency = requantizer_latency(spec)
        streams = {
            "a": In(stream.Signature(packet(a_beat(spec).width))),
            "w": In(stream.Signature(packet(w_beat(spec).width))),
            "y": Out(stream.Signature(packet(y_beat(spec).width))),
        }
        if spec.parameters:
            streams["p"] = In(stream.Signature(packet(p_beat(spec).width)))
        super().__init__(streams)

    @property
    def latency(self):
        """Cycles from a tile's last beat on `a` and `w` to its first beat on `y`."""
        return timing.latency(self.spec)

    def cycles(self, beats_per_tile):
        """Cycles from the first beat in to the last beat out, as `hdl.timing.cycles` has it."""
        return timing.cycles(self.spec, beats_per_tile)

    def elaborate(self, platform):
        m = Module()
        spec = self.spec
        enable = Signal()
        entry = Entry(spec)
        schedule = Schedule(spec, element_latency=self._element_latency, requantizer_latency=self._requantizer_latency)
        skid = Skid(f"{spec.name}_output", packet(y_beat(spec).width))
        m.submodules.entry = shared(platform, entry)
        m.submodules.schedule = shared(platform, schedule)
        m.submodules.output = shared(platform, skid)
        wiring.connect(m, entry.a, wiring.flipped(self.a))
        wiring.connect(m, entry.w, wiring.flipped(self.w))
        wiring.connect(m, skid.o, wiring.flipped(self.y))
        m.d.comb += [entry.enable.eq(enable), schedule.enable.eq(enable), schedule.flags.eq(entry.flags)]

        parameters, loaded = self._parameters(m, platform, schedule.take & enable)
        m.d.comb += enable.eq(skid.i.ready & (loaded | ~schedule.take))

        accumulators = self._grid(m, platform, enable, entry, schedule)
        codes = self._requantizers(m, platform, enable, accumulators, parameters)
        m.d.comb += [
            skid.i.p.data.eq(codes),
            skid.i.p.last.eq(schedule.last),
            skid.i.valid.eq(schedule.valid & enable),
        ]
        return m

    def _parameters(self, m, platform, take):
        """The parameters in use, all columns side by side, and whether a waiting set is complete."""
        if not self.spec.parameters:
            return None, 1
        bank = ParameterBank(self.spec)
        m.submodules.parameters = shared(platform, bank)
        wiring.connect(m, bank.i, wiring.flipped(self.p))
        m.d.comb += bank.take.eq(take)
        return bank.o, bank.loaded

    def _skewed(self, m, platform, name, enable, delays, width, value):
        skew = Skew(f"{self.spec.name}_{name}", delays, width)
        m.submodules[name] = shared(platform, skew)
        m.d.comb += [skew.enable.eq(enable), skew.i.eq(value)]
        return skew.o

    def _grid(self, m, platform, enable, entry, schedule):
        """The columns, activations skewed by row, weights by column; returns the aligned accumulators of one row."""
        spec = self.spec
        acc = spec.accumulator_width
        a = self._skewed(m, platform, "a_skew", enable, range(spec.rows), a_bundle_width(spec), entry.a_out)
        w = self._skewed(m, platform, "w_skew", enable, range(spec.cols), w_bundle_width(spec), entry.w_out)
        drained = Signal(spec.cols * acc)
        for index in range(spec.cols):
            column = Column(spec)
            m.submodules[f"column_{index}"] = shared(platform, column)
            m.d.comb += [
                column.enable.eq(enable),
                column.a_in.eq(a),
                column.w_in.eq(w.word_select(index, w_bundle_width(spec))),
                column.flags_in.eq(schedule.column_flags.word_select(index, FLAGS.size)),
                column.start.eq(schedule.starts[index]),
                drained.word_select(index, acc).eq(column.drain),
            ]
            a = column.a_out
        m.d.comb += unused(a, "a")
        return self._skewed(m, platform, "drain_skew", enable, reversed(range(spec.cols)), acc, drained)

    def _requantizers(self, m, platform, enable, accumulators, parameters):
        spec = self.spec
        codes = Signal(y_beat(spec).width)
        width = parameter_layout(spec).size
        for index in range(spec.cols):
            requantizer = Requantizer(spec)
            m.submodules[f"requantize_{index}"] = shared(platform, requantizer)
            acc = accumulators.word_select(index, spec.accumulator_width)
            m.d.comb += [
                requantizer.enable.eq(enable),
                requantizer.acc.eq(acc),
                codes.word_select(index, spec.y.width).eq(requantizer.y),
            ]
            if parameters is not None:
                m.d.comb += requantizer.parameters.eq(parameters.word_select(index, width))
        return codes
