"""When things happen behind the entry."""

from amaranth.hdl import Cat, EnableInserter, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .mac import flags_layout


class Schedule(wiring.Component):
    """When things happen behind the entry, all from one delay line of its flags.

    `column_flags` reach the top of column c `element_latency + c` cycles after the operands left the entry. `starts[c]`
    lets column c drain. `take` comes one cycle before the aligned accumulators of the tile's last row; `valid` and
    `last` go with the accumulators.
    """

    has_reset = True

    def __init__(self, spec: Spec, *, element_latency):
        self.spec = spec
        self.element_latency = element_latency
        self.module_name = f"{spec.name}_schedule"
        super().__init__(
            {
                "enable": In(1),
                "flags": In(flags_layout(spec)),
                "column_flags": Out(flags_layout(spec).size * spec.cols),
                "starts": Out(spec.cols),
                "take": Out(1),
                "valid": Out(1),
                "last": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cols, bits = self.spec.cols, len(self.flags.as_value())
        flags = self._line(m, self.flags.as_value(), self.element_latency + cols - 1, "flags_line")
        ends = self._line(m, self.flags.last, self.element_latency + self.spec.rows + cols, "last_line")
        m.d.comb += [
            self.column_flags.eq(flags[self.element_latency * bits :]),
            self.starts.eq(ends[-cols:]),
            self.take.eq(ends[-2]),
        ]
        valid, last = self._rows(m)
        m.d.comb += [self.valid.eq(valid), self.last.eq(last)]
        return EnableInserter(self.enable)(m)

    def _rows(self, m):
        """`valid` and `last` of the aligned accumulators, `rows` of which follow each other."""
        begins = self.starts[-1]
        if self.spec.rows == 1:
            return begins, begins
        remaining = Signal(range(self.spec.rows))
        with m.If(begins):
            m.d.sync += remaining.eq(self.spec.rows - 1)
        with m.Elif(remaining != 0):
            m.d.sync += remaining.eq(remaining - 1)
        return begins | (remaining != 0), remaining == 1

    @staticmethod
    def _line(m, value, cycles, name):
        """The value now, one cycle ago, ... `cycles` cycles ago, side by side. Reset to zero."""
        line = Signal(cycles * len(value), name=name)
        m.d.sync += line.eq(Cat(value, line))
        return Cat(value, line)
