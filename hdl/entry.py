"""Where beats enter the array: joined, decoded, marked as first and last of their tile."""

from amaranth.hdl import Cat, EnableInserter, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .block_operands import beside, marked
from .bricks import activation_words, weight_words
from .codebook import CodebookColumn, CodebookLoader
from .decode import decoded
from .element import marks_late
from .flags import beats_per_block, flags_of, has_blocks
from .layout import a_beat, c_beat, c_beats, has_pad_mark, lane_formats, marks, w_beat
from .mac import a_bundle_width, w_bundle_width
from .multiply import dot_product
from .share import shared
from .specials import decodable
from .stream import packet
from .trits import TritRegister
from .words import unused


class Entry(wiring.Component):
    """Joins a beat of A and a beat of W, decodes them, and tells the first and the last beat of a tile.

    Waits with a tile's last beat until `rows` cycles after the previous one, so that drained accumulators never meet.
    A tile ends where either stream says `last`; they must agree. With blocks, counts their beats, and lets scales and
    marks of no numbers leave as late as the elements want them. Latency 1.

    Codes of a codebook are looked up here; `c` brings the tables, and no tile begins before its own are complete.
    """

    has_reset = True

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_entry"
        tables = {"c": In(stream.Signature(packet(c_beat(spec).width)))} if c_beats(spec) else {}
        super().__init__(
            tables
            | {
                "enable": In(1),
                "a": In(stream.Signature(packet(a_beat(spec).width))),
                "w": In(stream.Signature(packet(w_beat(spec).width))),
                "a_out": Out(spec.rows * a_bundle_width(spec)),
                "w_out": Out(spec.cols * w_bundle_width(spec)),
                "flags": Out(flags_of(spec)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        rows = self.spec.rows
        accepted, last, held = Signal(), Signal(), Signal()
        m.d.comb += last.eq(self.a.p.last | self.w.p.last)
        gap = Signal(range(rows))
        if rows > 1:
            m.d.comb += held.eq(last & (gap != 0))
            with m.If(accepted & last):
                m.d.sync += gap.eq(rows - 1)
            with m.Elif(gap != 0):
                m.d.sync += gap.eq(gap - 1)
        offered = self.a.valid & self.w.valid & self.enable & ~held
        tables = self._tables(m, platform, accepted & last) if c_beats(self.spec) else None
        m.d.comb += [
            accepted.eq(offered if tables is None else offered & tables.ready),
            self.a.ready.eq(accepted),
            self.w.ready.eq(accepted),
        ]
        flags, ends = self._flags(m, accepted, last)
        a_held = Signal(self.a_out.shape(), reset_less=True)
        activations = self._activations(m)
        m.d.sync += a_held.eq(self._with_marks(m, "a", activations, self.a.p.data, ends))
        m.d.comb += [self.flags.eq(flags), self.a_out.eq(a_held)]
        m.d.comb += self.w_out.eq(self._weights(m, platform, tables, ends))
        return EnableInserter(self.enable)(m)

    def _flags(self, m, accepted, last):
        """The flags of the beat before, and whether this one ends a block."""
        layout, blocks = flags_of(self.spec), has_blocks(self.spec)
        first = Signal(init=1)
        flags = Signal(layout)
        ends = Signal()
        with m.If(accepted & ends if blocks else accepted):
            m.d.sync += first.eq(last)
        if "valid" in layout.members:
            m.d.sync += flags.valid.eq(accepted)
        m.d.sync += [flags.first.eq(first), flags.last.eq(accepted & last)]
        carried = [field for field in a_beat(self.spec).fields if field.name in marks(self.spec)]
        m.d.sync += [flags[field.name].eq(self.a.p.data[field.offset]) for field in carried]
        if blocks:
            begins = self._block_ends(m, accepted, last, ends)
            m.d.sync += flags.end.eq(accepted & ends)
            if "begin" in layout.members:
                m.d.sync += flags.begin.eq(begins)
        return flags, ends

    def _block_ends(self, m, accepted, last, ends):
        """`ends` with the beat that ends a block: after its beats, or with the tile. Returns whether it begins one."""
        beats = beats_per_block(self.spec)
        beat = Signal(range(beats))
        m.d.comb += ends.eq(last | (beat == beats - 1))
        with m.If(accepted):
            m.d.sync += beat.eq(Mux(ends, 0, beat + 1))
        return beat == 0

    def _with_marks(self, m, which, operands, bits, ends):
        """The operands of each row or column, with what blocks put behind them."""
        if not beside(self.spec, which).size:
            return operands
        fields = (a_beat if which == "a" else w_beat)(self.spec).split(bits)
        count, late = self.spec.rows if which == "a" else self.spec.cols, marks_late(self.spec)
        scales = _parts(fields[f"{which}_block_scale"], count) if f"{which}_block_scale" in fields else [None] * count
        parts = zip(_parts(operands, count), _parts(fields[which], count), scales, strict=True)
        return Cat(
            Cat(part, marked(m, self.spec, which, codes, scale, ends, late, f"{which}_{index}"))
            for index, (part, codes, scale) in enumerate(parts)
        )

    def _activations(self, m):
        if self.spec.array == "scalable":
            return activation_words(self.spec, self.a.p.data)
        return activation_bundles(m, self.spec, self.a.p.data, self.spec.rows)

    def _weights(self, m, platform, tables, ends):
        """The operands of W one cycle later."""
        if self.spec.w_packing == "trits":
            return self._trits(m, platform)
        looked_up = None if tables is None else self._looked_up(m, platform, tables)
        held = Signal(self.w_out.shape(), name="w_held", reset_less=True)
        operands = self._weight_bundles(m) if looked_up is None else looked_up
        m.d.sync += held.eq(self._with_marks(m, "w", operands, self.w.p.data, ends))
        return held

    def _weight_bundles(self, m):
        if self.spec.array == "scalable":
            return weight_words(self.spec, self.a.p.data, self.w.p.data)
        return weight_bundles(m, self.spec, self.w.p.data)

    def _trits(self, m, platform):
        """The operands of W one cycle later, from bytes of five trits."""
        trits = []
        for index in range(len(self.w.p.data) // 8):
            register = TritRegister(self.spec)
            m.submodules[f"trits_{index}"] = shared(platform, register)
            m.d.comb += [register.enable.eq(self.enable), register.i.eq(self.w.p.data.word_select(index, 8))]
            trits.append(register.o)
        operands, used = Cat(trits), len(self.w_out)
        if used < len(operands):
            m.d.comb += unused(operands[used:], "trits")
        return operands[:used]

    def _tables(self, m, platform, ends):
        """What loads the codebooks; `ends` tells that a tile's last beat is taken."""
        loader = CodebookLoader(self.spec)
        m.submodules.tables = shared(platform, loader)
        wiring.connect(m, loader.c, wiring.flipped(self.c))
        m.d.comb += [loader.enable.eq(self.enable), loader.ends.eq(ends)]
        return loader

    def _looked_up(self, m, platform, tables):
        """The entries that codes of W stand for."""
        entries = []
        for index in range(self.spec.cols):
            column = CodebookColumn(self.spec)
            m.submodules[f"table_{index}"] = shared(platform, column)
            m.d.comb += [
                column.told.eq(tables.told.word_select(index, len(column.told.as_value()))),
                column.codes.eq(self.w.p.data.word_select(index, len(column.codes))),
            ]
            entries.append(column.entries)
        return Cat(entries)


def activation_bundles(m, spec: Spec, bits, groups):
    """The activations of an A beat as the array wants them: for each row or channel, `lanes` of them and the pad mark.

    `bits` are those of a beat with codes for `groups` rows or channels.
    """
    codes = bits[: groups * spec.lanes * lane_formats(spec)[0].width]
    end = len(bits) - (groups * spec.a_block_scale.width if spec.a_block_scale else 0)
    zero_point = bits[end - spec.activations.width : end] if spec.a_zero_point else None
    if "a" in dot_product(spec).coded:
        operands = codes
    else:
        codes_of_numbers = decodable(m, codes, spec.activations)
        operands = decoded(m, codes_of_numbers, spec.activations, spec.a_range, zero_point, "a")
    if not has_pad_mark(spec):
        return operands
    return Cat(Cat(operands.word_select(group, spec.lanes), bits[len(codes)]) for group in range(groups))


def weight_bundles(m, spec: Spec, bits):
    """The weights of a W beat as the array wants them, `lanes` for each column."""
    codes = bits[: spec.cols * spec.lanes * lane_formats(spec)[1].width]
    if spec.w_block_zero_point:
        columns = zip(_parts(codes, spec.cols), _parts(bits[-spec.cols * spec.weights.width :], spec.cols), strict=True)
        return Cat(
            decoded(m, column, spec.weights, spec.w_range, zero_point, f"w_{index}")
            for index, (column, zero_point) in enumerate(columns)
        )
    if "w" in dot_product(spec).coded:
        return codes
    end = len(bits) - (spec.cols * spec.w_block_scale.width if spec.w_block_scale else 0)
    zero_point = bits[end - spec.weights.width : end] if spec.w_zero_point else None
    return decoded(m, decodable(m, codes, spec.weights), spec.weights, spec.w_range, zero_point, "w")


def _parts(value, count):
    return [value.word_select(index, len(value) // count) for index in range(count)]
