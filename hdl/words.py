"""Words: hardware integers that know their interval, and pipelined sums of them."""

from dataclasses import dataclass
from math import ceil, log2

from amaranth.hdl import Module, Shape, Signal, Value, ValueLike


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


def tree_levels(count):
    """Latency of `add_tree` over `count` words, in cycles."""
    return ceil(log2(count))


def add_tree(m: Module, words: list[Word], name: str) -> Word:
    """The exact sum of words, in a balanced tree with a register after each level. Throughput 1 per cycle."""
    for level in range(tree_levels(len(words))):
        pairs = [words[i : i + 2] for i in range(0, len(words), 2)]
        words = [register(m, add(*pair), f"{name}_{level}_{i}") for i, pair in enumerate(pairs)]
    return words[0]
