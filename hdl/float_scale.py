"""A float32 multiplication of an integer, rounded to an integer: section 8 of docs/arithmetic.md as a pipeline."""

from math import ceil

from amaranth.hdl import Cat, Const, Mux, Signal

from golden.ieee import FLOAT32
from golden.spec import Spec

from .pipeline import Pipeline
from .rounding import Shifted, increment, shift_right, unshifted
from .words import Word

PRECISION = FLOAT32.precision
MULTIPLY_STAGES = 3
STEPS_PER_STAGE = 2
RIGHT = (16, 8, 4, 2, 1)
LARGEST = 1 << PRECISION


def magnitude_bits(spec: Spec):
    """Bits of the largest sum without its sign, once it is an int32."""
    lo, hi = spec.biased_range
    return min(max(-lo, hi).bit_length(), 32)


def float_latency(spec: Spec):
    """Cycles of `float_scaled`."""
    bits = magnitude_bits(spec)
    return (
        1 + _cut_latency(bits) + MULTIPLY_STAGES + _cut_latency(min(bits, PRECISION) + PRECISION) + _stages(RIGHT) + 1
    )


def _stages(amounts):
    return ceil(len(amounts) / STEPS_PER_STAGE)


def _amounts(bits):
    """The powers of two that add up to any number of bits beyond the precision, largest first."""
    excess = max(bits - PRECISION, 0)
    return [1 << power for power in reversed(range(excess.bit_length()))]


def _cut_latency(bits):
    return (bits > PRECISION) * (_stages(_amounts(bits)) + 1)


def float_scaled(p: Pipeline, word: Word) -> Word:
    """round(float32(word) * scale), ties to even throughout, for a word within int32; at most +-2**24, which saturates.

    Works on the magnitude, as ties to even do not look at the sign: cut to 24 bits, multiply, cut again, shift right.
    """
    start, bits = p.age, magnitude_bits(p.spec)
    negative = word.value < 0
    magnitude = p.step(Word(Mux(negative, -word.value, word.value), 0, max(-word.lo, word.hi)), "magnitude")
    magnitude, first = _cut(p, magnitude, bits, "sum")
    pattern, age = p.parameter("scale").value, p.age
    product = _multiplied(p, magnitude, Cat(pattern[: PRECISION - 1], Const(1, 1)))
    product, second = _cut(p, product, min(bits, PRECISION) + PRECISION, "product")
    exponent = p.since(pattern[PRECISION - 1 : FLOAT32.width - 1], age, "exponent")
    shifted = _shift(p, product, FLOAT32.bias - exponent - p.since(first, age, "sum_excess_delayed") - second)
    rounded = shifted.quotient + increment("half_even", shifted.quotient, shifted.guard, shifted.sticky)
    return p.step(Word(Mux(p.since(negative, start, "negative"), -rounded, rounded), -LARGEST, LARGEST), "rounded")


def _multiplied(p, magnitude, significand):
    product = p.step(Word(magnitude.value * significand, 0, magnitude.hi * (LARGEST - 1)), "scaled_0")
    for stage in range(1, MULTIPLY_STAGES):
        product = p.step(product, f"scaled_{stage}")
    return product


def _cut(p, word, bits, name):
    """A word of at most `bits` bits rounded to 24 significant ones, and how many were cut."""
    if bits <= PRECISION:
        return word, Const(0, 1)
    shifted, flags = unshifted(p.m, _resized(p, word.value, bits, name)), []
    amounts = _amounts(bits)
    for first in range(0, len(amounts), STEPS_PER_STAGE):
        for amount in amounts[first : first + STEPS_PER_STAGE]:
            too_long = shifted.value[PRECISION + amount :].any()
            shifted = shift_right(p.m, shifted, amount, too_long, f"{name}_{amount}")
            flags.insert(0, too_long)
        shifted = _registered(p, shifted, f"{name}_{first}")
        flags = list(p.hold(Cat(flags), len(flags), f"{name}_flags_{first}"))
    kept = shifted.quotient[:PRECISION]
    rounded = kept + increment("half_even", kept, shifted.guard, shifted.sticky)
    excess = p.hold(Cat(flags), len(flags), f"{name}_excess")
    return p.step(Word(rounded, 0, LARGEST), f"{name}_cut"), excess


def _resized(p, value, bits, name):
    resized = Signal(bits, name=f"{name}_whole")
    p.m.d.comb += resized.eq(value)
    return resized


def _shift(p, word, right):
    """The word shifted to the right, by 31 where it should be more, not at all where it should be to the left."""
    most = (1 << len(RIGHT)) - 1
    wanted = Signal(range(-512, 512), name="right_wanted")
    amount = Signal(len(RIGHT), name="right")
    p.m.d.comb += [wanted.eq(right), amount.eq(Mux(wanted < 0, 0, Mux(wanted > most, most, wanted)))]
    shifted = unshifted(p.m, word.value)
    for first in range(0, len(RIGHT), STEPS_PER_STAGE):
        for step in RIGHT[first : first + STEPS_PER_STAGE]:
            shifted = shift_right(p.m, shifted, step, amount[step.bit_length() - 1], f"right_{step}")
        shifted = _registered(p, shifted, f"right_{first}")
        amount = p.hold(amount, len(amount), f"right_{first}")
    return shifted


def _registered(p, shifted, name):
    p.age += 1
    value = p.hold(shifted.value, len(shifted.value), f"shifted_{name}")
    return Shifted(value, p.hold(shifted.sticky, 1, f"sticky_{name}"))
