"""float32 addition and rounding in hardware against numpy: ends, ties, cancellation, subnormals, signs of zero."""

import shutil
import subprocess
from fractions import Fraction
from random import Random

import blocks_by_hand
import numpy as np
import pytest
from amaranth.hdl import ClockDomain, Const, EnableInserter, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from float32_pairs import NAN, adversarial, every_end, numpy_sums

from hdl import float_add, float_round
from hdl.float_round import Grid, Scaled, rounded
from hdl.pipeline import Pipeline
from hdl.rounding import Shifted
from hdl.share import Netlist
from hdl.verilog import from_rtlil
from hdl.words import shape_of


class Adder(wiring.Component):
    """o is x + y of the cycle before."""

    def __init__(self):
        super().__init__({"x": In(32), "y": In(32), "o": Out(32)})

    def elaborate(self, platform):
        m = Module()
        held = Signal(32, reset_less=True)
        m.d.sync += held.eq(float_add.float_add(m, self.x, self.y, "add"))
        m.d.comb += self.o.eq(held)
        return m


def in_amaranth(x, y):
    """Sums of pairs by Amaranth's simulator."""
    dut, sums = Adder(), []

    async def bench(ctx):
        for one, other in zip(x.tolist(), y.tolist(), strict=True):
            ctx.set(dut.x, one)
            ctx.set(dut.y, other)
            await ctx.tick()
            sums.append(ctx.get(dut.o))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return sums


BENCH = """module bench;
  reg clk = 0;
  reg [31:0] x, y;
  wire [31:0] o;
  integer pairs, sums;
  adder dut (.clk(clk), .x(x), .y(y), .o(o));
  initial begin
    pairs = $fopen("pairs.hex", "r");
    sums = $fopen("sums.hex", "w");
    while ($fscanf(pairs, "%h %h", x, y) == 2) begin
      #1 clk = 1;
      #1 clk = 0;
      $fdisplay(sums, "%h", o);
    end
    $fclose(sums);
    $finish;
  end
endmodule
"""


def in_icarus(x, y, folder):
    """Sums of pairs by Icarus, of the emitted Verilog."""
    netlist = Netlist()
    netlist.add(Adder(), name="adder", domain=ClockDomain("sync", reset_less=True))
    (folder / "adder.v").write_text(from_rtlil(netlist.modules.values(), "adder"))
    (folder / "bench.v").write_text(BENCH)
    (folder / "pairs.hex").write_text("".join(f"{one:x} {other:x}\n" for one, other in zip(x, y, strict=True)))
    subprocess.run(["iverilog", "-g2005", "-Wall", "-o", "adder.vvp", "adder.v", "bench.v"], cwd=folder, check=True)
    subprocess.run(["vvp", "adder.vvp"], cwd=folder, check=True, capture_output=True)
    return [int(line, 16) for line in (folder / "sums.hex").read_text().split()]


def first_difference(x, y, came):
    wanted = numpy_sums(x, y)
    wrong = np.flatnonzero(wanted != np.array(came, np.uint32))
    if not len(wrong):
        return ""
    one = wrong[0]
    return f"{x[one]:08x} + {y[one]:08x} = {wanted[one]:08x}, not {came[one]:08x}; {len(wrong)} of {len(x)} differ"


def test_addition():
    x, y = adversarial(2000, seed=1)
    assert first_difference(x, y, in_amaranth(x, y)) == ""


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is missing (Debian: apt-get install iverilog)")
def test_addition_in_icarus(tmp_path):
    """Every end with every other one, and 10**5 pairs."""
    x, y = (np.concatenate(parts) for parts in zip(every_end(), adversarial(100_000, seed=2), strict=True))
    assert first_difference(x, y, in_icarus(x, y, tmp_path)) == ""


def test_pairs_are_worth_adding():
    """Among the pairs: ties of both parities, infinite and subnormal sums, exact zeros of both signs, and NaN."""
    x, y = (np.concatenate(parts) for parts in zip(every_end(), adversarial(100_000, seed=2), strict=True))
    sums = numpy_sums(x, y)
    assert (sums == 1 << 31).any()
    for pattern in (0, NAN, 0x7F800000, 0xFF800000):
        assert (sums == pattern).sum() > 10
    assert ((sums & 0x7F800000 == 0) & (sums & 0x7FFFFF != 0)).sum() > 1000
    with np.errstate(all="ignore"):
        exact = x.view(np.float32).astype(np.float64) + y.view(np.float32).astype(np.float64)
        value = sums.view(np.float32).astype(np.float64)
        half = np.abs(exact - value) * 2 == np.spacing(np.abs(sums.view(np.float32))).astype(np.float64)
    usual = np.isfinite(value) & (np.abs(value) > 2.0**-100) & half
    assert usual.sum() > 1000


def floor(rounding, quotient, guard, sticky):
    return Const(0, 1)


def without_sticky(rounding, quotient, guard, sticky):
    return guard & quotient[0]


def away_from_zero(rounding, quotient, guard, sticky):
    return guard


