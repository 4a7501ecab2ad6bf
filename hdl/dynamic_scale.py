"""The float32 scale of a range of sums: float32(float32(width) / 255), without a divider."""

from amaranth.hdl import Cat, Const, Mux, Signal

from golden.ieee import FLOAT32
from golden.spec import Spec

from .float_sum import float_range
from .pipeline import Pipeline
from .rounding import increment
from .words import Word

PRECISION = FLOAT32.precision
PATTERN = FLOAT32.width - 1  # a positive number has no sign
EXPONENT = FLOAT32.width - PRECISION
ONE = 127 << PRECISION - 1
STEPS_PER_STAGE = 2
ROUNDING_STAGES = 1
DIVISION_STAGES = 3


def width_bits(spec: Spec):
    """Bits in which the width of a range is normalized: those it may have, at least those of a significand."""
    lo, hi = float_range(spec)
    return max((hi - lo).bit_length(), PRECISION)


def _powers(bits):
    """Powers of two that add up to any number of leading zeros, largest first."""
    return [1 << power for power in reversed(range((bits - 1).bit_length()))]


def scale_latency(spec: Spec):
    """Cycles of `scale_of`."""
    return -(-len(_powers(width_bits(spec))) // STEPS_PER_STAGE) + ROUNDING_STAGES + DIVISION_STAGES


def scale_of(p: Pipeline, width):
    """The pattern of float32(float32(width) / 255) of an integer with `width_bits` bits; 1 for 0."""
    value, zeros = _normalized(p, width)
    significand, exponent, empty = _rounded(p, value, zeros)
    start, pattern = p.age, _divided(p, significand, exponent)
    pattern = p.hold(Mux(p.since(empty, start, "empty_delayed"), ONE, pattern), PATTERN, "scale")
    p.age += 1
    return pattern


def _normalized(p, value):
    """The value with its first one on top, and how many zeros were above it."""
    bits, zeros, powers = len(value), [], _powers(len(value))
    for first in range(0, len(powers), STEPS_PER_STAGE):
        for amount in powers[first : first + STEPS_PER_STAGE]:
            above, moved = Signal(name=f"zeros_{amount}"), Signal(bits, name=f"moved_{amount}")
            p.m.d.comb += [above.eq(~value[-amount:].any()), moved.eq(Mux(above, Cat(Const(0, amount), value), value))]
            value = moved
            zeros.insert(0, above)
        p.age += 1
        value = p.hold(value, bits, f"normalized_{first}")
        zeros = list(p.hold(Cat(zeros), len(zeros), f"zeros_{first}"))
    return value, Cat(zeros)


def _rounded(p, value, zeros):
    """A normalized value rounded to 24 bits, the exponent field of a 255th of it, and whether it is zero."""
    kept, dropped, more = value[-PRECISION:], value[:-PRECISION], Const(0, 1)
    if len(dropped):
        more = increment("half_even", kept, dropped[-1], dropped[:-1].any() if len(dropped) > 1 else Const(0, 1))
    total = Signal(PRECISION + 1, name="significand_sum")
    p.m.d.comb += total.eq(kept + more)
    carry = total[-1]
    highest = len(value) - PRECISION + FLOAT32.bias - 8
    significand = p.hold(Cat(total[: PRECISION - 1], total[PRECISION - 1] | carry), PRECISION, "significand")
    exponent, empty = p.hold(highest - zeros + carry, EXPONENT, "exponent"), p.hold(~value[-1], 1, "empty")
    p.age += 1
    return significand, exponent, empty


def _divided(p, significand, exponent):
    """Significand and exponent of significand / 255, rounded: equations 11.5 and 11.6.

    255 = 256 - 1: the digits to base 256 add up to the remainder, and every partial quotient is made of them.
    """
    start, (low, middle, high) = p.age, (significand.word_select(index, 8) for index in range(3))
    digits = p.step(Word(low + middle + high, 0, 3 * 255), "digits").value
    whole = p.hold(Cat(middle, high) + high, 17, "whole")
    carry = Signal(2, name="carry")
    p.m.d.comb += carry.eq((digits >= 255) + (digits >= 510) + (digits >= 765))
    rest = p.hold((digits + carry)[:8], 8, "rest")
    whole = p.hold(whole + carry, 17, "whole_carried")
    p.age += 1
    quotient = Cat(rest[7], rest, whole)  # floor(significand * 512 / 255)
    large = quotient[25]
    kept = Mux(large, quotient[2:], quotient[1:25])
    more = increment("half_even", kept, Mux(large, quotient[1], quotient[0]), rest.any() | large & quotient[0])
    rounded = (kept + more)[: PRECISION - 1]
    exponent = p.since(exponent, start, "exponent_delayed")
    return Cat(rounded, (exponent + large)[:EXPONENT])
