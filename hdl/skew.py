"""Skew: what makes operands meet in a systolic array, and lines its results up again."""

from amaranth.hdl import Cat, EnableInserter, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


def delay(m: Module, value, cycles: int, name: str) -> Value:
    """The value `cycles` cycles ago: one shift register, not reset, so that it can map to shift-register cells."""
    value = Value.cast(value)
    if cycles == 0:
        return value
    line = Signal(cycles * len(value), name=name, reset_less=True)
    m.d.sync += line.eq(Cat(value, line))
    return line[-len(value) :]


class Skew(wiring.Component):
    """Channel i of `i`, `width` bits each, comes out `delays[i]` cycles later. `enable` low holds all."""

    has_reset = False

    def __init__(self, module_name, delays, width):
        self.module_name = module_name
        self.delays = tuple(delays)
        self.width = width
        bits = len(self.delays) * width
        super().__init__({"enable": In(1), "i": In(bits), "o": Out(bits)})

    def elaborate(self, platform):
        m = Module()
        for channel, cycles in enumerate(self.delays):
            value = self.i.word_select(channel, self.width)
            m.d.comb += self.o.word_select(channel, self.width).eq(delay(m, value, cycles, f"line_{channel}"))
        return EnableInserter(self.enable)(m)
