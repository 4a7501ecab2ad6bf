"""The requantizer of one column: accumulators in, output codes out."""

from amaranth.hdl import Cat, Const, EnableInserter, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.formats import Bipolar
from golden.spec import SHIFT_BITS, Spec

from .skew import delay
from .words import Word, add, register

MULTIPLY_STAGES = 3
SHIFT_STAGES = 3
BITS_PER_SHIFT_STAGE = SHIFT_BITS // SHIFT_STAGES


def parameter_layout(spec: Spec):
    """The parameters of one column, side by side in the order of the spec."""
    return data.StructLayout({name: fmt.width for name, fmt in spec.parameter_formats.items()})


def requantizer_latency(spec: Spec):
    """Cycles from an accumulator to its output code."""
    return (
        (spec.bias is not None)
        + (spec.requantize == "multiplier") * MULTIPLY_STAGES
        + (spec.requantize != "none") * (SHIFT_STAGES + 1)
        + (spec.activation == "relu")
        + spec.y_zero_point
        + 1
    )


class Requantizer(wiring.Component):
    """y = clip(round((acc + bias) * multiplier / 2**shift) + y_zero_point), steps and rules as in the spec.

    The parameters come in the same cycle as the accumulator they belong to. Latency `requantizer_latency(spec)`,
    throughput 1 per cycle; no intermediate overflows; the result saturates or wraps into the output format. `enable`
    low holds all.

    Rounding looks at three things beside the floor quotient: the guard bit (worth one half), the sticky bit (anything
    below it) and the sign; docs/arithmetic.md, section 4.
    """

    has_reset = False

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_requantize"
        super().__init__(
            {
                "enable": In(1),
                "acc": In(signed(spec.accumulator_width)),
                "parameters": In(parameter_layout(spec)),
                "y": Out(spec.y.width),
            }
        )
        self._age = 0

    def elaborate(self, platform):
        m = Module()
        self._age = 0
        word = Word(self.acc, *self.spec.acc_range)
        if self.spec.bias is not None:
            word = self._step(m, add(word, self._parameter(m, "bias")), "biased")
        if self.spec.requantize == "multiplier":
            word = self._multiply(m, word)
        if self.spec.requantize != "none":
            word = self._round_shift(m, word)
        if self.spec.activation == "relu":
            positive = word.value if word.lo >= 0 else Mux(word.value < 0, 0, word.value)
            word = self._step(m, Word(positive, 0, max(word.hi, 0)), "rectified")
        if self.spec.y_zero_point:
            word = self._step(m, add(word, self._parameter(m, "y_zero_point")), "offset")
        m.d.comb += self.y.eq(self._step(m, self._code(word), "code").value)
        assert self._age == requantizer_latency(self.spec)
        return EnableInserter(self.enable)(m)

    def _step(self, m, word, name):
        self._age += 1
        return register(m, word, name)

    def _parameter(self, m, name):
        """A parameter as old as the word that needs it now."""
        fmt = self.spec.parameter_formats[name]
        value = delay(m, self.parameters[name], self._age, f"{name}_delayed")
        return Word(value.as_signed() if fmt.signed else value, *fmt.code_range)

    def _multiply(self, m, word):
        factor = self._parameter(m, "multiplier")
        word = self._step(m, Word(word.value * factor.value, *self.spec.scaled_range), "scaled_0")
        for stage in range(1, MULTIPLY_STAGES):
            word = self._step(m, word, f"scaled_{stage}")
        return word

    def _round_shift(self, m, word):
        shift = self._parameter(m, "shift").value
        shifted = Signal(signed(word.shape.width + 2 - word.shape.signed), name="shifted")
        sign = [] if word.shape.signed else [Const(0, 1)]
        m.d.comb += shifted.eq(Cat(Const(0, 1), word.value, *sign))
        sticky = Signal(name="sticky")
        for stage in range(SHIFT_STAGES):
            shifted, sticky, shift = self._shift_stage(m, shifted, sticky, shift, stage)
        quotient, guard = shifted[1:].as_signed(), shifted[0]
        lo, hi = word.lo, word.hi + 1
        return self._step(m, Word(quotient + self._increment(quotient, guard, sticky), lo, hi), "rounded")

    def _shift_stage(self, m, value, sticky, shift, stage):
        """Right shift by the next bits of `shift`, largest first; what falls off the end is remembered as sticky."""
        for step in range(BITS_PER_SHIFT_STAGE):
            amount = 1 << SHIFT_BITS - 1 - stage * BITS_PER_SHIFT_STAGE - step
            by = shift[-1 - step]
            moved = Signal(len(value) - 1, name=f"moved_{stage}_{step}")
            lost = Signal(name=f"lost_{stage}_{step}")
            m.d.comb += moved.eq(Mux(by, value[min(amount, len(value) - 1) :].as_signed(), value))
            m.d.comb += lost.eq(sticky | (by & value[: min(amount, len(value))].any()))
            value, sticky = Cat(moved, value[-1]).as_signed(), lost
        self._age += 1
        remaining = shift[: len(shift) - BITS_PER_SHIFT_STAGE]
        return (
            self._hold(m, value, signed(len(value)), f"shifted_{stage}"),
            self._hold(m, sticky, 1, f"sticky_{stage}"),
            self._hold(m, remaining, len(remaining), f"shift_{stage}"),
        )

    @staticmethod
    def _hold(m, value, shape, name):
        stage = Signal(shape, name=name, reset_less=True)
        m.d.sync += stage.eq(value)
        return stage

    def _increment(self, quotient: Value, guard: Value, sticky: Value):
        """1 where the floor quotient must go up by one."""
        match self.spec.rounding:
            case "floor":
                return 0
            case "ceil":
                return guard | sticky
            case "toward_zero":
                return quotient[-1] & (guard | sticky)
            case "half_up":
                return guard
            case "half_down":
                return guard & sticky
            case "half_away":
                return guard & (sticky | ~quotient[-1])
            case "half_even":
                return guard & (sticky | quotient[0])
        raise ValueError(f"no hardware for rounding {self.spec.rounding!r}")

    def _code(self, word):
        """The output code, raw: bits of `spec.y`."""
        spec = self.spec
        if isinstance(spec.y, Bipolar):
            return Word(Const(1) if word.lo >= 0 else word.value >= 0, 0, 1)
        if spec.overflow == "wrap":
            return Word(Value.cast(word.value)[: spec.y.width], 0, (1 << spec.y.width) - 1)
        lo, hi = spec.y_range
        clipped = word.value if word.hi <= hi else Mux(word.value > hi, hi, word.value)
        clipped = clipped if word.lo >= lo else Mux(word.value < lo, lo, clipped)
        return Word(clipped, lo, hi)
