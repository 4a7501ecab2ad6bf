"""When things happen behind the entry."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .mac import FLAGS


class Schedule(wiring.Component):
    """When things happen behind the entry, all from one delay line of its flags.

    `column_flags` reach the top of column c `element_latency + c` cycles after the operands left the entry. `starts[c]`
    lets column c drain. `take` puts the next parameter set in use, one cycle before the aligned accumulators of the
    tile's last row appear; `valid` and `last` go with the requantized outputs. Where `enable` is low but `out_enable`
    is not, what has left the elements goes on, once.
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
                "out_enable": In(1),
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
        passed = Signal()
        self._lines(m)
        valid, last = self._rows(m)
        with m.If(self.out_enable):
            m.d.sync += passed.eq(~self.enable)
            outputs = self._line(m, valid & ~passed, self.requantizer_latency, "valid_line")
            ends = self._line(m, last, self.requantizer_latency, "out_last_line")
        m.d.comb += [self.valid.eq(outputs[-1]), self.last.eq(ends[-1])]
        return m

    def _lines(self, m):
        """What moves with the elements."""
        cols, bits = self.spec.cols, FLAGS.size
        with m.If(self.enable):
            flags = self._line(m, self.flags.as_value(), self.element_latency + cols - 1, "flags_line")
            ends = self._line(m, self.flags.last, self.element_latency + self.spec.rows + cols, "last_line")
        m.d.comb += [
            self.column_flags.eq(flags[self.element_latency * bits :]),
            self.starts.eq(ends[-cols:]),
            self.take.eq(ends[-2]),
        ]

    def _rows(self, m):
        """`valid` and `last` of the aligned accumulators, `rows` of which follow each other."""
        begins = self.starts[-1]
        if self.spec.rows == 1:
            return begins, begins
        remaining = Signal(range(self.spec.rows))
        with m.If(self.enable & begins):
            m.d.sync += remaining.eq(self.spec.rows - 1)
        with m.Elif(self.enable & (remaining != 0)):
            m.d.sync += remaining.eq(remaining - 1)
        return begins | (remaining != 0), remaining == 1

    @staticmethod
    def _line(m, value, cycles, name):
        """The value now, one cycle ago, ... `cycles` cycles ago, side by side. Reset to zero."""
        line = Signal(cycles * len(value), name=name)
        m.d.sync += line.eq(Cat(value, line))
        return Cat(value, line)
