"""Where beats enter a weight-stationary array: decoded, and told which pass they belong to."""

from amaranth.hdl import Cat, EnableInserter, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .decode import decoded
from .layout import has_pad_mark
from .mac import a_bundle_width, w_bundle_width
from .multiply import dot_product
from .stream import packet
from .weight_element import MARKS
from .weight_layout import a_beat, w_beat

PASS = data.StructLayout({"valid": 1, "last": 1, "first": 1, "final": 1})


class WeightEntry(wiring.Component):
    """Takes weight tiles and passes of activations on their own; latency 1.

    A pass begins, with a `swap`, when its weight tile is complete and the pass before has had its last activations: in
    the cycle that takes these, where the tile is there in time. Its activations follow from the next cycle on, and
    so does the next weight tile, whose first beat may come in the very cycle of the swap. So passes of b rows follow
    each other every max(b, rows) cycles.

    `marks` go with the weights; `row_marks` with the activations: valid, last of its pass, and the pass's own `first`
    (sums begin) and `final` (sums leave).
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
                "marks": Out(MARKS),
                "row_marks": Out(PASS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        complete = Signal()
        under_way = Signal()
        a_taken = Signal()
        w_taken = Signal()
        ends = Signal()
        begins = Signal()
        m.d.comb += [
            self.a.ready.eq(self.enable & under_way),
            a_taken.eq(self.a.valid & self.a.ready),
            ends.eq(a_taken & self.a.p.last),
            begins.eq(complete & (ends | ~under_way)),
            self.w.ready.eq(self.enable & (begins | ~complete)),
            w_taken.eq(self.w.valid & self.w.ready),
        ]
        m.d.sync += [
            complete.eq(Mux(w_taken, self.w.p.last, complete & ~begins)),
            under_way.eq(begins | (under_way & ~ends)),
        ]
        marks = Signal(MARKS)
        row_marks = Signal(PASS)
        m.d.sync += [marks.load.eq(w_taken), marks.swap.eq(begins)]
        m.d.sync += [row_marks.valid.eq(a_taken), row_marks.last.eq(ends)]
        m.d.sync += Cat(row_marks.first, row_marks.final).eq(self._pass_marks(m, w_taken, begins))
        m.d.comb += [self.marks.eq(marks), self.row_marks.eq(row_marks)]
        a_held = Signal(self.a_out.shape(), reset_less=True)
        w_held = Signal(self.w_out.shape(), reset_less=True)
        m.d.sync += [a_held.eq(self._activations(m)), w_held.eq(self._weights(m))]
        m.d.comb += [self.a_out.eq(a_held), self.w_out.eq(w_held)]
        return EnableInserter(self.enable)(m)

    def _pass_marks(self, m, w_taken, begins):
        """`first` and `final` of the pass under way, from the last beat of its weights."""
        waiting = Signal(2, name="waiting_marks", reset_less=True)
        in_use = Signal(2, name="marks_in_use", reset_less=True)
        with m.If(w_taken):
            m.d.sync += waiting.eq(Cat(self._field("w", "first"), self._field("w", "final")))
        with m.If(begins):
            m.d.sync += in_use.eq(waiting)
        return in_use

    def _field(self, name, member):
        """The bits of one field of a beat, None where the design has no such field."""
        beat = {"a": a_beat, "w": w_beat}[name](self.spec)
        for field in beat.fields:
            if field.name == member:
                return getattr(self, name).p.data[field.offset : field.offset + field.width]
        return None

    def _activations(self, m):
        spec, codes = self.spec, self._field("a", "a")
        zero_point = self._field("a", "a_zero_point")
        coded = "a" in dot_product(spec).coded
        operands = codes if coded else decoded(m, codes, spec.activations, spec.a_range, zero_point, "a")
        if not has_pad_mark(spec):
            return operands
        width = len(operands) // spec.rows
        pads = [0] * (spec.rows - 1) + [self._field("a", "pad")]
        return Cat(Cat(operands.word_select(row, width), pad) for row, pad in enumerate(pads))

    def _weights(self, m):
        spec, codes = self.spec, self._field("w", "w")
        if "w" in dot_product(spec).coded:
            return codes
        return decoded(m, codes, spec.weights, spec.w_range, self._field("w", "w_zero_point"), "w")
