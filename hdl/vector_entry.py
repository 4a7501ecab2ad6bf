"""Where beats enter the vector unit: activations meet the weights that are held for them."""

from amaranth.hdl import EnableInserter, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .entry import activation_bundles, weight_bundles
from .flags import flags_of
from .layout import w_beat
from .mac import a_bundle_width, w_bundle_width
from .stream import packet
from .vector_layout import channel_a_beat, weight_set_beats


class VectorEntry(wiring.Component):
    """Takes A beats, reads the weights that belong to them, and decodes both. Latency 2, throughput 1.

    `read`, `index`, `swap` and `loaded` are those of the weight sets, and `weights` what they give: a tile without
    `keep` waits until a set is loaded and swaps it in with its first beat. `takes` goes with the flags: the last beat
    of a tile that takes new parameters.
    """

    has_reset = True

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_entry"
        self._beat = channel_a_beat(spec)
        super().__init__(
            {
                "enable": In(1),
                "a": In(stream.Signature(packet(self._beat.width))),
                "loaded": In(1),
                "swap": Out(1),
                "read": Out(1),
                "index": Out(range(weight_set_beats(spec))),
                "weights": In(w_beat(spec).width),
                "a_out": Out(spec.cols * a_bundle_width(spec)),
                "w_out": Out(spec.cols * w_bundle_width(spec)),
                "flags": Out(flags_of(spec)),
                "takes": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        keep = self.a.p.data[next(field.offset for field in self._beat.fields if field.name == "keep")]
        first, index = Signal(init=1, name="first"), Signal.like(self.index, name="place")
        swaps, accepted = Signal(name="swaps"), Signal(name="accepted")
        m.d.comb += [
            swaps.eq(first & ~keep),
            accepted.eq(self.a.valid & self.enable & (self.loaded | ~swaps)),
            self.a.ready.eq(accepted),
            self.read.eq(accepted),
            self.swap.eq(accepted & swaps),
            self.index.eq(index),
        ]
        with m.If(accepted):
            m.d.sync += [first.eq(self.a.p.last), index.eq(Mux(self.a.p.last, 0, index + 1))]
        flags, takes = Signal(self.flags.shape(), name="flags_now"), Signal(name="takes_now")
        m.d.sync += [flags.valid.eq(accepted), flags.first.eq(first), flags.last.eq(accepted & self.a.p.last)]
        m.d.sync += takes.eq(accepted & self.a.p.last & ~keep)
        flags_held, takes_held = Signal(self.flags.shape(), name="flags_held"), Signal(name="takes_held")
        m.d.sync += [flags_held.eq(flags), takes_held.eq(takes)]
        m.d.comb += [self.flags.eq(flags_held), self.takes.eq(takes_held)]
        self._operands(m)
        return EnableInserter(self.enable)(m)

    def _operands(self, m):
        spec = self.spec
        beat = Signal(self._beat.width, reset_less=True)
        m.d.sync += beat.eq(self.a.p.data)
        a_held = Signal(self.a_out.shape(), reset_less=True)
        w_held = Signal(self.w_out.shape(), reset_less=True)
        m.d.sync += a_held.eq(activation_bundles(m, spec, beat, spec.cols))
        m.d.sync += w_held.eq(weight_bundles(m, spec, self.weights))
        m.d.comb += [self.a_out.eq(a_held), self.w_out.eq(w_held)]
