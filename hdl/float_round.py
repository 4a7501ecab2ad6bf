"""Integers times powers of two rounded to float32, as a pipeline: normalise, shift what is subnormal, round to even."""

from dataclasses import dataclass
from math import ceil

from amaranth.hdl import Cat, Const, Mux, Signal, Value

from .float_add import BIAS, FRACTION, PRECISION, TOP_FIELD
from .pipeline import Pipeline
from .rounding import Shifted, increment, shift_right
from .words import Word, shape_of

STEPS_PER_STAGE = 2
DENORMAL = (16, 8, 4, 2, 1)
FURTHEST = PRECISION + 1  # shifted so far, any significand is below half of the smallest number
LAST_PLACE = BIAS + FRACTION  # a number with exponent field e is a whole multiple of 2**(e - LAST_PLACE)


@dataclass(frozen=True)
class Grid:
    """What is known of a number before it is there: magnitude < 2**bits, times 2**(base + offset), offset in lo..hi."""

    bits: int
    base: int
    lo: int = 0
    hi: int = 0

    def times(self, other: "Grid"):
        """That of a product, none of whose bits is lost."""
        bits = self.bits + other.bits - (1 in (self.bits, other.bits))
        return Grid(bits, self.base + other.base, self.lo + other.lo, self.hi + other.hi)

    @property
    def fields(self):
        """Smallest and largest exponent field of such a number, by its highest bit and rounding; below 1: subnormal."""
        return self.base + self.lo + BIAS, self.base + self.hi + self.bits - 1 + BIAS

    @property
    def is_float32(self):
        """Whether all such numbers are in float32."""
        lo, hi = self.fields
        return self.bits <= PRECISION and lo > -PRECISION + 1 and hi < TOP_FIELD

    @property
    def may_be_subnormal(self):
        return self.fields[0] < 1

    @property
    def in_float32(self):
        """The grid of such numbers once rounded: 24 bits, offset by the exponent field; those that are infinite not."""
        lo, hi = (min(max(field, 1), TOP_FIELD - 1) for field in self.fields)
        return Grid(PRECISION, -LAST_PLACE, lo, min(hi + 1, TOP_FIELD - 1))

    @property
    def latency(self):
        """Cycles of `rounded`."""
        denormal = self.may_be_subnormal * (1 + ceil(len(DENORMAL) / STEPS_PER_STAGE))
        return ceil(_levels(self.bits) / STEPS_PER_STAGE) + denormal + self.loses

    @property
    def loses(self):
        """Whether rounding may change such a number."""
        return self.bits > PRECISION or self.may_be_subnormal


@dataclass(frozen=True)
class Scaled:
    """magnitude * 2**(base + offset) on a grid."""

    magnitude: Value
    offset: Value
    grid: Grid


@dataclass(frozen=True)
class Rounded:
    """A float32 without its sign: significand with its hidden bit, exponent field, 1 for subnormals; or infinity."""

    significand: Value
    field: Value
    infinite: Value
    grid: Grid

    @property
    def pattern(self):
        """The magnitude's bit pattern."""
        finite = Cat(self.significand[:FRACTION], Mux(self.significand[-1], self.field, 0)[: BIAS.bit_length() + 1])
        return Mux(self.infinite, TOP_FIELD << FRACTION, finite)

    @property
    def scaled(self):
        """The same, if finite, as an integer times a power of two."""
        return Scaled(self.significand, self.field, self.grid)


def _levels(bits):
    return (bits - 1).bit_length()


