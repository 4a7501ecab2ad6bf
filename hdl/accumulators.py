"""Accumulators in a memory: one column's, one for each row of a pass."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .mac import reduced
from .weight_element import partial_shape, partial_word
from .weight_schedule import row_ports
from .words import Word, add


class Accumulator(wiring.Component):
    """acc = (0 if first else memory[write_row]) + sum, kept in memory[write_row] and given out; latency 1.

    `read_row` comes one cycle before the `sum` of that row. The memory gives what it held before that cycle's write; a
    row that is read while it is written takes `acc` instead, told by `again`: so passes of one row may follow each
    other in consecutive cycles. Where passes have one row at most, `acc` is all the memory there is.

    Overflow: none where the accumulator is exact; else it wraps, or saturates, as the spec says. Throughput 1.
    `enable` low holds all.
    """

    has_reset = False

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_accumulator"
        super().__init__(
            {
                "enable": In(1),
                "valid": In(1),
                "first": In(1),
                "sum": In(partial_shape(spec, spec.rows)),
                "acc": Out(signed(spec.accumulator_width)),
                **row_ports(spec, In),
            }
        )

    def elaborate(self, platform):
        m = Module()
        acc = Signal(signed(self.spec.accumulator_width), reset_less=True)
        total = Signal(acc.shape())
        kept = Word(Mux(self.first, 0, self._kept(m, acc, total)), -(1 << len(acc) - 1), (1 << len(acc) - 1) - 1)
        partial = partial_word(self.spec, self.spec.rows, self.sum)
        m.d.comb += total.eq(reduced(m, self.spec, add(kept, partial)))
        with m.If(self.enable & self.valid):
            m.d.sync += acc.eq(total)
        m.d.comb += self.acc.eq(acc)
        return m

    def _kept(self, m, acc, total):
        """The sum so far of the row whose sum is here."""
        if self.spec.pass_rows == 1:
            return acc
        m.submodules.rows = rows = memory.Memory(shape=acc.shape(), depth=self.spec.pass_rows, init=[])
        write, read = rows.write_port(), rows.read_port(domain="sync")
        m.d.comb += [
            read.addr.eq(self.read_row),
            read.en.eq(self.enable),
            write.addr.eq(self.write_row),
            write.data.eq(total),
            write.en.eq(self.enable & self.valid),
        ]
        return Mux(self.again, acc, read.data)
