"""round(float32(sum / scale)) + zero point for sums within reach of their scale: docs/arithmetic.md, section 11."""

from amaranth.hdl import Cat, Const, EnableInserter, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.ieee import FLOAT32
from golden.spec import Spec

from .dynamic_scale import width_bits
from .float_sum import float_range
from .pipeline import Pipeline
from .words import Word

PRECISION = FLOAT32.precision
OUTPUT = 8
QUOTIENT = OUTPUT + 1  # bits of a quotient below 2**32 / 2**23
STEPS_PER_STAGE = 2
LARGEST = (1 << OUTPUT) - 1


def fraction_bits(spec: Spec):
    """Bits below the ones in which sums are divided: as many as the last place of the largest scale is above one."""
    return max(width_bits(spec) - PRECISION - OUTPUT + 1, 0)


def amount_shape(spec: Spec):
    """Bits of the shift that brings a sum to the grid of its scale: 31 + `fraction_bits` at most."""
    return (PRECISION + OUTPUT - 1 + fraction_bits(spec)).bit_length()


def aligned_age(spec: Spec):
    """Cycles from a sum in to its first comparison with the scale's significand."""
    return 1 + -(-amount_shape(spec) // STEPS_PER_STAGE)


def quantizer_latency(spec: Spec):
    """Cycles of `DynamicQuantizer`."""
    return aligned_age(spec) + QUOTIENT + 3


class DynamicQuantizer(wiring.Component):
    """y = saturate(round(float32(sum / scale)) + zero_point) to uint8, both roundings to nearest, ties to even.

    scale = significand * 2**(fraction_bits - amount). `sum` and `amount` come together; `significands` holds the
    significand of the scale once for each cycle in which it is looked at: `aligned_age` cycles later, and the QUOTIENT
    cycles that follow; `zero_point` comes in the last but one cycle. Latency `quantizer_latency`, throughput 1.
    `enable` low holds all.

    No quotient of 24 bits is formed: 9 bits k and the remainder tell what its two roundings come to (11.8). Quotients
    of 256 or more saturate.
    """

    has_reset = False

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_requantize"
        self._bits = PRECISION + OUTPUT + fraction_bits(spec)
        super().__init__(
            {
                "enable": In(1),
                "sum": In(Word(0, *float_range(spec)).shape),
                "amount": In(amount_shape(spec)),
                "significands": In((QUOTIENT + 1) * PRECISION),
                "zero_point": In(OUTPUT),
                "y": Out(OUTPUT),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p = Pipeline(m, self.spec, None)
        lo, hi = float_range(self.spec)
        negative = self.sum < 0 if lo < 0 else Const(0, 1)
        magnitude = p.step(Word(Mux(negative, -self.sum, self.sum), 0, max(-lo, hi)), "magnitude")
        aligned, beyond = self._aligned(p, magnitude.value)
        start = p.age
        rounded = self._rounded(p, *self._divided(p, aligned))
        negative, beyond = p.since(negative, 0, "negative"), p.since(beyond, start, "beyond_delayed")
        total = Signal(range(-(1 << QUOTIENT), (1 << QUOTIENT) + LARGEST + 1))
        m.d.comb += total.eq(Mux(negative, -rounded, rounded) + self.zero_point)
        low, high = (total < 0) | beyond & negative, (total > LARGEST) | beyond & ~negative
        m.d.comb += self.y.eq(p.step(Word(Mux(low, 0, Mux(high, LARGEST, total[:OUTPUT])), 0, LARGEST), "code").value)
        assert p.age == quantizer_latency(self.spec)
        return EnableInserter(self.enable)(m)

    def _aligned(self, p, magnitude):
        """The magnitude on the grid of the scale, and whether it lost bits above, which only 256 scales or more do."""
        value, beyond = Signal(self._bits, name="unaligned"), Const(0, 1)
        amount = p.hold(self.amount, len(self.amount), "amount_0")
        p.m.d.comb += value.eq(magnitude)
        powers = [1 << power for power in reversed(range(len(self.amount)))]
        for first in range(0, len(powers), STEPS_PER_STAGE):
            for power in powers[first : first + STEPS_PER_STAGE]:
                value, beyond = self._shifted(p, value, beyond, amount[power.bit_length() - 1], power)
            p.age += 1
            value, beyond = p.hold(value, self._bits, f"aligned_{first}"), p.hold(beyond, 1, f"beyond_{first}")
            amount = p.hold(amount, len(amount), f"amount_{first}")
        return value, beyond

    def _shifted(self, p, value, beyond, by, power):
        moved, lost = Signal(self._bits, name=f"moved_{power}"), Signal(name=f"lost_{power}")
        p.m.d.comb += moved.eq(Mux(by, Cat(Const(0, power), value), value))
        p.m.d.comb += lost.eq(beyond | by & value[max(self._bits - power, 0) :].any())
        return moved, lost

    def _divisor(self, index):
        """The significand at a stage, on the grid of the aligned sum."""
        return Cat(Const(0, fraction_bits(self.spec)), self.significands.word_select(index, PRECISION))

    def _divided(self, p, aligned):
        """Quotient and remainder, one bit per cycle, the highest first."""
        width = PRECISION + fraction_bits(self.spec)
        rest, remainder, quotient = aligned[:QUOTIENT], aligned[QUOTIENT:], Const(0, 0)
        for stage in range(QUOTIENT):
            trial = Cat(rest[-1], remainder)
            difference = Signal(range(-(1 << width), 1 << width), name=f"difference_{stage}")
            p.m.d.comb += difference.eq(trial - self._divisor(stage))
            below = difference[-1]
            remainder = p.hold(Mux(below, trial, difference)[:width], width, f"remainder_{stage}")
            quotient = p.hold(Cat(~below, quotient), stage + 1, f"quotient_{stage}")
            rest = p.hold(rest[:-1], len(rest) - 1, f"rest_{stage}") if len(rest) > 1 else rest
            p.age += 1
        return quotient, remainder

    def _rounded(self, p, quotient, remainder):
        """The quotient or one more, by equation 11.8."""
        divisor = self._divisor(QUOTIENT)
        width = len(divisor)
        near = Signal(width - PRECISION + OUTPUT, name="near")
        tolerance = divisor[PRECISION:]
        for bit in range(OUTPUT):
            tolerance = Mux(quotient[bit:].any(), divisor[PRECISION - 1 - bit :], tolerance)
        p.m.d.comb += near.eq(tolerance)
        near = p.hold(near, len(near), "tolerance")
        excess = Signal(range(-(1 << width), 1 << width), name="excess")  # twice the remainder, less the divisor
        p.m.d.sync += excess.eq(Cat(Const(0, 1), remainder) - divisor)
        whole = p.hold(quotient, QUOTIENT, "whole")
        p.age += 1
        up = Signal()
        p.m.d.comb += up.eq(Mux(whole[0], excess + near >= 0, excess > near))
        return p.step(Word(whole + up, 0, 1 << QUOTIENT), "rounded").value