def rounded(p: Pipeline, x: Scaled, name: str) -> Rounded:
    """The float32 nearest to x, ties to even: `x.grid.latency` cycles, throughput 1."""
    start, grid = p.age, x.grid
    magnitude, zeros = _normalised(p, x.magnitude, grid.bits, name)
    lo, hi = grid.fields
    field = Signal(shape_of(lo - (1 << _levels(grid.bits)), hi), name=f"{name}_field")
    p.m.d.comb += field.eq(p.since(x.offset, start, f"{name}_offset") - zeros + (grid.base + grid.bits - 1 + BIAS))
    wide = Cat(Const(0, max(FURTHEST - grid.bits, 0)), magnitude)
    shifted = Shifted(wide[-FURTHEST:], wide[:-FURTHEST].any())
    if grid.may_be_subnormal:
        shifted, field = _denormal(p, shifted, field, name)
    if not grid.loses:
        return _finished(p, shifted.value[1:], field, grid, name)
    up = increment("half_even", shifted.quotient, shifted.guard, shifted.sticky)
    significand = p.hold(shifted.quotient + up, PRECISION + 1, f"{name}_rounded")
    field = p.hold(field, field.shape(), f"{name}_rounded_field")
    p.age += 1
    return _finished(p, significand, field, grid, name)


def _finished(p, significand, field, grid, name):
    """A carry out of the significand makes it a power of two; past the largest field there is only infinity."""
    carry = significand[PRECISION] if len(significand) > PRECISION else Const(0, 1)
    kept = Cat(significand[:FRACTION], significand[FRACTION] | carry)
    final = Signal(shape_of(1, max(_interval(field)[1] + 1, TOP_FIELD)), name=f"{name}_final")
    p.m.d.comb += final.eq(field + carry)
    return Rounded(kept, final, kept[-1] & (final >= TOP_FIELD), grid.in_float32)


def _interval(field):
    shape = field.shape()
    return (-(1 << shape.width - 1), (1 << shape.width - 1) - 1) if shape.signed else (0, (1 << shape.width) - 1)


def _normalised(p, value, bits, name):
    """The value shifted left until its top bit is set, and by how many places; zero stays zero."""
    flags, levels = [], list(reversed(range(_levels(bits))))
    for first in range(0, len(levels), STEPS_PER_STAGE):
        for level in levels[first : first + STEPS_PER_STAGE]:
            step = 1 << level
            empty = Signal(name=f"{name}_empty_{step}")
            moved = Signal(bits, name=f"{name}_left_{step}")
            p.m.d.comb += [empty.eq(~value[-step:].any()), moved.eq(Mux(empty, Cat(Const(0, step), value), value))]
            value, flags = moved, [empty, *flags]
        p.age += 1
        value = p.hold(value, bits, f"{name}_normal_{first}")
        flags = list(p.hold(Cat(flags), len(flags), f"{name}_zeros_{first}"))
    return value, Cat(flags)


def _denormal(p, shifted, field, name):
    """What has an exponent field below 1 shifted right to have 1; what falls off the end is remembered."""
    amount = Signal(len(DENORMAL), name=f"{name}_right_wanted")
    p.m.d.comb += amount.eq(Mux(field >= 1, 0, Mux(field <= 1 - FURTHEST, FURTHEST, 1 - field)))
    held = Mux(field >= 1, field, 1)
    p.age += 1
    top = Word(held, 1, _interval(field)[1])
    final = p.hold(top.value, top.shape, f"{name}_field_1")
    amount = p.hold(amount, len(DENORMAL), f"{name}_right")
    shifted = _held(p, shifted, f"{name}_normal")
    start = p.age
    for first in range(0, len(DENORMAL), STEPS_PER_STAGE):
        for step in DENORMAL[first : first + STEPS_PER_STAGE]:
            shifted = shift_right(p.m, shifted, step, amount[step.bit_length() - 1], f"{name}_right_{step}")
        p.age += 1
        shifted = _held(p, shifted, f"{name}_right_{first}")
        amount = p.hold(amount, len(DENORMAL), f"{name}_right_{first}")
    return shifted, p.since(final, start, f"{name}_field_late")


def _held(p, shifted, name):
    value = p.hold(shifted.value, len(shifted.value), f"{name}_value")
    return Shifted(value, p.hold(shifted.sticky, 1, f"{name}_sticky"))
