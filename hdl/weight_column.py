"""Columns of a weight-stationary array, and groups of them."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .mac import a_bundle_width, w_bundle_width
from .share import shared
from .weight_element import MARKS, WeightElement, partial_shape
from .words import unused


class WeightColumn(wiring.Component):
    """`rows` elements below each other: weights, marks and partial sums go down, activations across.

    sum = the sum over the rows, of activations that are one cycle later in each row; `rows` + element latency cycles
    after those of the first row. Activations leave one cycle later than they came.
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
                "marks_in": In(MARKS),
                "a_out": Out(spec.rows * a_bundle_width(spec)),
                "sum": Out(partial_shape(spec, spec.rows)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = a_bundle_width(self.spec)
        w, marks, total = self.w_in, self.marks_in, 0
        for row in range(self.spec.rows):
            element = WeightElement(self.spec, row + 1)
            m.submodules[f"row_{row}"] = shared(platform, element)
            m.d.comb += [
                element.enable.eq(self.enable),
                element.a_in.eq(self.a_in.word_select(row, width)),
                element.w_in.eq(w),
                element.marks_in.eq(marks),
                element.sum_in.eq(total),
                self.a_out.word_select(row, width).eq(element.a_out),
            ]
            w, marks, total = element.w_out, element.marks_out, element.sum_out
        m.d.comb += [self.sum.eq(total), unused(w, "w"), unused(marks, "marks")]
        return m


class WeightColumns(wiring.Component):
    """`count` columns beside each other: each passes activations on to the next and sums on its own.

    Ports hold one word per column: `w_in`, `marks_in`, `sums`.
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
                "marks_in": In(count * MARKS.size),
                "a_out": Out(spec.rows * a_bundle_width(spec)),
                "sums": Out(count * partial_shape(spec, spec.rows).width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        spec, a = self.spec, self.a_in
        for index in range(self.count):
            column = WeightColumn(spec)
            m.submodules[f"column_{index}"] = shared(platform, column)
            m.d.comb += [
                column.enable.eq(self.enable),
                column.a_in.eq(a),
                column.w_in.eq(self.w_in.word_select(index, w_bundle_width(spec))),
                column.marks_in.eq(self.marks_in.word_select(index, MARKS.size)),
                self.sums.word_select(index, len(column.sum)).eq(column.sum),
            ]
            a = column.a_out
        m.d.comb += self.a_out.eq(a)
        return m
