"""Words: hardware integers that know their interval, and pipelined sums of them."""

from dataclasses import dataclass
from math import ceil, log2

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, ValueLike


@dataclass(frozen=True)
class Word:
    """A value and the interval [lo, hi] it stays in."""

    value: ValueLike
    lo: int
    hi: int

    @property
    def shape(self):
        return shape_of(self.lo, self.hi)


def shape_of(lo, hi):
    """The narrowest shape that holds every integer in [lo, hi]."""
    if lo >= 0:
        return Shape(hi.bit_length())
    return Shape(max((-lo - 1).bit_length(), max(hi, 0).bit_length()) + 1, signed=True)


def unused(value, name):
    """Names bits that nothing reads, so that no linter takes them for forgotten ones."""
    return Signal(name=f"unused_{name}", attrs={"keep": 1}).eq(Value.cast(value).any())


def register(m: Module, word: Word, name: str) -> Word:
    """The word one cycle later. Not reset: whether it means anything is told by a flag beside it."""
    stage = Signal(word.shape, name=name, reset_less=True)
    m.d.sync += stage.eq(word.value)
    return Word(stage, word.lo, word.hi)


def add(*words: Word) -> Word:
    """The exact sum."""
    total = words[0].value
    for word in words[1:]:
        total = total + word.value
    return Word(total, sum(word.lo for word in words), sum(word.hi for word in words))


def gate(value: Value, bit: Value) -> Value:
    """The value where the bit is set, else zero, of the value's shape: one AND per bit."""
    mask = bit.replicate(len(value))
    return value & (mask.as_signed() if value.shape().signed else mask)


def negative(word: Word) -> Word:
    """Minus the word."""
    return Word(-Value.cast(word.value), -word.hi, -word.lo)


def shift_left(value: Value, by: Value, step: int = 1) -> Value:
    """value * 2**(step * by), one bit of `by` after the other."""
    for bit in range(len(by)):
        moved = Cat(Const(0, step << bit), value)
        value = Mux(by[bit], moved.as_signed() if value.shape().signed else moved, value)
    return value


def add_shifted(low: Word, high: Word, shift: int) -> Word:
    """low + high * 2**shift; the lowest `shift` bits of `low` pass by the adder."""
    bits = Value.cast(low.value)
    kept = bits[shift:].as_signed() if low.shape.signed else bits[shift:]
    total = add(Word(kept, low.lo >> shift, low.hi >> shift), high)
    joined = Cat(bits[:shift], Value.cast(total.value)[: total.shape.width])
    lo, hi = total.lo << shift, (total.hi << shift) + (1 << shift) - 1
    return Word(joined.as_signed() if total.shape.signed else joined, lo, hi)


def add_or_subtract(kept: Word, word: Word, subtract: Value) -> Word:
    """kept - word where told, else kept + word, with one adder: its carry in goes by a bit below both."""
    bits = Value.cast(word.value)
    sign = Const(0, 0) if word.shape.signed else subtract
    flipped = Cat(subtract, bits ^ subtract.replicate(len(bits)), sign).as_signed()
    total = (Cat(Const(1, 1), kept.value).as_signed() + flipped)[1:].as_signed()
    top = max(word.hi, -word.lo)
    return Word(total, kept.lo - top, kept.hi + top)


def groups_of_three(m: Module, bits: list[Value], name: str) -> list[Word]:
    """The number of bits set in each group of three, registered."""
    groups = [bits[i : i + 3] for i in range(0, len(bits), 3)]
    return [
        register(m, Word(sum(group[1:], start=group[0]), 0, len(group)), f"{name}_{i}")
        for i, group in enumerate(groups)
    ]


def tree_levels(count):
    """Latency of `add_tree` over `count` words, in cycles."""
    return ceil(log2(count))


def add_tree(m: Module, words: list[Word], name: str) -> Word:
    """The exact sum of words, in a balanced tree with a register after each level. Throughput 1 per cycle."""
    for level in range(tree_levels(len(words))):
        pairs = [words[i : i + 2] for i in range(0, len(words), 2)]
        words = [register(m, add(*pair), f"{name}_{level}_{i}") for i, pair in enumerate(pairs)]
    return words[0]
