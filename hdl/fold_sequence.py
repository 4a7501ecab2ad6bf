"""Which activations meet which weights: beat after beat of a vector, fold after fold of a layer."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .matrix_vector_layout import most_beats, most_folds, takes_sets
from .weight_memory import extent_layout, most_words

FOLD_FLAGS = data.StructLayout({"valid": 1, "first": 1, "last": 1, "vector_ends": 1, "set_begins": 1})


class FoldSequence(wiring.Component):
    """Reads one beat of the vector and one word of weights per cycle, as long as `available` and `enable` say so.

    `read` goes with `beat`, the beat of the vector, and `word`, the word of the set; `done` with the vector's last
    one. A vector with the mark `next`, and the first after reset, waits until a set is `loaded` and puts it in use:
    `take`, in the cycle of its first beat. So neither folds nor vectors nor sets leave a cycle unused.

    `flags` belong to what was read in the cycle before: `first` and `last` of a fold, `vector_ends` with the last fold,
    `set_begins` in all beats of a set's first one.
    """

    has_reset = True

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_sequence"
        sets = {"next": In(1), "loaded": In(1), "take": Out(1)} if takes_sets(spec) else {}
        super().__init__(
            sets
            | {
                "enable": In(1),
                "available": In(1),
                "extent": In(extent_layout(spec)),
                "read": Out(1),
                "done": Out(1),
                "beat": Out(range(most_beats(spec))),
                "word": Out(range(most_words(spec))),
                "flags": Out(FOLD_FLAGS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        beat, word = Signal.like(self.beat, name="beat_now"), Signal.like(self.word, name="word_now")
        fold = Signal(range(most_folds(self.spec)))
        names = ("begun", "begins", "takes", "reads", "fold_ends", "vector_ends_now")
        begun, begins, takes, reads, fold_ends, vector_ends = (Signal(name=name) for name in names)
        loaded = self._takes(m, begins, takes, reads)
        m.d.comb += [
            begins.eq(word == 0),
            reads.eq(self.enable & self.available & (loaded | ~takes)),
            fold_ends.eq(beat == self.extent.last_beat),
            vector_ends.eq(fold_ends & (fold == self.extent.last_fold)),
            self.read.eq(reads),
            self.done.eq(vector_ends),
            self.beat.eq(beat),
            self.word.eq(word),
        ]
        with m.If(reads):
            m.d.sync += [
                begun.eq((takes | begun) & ~fold_ends),
                beat.eq(Mux(fold_ends, 0, beat + 1)),
                word.eq(Mux(vector_ends, 0, word + 1)),
                fold.eq(Mux(vector_ends, 0, fold + fold_ends)),
            ]
        flags = Signal(FOLD_FLAGS)
        with m.If(self.enable):
            m.d.sync += flags.eq(Cat(reads, beat == 0, fold_ends, vector_ends, takes | begun))
        m.d.comb += self.flags.eq(flags)
        return m

    def _takes(self, m, begins, takes, reads):
        """Whether this vector puts the next set in use; returns whether one waits. Of stored sets, none ever does."""
        if not takes_sets(self.spec):
            return Const(1)
        active = Signal()
        with m.If(reads):
            m.d.sync += active.eq(1)
        m.d.comb += [takes.eq(begins & (self.next | ~active)), self.take.eq(reads & takes)]
        return self.loaded
