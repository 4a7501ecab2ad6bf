"""The processing element of blocks: a dot product, the exact sum of a block, its scale, and an accumulator of sums."""

from dataclasses import dataclass

from amaranth.hdl import Const, Mux, Signal

from golden.spec import Spec

from .block_operands import fields_of
from .block_path import path_of
from .block_scale import product_latency, scale_product
from .flags import beats_per_block
from .mac import ProcessingElement, a_shape, split, w_shape
from .multiply import dot_product
from .pipeline import Pipeline
from .specials import Marks, beat_marks
from .words import Word, add, shape_of


@dataclass(frozen=True)
class BlockTiming:
    """Cycles in an element of blocks, each counted from the operands.

    sums : until the sum of a beat, with which the flags `valid` and `begin` come, and the mark `nan`.
    scales : until the scale codes come. ready : until the sum of a block enters its path.
    terms : until the path has what the accumulator adds, with which the flags `end`, `first` and `last` come.
    """

    sums: int
    scales: int
    ready: int
    terms: int


def block_timing(spec: Spec):
    """The cycles of a spec's elements. A sum waits where its scale takes longer."""
    path, sums = path_of(spec), dot_product(spec).latency
    ready = sums + (beats_per_block(spec) > 1)
    scales = ready + path.wait - product_latency(spec)
    ready -= min(scales, 0)
    return BlockTiming(sums, max(scales, 0), ready, ready + path.latency)


class BlockElement(ProcessingElement):
    """On valid beats sum = (0 if begin else sum) + sum_l a[l] * w[l]; on `end` acc = (0 if first else acc) + scaled

    where scaled is sum times its scale. The sum of a block is exact. With block_sum "exact" its scale multiplies it
    exactly and acc is an integer that holds all sums; with "float32" it is rounded to float32, multiplied by the
    product of its scales in float32, and added in float32, in order of the blocks: NaN and infinities as IEEE 754 has
    them. That addition takes one cycle and is the critical path. Operands, flags and drain pass on as in any element;
    BlockTiming tells which flags belong to operands of how many cycles before.

    Latency `latency` from operands to the accumulator's input, throughput one beat per cycle. `enable` low holds all.
    """

    def __init__(self, spec: Spec):
        super().__init__(spec)
        self._path, self._timing = path_of(spec), block_timing(spec)

    @property
    def latency(self):
        return self._timing.terms

    @property
    def _adds(self):
        return self.flags_in.end

    def _next(self, m, acc, term):
        return self._path.next(m, acc, term, self.flags_in.first)

    def _term(self, m):
        """The scaled sum of a block, at its end."""
        p, codes = Pipeline(m, self.spec, None), Pipeline(m, self.spec, None)
        p.age, codes.age = self._timing.sums, self._timing.scales
        total, marks, scales = self._beat(m)
        if beats_per_block(self.spec) > 1:
            total, marks = self._block(p, total, marks)
        for wait in range(self._timing.ready - p.age):
            total = p.step(total, f"waits_{wait}")
            marks = Marks(*(p.since(mark, p.age - 1, "mark_waits") for mark in marks.bits))
        term = self._path.build(p, total, marks, scale_product(codes, scales))
        assert p.age == self.latency
        return term

    def _beat(self, m):
        """The sum of a beat and its marks, and the scale codes by name."""
        spec = self.spec
        a, w = split(m, self.a_in, a_shape(spec), spec.lanes, "a"), split(m, self.w_in, w_shape(spec), spec.lanes, "w")
        behind = {which: fields_of(spec, which, bundle) for which, bundle in (("a", self.a_in), ("w", self.w_in))}
        marks = beat_marks(m, spec, a, w, behind, self._timing.sums)
        scales = {f"{which}_block_scale": fields["scale"] for which, fields in behind.items() if "scale" in fields}
        return dot_product(spec).build(m, a, w, None), marks, scales

    def _block(self, p, beat, marks):
        """The sum of a block so far, one cycle later: exact."""
        lo, hi = self.spec.block_range
        begin, valid = self.flags_in.begin, self.flags_in.valid
        total = Signal(shape_of(lo, hi), name="block", reset_less=True)
        bits = [mark if isinstance(mark, Const) else Signal(name="block_mark", reset_less=True) for mark in marks.bits]
        with p.m.If(valid):
            p.m.d.sync += total.eq(add(Word(Mux(begin, 0, total), lo, hi), beat).value)
            for held, mark in zip(bits, marks.bits, strict=True):
                if not isinstance(held, Const):
                    p.m.d.sync += held.eq((held & ~begin) | mark)
        p.age += 1
        return Word(total, lo, hi), Marks(*bits)
