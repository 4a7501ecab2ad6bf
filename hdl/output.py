"""From accumulators to the output stream: parameter sets, requantizers, a buffer. Every kind of array ends in it."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .layout import p_beat, y_beat
from .parameters import ParameterBank
from .requantize import parameter_layout, requantizer, requantizer_latency
from .share import shared
from .stream import Skid, packet
from .thresholds import ThresholdLoader

BUFFER_LATENCY = 1


def output_latency(spec: Spec):
    """Cycles from the accumulators of one row to its beat on `y`."""
    return requantizer_latency(spec) + BUFFER_LATENCY


class OutputStage(wiring.Component):
    """One row of accumulators per cycle in, one beat of output codes out. Latency `output_latency`, throughput 1.

    `acc` holds one accumulator of each column, that of the last column first; `valid` and `last` belong to them.
    `take` comes one cycle before the first accumulators of a tile, and puts the next parameter set in use for them.
    `p` brings one set per tile; `y` gives the codes, with `last`.

    `enable` tells what is before this stage whether it may move in this cycle: not while the output is held, and not
    with a `take` whose set is not complete. What has come in goes on and out in the second case.
    """

    has_reset = True

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_output_stage"
        ports = {
            "acc": In(spec.cols * spec.accumulator_width),
            "valid": In(1),
            "last": In(1),
            "take": In(1),
            "enable": Out(1),
            "y": Out(stream.Signature(packet(y_beat(spec).width))),
        }
        super().__init__(ports | self.parameter_ports())

    def parameter_ports(self):
        """What comes in for parameters, and `unsorted` where they are thresholds."""
        ports = {"p": In(stream.Signature(packet(p_beat(self.spec).width)))} if self.spec.parameters else {}
        return ports | ({"unsorted": Out(1)} if self.spec.threshold_count else {})

    def elaborate(self, platform):
        m = Module()
        skid = Skid(f"{self.spec.name}_output", packet(y_beat(self.spec).width))
        m.submodules.output = shared(platform, skid)
        wiring.connect(m, skid.o, wiring.flipped(self.y))
        moves = skid.i.ready
        parameters, loaded = self.parameters(m, platform, moves)
        m.d.comb += self.enable.eq(moves & (loaded | ~self.take))
        valid, last = self._marks(m, moves)
        codes = self._requantizers(m, platform, moves, parameters)
        m.d.comb += [skid.i.p.data.eq(codes), skid.i.p.last.eq(last), skid.i.valid.eq(valid & moves)]
        return m

    def _marks(self, m, moves):
        """`valid` and `last` beside the requantizers. A row that stays before this stage passes once."""
        cycles, passed = requantizer_latency(self.spec), Signal()
        valid = Signal(cycles, name="valid_line")
        last = Signal(cycles, name="last_line")
        with m.If(moves):
            m.d.sync += [
                passed.eq(~self.enable),
                valid.eq(Cat(self.valid & ~passed, valid)),
                last.eq(Cat(self.last, last)),
            ]
        return valid[-1], last[-1]

    def parameters(self, m, platform, moves):
        """The parameters in use, all columns side by side, and whether a waiting set is complete."""
        if not self.spec.parameters:
            return None, 1
        bank = ThresholdLoader(self.spec) if self.spec.threshold_count else ParameterBank(self.spec)
        m.submodules.parameters = shared(platform, bank)
        wiring.connect(m, bank.i, wiring.flipped(self.p))
        m.d.comb += bank.take.eq(self.take & self.enable)
        if self.spec.threshold_count:
            m.d.comb += [bank.enable.eq(moves), self.unsorted.eq(bank.unsorted)]
        return bank.o, bank.loaded

    def _requantizers(self, m, platform, moves, parameters):
        spec = self.spec
        codes = Signal(y_beat(spec).width)
        width = parameter_layout(spec).size
        for index in range(spec.cols):
            component = requantizer(spec)
            m.submodules[f"requantize_{index}"] = shared(platform, component)
            m.d.comb += [
                component.enable.eq(moves),
                component.acc.eq(self.acc.word_select(spec.cols - 1 - index, spec.accumulator_width)),
                codes.word_select(index, spec.y.width).eq(component.y),
            ]
            if parameters is not None:
                m.d.comb += component.parameters.eq(parameters.word_select(index, width))
        return codes
