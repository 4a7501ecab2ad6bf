"""When things happen behind the entry of a weight-stationary array."""

from amaranth.hdl import Cat, EnableInserter, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .weight_element import MARKS
from .weight_entry import PASS


def row_bits(spec: Spec):
    """Bits that number the rows of a pass."""
    return (spec.pass_rows - 1).bit_length()


def row_ports(spec: Spec, flow):
    """Ports that address the accumulators; none where each column has but one."""
    if spec.pass_rows == 1:
        return {}
    return {"read_row": flow(row_bits(spec)), "write_row": flow(row_bits(spec)), "again": flow(1)}


class WeightSchedule(wiring.Component):
    """Marks of weights, one cycle later per column, and of rows, `delay` cycles later: when the columns' sums line up.

    `valid` and `first` go with the aligned sums. `write_row` is their row in the pass, `read_row` that of the sums one
    cycle later; `again` tells that the sums now belong to the accumulator that was written a cycle ago. `take` comes
    with the first sums of a final pass; `y_valid` and `y_last` one cycle later, with the accumulators.
    """

    has_reset = True

    def __init__(self, spec: Spec, *, element_latency):
        self.spec = spec
        self.delay = spec.rows + spec.cols - 1 + element_latency
        self.module_name = f"{spec.name}_schedule"
        super().__init__(
            {
                "enable": In(1),
                "marks": In(MARKS),
                "row_marks": In(PASS),
                "column_marks": Out(MARKS.size * spec.cols),
                "valid": Out(1),
                "first": Out(1),
                "take": Out(1),
                "y_valid": Out(1),
                "y_last": Out(1),
                **row_ports(spec, Out),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.column_marks.eq(self._line(m, self.marks, self.spec.cols - 1, "marks_line"))
        line = self._line(m, self.row_marks, self.delay, "row_line")
        before, now = (PASS(line[-count * PASS.size :][: PASS.size]) for count in (2, 1))
        m.d.comb += [self.valid.eq(now.valid), self.first.eq(now.first)]
        if self.spec.pass_rows > 1:
            self._rows(m, before, now)
        inside = Signal()  # a pass
        with m.If(now.valid):
            m.d.sync += inside.eq(~now.last)
        m.d.comb += self.take.eq(now.valid & now.final & ~inside)
        y_valid = Signal()
        y_last = Signal()
        m.d.sync += [y_valid.eq(now.valid & now.final), y_last.eq(now.last & now.final)]
        m.d.comb += [self.y_valid.eq(y_valid), self.y_last.eq(y_last)]
        return EnableInserter(self.enable)(m)

    def _rows(self, m, before, now):
        """Numbers the rows of each pass."""
        read_row = Signal(row_bits(self.spec))
        write_row = Signal(row_bits(self.spec))
        with m.If(before.valid):
            m.d.sync += read_row.eq(Mux(before.last, 0, read_row + 1))
        m.d.sync += write_row.eq(read_row)
        again = Signal()
        m.d.sync += again.eq(now.valid & (read_row == write_row))
        m.d.comb += [self.read_row.eq(read_row), self.write_row.eq(write_row), self.again.eq(again)]

    @staticmethod
    def _line(m, marks, cycles, name):
        """The marks now, one cycle ago, ... `cycles` cycles ago, side by side. Reset to zero."""
        value = marks.as_value()
        if not cycles:
            return value
        line = Signal(cycles * len(value), name=name)
        m.d.sync += line.eq(Cat(value, line))
        return Cat(value, line)
