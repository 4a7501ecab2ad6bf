"""Columns of the array, and groups of them."""

from amaranth.hdl import Module, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .mac import ProcessingElement, a_bundle_width, flags_layout, w_bundle_width
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
                "flags_in": In(flags_layout(spec)),
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
            element = ProcessingElement(self.spec)
            m.submodules[f"row_{row}"] = shared(platform, element)
            m.d.comb += [
                element.enable.eq(self.enable),
                element.a_in.eq(self.a_in.word_select(row, width)),
                element.w_in.eq(w),
                element.flags_in.eq(flags),
                element.start.eq(self.start),
                element.drain_in.eq(drain),
                self.a_out.word_select(row, width).eq(element.a_out),
            ]
            w, flags, drain = element.w_out, element.flags_out, element.drain_out
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
                "flags_in": In(count * flags_layout(spec).size),
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
                column.flags_in.eq(self.flags_in.word_select(index, flags_layout(spec).size)),
                column.start.eq(self.starts[index]),
                self.drains.word_select(index, spec.accumulator_width).eq(column.drain),
            ]
            a = column.a_out
        m.d.comb += self.a_out.eq(a)
        return m
