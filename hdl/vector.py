"""The vector unit for depthwise layers: channels beside each other, each with activations and weights of its own."""

from amaranth.hdl import Cat, EnableInserter, Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .flags import flags_of
from .layout import output_beats
from .mac import a_bundle_width, accumulated, beat_sum, w_bundle_width
from .multiply import dot_product
from .output import OutputStage, output_latency
from .requantize import require_hardware
from .share import shared
from .stream import array_ports, connect_ports
from .vector_entry import VectorEntry
from .vector_layout import vector_inputs
from .weight_sets import WeightSets

BEFORE_SUMS = 2  # cycles in the entry
ACCUMULATOR = 1


def vector_latency(spec: Spec):
    """Cycles from a tile's last beat on `a` to its beat on `y`."""
    return BEFORE_SUMS + dot_product(spec).latency + ACCUMULATOR + output_latency(spec)


class Channel(wiring.Component):
    """acc = (0 if first else acc) + sum_l a[l] * w[l], on valid beats.

    The flags belong to the operands that came `latency` cycles before them. Overflow: none where the accumulator is
    exact; else it wraps, or saturates after each beat. Throughput one beat per cycle, and one sum per cycle where sums
    have one beat.
    """

    has_reset = True

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_channel"
        super().__init__(
            {
                "enable": In(1),
                "a_in": In(a_bundle_width(spec)),
                "w_in": In(w_bundle_width(spec)),
                "flags_in": In(flags_of(spec)),
                "acc": Out(signed(spec.accumulator_width)),
            }
        )

    @property
    def latency(self):
        return dot_product(self.spec).latency

    def elaborate(self, platform):
        m = Module()
        acc = Signal(signed(self.spec.accumulator_width), name="held", reset_less=True)
        total = accumulated(m, self.spec, self.flags_in, acc, beat_sum(m, self.spec, self.a_in, self.w_in))
        with m.If(self.flags_in.valid):
            m.d.sync += acc.eq(total)
        m.d.comb += self.acc.eq(acc)
        return EnableInserter(self.enable)(m)


class VectorUnit(wiring.Component):
    """y[m, n] = requantize(sum_k a[m, k, n] * w[k, n]) on `cols` channels of `lanes` products each.

    Streams (hdl/vector_layout.py): `a` brings the beats of each tile, which is one sum of every channel, `last` on the
    final one. `w` and, where the design takes parameters, `p` bring one set for each tile without `keep`, in order,
    which stay in use for the tiles with `keep` that follow; a set is loaded while the one before is in use. `y` gives
    one beat per tile, always `last`. `unsorted`, where there are thresholds, rises until reset when some come out of
    order.

    Throughput one beat per cycle, tiles without a gap. A stall on `y` holds the unit; a weight set that is late holds
    `a`; a parameter set that is late holds what is before the requantizers, while outputs before it go on.
    """

    has_reset = True

    def __init__(self, spec: Spec):
        require_hardware(spec)
        self.spec = spec
        self.module_name = f"{spec.name}_array"
        super().__init__(array_ports(spec, vector_inputs(spec), output_beats(spec)))

    @property
    def latency(self):
        """Cycles from a tile's last beat on `a` to its beat on `y`."""
        return vector_latency(self.spec)

    def elaborate(self, platform):
        m = Module()
        enable = Signal()
        weights, entry, output = WeightSets(self.spec), VectorEntry(self.spec), OutputStage(self.spec)
        m.submodules.weights = shared(platform, weights)
        m.submodules.entry = shared(platform, entry)
        m.submodules.output_stage = shared(platform, output)
        connect_ports(m, entry, self, ("a",))
        connect_ports(m, output, self, ("p", "y", "unsorted"))
        wiring.connect(m, weights.i, wiring.flipped(self.w))
        m.d.comb += [
            enable.eq(output.enable),
            entry.enable.eq(enable),
            entry.loaded.eq(weights.loaded),
            entry.weights.eq(weights.o),
            weights.swap.eq(entry.swap),
            weights.read.eq(entry.read),
            weights.index.eq(entry.index),
        ]
        flags, ends = self._flags(m, enable, entry, output)
        m.d.comb += [output.valid.eq(ends), output.last.eq(ends)]
        m.d.comb += output.acc.eq(self._channels(m, platform, enable, entry, flags))
        return m

    def _flags(self, m, enable, entry, output):
        """The flags in time for the accumulators, and whether these hold the end of a tile. Takes parameters."""
        cycles, bits = dot_product(self.spec).latency, flags_of(self.spec).size
        line = Signal(cycles * bits, name="flags_line")
        takes = Signal(cycles, name="takes_line")
        ends = Signal()
        flags = data.View(flags_of(self.spec), line[(cycles - 1) * bits :])
        with m.If(enable):
            m.d.sync += [line.eq(Cat(entry.flags, line)), takes.eq(Cat(entry.takes, takes)), ends.eq(flags.last)]
        m.d.comb += output.take.eq(takes[-1])
        return flags, ends

    def _channels(self, m, platform, enable, entry, flags):
        """The accumulators of all channels, the last one's first."""
        spec, sums = self.spec, []
        for index in range(spec.cols):
            channel = Channel(spec)
            m.submodules[f"channel_{index}"] = shared(platform, channel)
            m.d.comb += [
                channel.enable.eq(enable),
                channel.a_in.eq(entry.a_out.word_select(index, a_bundle_width(spec))),
                channel.w_in.eq(entry.w_out.word_select(index, w_bundle_width(spec))),
                channel.flags_in.eq(flags),
            ]
            sums.append(channel.acc)
        return Cat(reversed(sums))
