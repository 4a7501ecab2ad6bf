"""When things happen behind the entry."""

from amaranth.hdl import Cat, EnableInserter, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .mac import FLAGS


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
