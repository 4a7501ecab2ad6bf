"""Stream pieces that know nothing of what they carry."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out


def packet(width):
    """Stream payload: the bits of one beat, and whether it ends a tile or a parameter set."""
    return data.StructLayout({"data": width, "last": 1})


class Skid(wiring.Component):
    """A two-place buffer: `i.ready` depends on registers only, and `o` is all registers.

    Latency 1, throughput 1 per cycle. `i.valid` is obeyed only while `i.ready`.
    """

    has_reset = True

    def __init__(self, module_name, shape):
        self.module_name = module_name
        self.shape = shape
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        second = Signal(self.shape, reset_less=True)
        first = Signal(self.shape, reset_less=True)
        level = Signal(range(3))
        put, got = Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(level != 2),
            self.o.valid.eq(level != 0),
            self.o.payload.eq(first),
            put.eq(self.i.valid & self.i.ready),
            got.eq(self.o.valid & self.o.ready),
        ]
        m.d.sync += level.eq(level + put - got)
        with m.If((level == 0) | ((level == 1) & got)):
            m.d.sync += first.eq(self.i.payload)
        with m.Elif(got):
            m.d.sync += first.eq(second)
        with m.If(put):
            m.d.sync += second.eq(self.i.payload)
        return m
