"""The matrix-vector unit: weights in memory, one vector against all of them, fold after fold."""

from amaranth.hdl import Cat, Const, EnableInserter, Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from . import matrix_vector_timing as timing
from .decode import decoded
from .fold_sequence import FOLD_FLAGS, FoldSequence
from .layout import has_pad_mark
from .mac import a_shape, accumulated, beat_sum
from .matrix_vector_layout import is_sparse, most_beats, most_folds, mv_input_beats, mv_output_beats, takes_sets
from .multiply import dot_product
from .requantize import require_hardware
from .resident import ResidentOutputStage
from .share import shared
from .sparse import selected
from .stream import array_ports, connect_ports
from .vector_buffer import VectorBuffer
from .weight_memory import ColumnWeights, WeightLoader, column_word_width, extent_layout
from .weight_rom import StoredWeights, stored_words


def a_width(spec: Spec):
    """Bits of the activations of a beat as the columns take them: decoded, and the pad mark where there is one."""
    return spec.beat_depth * a_shape(spec).width + has_pad_mark(spec)


class FoldColumn(wiring.Component):
    """acc = (0 if first else acc) + sum_l a[l] * w[l], on valid beats: one output of each fold.

    `word` and `w_zero_point` come one cycle before the decoded activations `a` they belong to; `valid` and `first` as
    many cycles after `a` as `latency` says. Sparse weights choose their activations by their positions first.

    Overflow: none where the accumulator is exact; else it wraps, or saturates after each beat, as the spec says.
    Throughput one beat per cycle. `enable` low holds all.
    """

    has_reset = False

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_pe"
        ports = {
            "enable": In(1),
            "a": In(a_width(spec)),
            "word": In(column_word_width(spec)),
            "valid": In(1),
            "first": In(1),
            "acc": Out(signed(spec.accumulator_width)),
        }
        super().__init__(ports | ({"w_zero_point": In(spec.weights.width)} if spec.w_zero_point else {}))

    @property
    def latency(self):
        """Cycles from activations to the accumulator's input."""
        return timing.column_latency(self.spec)

    def elaborate(self, platform):
        m = Module()
        acc = Signal(signed(self.spec.accumulator_width), name="sum", reset_less=True)
        total = accumulated(m, self.spec, self, acc, self._beat_sum(m))
        with m.If(self.valid):
            m.d.sync += acc.eq(total)
        m.d.comb += self.acc.eq(acc)
        return EnableInserter(self.enable)(m)

    def _beat_sum(self, m):
        spec = self.spec
        bits = spec.lanes * spec.weights.width
        weights = self.word[:bits]
        if "w" not in dot_product(spec).coded:
            zero_point = self.w_zero_point if spec.w_zero_point else None
            weights = decoded(m, weights, spec.weights, spec.w_range, zero_point, "decoded")
        w = Signal(len(weights), name="weights", reset_less=True)
        m.d.sync += w.eq(weights)
        if not is_sparse(spec):
            return beat_sum(m, spec, self.a, w)
        positions = Signal(2 * spec.lanes, reset_less=True)
        m.d.sync += positions.eq(self.word[bits:])
        return beat_sum(m, spec, *selected(m, self.a, a_shape(spec).width, w, positions))


