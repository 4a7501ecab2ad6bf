"""The requantizer of one column: accumulators in, output codes out."""

import numpy as np
from amaranth.hdl import Cat, Const, EnableInserter, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.formats import Bipolar, to_bits
from golden.rules import SHIFT_BITS
from golden.spec import Spec, product_interval

from .dynamic_stage import dynamic_latency
from .float_scale import float_latency, float_scaled
from .pipeline import Pipeline
from .rounding import Shifted, increment, shift_right, unshifted
from .thresholds import threshold_counter, threshold_latency, threshold_layout
from .words import Word, add

LEFT_SHIFTS = ((16, 8), (4, 2, 1))
MULTIPLY_STAGES = 3
SHIFT_STAGES = 3
LONGEST_CONSTANT = 4096  # bits; longer ones overflow the readers of some tools
RULE_ROUNDINGS = {
    "tflite": "half_away",
    "double_half_up": "half_up",
    "tflite_single": "half_up",
    "mult16": "half_up",
}
BITS_PER_SHIFT_STAGE = SHIFT_BITS // SHIFT_STAGES


def parameter_layout(spec: Spec):
    """The parameters of one column, side by side in the order of the spec; of thresholds, what loads them."""
    if spec.threshold_count:
        return threshold_layout(spec)
    return data.StructLayout({name: fmt.width for name, fmt in spec.parameter_formats.items()})


def requantizer_latency(spec: Spec):
    """Cycles from an accumulator to its output code."""
    if spec.threshold_count:
        return threshold_latency(spec)
    if spec.requantize == "dynamic":
        return dynamic_latency(spec)
    return (
        (spec.bias is not None)
        + _scaling_latency(spec)
        + (spec.activation != "none")
        + (spec.y_zero_point and not spec.zero_point_first)
        + (spec.activation == "relu6")
        + 1
        + (spec.table is not None)
    )


def requantizer(spec: Spec):
    """The component that requantizes one column."""
    return threshold_counter(spec) if spec.threshold_count else Requantizer(spec)


def _scaling_latency(spec: Spec):
    if "scale" in spec.parameters:
        return float_latency(spec)
    return (
        _rounds_twice(spec) * (len(LEFT_SHIFTS) + 1)
        + ("multiplier" in spec.parameters) * MULTIPLY_STAGES
        + (spec.requantize != "none") * (SHIFT_STAGES + 1)
    )


def require_hardware(spec: Spec):
    """Raises ValueError for a requantizer that golden alone has, naming the nearest one."""
    if spec.rule is not None and spec.rule.nearest:
        nearest = f"the nearest rule that hardware has is {spec.rule.nearest}"
        raise ValueError(f"requantize {spec.requantize!r} is golden only; {nearest}")


def _rounds_twice(spec: Spec):
    return spec.requantize in ("tflite", "double_half_up")


