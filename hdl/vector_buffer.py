"""Activations that are used once per fold: two vectors in memory, one replayed while the other comes in."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .layout import has_pad_mark
from .matrix_vector_layout import most_beats, mv_a_beat, takes_sets
from .stream import packet


class VectorBuffer(wiring.Component):
    """Takes vectors from `a`, beat by beat, and gives the beats of the oldest one as often as they are asked for.

    `available` tells that beat `index` of the vector is there; `next` is its mark. `read` (only while `available`)
    makes `o` that beat's codes and pad from the next cycle on, and `zero_points` the vector's, until another is read;
    with `done` the vector is done with, and the place it took is free from the next cycle on.

    A beat can be read one cycle after it came, so that a vector's first fold runs while the vector comes in.
    Throughput one beat per cycle in and out. A vector of too many beats loses those beyond `most_beats`.
    """

    has_reset = True

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_vectors"
        self._beat = mv_a_beat(spec)
        self._stored = spec.beat_depth * spec.activations.width + has_pad_mark(spec)
        self._zero_points = self._beat.width - self._stored - takes_sets(spec)
        mark = {"next": Out(1)} if takes_sets(spec) else {}
        super().__init__(
            mark
            | {
                "a": In(stream.Signature(packet(self._beat.width))),
                "index": In(range(most_beats(spec))),
                "available": Out(1),
                "read": In(1),
                "done": In(1),
                "o": Out(self._stored),
                "zero_points": Out(self._zero_points),
            }
        )

    def elaborate(self, platform):
        m = Module()
        filled = [Signal(name=f"filled_{slot}") for slot in range(2)]
        writing, reading, accepted = (Signal(name=name) for name in ("writing", "reading", "accepted"))
        place = Signal.like(self.index, name="place")
        m.d.comb += [self.a.ready.eq(~Mux(writing, filled[1], filled[0])), accepted.eq(self.a.valid & self.a.ready)]
        with m.If(accepted):
            m.d.sync += [place.eq(Mux(self.a.p.last, 0, place + 1)), writing.eq(writing ^ self.a.p.last)]
        put, freed = accepted & self.a.p.last, self.read & self.done
        with m.If(freed):
            m.d.sync += reading.eq(~reading)
        for slot in range(2):
            with m.If(put & (writing == slot)):
                m.d.sync += filled[slot].eq(1)
            with m.Elif(freed & (reading == slot)):
                m.d.sync += filled[slot].eq(0)
        m.d.comb += self.available.eq(Mux(reading, filled[1], filled[0]) | (self.index != place))
        m.submodules.store = store = memory.Memory(shape=self._stored, depth=2 * most_beats(self.spec), init=[])
        write, read = store.write_port(), store.read_port()
        m.d.comb += [
            write.en.eq(accepted),
            write.addr.eq(Cat(writing, place)),
            write.data.eq(self.a.p.data[: self._stored]),
            read.en.eq(self.read),
            read.addr.eq(Cat(reading, self.index)),
            self.o.eq(read.data),
        ]
        self._constants_of_vectors(m, accepted & (place == 0), writing, reading)
        return m

    def _constants_of_vectors(self, m, begins, writing, reading):
        """Zero points and the mark, one of each for either vector, from its first beat."""
        width = self._beat.width - self._stored
        if not width:
            return
        kept = [Signal(width, name=f"of_vector_{slot}", reset_less=True) for slot in range(2)]
        for slot, register in enumerate(kept):
            with m.If(begins & (writing == slot)):
                m.d.sync += register.eq(self.a.p.data[self._stored :])
        current = Signal(width)
        m.d.comb += current.eq(Mux(reading, kept[1], kept[0]))
        if takes_sets(self.spec):
            m.d.comb += self.next.eq(current[-1])
        zero_points = Signal(self._zero_points, name="zero_points_read", reset_less=True)
        with m.If(self.read):
            m.d.sync += zero_points.eq(current[: self._zero_points])
        m.d.comb += self.zero_points.eq(zero_points)
