"""Skew: what makes operands meet in a systolic array, and lines its results up again."""

from amaranth.hdl import Cat, EnableInserter, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .share import shared


def delay(m: Module, value, cycles: int, name: str) -> Value:
    """The value `cycles` cycles ago: one shift register, not reset, so that it can map to shift-register cells."""
    value = Value.cast(value)
    if cycles == 0:
        return value
    line = Signal(cycles * len(value), name=name, reset_less=True)
    m.d.sync += line.eq(Cat(value, line))
    return line[-len(value) :]


def skewed(m: Module, platform, name, enable, design, channels, value) -> Value:
    """Channel c of `channels` words side by side, c enabled cycles later, by a submodule of this name."""
    if channels == 1:
        return value
    skew = Skew(design, channels, len(value) // channels)
    m.submodules[name] = shared(platform, skew)
    m.d.comb += [skew.enable.eq(enable), skew.i.eq(value)]
    return skew.o


class Delay(wiring.Component):
    """`o` is `i` of `cycles` (a power of two) enabled cycles ago: one register, or two delays of half the length."""

    has_reset = False

    def __init__(self, name, cycles, width):
        self.name, self.cycles, self.width = name, cycles, width
        self.module_name = f"{name}_delay_{cycles}x{width}"
        super().__init__({"enable": In(1), "i": In(width), "o": Out(width)})

    def elaborate(self, platform):
        m = Module()
        if self.cycles == 1:
            register = Signal(self.width, name="register", reset_less=True)
            m.d.sync += register.eq(self.i)
            m.d.comb += self.o.eq(register)
            return EnableInserter(self.enable)(m)
        value = self.i
        for half in ("first", "second"):
            part = Delay(self.name, self.cycles // 2, self.width)
            m.submodules[half] = shared(platform, part)
            m.d.comb += [part.enable.eq(self.enable), part.i.eq(value)]
            value = part.o
        m.d.comb += self.o.eq(value)
        return m


class Skew(wiring.Component):
    """Channel c of `i`, `width` bits each, comes out c enabled cycles later.

    The upper half of the channels is delayed as a whole, then each half is skewed: so the description grows with the
    logarithm of the number of channels, and the registers are those of a triangle.
    """

    has_reset = False

    def __init__(self, name, channels, width):
        self.name, self.channels, self.width = name, channels, width
        self.module_name = f"{name}_skew_{channels}x{width}"
        super().__init__({"enable": In(1), "i": In(channels * width), "o": Out(channels * width)})

    def elaborate(self, platform):
        m = Module()
        if self.channels == 1:
            m.d.comb += self.o.eq(self.i)
            return m
        low = 1 << (self.channels - 1).bit_length() - 1
        split = low * self.width
        late = Delay(self.name, low, len(self.i) - split)
        m.submodules.late = shared(platform, late)
        m.d.comb += [late.enable.eq(self.enable), late.i.eq(self.i[split:])]
        halves = (("low", low, self.i[:split], self.o[:split]), ("high", self.channels - low, late.o, self.o[split:]))
        for half, channels, value, result in halves:
            if channels == 1:
                m.d.comb += result.eq(value)
                continue
            skew = Skew(self.name, channels, self.width)
            m.submodules[half] = shared(platform, skew)
            m.d.comb += [skew.enable.eq(self.enable), skew.i.eq(value), result.eq(skew.o)]
        return m
