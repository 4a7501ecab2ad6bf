"""Per-column parameters, double-buffered."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .layout import p_beat, p_beats, p_columns
from .stream import packet


class ParameterBank(wiring.Component):
    """Two sets of per-column parameters: one in use, `o`, and one being loaded.

    `i` takes one set in `p_beats` beats, ended by `last`; columns that a shorter set does not reach keep what the set
    before gave them. `loaded` tells that a whole set waits. `take` (only while `loaded`) puts it in use from the next
    cycle on, and the next set may begin to load in that very cycle.
    """

    has_reset = True

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_parameters"
        self._width = p_beat(spec).width // p_columns(spec)
        super().__init__(
            {
                "i": In(stream.Signature(packet(p_beat(spec).width))),
                "take": In(1),
                "loaded": Out(1),
                "o": Out(spec.cols * self._width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        per_beat = p_columns(self.spec)
        index = Signal(range(p_beats(self.spec)))
        loaded, accepted = Signal(), Signal()
        m.d.comb += [
            self.loaded.eq(loaded),
            self.i.ready.eq(~loaded | self.take),
            accepted.eq(self.i.valid & self.i.ready),
        ]
        with m.If(accepted):
            m.d.sync += [loaded.eq(self.i.p.last), index.eq(Mux(self.i.p.last, 0, index + 1))]
        with m.Elif(self.take):
            m.d.sync += loaded.eq(0)
        in_use = [Signal(self._width, name=f"in_use_{column}", reset_less=True) for column in range(self.spec.cols)]
        for column, parameters in enumerate(in_use):
            waiting = Signal(self._width, name=f"waiting_{column}", reset_less=True)
            with m.If(accepted & (index == column // per_beat)):
                m.d.sync += waiting.eq(self.i.p.data.word_select(column % per_beat, self._width))
            with m.If(self.take):
                m.d.sync += parameters.eq(waiting)
        m.d.comb += self.o.eq(Cat(*in_use))
        return m
