"""Thresholds: how they are loaded, and how a column counts those that its sum reaches."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .layout import p_beat
from .matrix_vector_layout import is_resident, most_folds
from .stream import packet
from .words import Word, add_tree, tree_levels


def levels(spec: Spec):
    """Comparisons that decide how many of the thresholds a sum reaches: one per bit of that number."""
    return spec.threshold_count.bit_length()


def load_gap(spec: Spec):
    """Cycles from the end of one tile's sums to the first threshold of the set after next."""
    return levels(spec) if spec.threshold_search == "binary" else 1


def threshold_latency(spec: Spec):
    """Cycles from an accumulator to its output code."""
    counting = levels(spec) if spec.threshold_search == "binary" else 1 + tree_levels(spec.threshold_count)
    return counting + 1


def threshold_layout(spec: Spec):
    """What every column hears while thresholds are loaded.

    `valid`: `value` is the threshold `index` of the set that is being loaded; `swap`: from the next cycle on that set
    is in use. Of sets that stay: the place of the set that is being loaded, and of that which the sum beside needs.
    """
    kept = {"loading": range(places(spec)), "in_use": range(places(spec))}
    loaded = {"index": range(spec.threshold_count), "value": signed(spec.threshold_format.width)}
    return data.StructLayout({"valid": 1} | (loaded | kept if is_resident(spec) else {"swap": 1} | loaded))


def places(spec: Spec):
    """Sets that a column has room for: one in use and one being loaded; where they stay, as many for each fold."""
    return 2 * most_folds(spec) if is_resident(spec) else 2


class ThresholdLoader(wiring.Component):
    """Takes sets of thresholds from `i`, one threshold of every column per beat, and hands them to the columns, `o`.

    A set has `spec.threshold_count` beats, or just one, with `last`, to go on with the set in use. `loaded` tells that
    a set waits; `take` (only while `loaded`) puts it in use. A set may begin to load `load_gap` enabled cycles later.
    `unsorted` rises, until reset, with a threshold that is below its predecessor.
    """

    has_reset = True

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_thresholds"
        super().__init__(
            {
                "enable": In(1),
                "i": In(stream.Signature(packet(p_beat(spec).width))),
                "take": In(1),
                "loaded": Out(1),
                "unsorted": Out(1),
                "o": Out(spec.cols * threshold_layout(spec).size),
            }
        )

    def elaborate(self, platform):
        m = Module()
        spec, gap = self.spec, load_gap(self.spec)
        index = Signal(range(spec.threshold_count))
        loaded, keeps, accepted = Signal(name="set_loaded"), Signal(name="keeps"), Signal(name="accepted")
        settling = Signal(range(gap))
        m.d.comb += [
            self.loaded.eq(loaded),
            self.i.ready.eq(~loaded & (settling == 0)),
            accepted.eq(self.i.valid & self.i.ready),
        ]
        with m.If(accepted):
            m.d.sync += [loaded.eq(self.i.p.last), index.eq(Mux(self.i.p.last, 0, index + 1))]
            if spec.threshold_count > 1:
                m.d.sync += keeps.eq(self.i.p.last & (index == 0))
        with m.If(self.take):
            m.d.sync += [loaded.eq(0), settling.eq(gap - 1)]
        with m.Elif(self.enable & (settling != 0)):
            m.d.sync += settling.eq(settling - 1)
        width = spec.threshold_format.width
        values = [self.i.p.data.word_select(column, width).as_signed() for column in range(spec.cols)]
        m.d.comb += self.unsorted.eq(out_of_order(m, accepted, index, values))
        told = [Cat(accepted, self.take & ~keeps, index, value) for value in values]
        m.d.comb += self.o.eq(Cat(told))
        return m


def out_of_order(m, accepted, index, values):
    """Rises, until reset, with a threshold, one of `values` for each column, below the one of its set before it."""
    unsorted, falls = Signal(name="out_of_order"), []
    for column, value in enumerate(values):
        before = Signal(value.shape(), name=f"before_{column}", reset_less=True)
        with m.If(accepted):
            m.d.sync += before.eq(value)
        falls.append(value < before)
    with m.If(accepted & (index != 0) & Cat(falls).any()):
        m.d.sync += unsorted.eq(1)
    return unsorted