def forgetful(m, shifted, amount, by, name):
    moved = SHIFT_RIGHT(m, shifted, amount, by, name)
    return Shifted(moved.value, shifted.sticky)


SHIFT_RIGHT = float_add.shift_right
BROKEN = {
    "toward zero": ("increment", floor),
    "sticky bit lost": ("increment", without_sticky),
    "ties away": ("increment", away_from_zero),
    "bits fall off unseen": ("shift_right", forgetful),
}


@pytest.mark.parametrize("bug", [*BROKEN, "negative zero", "subnormals flushed"])
def test_broken_adders_are_found(bug, monkeypatch):
    x, y = adversarial(250, seed=3)
    if bug in BROKEN:
        monkeypatch.setattr(float_add, *BROKEN[bug])
    came = in_amaranth(x, y)
    if bug == "negative zero":
        came = [one & 1 << 31 if not total << 1 & 0xFFFFFFFF else total for one, total in zip(x, came, strict=True)]
    if bug == "subnormals flushed":
        came = [total & 1 << 31 if not total & 0x7F800000 else total for total in came]
    assert "differ" in first_difference(x, y, came)


class Rounder(wiring.Component):
    """The pattern of magnitude * 2**(base + offset)."""

    def __init__(self, grid):
        self.grid = grid
        self.offset_shape = shape_of(grid.lo, max(grid.hi, 1))
        super().__init__({"magnitude": In(grid.bits), "offset": In(self.offset_shape), "o": Out(31), "enable": In(1)})

    def elaborate(self, platform):
        m = Module()
        p = Pipeline(m, None, None)
        value = rounded(p, Scaled(self.magnitude, self.offset, self.grid), "value")
        assert p.age == self.grid.latency
        m.d.comb += self.o.eq(value.pattern)
        return EnableInserter(self.enable)(m)


GRIDS = {
    "a 14-bit sum with any e8m0 scales": Grid(14, -150, -149 + 149, 277),
    "a 42-bit sum": Grid(42, -18),
    "a 70-bit sum": Grid(70, -32),
    "a product of 24 and 8 bits": Grid(32, -60, 0, 40),
    "one bit, subnormal or too large": Grid(1, -160, 0, 300),
    "24 bits that always fit": Grid(24, -40, 0, 20),
    "25 bits, subnormal or too large": Grid(25, -175, 0, 300),
    "48 bits": Grid(48, -200, 0, 330),
}


def numbers_of(grid, count, random):
    for number in range(count):
        bits = random.randint(0, grid.bits)
        value = random.getrandbits(bits) if bits else 0
        if number % 4 == 0:
            value = ((1 << bits) - 1) ^ (random.randint(0, 1) and 1 << random.randrange(bits or 1)) if bits else 0
        if number % 4 == 1 and bits > 24:
            value = value >> bits - 25 << bits - 25 | 1 << bits - 25  # a tie
        yield value & (1 << grid.bits) - 1, random.choice([grid.lo, grid.hi, *(random.randint(grid.lo, grid.hi),) * 6])


def patterns(grid, cases, random):
    """What the hardware makes of magnitudes and offsets, one per cycle, held now and then."""
    dut, came = Rounder(grid), []

    async def bench(ctx):
        for index in range(len(cases) + grid.latency):
            magnitude, offset = cases[min(index, len(cases) - 1)]
            ctx.set(dut.enable, 1)
            ctx.set(dut.magnitude, magnitude)
            ctx.set(dut.offset, offset)
            if index >= grid.latency:
                await ctx.delay(1e-9)
                came.append(ctx.get(dut.o))
            while random.random() < 0.1:
                ctx.set(dut.enable, 0)
                await ctx.tick()
            ctx.set(dut.enable, 1)
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return came


def wrongly_rounded(name):
    """The first number of a grid that is not the nearest float32 of a fraction, found by comparison."""
    grid, random = GRIDS[name], Random(name)
    cases = list(numbers_of(grid, 350, random))
    for (magnitude, offset), came in zip(cases, patterns(grid, cases, random), strict=True):
        exact = blocks_by_hand.nearest(Fraction(magnitude) * Fraction(2) ** (grid.base + offset))
        if came != blocks_by_hand.pattern(exact):
            return f"{magnitude} * 2**({grid.base} + {offset}) is not {came:08x}"
    return ""


@pytest.mark.parametrize("name", GRIDS)
def test_rounding(name):
    assert wrongly_rounded(name) == ""


@pytest.mark.parametrize("bug", BROKEN)
def test_broken_rounding_is_found(bug, monkeypatch):
    monkeypatch.setattr(float_round, *BROKEN[bug])
    assert wrongly_rounded("48 bits") != ""


@pytest.mark.parametrize(
    ("grid", "outside"),
    [
        (Grid(24, -149), Grid(24, -150)),
        (Grid(1, 127), Grid(1, 128)),
        (Grid(20, 0, 0, 108), Grid(20, 0, 0, 109)),
        (Grid(24, 0), Grid(25, 0)),
    ],
)
def test_what_always_fits_is_in_float32(grid, outside):
    assert grid.is_float32 and not outside.is_float32
