"""When things happen behind the entry."""

from amaranth.hdl import Cat, EnableInserter, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .element import early_latency, element_latency
from .flags import EARLY, flags_of


class Schedule(wiring.Component):
    """When things happen behind the entry, all from one delay line of its flags.

    `column_flags` reach the top of column c `element_latency + c` cycles after the operands left the entry; with blocks
    `valid` and `begin`, which tell of the sum of a beat, come before the others. `starts[c]` lets column c drain.
    `take` comes one cycle before the aligned accumulators of the tile's last row; `valid` and `last` go with the
    accumulators.
    """

    has_reset = True

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_schedule"
        super().__init__(
            {
                "enable": In(1),
                "flags": In(flags_of(spec)),
                "column_flags": Out(flags_of(spec).size * spec.cols),
                "starts": Out(spec.cols),
                "take": Out(1),
                "valid": Out(1),
                "last": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cols, bits, early = self.spec.cols, flags_of(self.spec).size, early_latency(self.spec)
        flags = self._line(m, self._together(m), early + cols - 1, "flags_line")
        ends = self._line(m, self.flags.last, element_latency(self.spec) + self.spec.rows + cols, "last_line")
        m.d.comb += [
            self.column_flags.eq(flags[early * bits :]),
            self.starts.eq(ends[-cols:]),
            self.take.eq(ends[-2]),
        ]
        valid, last = self._rows(m)
        m.d.comb += [self.valid.eq(valid), self.last.eq(last)]
        return EnableInserter(self.enable)(m)

    def _together(self, m):
        """The flags as late, one against the other, as an element needs them."""
        flags, wait = self.flags.as_value(), element_latency(self.spec) - early_latency(self.spec)
        if not wait:
            return flags
        count = sum(name in EARLY for name in flags_of(self.spec).members)
        late = self._line(m, flags[count:], wait, "late_line")
        return Cat(flags[:count], late[-(len(flags) - count) :])

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