class ThresholdCounter(wiring.Component):
    """y = smallest code + number of thresholds that are at most `acc`. Latency `threshold_latency`, throughput 1.

    Subclasses count. Two sets of thresholds, one in use and one being loaded, or as many for each fold of a layer;
    loading goes on while `enable` is low.
    """

    has_reset = True

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_requantize"
        super().__init__(
            {
                "enable": In(1),
                "acc": In(signed(spec.accumulator_width)),
                "parameters": In(threshold_layout(spec)),
                "y": Out(spec.y.width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        code = Signal(self.spec.y.width, reset_less=True)
        count = self._count(m)
        with m.If(self.enable):
            m.d.sync += code.eq(count + self.spec.clip_range[0])
        m.d.comb += self.y.eq(code)
        return m

    def _hold(self, m, value, shape, name):
        """A value one enabled cycle later."""
        stage = Signal(shape, name=name, reset_less=True)
        with m.If(self.enable):
            m.d.sync += stage.eq(value)
        return stage


class BinarySearch(ThresholdCounter):
    """One comparison per cycle and bit of the count, the highest bit first, each with a memory of its own.

    Level l decides the bit of weight 2**(levels - 1 - l) and holds the 2**l thresholds that this may be compared with.
    """

    def _count(self, m):
        spec, depth = self.spec, levels(self.spec)
        in_use, loading = self._places(m)
        acc, decided = self.acc, Const(0, 0)
        for level in range(depth):
            reached = self._reached(m, level, acc, in_use, decided, loading)
            decided = self._hold(m, Cat(reached, decided), level + 1, f"decided_{level}")
            if level + 1 < depth:
                acc = self._hold(m, acc, signed(spec.accumulator_width), f"acc_{level}")
                in_use = self._hold(m, in_use, len(in_use), f"bank_{level}")
        return decided

    def _places(self, m):
        """Which of the sets is in use for the sum that comes now, and which is being loaded."""
        if is_resident(self.spec):
            return self.parameters.in_use, self.parameters.loading
        bank = Signal()
        with m.If(self.parameters.swap):
            m.d.sync += bank.eq(~bank)
        return bank, ~bank

    def _reached(self, m, level, acc, bank, decided, loading):
        """Whether the sum reaches the threshold in the middle of those that are still in question."""
        spec, below = self.spec, levels(self.spec) - 1 - level
        m.submodules[f"level_{level}"] = store = memory.Memory(
            shape=signed(spec.threshold_format.width), depth=places(spec) << level, init=[]
        )
        write, read = store.write_port(), store.read_port(domain="comb")
        ordinal = Signal(levels(spec), name=f"ordinal_{level}")  # the count that the arriving threshold begins
        m.d.comb += [
            ordinal.eq(self.parameters.index + 1),
            write.en.eq(self.parameters.valid & (ordinal[: below + 1] == 1 << below)),
            write.addr.eq(Cat(ordinal[below + 1 :], loading)),
            write.data.eq(self.parameters.value),
            read.addr.eq(Cat(decided, bank)),
        ]
        reaches = acc >= read.data
        if spec.threshold_count + 1 == 1 << levels(spec):
            return reaches
        within = Cat(Const(1 << below, below + 1), decided) <= spec.threshold_count
        return reaches & within


class ParallelCount(ThresholdCounter):
    """All comparisons at once, thresholds in registers (where they stay: in memories), and the sum of what they say."""

    def _count(self, m):
        spec, flags = self.spec, []
        threshold = self._kept if is_resident(spec) else self._in_use
        for index in range(spec.threshold_count):
            reached = self.acc >= threshold(m, index, self.parameters.valid & (self.parameters.index == index))
            flags.append(Word(self._hold(m, reached, 1, f"reached_{index}"), 0, 1))
        with m.If(self.enable):
            return add_tree(m, flags, "count").value

    def _in_use(self, m, index, arrives):
        """The threshold in use, of two."""
        shape = signed(self.spec.threshold_format.width)
        waiting, in_use = (Signal(shape, name=f"{name}_{index}", reset_less=True) for name in ("waiting", "in_use"))
        with m.If(arrives):
            m.d.sync += waiting.eq(self.parameters.value)
        with m.If(self.parameters.swap):
            m.d.sync += in_use.eq(waiting)
        return in_use

    def _kept(self, m, index, arrives):
        """The threshold of the sum's fold, from a memory."""
        shape = signed(self.spec.threshold_format.width)
        m.submodules[f"threshold_{index}"] = store = memory.Memory(shape=shape, depth=places(self.spec), init=[])
        write, read = store.write_port(), store.read_port(domain="comb")
        m.d.comb += [
            write.en.eq(arrives),
            write.addr.eq(self.parameters.loading),
            write.data.eq(self.parameters.value),
            read.addr.eq(self.parameters.in_use),
        ]
        return read.data


def threshold_counter(spec: Spec) -> ThresholdCounter:
    """The counter that the spec asks for."""
    return {"binary": BinarySearch, "parallel": ParallelCount}[spec.threshold_search](spec)
