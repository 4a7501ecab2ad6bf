"""Ternary weights five to a byte: what unpacks them where beats enter."""

from amaranth.hdl import Cat, EnableInserter, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec
from golden.trits import TRITS, VALUES


def trits_of(m: Module, byte):
    """Two bits of two's complement for each of the five trits of a byte, the one of weight 1 lowest.

    Digit by digit from the highest: a digit is 2, 1 or 0 as what is left reaches 2 * 3**i, 3**i or neither. Bytes above
    242 are five zeros.
    """
    left, valid, trits = byte, Signal(name="valid"), []
    m.d.comb += valid.eq(byte < VALUES)
    for place in reversed(range(TRITS)):
        weight = 3**place
        two, one = Signal(name=f"two_{place}"), Signal(name=f"one_{place}")
        m.d.comb += [two.eq(left >= 2 * weight), one.eq(left >= weight)]
        trits.append(Cat(valid & (two | ~one), valid & ~one))
        if place:
            rest = Signal(range(weight), name=f"rest_{place}")
            m.d.comb += rest.eq(left - Mux(two, 2 * weight, Mux(one, weight, 0)))
            left = rest
    return Cat(reversed(trits))


class TritRegister(wiring.Component):
    """The five trits of a byte as operands of the array, one cycle later. `enable` low holds them."""

    has_reset = False

    def __init__(self, spec: Spec):
        self.module_name = f"{spec.name}_trits"
        super().__init__({"enable": In(1), "i": In(8), "o": Out(2 * TRITS)})

    def elaborate(self, platform):
        m = Module()
        held = Signal(2 * TRITS, name="trits", reset_less=True)
        m.d.sync += held.eq(trits_of(m, self.i))
        m.d.comb += self.o.eq(held)
        return EnableInserter(self.enable)(m)