class Requantizer(wiring.Component):
    """y = clip(round((acc + bias) * multiplier / 2**shift) + y_zero_point), steps and rules as in the spec.

    The parameters come in the same cycle as the accumulator they belong to. Latency `requantizer_latency(spec)`,
    throughput 1 per cycle; no intermediate overflows; the result saturates or wraps into the output format. `enable`
    low holds all.

    Rounding looks at three things beside the floor quotient: the guard bit (worth one half), the sticky bit (anything
    below it) and the sign; docs/arithmetic.md, section 4. The rules of golden.scale are a left shift, a multiplication
    whose low 31 bits are rounded off, and a right shift (two roundings), or a multiplication and one right shift; that
    of float32 is in hdl.float_scale. A table is constants behind the clip.
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

    def elaborate(self, platform):
        m = Module()
        p = Pipeline(m, self.spec, self.parameters)
        word = Word(self.acc, *self.spec.acc_range)
        if self.spec.bias is not None:
            word = p.step(add(word, p.parameter("bias")), "biased")
        if self.spec.rule is not None and self.spec.rule.wraps:
            word = _wrapped(word)
        word = self._bounded(p, self._scaled(p, word))
        word = p.step(_code(self.spec, word), "code")
        m.d.comb += self.y.eq(word.value if self.spec.table is None else self._looked_up(p, word))
        assert p.age == requantizer_latency(self.spec)
        return EnableInserter(self.enable)(m)

    def _scaled(self, p, word):
        spec = self.spec
        if "scale" in spec.parameters:
            return float_scaled(p, word)
        if _rounds_twice(spec):
            word = _high_half(p, _multiplied(p, _shifted_left(p, word)))
        elif "multiplier" in spec.parameters:
            word = _multiplied(p, word)
        return word if spec.requantize == "none" else _round_shift(p, word)

    def _bounded(self, p, word):
        """The word after activation and zero point."""
        spec = self.spec
        if spec.activation != "none":
            word = _rectified(p, word)
        if spec.y_zero_point and not spec.zero_point_first:
            word = p.step(add(word, p.parameter("y_zero_point")), "offset")
        if spec.activation == "relu6":
            most = p.parameter("y_max")
            lower = Mux(word.value < most.value, word.value, most.value)
            word = p.step(Word(lower, min(word.lo, most.lo), min(word.hi, most.hi)), "at_most")
        return word

    def _looked_up(self, p, word):
        """The entry of the table for a code: of each output bit, a constant with one bit per code, smallest first."""
        table, code = to_bits(self.spec.table, self.spec.y), Value.cast(word.value)[: self.spec.code.width]
        if self.spec.code.signed:  # the index must not be a signed name: the emitted Verilog would select by its sign
            code = Cat(code[:-1], ~code[-1])
        bits = [_selected(table >> np.uint64(bit) & np.uint64(1), code) for bit in range(self.spec.y.width)]
        return p.step(Word(Cat(bits), 0, (1 << self.spec.y.width) - 1), "entry").value


def _selected(bits, index):
    """The bit at an index, from constants that every Verilog reader takes."""
    if len(bits) > LONGEST_CONSTANT:
        low, high = (_selected(half, index[:-1]) for half in np.split(bits, 2))
        return Mux(index[-1], high, low)
    packed = np.packbits(bits.astype(np.uint8), bitorder="little").tobytes()
    return Const(int.from_bytes(packed, "little"), len(bits)).bit_select(index, 1)


def _wrapped(word):
    """The word in 32 bits, as an int32 sum that overflows."""
    if word.lo >= -(1 << 31) and word.hi < 1 << 31:
        return word
    return Word(Value.cast(word.value)[:32].as_signed(), -(1 << 31), (1 << 31) - 1)


def _shifted_left(p, word):
    """The word times 2**shift, where the shift is positive, in 32 bits."""
    value = Signal(signed(32), name="before_left")
    p.m.d.comb += value.eq(word.value)
    for stage, amounts in enumerate(LEFT_SHIFTS):
        shift = p.parameter("shift").value
        for amount in amounts:
            moved = Signal(32, name=f"left_{amount}")
            by = shift[amount.bit_length() - 1] & ~shift[-1]
            p.m.d.comb += moved.eq(Mux(by, Cat(Const(0, amount), value[:-amount]), value))
            value = moved
        value = p.step(Word(value.as_signed(), -(1 << 31), (1 << 31) - 1), f"left_{stage}").value
    return Word(value, -(1 << 31), (1 << 31) - 1)


def _high_half(p, word):
    """floor(word / 2**31 + 1/2): the bits above 31, one more where bit 30 is set."""
    bits = Value.cast(word.value)
    high = Word(bits[31:].as_signed() + bits[30], word.lo >> 31, (word.hi >> 31) + 1)
    return p.step(Word(high.value, max(high.lo, -(1 << 31)), min(high.hi, (1 << 31) - 1)), "high")


def _rectified(p, word):
    """Not below zero, that is, not below the zero point where it has been added already."""
    first = p.spec.zero_point_first
    if word.lo >= 0 and not first:
        return p.step(word, "rectified")
    bound = p.parameter("y_zero_point") if first else Word(Const(0), 0, 0)
    bounded = Mux(word.value < bound.value, bound.value, word.value)
    return p.step(Word(bounded, max(word.lo, bound.lo), max(word.hi, bound.hi)), "rectified")


def _multiplied(p, word):
    factor = p.parameter("multiplier")
    interval = product_interval((word.lo, word.hi), (factor.lo, factor.hi))
    word = p.step(Word(word.value * factor.value, *interval), "scaled_0")
    for stage in range(1, MULTIPLY_STAGES):
        word = p.step(word, f"scaled_{stage}")
    return word


def _round_shift(p, word):
    shift = _right_shift(p)
    sign = [] if word.shape.signed else [Const(0, 1)]
    shifted = unshifted(p.m, Cat(word.value, *sign).as_signed())
    for stage in range(SHIFT_STAGES):
        shifted, shift = _shift_stage(p, shifted, shift, stage)
    quotient = Word(shifted.quotient, word.lo, word.hi)
    if p.spec.zero_point_first:
        offset = add(quotient, p.parameter("y_zero_point"))
        quotient = Word(Signal(signed(offset.shape.width + 1 - offset.shape.signed)), offset.lo, offset.hi)
        p.m.d.comb += quotient.value.eq(offset.value)
    rounding = RULE_ROUNDINGS.get(p.spec.requantize, p.spec.rounding)
    rounded = quotient.value + increment(rounding, quotient.value, shifted.guard, shifted.sticky)
    return p.step(Word(rounded, quotient.lo, quotient.hi + 1), "rounded")


def _right_shift(p):
    """By how much to divide, 6 bits, for a product or for the upper half of one."""
    shift = p.parameter("shift").value
    if p.spec.rule is None:
        return shift
    right = Signal(SHIFT_BITS, name="right_shift")
    if _rounds_twice(p.spec):
        p.m.d.comb += right.eq(Mux(shift < 0, -shift, 0))
    else:
        p.m.d.comb += right.eq(p.spec.rule.multiplier_bits - shift)
    return right


def _shift_stage(p, shifted, shift, stage):
    """Right shift by the next bits of `shift`, largest first."""
    for step in range(BITS_PER_SHIFT_STAGE):
        amount = 1 << SHIFT_BITS - 1 - stage * BITS_PER_SHIFT_STAGE - step
        shifted = shift_right(p.m, shifted, amount, shift[-1 - step], f"{stage}_{step}")
    p.age += 1
    remaining = shift[: len(shift) - BITS_PER_SHIFT_STAGE]
    value = p.hold(shifted.value, signed(len(shifted.value)), f"shifted_{stage}")
    sticky = p.hold(shifted.sticky, 1, f"sticky_{stage}")
    return Shifted(value, sticky), p.hold(remaining, len(remaining), f"shift_{stage}")


def _code(spec, word):
    """The requantized code, raw: bits of `spec.code`."""
    if isinstance(spec.code, Bipolar):
        return Word(Const(1) if word.lo >= 0 else word.value >= 0, 0, 1)
    if spec.overflow == "wrap":
        return Word(Value.cast(word.value)[: spec.code.width], 0, (1 << spec.code.width) - 1)
    lo, hi = spec.clip_range
    clipped = word.value if word.hi <= hi else Mux(word.value > hi, hi, word.value)
    clipped = clipped if word.lo >= lo else Mux(word.value < lo, lo, clipped)
    return Word(clipped, lo, hi)
