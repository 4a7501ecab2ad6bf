"""A long delay in a memory."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out


class Ring(wiring.Component):
    """`o` is `i` of `cycles` (at least 2) enabled cycles ago: a memory of as many words, written round and round.

    What is read in a cycle was written `cycles - 1` cycles before, in the word that comes next.
    """

    has_reset = True

    def __init__(self, module_name, cycles, width):
        self.module_name, self.cycles, self.width = module_name, cycles, width
        super().__init__({"enable": In(1), "i": In(width), "o": Out(width)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = words = memory.Memory(shape=self.width, depth=self.cycles, init=[])
        write, read = words.write_port(), words.read_port(transparent_for=())
        place, following = Signal(range(self.cycles)), Signal(range(self.cycles))
        m.d.comb += [
            following.eq(Mux(place == self.cycles - 1, 0, place + 1)),
            write.addr.eq(place),
            write.data.eq(self.i),
            write.en.eq(self.enable),
            read.addr.eq(following),
            read.en.eq(self.enable),
            self.o.eq(read.data),
        ]
        with m.If(self.enable):
            m.d.sync += place.eq(following)
        return m
