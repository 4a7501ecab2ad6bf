"""The requantizer of one column: accumulators in, output codes out."""

from amaranth.hdl import Cat, Const, EnableInserter, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.checks import SHIFT_BITS
from golden.formats import Bipolar
from golden.spec import Spec, product_interval

from .skew import delay
from .words import Word, add, register

LEFT_SHIFTS = ((16, 8), (4, 2, 1))
MULTIPLY_STAGES = 3
SHIFT_STAGES = 3
RULE_ROUNDINGS = {
    "tflite": "half_away",
    "double_half_up": "half_up",
    "tflite_single": "half_up",
    "mult16": "half_up",
}
BITS_PER_SHIFT_STAGE = SHIFT_BITS // SHIFT_STAGES


def parameter_layout(spec: Spec):
    """The parameters of one column, side by side in the order of the spec."""
    return data.StructLayout({name: fmt.width for name, fmt in spec.parameter_formats.items()})


def requantizer_latency(spec: Spec):
    """Cycles from an accumulator to its output code."""
    return (
        (spec.bias is not None)
        + _rounds_twice(spec) * (len(LEFT_SHIFTS) + 1)
        + ("multiplier" in spec.parameters) * MULTIPLY_STAGES
        + (spec.requantize != "none") * (SHIFT_STAGES + 1)
        + (spec.activation == "relu")
        + (spec.y_zero_point and not spec.zero_point_first)
        + 1
    )


def _rounds_twice(spec: Spec):
    return spec.requantize in ("tflite", "double_half_up")


class Requantizer(wiring.Component):
    """y = clip(round((acc + bias) * multiplier / 2**shift) + y_zero_point), steps and rules as in the spec.

    The parameters come in the same cycle as the accumulator they belong to. Latency `requantizer_latency(spec)`,
    throughput 1 per cycle; no intermediate overflows; the result saturates or wraps into the output format. `enable`
    low holds all.

    Rounding looks at three things beside the floor quotient: the guard bit (worth one half), the sticky bit (anything
    below it) and the sign; docs/arithmetic.md, section 4. The rules of golden.scale are a left shift, a multiplication
    whose low 31 bits are rounded off, and a right shift (two roundings), or a multiplication and one right shift.
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
        if self.spec.rule is not None and self.spec.rule.wraps:
            word = self._wrapped(word)
        if _rounds_twice(self.spec):
            word = self._high_half(m, self._multiply(m, self._shift_left(m, word)))
        elif "multiplier" in self.spec.parameters:
            word = self._multiply(m, word)
        if self.spec.requantize != "none":
            word = self._round_shift(m, word)
        if self.spec.activation == "relu":
            word = self._rectified(m, word)
        if self.spec.y_zero_point and not self.spec.zero_point_first:
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

    def _wrapped(self, word):
        """The word in 32 bits, as an int32 sum that overflows."""
        if word.lo >= -(1 << 31) and word.hi < 1 << 31:
            return word
        return Word(Value.cast(word.value)[:32].as_signed(), -(1 << 31), (1 << 31) - 1)

    def _shift_left(self, m, word):
        """The word times 2**shift, where the shift is positive, in 32 bits."""
        value = Signal(signed(32), name="before_left")
        m.d.comb += value.eq(word.value)
        for stage, amounts in enumerate(LEFT_SHIFTS):
            shift = self._parameter(m, "shift").value
            for amount in amounts:
                moved = Signal(32, name=f"left_{amount}")
                by = shift[amount.bit_length() - 1] & ~shift[-1]
                m.d.comb += moved.eq(Mux(by, Cat(Const(0, amount), value[:-amount]), value))
                value = moved
            value = self._step(m, Word(value.as_signed(), -(1 << 31), (1 << 31) - 1), f"left_{stage}").value
        return Word(value, -(1 << 31), (1 << 31) - 1)

    def _high_half(self, m, word):
        """floor(word / 2**31 + 1/2): the bits above 31, one more where bit 30 is set."""
        bits = Value.cast(word.value)
        high = Word(bits[31:].as_signed() + bits[30], word.lo >> 31, (word.hi >> 31) + 1)
        return self._step(m, Word(high.value, max(high.lo, -(1 << 31)), min(high.hi, (1 << 31) - 1)), "high")

    def _rectified(self, m, word):
        """Not below zero, that is, not below the zero point where it has been added already."""
        if word.lo >= 0 and not self.spec.zero_point_first:
            return self._step(m, word, "rectified")
        bound = self._parameter(m, "y_zero_point") if self.spec.zero_point_first else Word(Const(0), 0, 0)
        bounded = Mux(word.value < bound.value, bound.value, word.value)
        return self._step(m, Word(bounded, max(word.lo, bound.lo), max(word.hi, bound.hi)), "rectified")

    def _multiply(self, m, word):
        factor = self._parameter(m, "multiplier")
        interval = product_interval((word.lo, word.hi), (factor.lo, factor.hi))
        word = self._step(m, Word(word.value * factor.value, *interval), "scaled_0")
        for stage in range(1, MULTIPLY_STAGES):
            word = self._step(m, word, f"scaled_{stage}")
        return word

    def _round_shift(self, m, word):
        shift = self._right_shift(m)
        shifted = Signal(signed(word.shape.width + 2 - word.shape.signed), name="shifted")
        sign = [] if word.shape.signed else [Const(0, 1)]
        m.d.comb += shifted.eq(Cat(Const(0, 1), word.value, *sign))
        sticky = Signal(name="sticky")
        for stage in range(SHIFT_STAGES):
            shifted, sticky, shift = self._shift_stage(m, shifted, sticky, shift, stage)
        quotient, guard = Word(shifted[1:].as_signed(), word.lo, word.hi), shifted[0]
        if self.spec.zero_point_first:
            offset = add(quotient, self._parameter(m, "y_zero_point"))
            quotient = Word(Signal(signed(offset.shape.width + 1 - offset.shape.signed)), offset.lo, offset.hi)
            m.d.comb += quotient.value.eq(offset.value)
        rounded = quotient.value + self._increment(quotient.value, guard, sticky)
        return self._step(m, Word(rounded, quotient.lo, quotient.hi + 1), "rounded")

    def _right_shift(self, m):
        """By how much to divide, 6 bits, for a product or for the upper half of one."""
        shift = self._parameter(m, "shift").value
        if self.spec.rule is None:
            return shift
        right = Signal(SHIFT_BITS, name="right_shift")
        if _rounds_twice(self.spec):
            m.d.comb += right.eq(Mux(shift < 0, -shift, 0))
        else:
            m.d.comb += right.eq(self.spec.rule.multiplier_bits - shift)
        return right

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
        match RULE_ROUNDINGS.get(self.spec.requantize, self.spec.rounding):
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
