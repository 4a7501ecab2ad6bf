"""Codes that are no numbers, NaN and infinities: found in operands, and what sums of products with them are."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Signal, Value

from golden.formats import Bipolar, Format
from golden.minifloat import MiniFloat
from golden.scale_formats import E8M0_NAN, PowerScale
from golden.signed_formats import SignedField
from golden.spec import Spec

from .skew import delay


@dataclass(frozen=True)
class Marks:
    """What a sum has met that is no number: NaN, plus infinity, minus infinity."""

    nan: Value
    plus: Value
    minus: Value

    @property
    def bits(self):
        return self.nan, self.plus, self.minus


def may_be_nan(fmt: Format | None):
    return isinstance(fmt, PowerScale) or (isinstance(fmt, MiniFloat) and fmt.specials != "none")


def may_be_infinite(fmt: Format | None):
    return isinstance(fmt, MiniFloat) and fmt.specials == "ieee"


def is_nan(code: Value, fmt: Format):
    """Whether a code stands for NaN."""
    match fmt:
        case PowerScale():
            return code == E8M0_NAN
        case MiniFloat(specials="fn"):
            return code[:-1].all()
        case MiniFloat(specials="fnuz"):
            return code == 1 << fmt.width - 1
        case MiniFloat(specials="ieee"):
            return code[fmt.mantissa_bits : -1].all() & code[: fmt.mantissa_bits].any()
    return Const(0, 1)


def is_infinite(code: Value, fmt: Format):
    """Whether a code of a format with infinities is one."""
    return code[fmt.mantissa_bits : -1].all() & ~code[: fmt.mantissa_bits].any()


def decodable(m: Module, codes: Value, fmt: Format):
    """Codes in which each infinity is a number of its sign, so that decoding does not lose the sign."""
    if not may_be_infinite(fmt):
        return codes
    numbers, low = Signal(len(codes), name="numbers"), fmt.mantissa_bits
    for index in range(len(codes) // fmt.width):
        code = codes.word_select(index, fmt.width)
        number = Cat(code[:low], code[low] & ~is_infinite(code, fmt), code[low + 1 :])
        m.d.comb += numbers.word_select(index, fmt.width).eq(number)
    return numbers


def beat_marks(m: Module, spec: Spec, a, w, behind, cycles) -> Marks:
    """What the sum of a beat's products has met, `cycles` cycles after the operands; constant zeros where nothing can.

    Infinities by sign; NaN among the operands, and infinity times zero. `behind` holds the fields of `beside`.
    """
    nan = [fields["nan"] for fields in behind.values() if "nan" in fields]
    met = Cat(nan).any() if nan else Const(0, 1)
    if not any("infinite" in fields for fields in behind.values()):
        return Marks(met, Const(0, 1), Const(0, 1))
    none = Const(0, spec.lanes)
    products = _product_marks(spec, a, w, *(fields.get("infinite", none) for fields in behind.values()))
    nan, plus, minus = (delay(m, mark, cycles, "mark_late") for mark in products.bits)
    return Marks(met | nan, plus, minus)


def _product_marks(spec, a, w, a_infinite, w_infinite):
    found = []
    for lane, (x, y) in enumerate(zip(a, w, strict=True)):
        infinite = a_infinite[lane] | w_infinite[lane]
        zero = _is_zero(x, spec.activations) | _is_zero(y, spec.weights)
        negative = _is_negative(x, spec.activations) ^ _is_negative(y, spec.weights)
        found.append((infinite & zero, infinite & ~zero & ~negative, infinite & ~zero & negative))
    return Marks(*(Cat(bits).any() for bits in zip(*found, strict=True)))


def _is_zero(operand, fmt):
    """Of an operand as the dot product takes it: decoded, or a code whose sign bit is above the rest."""
    if isinstance(fmt, Bipolar):
        return Const(0, 1) if not operand.shape().signed else operand == 0
    return ~operand.any() if not _has_sign_bit(operand, fmt) else ~operand[:-1].any()


def _is_negative(operand, fmt):
    if isinstance(fmt, Bipolar) and not operand.shape().signed:
        return ~operand[0]
    return operand[-1] if operand.shape().signed or _has_sign_bit(operand, fmt) else Const(0, 1)


def _has_sign_bit(operand, fmt):
    return isinstance(fmt, (MiniFloat, SignedField)) and not operand.shape().signed
