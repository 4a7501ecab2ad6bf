"""Weights that stay: two sets in memory, one in use and one being loaded."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .layout import w_beat
from .stream import packet
from .vector_layout import weight_set_beats


class WeightSets(wiring.Component):
    """Takes sets of weights from `i`, each of at most `weight_set_beats` beats, and gives them again, beat by beat.

    `loaded` tells that a whole set waits. `swap` (only while `loaded`) puts it in use in this very cycle, in which the
    next set may begin to load. `read` makes `o` beat `index` of the set in use from the next cycle on, until another
    is read. A set with too many beats overwrites its own first ones. Throughput one beat per cycle in and out.
    """

    has_reset = True

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_weights"
        self._beat = w_beat(spec)
        super().__init__(
            {
                "i": In(stream.Signature(packet(self._beat.width))),
                "loaded": Out(1),
                "swap": In(1),
                "read": In(1),
                "index": In(range(weight_set_beats(spec))),
                "o": Out(self._beat.width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        place = Signal.like(self.index)
        loaded, bank = Signal(name="set_loaded"), Signal(name="bank")
        in_use, accepted = Signal(name="in_use"), Signal(name="accepted")
        m.d.comb += [
            in_use.eq(bank ^ self.swap),
            self.loaded.eq(loaded),
            self.i.ready.eq(~loaded | self.swap),
            accepted.eq(self.i.valid & self.i.ready),
        ]
        m.d.sync += bank.eq(in_use)
        with m.If(accepted):
            m.d.sync += [loaded.eq(self.i.p.last), place.eq(Mux(self.i.p.last, 0, place + 1))]
        with m.Elif(self.swap):
            m.d.sync += loaded.eq(0)
        m.submodules.store = store = memory.Memory(shape=self._beat.width, depth=2 << len(place), init=[])
        write, read = store.write_port(), store.read_port()
        m.d.comb += [
            write.en.eq(accepted),
            write.addr.eq(Cat(place, ~in_use)),
            write.data.eq(self.i.p.data),
            read.en.eq(self.read),
            read.addr.eq(Cat(self.index, in_use)),
            self.o.eq(read.data),
        ]
        return m
