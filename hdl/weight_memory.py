"""Weights on the chip: sets that come over a stream, one in use and one being loaded."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .matrix_vector_layout import is_sparse, most_beats, most_folds, mv_w_beat
from .stream import packet


def extent_layout(spec: Spec):
    """How long a set is: the index of each fold's last word, and of the last fold."""
    return data.StructLayout({"last_beat": range(most_beats(spec)), "last_fold": range(most_folds(spec))})


def most_words(spec: Spec):
    """Words of the largest set."""
    return most_beats(spec) * most_folds(spec)


def column_word_width(spec: Spec):
    """Bits of one column's part of a word: its weights, then their positions where they are sparse."""
    return spec.lanes * (spec.weights.width + 2 * is_sparse(spec))


def column_words(spec: Spec, bits):
    """The parts of a word on the stream, one for each column."""
    weights = spec.lanes * spec.weights.width
    positions = bits[spec.cols * weights :]
    return [
        Cat(bits.word_select(column, weights), positions.word_select(column, 2 * spec.lanes) if is_sparse(spec) else 0)[
            : column_word_width(spec)
        ]
        for column in range(spec.cols)
    ]


class WeightLoader(wiring.Component):
    """Takes sets of words from `w` and says where to write them; counts how many folds and words per fold they have.

    `loaded` tells that a set waits. `take` (only while `loaded`) puts it in use in that very cycle; the next set may
    begin to load in the cycle after. `bank` and `extent` are those of the set in use, in that cycle already.
    Words go to address {word, bank} of each column's memory: `write`, `address`, `words`. Throughput one per cycle. A
    set of too many words loses or overwrites some.
    """

    has_reset = True

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_weight_loader"
        super().__init__(
            {
                "w": In(stream.Signature(packet(mv_w_beat(spec).width))),
                "loaded": Out(1),
                "take": In(1),
                "bank": Out(1),
                "extent": Out(extent_layout(spec)),
                "write": Out(1),
                "address": Out(range(2 * most_words(spec))),
                "words": Out(spec.cols * column_word_width(spec)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        spec, payload = self.spec, self.w.p
        loading, loaded, accepted, fold_ends = (
            Signal(name=name) for name in ("loading", "set_loaded", "accepted", "fold_ends")
        )
        word, beat, fold = (
            Signal(range(size), name=name)
            for name, size in (("word", most_words(spec)), ("beat", most_beats(spec)), ("fold", most_folds(spec)))
        )
        waiting, in_use = (Signal(extent_layout(spec), name=name, reset_less=True) for name in ("waiting", "in_use"))
        m.d.comb += [
            self.w.ready.eq(~loaded),
            accepted.eq(self.w.valid & self.w.ready),
            fold_ends.eq(payload.data[-1] | payload.last),
            self.loaded.eq(loaded),
            self.bank.eq(loading ^ ~self.take),
            self.extent.eq(Mux(self.take, waiting.as_value(), in_use.as_value())),
        ]
        with m.If(accepted):
            m.d.sync += [
                loaded.eq(payload.last),
                word.eq(Mux(payload.last, 0, word + 1)),
                beat.eq(Mux(fold_ends, 0, beat + 1)),
                fold.eq(Mux(payload.last, 0, fold + fold_ends)),
                waiting.last_beat.eq(beat),
                waiting.last_fold.eq(fold),
            ]
        with m.If(self.take):
            m.d.sync += [loaded.eq(0), loading.eq(~loading), in_use.eq(waiting)]
        m.d.comb += [
            self.write.eq(accepted),
            self.address.eq(Cat(loading, word)),
            self.words.eq(Cat(column_words(spec, payload.data))),
        ]
        return m


class ColumnWeights(wiring.Component):
    """The words of one column, two sets. `read` makes `o` the word at `read_address` from the next cycle on."""

    has_reset = False

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_weights"
        addresses = range(2 * most_words(spec))
        super().__init__(
            {
                "write": In(1),
                "address": In(addresses),
                "word": In(column_word_width(spec)),
                "read": In(1),
                "read_address": In(addresses),
                "o": Out(column_word_width(spec)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width, depth = column_word_width(self.spec), 2 * most_words(self.spec)
        m.submodules.store = store = memory.Memory(shape=width, depth=depth, init=[])
        write, read = store.write_port(), store.read_port()
        m.d.comb += [
            write.en.eq(self.write),
            write.addr.eq(self.address),
            write.data.eq(self.word),
            read.en.eq(self.read),
            read.addr.eq(self.read_address),
            self.o.eq(read.data),
        ]
        return m
