"""The processing element of a weight-stationary array: weights in use, weights waiting, one partial sum."""

from amaranth.hdl import EnableInserter, Module, Shape, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.ops import int_bits
from golden.spec import Spec, scale_interval

from .mac import a_bundle_width, beat_sum, w_bundle_width
from .multiply import dot_product
from .words import Word, add, shape_of

MARKS = data.StructLayout({"load": 1, "swap": 1})


def partial_shape(spec: Spec, rows) -> Shape:
    """Shape of the partial sums that leave row `rows` - 1: exact, or as many low bits as the accumulator keeps.

    A saturating accumulator must see them exact; any other has the same low bits either way.
    """
    lo, hi = scale_interval(spec.product_range, rows * spec.lanes)
    saturates = not spec.accumulator_is_exact and spec.accumulator_overflow == "saturate"
    if not saturates and int_bits(lo, hi) > spec.accumulator_width:
        return signed(spec.accumulator_width)
    return shape_of(lo, hi)


def partial_word(spec: Spec, rows, value) -> Word:
    """A partial sum with the interval of its shape."""
    shape = partial_shape(spec, rows)
    lo, hi = (-(1 << shape.width - 1), (1 << shape.width - 1) - 1) if shape.signed else (0, (1 << shape.width) - 1)
    return Word(value, lo, hi)


class WeightElement(wiring.Component):
    """sum_out = sum_in + sum_l a[l] * weight[l], the sum `latency` + 1 cycles after its activations.

    Two sets of weights: one in use, one waiting. A beat with `load` is kept by the first element of the column whose
    waiting set is free, which swallows the mark; `swap` puts the waiting set in use from the next cycle on, and frees
    it for the beat that comes in that very cycle. Activations, weights and marks pass on one cycle later.

    `sum_in` belongs to the activations that came `latency` cycles before. `rows` is how many rows of elements the sum
    that leaves may hold; elements whose sums have the same width are one module. Overflow: none, or the low bits that
    the accumulator keeps. Throughput 1. `enable` low holds all.
    """

    has_reset = True

    def __init__(self, spec: Spec, rows):
        self.spec = spec
        self.rows = rows
        self.module_name = f"{spec.name}_pe_{partial_shape(spec, rows).width}"
        super().__init__(
            {
                "enable": In(1),
                "a_in": In(a_bundle_width(spec)),
                "w_in": In(w_bundle_width(spec)),
                "marks_in": In(MARKS),
                "sum_in": In(partial_shape(spec, rows)),
                "a_out": Out(a_bundle_width(spec)),
                "w_out": Out(w_bundle_width(spec)),
                "marks_out": Out(MARKS),
                "sum_out": Out(partial_shape(spec, rows)),
            }
        )

    @property
    def latency(self):
        return dot_product(self.spec).latency

    def elaborate(self, platform):
        m = Module()
        a_passing = Signal(self.a_in.shape(), reset_less=True)
        w_passing = Signal(self.w_in.shape(), reset_less=True)
        m.d.sync += [a_passing.eq(self.a_in), w_passing.eq(self.w_in)]
        m.d.comb += [self.a_out.eq(a_passing), self.w_out.eq(w_passing)]
        products = beat_sum(m, self.spec, self.a_in, self._weights(m))
        total = Signal(self.sum_out.shape(), reset_less=True)
        m.d.sync += total.eq(add(partial_word(self.spec, self.rows, self.sum_in), products).value)
        m.d.comb += self.sum_out.eq(total)
        return EnableInserter(self.enable)(m)

    def _weights(self, m):
        """The weights in use."""
        in_use = Signal(self.w_in.shape(), reset_less=True)
        waiting = Signal(self.w_in.shape(), reset_less=True)
        full = Signal()
        kept = Signal()
        marks = Signal(MARKS)
        m.d.comb += [kept.eq(self.marks_in.load & (~full | self.marks_in.swap)), self.marks_out.eq(marks)]
        m.d.sync += [marks.load.eq(self.marks_in.load & ~kept), marks.swap.eq(self.marks_in.swap)]
        with m.If(kept):
            m.d.sync += waiting.eq(self.w_in)
        with m.If(kept | self.marks_in.swap):
            m.d.sync += full.eq(kept)
        with m.If(self.marks_in.swap):
            m.d.sync += in_use.eq(waiting)
        return in_use
