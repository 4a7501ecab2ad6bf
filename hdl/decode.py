"""Where codes become exact integers: the entry of the array, once per operand and not once per element."""

from amaranth.hdl import Cat, Const, Mux, Shape, Signal, Value

from golden.formats import AdditivePowersOfTwo, Format, PowerOfTwo, SignMagnitude, Ternary
from golden.minifloat import MiniFloat

from .words import gate, shape_of, shift_left


def decoded(m, codes: Value, fmt, interval, zero_point: Value | None, name: str) -> Value:
    """The codes of one format, decoded and less their zero point, as a bundle of operands for the array.

    `interval` is that of a decoded operand.
    """
    operands = []
    for index in range(len(codes) // fmt.width):
        operand = Signal(shape_of(*interval), name=f"{name}_{index}")
        code = as_integer(codes.word_select(index, fmt.width), fmt)
        m.d.comb += operand.eq(code if zero_point is None else code - as_integer(zero_point, fmt))
        operands.append(operand)
    return Cat(*operands)


def as_integer(code: Value, fmt: Format) -> Value:
    """The exact integer that a code stands for; zero for the spare code of ternary. NaN and infinity mean nothing."""
    match fmt:
        case SignMagnitude():
            return with_sign(code[-1], code[:-1])
        case Ternary():
            return Mux(code[0], Mux(code[1], -1, 1), 0)
        case PowerOfTwo():
            return with_sign(code[-1], shift_left(Cat(code[:-1] != 0), code[:-1])[1:])
        case AdditivePowersOfTwo():
            first, second = (power_of_four(Const(1, 1), field) for field in exponent_fields(code, fmt))
            return with_sign(code[-1], Cat(Const(0, 1), first) + second)
        case MiniFloat():
            significand, shift = float_parts(code, fmt)
            return with_sign(code[-1], shift_left(significand, shift))
    return code.as_signed() if fmt.signed else code


def exponent_fields(code: Value, fmt: AdditivePowersOfTwo) -> tuple[Value, Value]:
    """The exponent fields of the first and of the second term."""
    return code[fmt.field_bits : -1], code[: fmt.field_bits]


def power_of_four(value: Value, field: Value) -> Value:
    """0 for field 0, else value * 4**(field - 1)."""
    moved = shift_left(value, field, step=2)[2:]
    return gate(moved.as_signed() if value.shape().signed else moved, field != 0)


def float_parts(code: Value, fmt: MiniFloat) -> tuple[Value, Value]:
    """(significand, shift) of a minifloat without its sign: significand << shift in units of its smallest number."""
    exponent = code[fmt.mantissa_bits : -1]
    significand = Cat(code[: fmt.mantissa_bits], exponent != 0)
    return significand, Mux(exponent == 0, 0, exponent - 1)[: fmt.exponent_bits]


def with_sign(negative: Value, magnitude: Value) -> Value:
    """The magnitude, negative where told."""
    return Mux(negative, -magnitude, magnitude)


def code_shape(fmt: Format):
    """Shape of a code that travels through the array as it is."""
    return Shape(fmt.width, signed=False)
