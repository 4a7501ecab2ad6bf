"""From the exact sum of a block to what the accumulator adds: scaled exactly, or rounded to float32, scaled there."""

from math import ceil

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from golden.spec import Spec, product_interval

from .block_scale import Factor, product_grid, scale_grid, times
from .float_add import INFINITY, NAN, float_add
from .float_round import Grid, Scaled, rounded
from .pipeline import Pipeline
from .specials import Marks
from .words import Word, add, shape_of

SHIFTS_PER_STAGE = 2


class ExactPath:
    """sum * sa * sw on the grid of the accumulator: times the significands, shifted by the sum of the exponents.

    Latency 1 if there are significands or signs, and 1 for each two bits of the largest shift; no overflow.
    """

    wait = 0  # cycles from the sum of a block until its scale is needed

    def __init__(self, spec: Spec):
        self.spec = spec
        self.grid = product_grid(spec)
        self.multiplies = self.grid.bits > 1 or _may_be_zero(spec)

    @property
    def latency(self):
        return self.multiplies + ceil(self.grid.hi.bit_length() / SHIFTS_PER_STAGE)

    def build(self, p: Pipeline, total: Word, marks: Marks, factor: Factor) -> Word:
        shift = factor.number.offset
        if self.multiplies:
            most = (1 << self.grid.bits) - 1
            wide = Cat(factor.number.magnitude, 0).as_signed()
            signed = wide if isinstance(factor.negative, Const) else Mux(factor.negative, -wide, wide)
            total = p.step(Word(total.value * signed, *product_interval((total.lo, total.hi), (-most, most))), "scaled")
            shift = p.hold(shift, len(shift), "shift_0")
        limit = product_interval(self.spec.block_range, self.spec.scales_range)
        bits = self.grid.hi.bit_length()
        for first in range(0, bits, SHIFTS_PER_STAGE):
            for bit in range(first, min(first + SHIFTS_PER_STAGE, bits)):
                total = _within(_moved(total, shift[bit], 1 << bit), limit)
            total = p.step(total, f"shifted_{first}")
            shift = p.hold(shift, len(shift), f"shift_{first + 1}")
        return total

    def next(self, m: Module, acc: Value, term: Word, first: Value) -> Value:
        """acc + term, or the term alone; exact."""
        lo, hi = -(1 << len(acc) - 1), (1 << len(acc) - 1) - 1
        return add(Word(Mux(first, 0, acc), lo, hi), term).value


def _may_be_zero(spec):
    return any(fmt.decoded_range[0] <= 0 for fmt in spec.scale_formats.values())


def _within(word, limit):
    return Word(word.value, max(word.lo, limit[0]), min(word.hi, limit[1]))


def _moved(word, by, amount):
    moved = Cat(Const(0, amount), word.value)
    value = Mux(by, moved.as_signed() if word.shape.signed else moved, word.value)
    return Word(value, min(word.lo, word.lo << amount), max(word.hi, word.hi << amount))


class FloatPath:
    """float32(float32(sum) * float32(sa * sw)), each step rounded to even; the accumulator adds in float32.

    Latency 1 for the sign, that of rounding a sum of more than 24 bits, 1 for a product of significands, that of
    rounding the product, 1 for the pattern.
    """

    def __init__(self, spec: Spec):
        self.spec = spec
        lo, hi = spec.block_range
        self.scaled = bool(spec.scale_formats)
        self.grid = Grid(max(-lo, hi).bit_length(), -spec.activations.fraction - spec.weights.fraction)
        self.rounds_first = self.scaled and not self.grid.is_float32
        self._scale_grid = scale_grid(spec)
        self.multiplies = self._scale_grid.bits > 1

    @property
    def _signed(self):
        return self.spec.block_range[0] < 0

    @property
    def wait(self):
        """Cycles from the sum of a block until its scale is needed."""
        return self._signed + self.rounds_first * self.grid.latency

    @property
    def latency(self):
        number = self.grid.in_float32 if self.rounds_first else self.grid
        return self.wait + self.multiplies + number.times(self._scale_grid).latency + 1

    def build(self, p: Pipeline, total: Word, marks: Marks, factor: Factor) -> Word:
        start = p.age
        magnitude, negative = self._magnitude(p, total)
        number = Scaled(magnitude, Const(0, 0), self.grid)
        if self.rounds_first:
            number = rounded(p, number, "sum").scaled
        at_product, nothing = p.age, ~number.magnitude.any()
        value = rounded(p, self._product(p, number, factor.number), "term")
        met = (*marks.bits, negative)
        met = [p.since(mark, start, f"{name}_late") for mark, name in zip(met, _MET, strict=True)]
        scale = _scale_marks(factor, nothing, isinstance(marks.plus, Const))
        scale = [p.since(mark, at_product, f"{name}_late") for mark, name in zip(scale, _SCALE, strict=True)]
        negative, nan, infinite = _special(met, scale)
        pattern = Cat(Mux(infinite, INFINITY, value.pattern), negative)
        return p.step(Word(Mux(nan, NAN, pattern), 0, (1 << 32) - 1), "term")

    def _magnitude(self, p, total):
        resized = Signal(self.grid.bits + self._signed, name="block_sum")
        p.m.d.comb += resized.eq(total.value)
        if not self._signed:
            return resized, Const(0, 1)
        negative = resized[-1]
        magnitude = Mux(negative, -resized.as_signed(), resized)
        return p.step(Word(magnitude, 0, (1 << self.grid.bits) - 1), "magnitude").value, negative

    def _product(self, p, number, scale):
        grid = number.grid.times(scale.grid)
        offset = Signal(shape_of(grid.lo, grid.hi), name="product_offset")
        p.m.d.comb += offset.eq(number.offset + scale.offset)
        magnitude = times(number.magnitude, scale.magnitude)
        if not self.multiplies:
            return Scaled(magnitude, offset, grid)
        p.age += 1
        product = p.hold(magnitude, grid.bits, "product")
        return Scaled(product, p.hold(offset, offset.shape(), "product_offset_late"), grid)

    def next(self, m: Module, acc: Value, term: Word, first: Value) -> Value:
        """float32(acc + term), or float32(0 + term) for a first one."""
        kept = acc.as_unsigned() & (~first).replicate(len(acc))
        return float_add(m, kept, term.value, "accumulate")


_MET = ("nan", "plus", "minus", "negative")
_SCALE = ("scale_negative", "scale_infinite", "scale_zero", "nothing")


def _scale_marks(factor, nothing, finite):
    """Whether the scale is negative, infinite, zero, and the block's sum zero; the last two where infinities come."""
    finite = finite and isinstance(factor.infinite, Const)
    zeros = (Const(0, 1), Const(0, 1)) if finite else (factor.is_zero, nothing)
    return factor.negative, factor.infinite, *zeros


def _special(met, scale):
    """Sign, NaN and infinity of a scaled sum: inf - inf and inf * 0 are NaN."""
    nan, plus, minus, negative = met
    scale_negative, scale_infinite, scale_zero, nothing = scale
    infinite = plus | minus
    undefined = (infinite & scale_zero) | (scale_infinite & (scale_zero | (nothing & ~infinite)))
    sign = Mux(infinite, minus, negative) ^ scale_negative
    return sign, nan | (plus & minus) | undefined, infinite | scale_infinite


def path_of(spec: Spec):
    """The path that the spec's `block_sum` names."""
    return FloatPath(spec) if spec.is_float_sum else ExactPath(spec)
