"""Stream pieces that know nothing of what they carry."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out


def packet(width):
    """Stream payload: the bits of one beat, and whether it ends a tile or a parameter set."""
    return data.StructLayout({"data": width, "last": 1})


def array_ports(spec, inputs, outputs):
    """Ports of an array: streams of the beats given by short name, and `unsorted` where there are thresholds."""
    ports = {name: In(stream.Signature(packet(beat.width))) for name, beat in inputs.items()}
    ports |= {name: Out(stream.Signature(packet(beat.width))) for name, beat in outputs.items()}
    return ports | ({"unsorted": Out(1)} if spec.threshold_count else {})


def connect_ports(m, part, whole, names):
    """Makes ports of a part those of the whole, as far as it has them."""
    for name in names:
        if not hasattr(whole, name):
            continue
        if name in whole.signature.members and whole.signature.members[name].is_port:
            m.d.comb += getattr(whole, name).eq(getattr(part, name))
        else:
            wiring.connect(m, getattr(part, name), wiring.flipped(getattr(whole, name)))


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
