"""Columns of the array, and groups of them."""

from amaranth.hdl import Module, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .element import element
from .flags import flags_of
from .mac import a_bundle_width, w_bundle_width
from .share import shared
from .words import unused


class Column(wiring.Component):
    """`rows` processing elements below each other: weights, flags and drained accumulators go down, activations across.

    `start` lets the drained accumulators move; the bottom one is at `drain` in the same cycle, the others follow one
    per cycle, last row first. Activations leave one cycle later than they came.
    """

    has_reset = True

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_column"
        super().__init__(
            {
                "enable": In(1),
                "a_in": In(spec.rows * a_bundle_width(spec)),
                "w_in": In(w_bundle_width(spec)),
                "flags_in": In(flags_of(spec)),
                "start": In(1),
                "a_out": Out(spec.rows * a_bundle_width(spec)),
                "drain": Out(signed(spec.accumulator_width)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = a_bundle_width(self.spec)
        w, flags, drain = self.w_in, self.flags_in, 0
        for row in range(self.spec.rows):
            part = element(self.spec)
            m.submodules[f"row_{row}"] = shared(platform, part)
            m.d.comb += [
                part.enable.eq(self.enable),
                part.a_in.eq(self.a_in.word_select(row, width)),
                part.w_in.eq(w),
                part.flags_in.eq(flags),
                part.start.eq(self.start),
                part.drain_in.eq(drain),
                self.a_out.word_select(row, width).eq(part.a_out),
            ]
            w, flags, drain = part.w_out, part.flags_out, part.drain_out
        m.d.comb += [self.drain.eq(drain), unused(w, "w"), unused(flags, "flags")]
        return m


class Columns(wiring.Component):
    """`count` columns beside each other: each passes activations on to the next and drains on its own.

    Ports hold one word per column: `w_in`, `flags_in`, `starts`, `drains`.
    """

    has_reset = True

    def __init__(self, spec: Spec, count):
        self.spec = spec
        self.count = count
        self.module_name = f"{spec.name}_columns_{count}"
        super().__init__(
            {
                "enable": In(1),
                "a_in": In(spec.rows * a_bundle_width(spec)),
                "w_in": In(count * w_bundle_width(spec)),
                "flags_in": In(count * flags_of(spec).size),
                "starts": In(count),
                "a_out": Out(spec.rows * a_bundle_width(spec)),
                "drains": Out(count * spec.accumulator_width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        spec, a = self.spec, self.a_in
        for index in range(self.count):
            column = Column(spec)
            m.submodules[f"column_{index}"] = shared(platform, column)
            m.d.comb += [
                column.enable.eq(self.enable),
                column.a_in.eq(a),
                column.w_in.eq(self.w_in.word_select(index, w_bundle_width(spec))),
                column.flags_in.eq(self.flags_in.word_select(index, flags_of(spec).size)),
                column.start.eq(self.starts[index]),
                self.drains.word_select(index, spec.accumulator_width).eq(column.drain),
            ]
            a = column.a_out
        m.d.comb += self.a_out.eq(a)
        return m
