"""Right shifts that remember what they drop, and the increment that rounds (docs/arithmetic.md, section 4)."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value


@dataclass(frozen=True)
class Shifted:
    """A value with its guard bit below it (`value[0]`), and whether anything below that was dropped."""

    value: Value
    sticky: Value

    @property
    def quotient(self):
        """The floor quotient."""
        return self.value[1:].as_signed() if self.value.shape().signed else self.value[1:]

    @property
    def guard(self):
        return self.value[0]


def unshifted(m: Module, value: Value) -> Shifted:
    """The value with an empty guard bit."""
    widened = Signal(Shape(len(value) + 1, signed=value.shape().signed), name="shifted")
    m.d.comb += widened.eq(Cat(Const(0, 1), value))
    return Shifted(widened, Const(0, 1))


def shift_right(m: Module, shifted: Shifted, amount: int, by: Value, name: str) -> Shifted:
    """Shifted by `amount` where `by` is set; what falls off the end is remembered."""
    value, signed = shifted.value, shifted.value.shape().signed
    moved = Signal(len(value) - signed, name=f"moved_{name}")
    lost = Signal(name=f"lost_{name}")
    rest = value[min(amount, len(value) - 1) :]
    m.d.comb += moved.eq(Mux(by, rest.as_signed() if signed else rest, value))
    m.d.comb += lost.eq(shifted.sticky | (by & value[: min(amount, len(value))].any()))
    return Shifted(Cat(moved, value[-1]).as_signed() if signed else moved, lost)


def increment(rounding: str, quotient: Value, guard: Value, sticky: Value):
    """1 where the floor quotient must go up by one. Raises ValueError for a rounding that hardware has not."""
    negative = quotient[-1] if quotient.shape().signed else Const(0, 1)
    match rounding:
        case "floor":
            return 0
        case "ceil":
            return guard | sticky
        case "toward_zero":
            return negative & (guard | sticky)
        case "half_up":
            return guard
        case "half_down":
            return guard & sticky
        case "half_away":
            return guard & (sticky | ~negative)
        case "half_even":
            return guard & (sticky | quotient[0])
        case "dpu":
            return guard & (sticky | quotient[0] | negative)
    raise ValueError(f"no hardware for rounding {rounding!r}")
