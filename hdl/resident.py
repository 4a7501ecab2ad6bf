"""Parameters that stay: a set for each fold of a layer, loaded once, in memory; two layers' sets, one in use."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .layout import p_beat
from .matrix_vector_layout import fold_parameter_beats, most_folds
from .output import OutputStage
from .requantize import parameter_layout
from .share import shared
from .stream import packet
from .thresholds import load_gap, out_of_order, places


class ResidentParameters(wiring.Component):
    """Takes a layer's parameters from `i`, fold after fold, `last` on the final beat; gives those of each row, `o`.

    `loaded` tells that a whole layer's wait; `take` (only while `loaded`) says that the rows of that layer have begun.
    `row` comes one cycle before the accumulators of a fold, `set_begins` on the first row of a layer, `vector_ends` on
    the last fold of a vector: `o` is what that row needs, from the next cycle on, until another row comes. Loading goes
    on when the first row of a layer has come, `load_gap` enabled cycles later where thresholds are searched.

    `o` has the parameters of all columns side by side; of thresholds, what every column hears (`parameter_layout`), the
    memories being in the columns, and `unsorted` rises, until reset, with one below its predecessor.
    """

    has_reset = True

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_parameters"
        self._width = p_beat(spec).width // spec.cols
        ports = {
            "i": In(stream.Signature(packet(p_beat(spec).width))),
            "enable": In(1),
            "take": In(1),
            "loaded": Out(1),
            "row": In(1),
            "set_begins": In(1),
            "vector_ends": In(1),
            "o": Out(spec.cols * parameter_layout(spec).size),
        }
        super().__init__(ports | ({"unsorted": Out(1)} if spec.threshold_count else {}))

    def elaborate(self, platform):
        m = Module()
        accepted, step, loading = self._loading(m)
        in_use = self._place(m)
        (self._told if self.spec.threshold_count else self._stored)(m, accepted, step, loading, in_use)
        return m

    def _loading(self, m):
        """Whether a beat is taken, its number within the fold, and the place of that fold."""
        steps = fold_parameter_beats(self.spec)
        gap = load_gap(self.spec) if self.spec.threshold_count else 1
        step, fold = Signal(range(steps), name="step"), Signal(range(most_folds(self.spec)), name="fold_loading")
        bank, loaded, in_flight = (Signal(name=name) for name in ("bank_loading", "set_loaded", "in_flight"))
        settling = Signal(range(gap))
        accepted, whole, begun = Signal(name="accepted"), Signal(name="whole"), Signal(name="begun")
        m.d.comb += [
            self.loaded.eq(loaded),
            self.i.ready.eq(~loaded & ~in_flight & (settling == 0)),
            accepted.eq(self.i.valid & self.i.ready),
            whole.eq(self.i.p.last | (step == steps - 1)),
            begun.eq(self.row & self.set_begins),
        ]
        with m.If(accepted):
            m.d.sync += [
                loaded.eq(self.i.p.last),
                step.eq(Mux(whole, 0, step + 1)),
                fold.eq(Mux(self.i.p.last, 0, fold + whole)),
            ]
        with m.If(self.take):
            m.d.sync += [loaded.eq(0), in_flight.eq(1), bank.eq(~bank)]
        with m.Elif(begun):
            m.d.sync += [in_flight.eq(0), settling.eq(gap - 1)]
        with m.Elif(self.enable & (settling != 0)):
            m.d.sync += settling.eq(settling - 1)
        return accepted, step, Cat(bank, fold)

    def _place(self, m):
        """The place of the row that comes now."""
        bank, current = Signal(init=1, name="bank_of_rows"), Signal(name="bank_in_use")
        fold = Signal(range(most_folds(self.spec)))
        m.d.comb += current.eq(bank ^ self.set_begins)
        with m.If(self.row):
            m.d.sync += [bank.eq(current), fold.eq(Mux(self.vector_ends, 0, fold + 1))]
        return Cat(current, fold)

    def _stored(self, m, accepted, step, loading, in_use):
        """One word per place, that of all columns."""
        m.submodules.store = store = memory.Memory(shape=len(self.o), depth=places(self.spec), init=[])
        write, read = store.write_port(), store.read_port()
        m.d.comb += [
            write.en.eq(accepted),
            write.addr.eq(loading),
            write.data.eq(self.i.p.data),
            read.en.eq(self.row),
            read.addr.eq(in_use),
            self.o.eq(read.data),
        ]

    def _told(self, m, accepted, step, loading, in_use):
        """Thresholds go to their columns, with the place that they belong to, beside that of the row."""
        width = self.spec.threshold_format.width
        place = Signal(range(places(self.spec)), reset_less=True)
        with m.If(self.row):
            m.d.sync += place.eq(in_use)
        values = [self.i.p.data.word_select(column, width).as_signed() for column in range(self.spec.cols)]
        m.d.comb += self.unsorted.eq(out_of_order(m, accepted, step, values))
        m.d.comb += self.o.eq(Cat(Cat(accepted, step, value, loading, place) for value in values))


class ResidentOutputStage(OutputStage):
    """An output stage whose parameters stay: `take` comes with every row, one cycle before its accumulators.

    `set_begins` and `vector_ends` come with `take`. `set_loaded` tells that the parameters of a whole layer wait,
    `set_taken` that its rows have begun; rows must not come before. So `enable` falls only while the output is held.
    """

    def parameter_ports(self):
        names = {"set_taken": In(1), "set_loaded": Out(1), "set_begins": In(1), "vector_ends": In(1)}
        return super().parameter_ports() | (names if self.spec.parameters else {})

    def parameters(self, m, platform, moves):
        """The parameters of the row that comes, all columns side by side; a row never waits for them."""
        if not self.spec.parameters:
            return None, 1
        kept = ResidentParameters(self.spec)
        m.submodules.parameters = shared(platform, kept)
        wiring.connect(m, kept.i, wiring.flipped(self.p))
        m.d.comb += [
            kept.enable.eq(moves),
            kept.take.eq(self.set_taken),
            self.set_loaded.eq(kept.loaded),
            kept.row.eq(self.take & moves),
            kept.set_begins.eq(self.set_begins),
            kept.vector_ends.eq(self.vector_ends),
        ]
        if self.spec.threshold_count:
            m.d.comb += self.unsorted.eq(kept.unsorted)
        return kept.o, 1
