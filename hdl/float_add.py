"""float32 addition in one cycle: IEEE 754, ties to even, with subnormals, infinities and NaN."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from .rounding import Shifted, increment, shift_right

WIDTH = 32
PRECISION = 24
FRACTION = PRECISION - 1
BIAS = 127
TOP_FIELD = 255
INFINITY = TOP_FIELD << FRACTION
NAN = INFINITY | 1 << FRACTION - 1
BELOW = 2  # bits below the significand: guard and round; the sticky bit goes below these
ALIGNMENTS = (16, 8, 4, 2, 1)


def float_add(m: Module, x: Value, y: Value, name: str) -> Value:
    """The pattern of x + y, combinational: the loop of a float32 accumulator, and its critical path.

    Compares and swaps the magnitudes, aligns the smaller one to the larger one's exponent, adds or subtracts, shifts
    left by the leading zeros but not beyond the subnormals, rounds, and lets a carry run into the exponent. x + -x is
    +0; every NaN is 0x7fc00000; what is too large is infinity.
    """
    swap, effective = Signal(name=f"{name}_swap"), Signal(name=f"{name}_subtracts")
    large, small = (Signal(WIDTH - 1, name=f"{name}_{part}") for part in ("large", "small"))
    m.d.comb += [
        swap.eq(x[:-1] < y[:-1]),
        large.eq(Mux(swap, y[:-1], x[:-1])),
        small.eq(Mux(swap, x[:-1], y[:-1])),
        effective.eq(x[-1] ^ y[-1]),
    ]
    exponent, total = _aligned_sum(m, large, small, effective, name)
    magnitude = _rounded(m, exponent, total, name)
    negative = Mux(total.any(), Mux(swap, y[-1], x[-1]), x[-1] & y[-1])
    not_finite = large[FRACTION:].all()
    nan = not_finite & (large[:FRACTION].any() | (effective & small[FRACTION:].all()))
    return _named(m, Mux(nan, NAN, Cat(Mux(not_finite, large, magnitude), negative)), WIDTH, f"{name}_sum")


def _parts(pattern):
    """(significand with its hidden bit, exponent field, at least 1) of a magnitude's pattern."""
    field = pattern[FRACTION:]
    return Cat(pattern[:FRACTION], field.any()), Cat(field[0] | ~field.any(), field[1:])


def _aligned_sum(m, large, small, subtracts, name):
    """The larger one's exponent, and the sum in units of that exponent's last place / 8: a carry bit on top."""
    (big, exponent), (little, less) = (
        [_named(m, part, len(part), f"{name}_{which}") for part, which in zip(_parts(pattern), which, strict=True)]
        for pattern, which in ((large, ("big", "exponent")), (small, ("little", "less")))
    )
    distance = _named(m, exponent - less, 8, f"{name}_distance")
    shifted = Shifted(_named(m, Cat(Const(0, BELOW), little), PRECISION + BELOW, f"{name}_aligned"), Const(0, 1))
    for amount in ALIGNMENTS:
        by = distance[amount.bit_length() - 1]
        shifted = shift_right(m, shifted, amount, by, f"{name}_align_{amount}")
    far = distance[len(ALIGNMENTS) :].any()
    sticky = shifted.sticky | (far & shifted.value.any())
    addend = Cat(sticky, shifted.value & ~far.replicate(len(shifted.value)))
    addend = _named(m, addend, len(addend), f"{name}_addend")
    total = Cat(Const(0, BELOW + 1), big) + Mux(subtracts, -addend, addend)
    return exponent, _named(m, total, PRECISION + BELOW + 2, f"{name}_total")


def _rounded(m, exponent, total, name):
    """The magnitude's pattern of total, whose top bit would make the exponent one more.

    A mark where the exponent would become that of the subnormals stops the count of leading zeros.
    """
    bits = len(total)
    mark = Cat((exponent == bits - 1 - place) for place in range(bits))
    zeros = _named(m, leading_zeros(_named(m, total | mark, bits, f"{name}_marked")), 5, f"{name}_zeros")
    for step in ALIGNMENTS:
        moved = Cat(Const(0, step), total)[:bits]
        total = _named(m, Mux(zeros[step.bit_length() - 1], moved, total), bits, f"{name}_left_{step}")
    kept, guard, sticky = total[-PRECISION:], total[-PRECISION - 1], total[: -PRECISION - 1].any()
    field = _named(m, Mux(kept[-1], exponent + 1 - zeros, 0), 8, f"{name}_field")
    rounded = Cat(kept[:-1], field) + increment("half_even", kept, guard, sticky)
    return Mux(field.all(), INFINITY, rounded[: WIDTH - 1])


def leading_zeros(value: Value) -> Value:
    """Zeros above the highest bit that is set, by halves: of n <= 2**b bits, b bits, all ones for zero if n = 2**b.

    Of a shorter value, ones are meant below its end.
    """
    levels = (len(value) - 1).bit_length()
    padded = Cat(Const(-1, (1 << levels) - len(value)), value)
    return _zeros(padded, levels)


def _zeros(value, levels):
    if levels == 0:
        return Const(0, 0)
    half = 1 << levels - 1
    upper = value[half:].any()
    return Cat(Mux(upper, _zeros(value[half:], levels - 1), _zeros(value[:half], levels - 1)), ~upper)


def _named(m, value, width, name):
    signal = Signal(width, name=name)
    m.d.comb += signal.eq(value)
    return signal
