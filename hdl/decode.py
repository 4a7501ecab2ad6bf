"""Where codes become exact integers: the entry of the array, once per operand and not once per element."""

from amaranth.hdl import Cat, Signal, Value

from golden.formats import Bipolar

from .words import shape_of


def decoded(m, codes: Value, fmt, interval, zero_point: Value | None, name: str) -> Value:
    """The codes of one format, decoded and less their zero point, as a bundle of operands for the array.

    `interval` is that of a decoded operand. A bipolar operand stays the code it is.
    """
    if isinstance(fmt, Bipolar):
        return codes
    operands = []
    for index in range(len(codes) // fmt.width):
        operand = Signal(shape_of(*interval), name=f"{name}_{index}")
        code = _as_integer(codes.word_select(index, fmt.width), fmt)
        m.d.comb += operand.eq(code if zero_point is None else code - _as_integer(zero_point, fmt))
        operands.append(operand)
    return Cat(*operands)


def _as_integer(code, fmt):
    return code.as_signed() if fmt.signed else code
