"""Sums to float32 numbers that stay integers: where they have more than 24 bits, the lowest become zero."""

from amaranth.hdl import Cat, Const, EnableInserter, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.ieee import FLOAT32
from golden.spec import Spec

from .pipeline import Pipeline
from .words import Word

PRECISION = FLOAT32.precision
ROUNDING_STAGES = 3


def float_range(spec: Spec):
    """Interval of float32(sum): the ends, away from zero to 24 bits."""
    lo, hi = spec.acc_range
    return -_up(-lo), _up(hi)


def _up(magnitude):
    excess = max(magnitude.bit_length() - PRECISION, 0)
    return -(-magnitude >> excess) << excess


def float_sum_latency(spec: Spec):
    """Cycles of `FloatSum`; 0 where every sum is a float32 number and none is needed."""
    return ROUNDING_STAGES if max(-spec.acc_range[0], spec.acc_range[1]) > 1 << PRECISION else 0


class FloatSum(wiring.Component):
    """float32(acc) as an integer: at most 24 significant bits, ties to even.

    Works on the magnitude. Bit i is dropped where the magnitude has a bit at 24 + i or above; the highest dropped bit
    is the guard, those below it are the sticky bits, and the bit above it is worth one unit of the last place.
    Latency `float_sum_latency`, throughput 1. `enable` low holds all.
    """

    has_reset = False

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_float_sum"
        super().__init__(
            {
                "enable": In(1),
                "acc": In(signed(spec.accumulator_width)),
                "o": Out(Word(0, *float_range(spec)).shape),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p = Pipeline(m, self.spec, None)
        lo, hi = float_range(self.spec)
        negative = self.acc < 0 if lo < 0 else Const(0, 1)
        magnitude = p.step(Word(Mux(negative, -self.acc, self.acc), 0, max(-lo, hi)), "magnitude").value
        kept, unit = self._cut(p, magnitude)
        p.age += 1
        negative = p.since(negative, 0, "negative")
        rounded = Signal(len(magnitude), name="rounded")
        m.d.comb += rounded.eq(kept + unit)
        m.d.comb += self.o.eq(p.step(Word(Mux(negative, -rounded, rounded), lo, hi), "float").value)
        assert p.age == float_sum_latency(self.spec)
        return EnableInserter(self.enable)(m)

    @staticmethod
    def _cut(p, magnitude):
        """The magnitude without the bits that are dropped, and what rounding adds to it."""
        excess = len(magnitude) - PRECISION
        low = magnitude[:excess]
        dropped, guard = Signal(excess, name="dropped"), Signal(excess, name="guard")
        unit = Signal(excess + 1, name="unit")
        p.m.d.comb += [
            dropped.eq(Cat(magnitude[PRECISION + bit :].any() for bit in range(excess))),
            guard.eq(Cat(*(dropped[bit] & ~dropped[bit + 1] for bit in range(excess - 1)), dropped[-1])),
            unit.eq(Cat(Const(0, 1), guard)),
        ]
        below, odd = (low & dropped & ~guard).any(), (magnitude[: excess + 1] & unit).any()
        up = (low & guard).any() & (below | odd)
        kept = p.hold(Cat(low & ~dropped, magnitude[excess:]), len(magnitude), "kept")
        return kept, p.hold(Mux(up, unit, 0), excess + 1, "added")