class MatrixVector(wiring.Component):
    """Y = requantize(A @ W), vector by vector, on `cols` elements of `lanes` products (layout of the beats:
    hdl/matrix_vector_layout.py).

    `w` brings the weights of a layer, `p` its parameters, both once; they stay until a vector on `a` with the mark
    `next` puts the next layer's in use, which may load meanwhile. `y` gives one beat of `cols` outputs per fold,
    `last` on a vector's last one. `unsorted`, where there are thresholds, rises until reset when some are out of order.

    A vector takes folds * beats cycles, beats being those of the vector; folds, vectors and layers follow each other
    without a gap. A stall on `y` holds what is under way; `a`, `w` and `p` are taken as long as there is room.
    """

    has_reset = True

    def __init__(self, spec: Spec):
        require_hardware(spec)
        self.spec = spec
        self.module_name = f"{spec.name}_array"
        super().__init__(array_ports(spec, mv_input_beats(spec), mv_output_beats(spec)))

    @property
    def latency(self):
        """Cycles from a vector's last beat on `a` to its first beat on `y`, all else being there."""
        return timing.latency(self.spec)

    def elaborate(self, platform):
        m = Module()
        spec = self.spec
        vectors, sequence, output = VectorBuffer(spec), FoldSequence(spec), ResidentOutputStage(spec)
        m.submodules.vectors = shared(platform, vectors)
        m.submodules.fold_sequence = shared(platform, sequence)
        m.submodules.output_stage = shared(platform, output)
        connect_ports(m, vectors, self, ("a",))
        connect_ports(m, output, self, ("p", "y", "unsorted"))
        m.d.comb += [
            sequence.enable.eq(output.enable),
            sequence.available.eq(vectors.available),
            vectors.index.eq(sequence.beat),
            vectors.read.eq(sequence.read),
            vectors.done.eq(sequence.done),
        ]
        words, loaded = self._weights(m, platform, sequence)
        if spec.parameters:
            m.d.comb += output.set_taken.eq(sequence.take)
            loaded = loaded & output.set_loaded
        if takes_sets(spec):
            m.d.comb += [sequence.next.eq(vectors.next), sequence.loaded.eq(loaded)]
        flags = self._flags(m, output, sequence.flags)
        self._columns(m, platform, output, self._activations(m, output.enable, vectors), words, vectors, flags)
        return m

    def _weights(self, m, platform, sequence):
        """The word of each column, and whether a set of weights waits."""
        spec = self.spec
        if spec.stored_weights is not None:
            words = stored_words(spec)
            columns = [StoredWeights(spec, words, column) for column in range(spec.cols)]
            address, loaded = sequence.word, Const(1)
            last = {"last_beat": most_beats(spec) - 1, "last_fold": most_folds(spec) - 1}
            m.d.comb += sequence.extent.eq(extent_layout(spec).const(last))
        else:
            loader, columns = WeightLoader(spec), [ColumnWeights(spec) for _ in range(spec.cols)]
            m.submodules.weight_loader = shared(platform, loader)
            connect_ports(m, loader, self, ("w",))
            m.d.comb += [loader.take.eq(sequence.take), sequence.extent.eq(loader.extent)]
            address, loaded = Cat(loader.bank, sequence.word), loader.loaded
            for index, column in enumerate(columns):
                m.d.comb += [
                    column.write.eq(loader.write),
                    column.address.eq(loader.address),
                    column.word.eq(loader.words.word_select(index, column_word_width(spec))),
                ]
        for index, column in enumerate(columns):
            m.submodules[f"weights_{index}"] = shared(platform, column)
            m.d.comb += [column.read.eq(sequence.read), column.read_address.eq(address)]
        return [column.o for column in columns], loaded

    def _flags(self, m, output, flags):
        """The flags as late as the accumulators' inputs; those of rows go to the output stage."""
        line = Signal(data.ArrayLayout(FOLD_FLAGS, 1 + timing.column_latency(self.spec)), name="flags_line")
        late, row, valid, last = line[-1], Signal(name="row"), Signal(name="row_valid"), Signal(name="row_last")
        m.d.comb += row.eq(late.valid & late.last)
        with m.If(output.enable):
            m.d.sync += [line.eq(Cat(flags, line)), valid.eq(row), last.eq(late.vector_ends)]
        m.d.comb += [output.take.eq(row), output.valid.eq(valid), output.last.eq(last)]
        if self.spec.parameters:
            m.d.comb += [output.set_begins.eq(late.set_begins), output.vector_ends.eq(late.vector_ends)]
        return late

    def _activations(self, m, enable, vectors):
        """The beat's activations, decoded, one cycle after they were read."""
        spec = self.spec
        codes = vectors.o[: spec.beat_depth * spec.activations.width]
        pad = vectors.o[len(codes) :]
        zero_point = vectors.zero_points[: spec.activations.width] if spec.a_zero_point else None
        coded = "a" in dot_product(spec).coded
        operands = codes if coded else decoded(m, codes, spec.activations, spec.a_range, zero_point, "decoded")
        a = Signal(a_width(spec), name="activations", reset_less=True)
        with m.If(enable):
            m.d.sync += a.eq(Cat(operands, pad))
        return a

    def _columns(self, m, platform, output, a, words, vectors, flags):
        spec, sums = self.spec, []
        for index, word in enumerate(words):
            column = FoldColumn(spec)
            m.submodules[f"column_{index}"] = shared(platform, column)
            m.d.comb += [
                column.enable.eq(output.enable),
                column.a.eq(a),
                column.word.eq(word),
                column.valid.eq(flags.valid),
                column.first.eq(flags.first),
            ]
            if spec.w_zero_point:
                m.d.comb += column.w_zero_point.eq(vectors.zero_points[-spec.weights.width :])
            sums.append(column.acc)
        m.d.comb += output.acc.eq(Cat(*reversed(sums)))
