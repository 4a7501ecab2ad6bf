"""The parts of dynamic quantization in hardware, cycle by cycle: float32 sums, ranges and their scales, quotients."""

from random import Random

import numpy as np
import pytest
from amaranth.sim import Simulator

from golden.formats import parse
from golden.quantize import quantize
from golden.spec import Spec
from hdl.dynamic_quantizer import QUOTIENT, DynamicQuantizer, aligned_age, fraction_bits, quantizer_latency
from hdl.dynamic_range import DynamicRange, range_latency
from hdl.float_sum import FloatSum, float_range, float_sum_latency

WIDTHS = (6, 24, 25, 26, 32, 33, 41, 63)
BIAS = 150  # exponent field of a significand that counts as an integer


def spec_of(bits, cols=1):
    """Sums of so many bits."""
    formats = {"activations": parse("int32"), "weights": parse("int32"), "output": parse("uint8")}
    return Spec(**formats, cols=cols, requantize="dynamic", accumulator=bits, accumulator_overflow="wrap")


def float32(values):
    return np.array(values, np.int64).astype(np.float32)


def pattern(scale):
    return int(np.float32(scale).view(np.int32))


def simulated(dut, bench):
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def every_size(random, bits, count):
    """Sums of every size, the ends, and numbers halfway between two float32 numbers or beside them."""
    lo, hi = -(1 << bits - 1), (1 << bits - 1) - 1
    found = [lo, lo + 1, hi, hi - 1, 0, 1, -1]
    while len(found) < count:
        value = random.randint(lo, hi) >> random.randrange(bits)
        excess = max(abs(value).bit_length() - 24, 0)
        if excess and random.random() < 0.7:
            value = (value >> excess << excess) + (1 << excess - 1) + random.choice((-1, 0, 0, 1))
        found.append(max(min(value, hi), lo))
    return found


@pytest.mark.parametrize("bits", [width for width in WIDTHS if width > 25])
def test_float32_of_sums(bits):
    spec = spec_of(bits)
    dut, sums, got = FloatSum(spec), every_size(Random(bits), bits, 1500), []

    async def bench(ctx):
        ctx.set(dut.enable, 1)
        for one in [*sums, *[0] * float_sum_latency(spec)]:
            ctx.set(dut.acc, one)
            await ctx.tick()
            got.append(ctx.get(dut.o))

    simulated(dut, bench)
    assert got[float_sum_latency(spec) - 1 : -1] == [int(one) for one in float32(sums)]
    assert float_range(spec)[1] >= int(float32([(1 << bits - 1) - 1])[0])


def tiles_of(bits, cols, seed, count):
    """Tiles of rows of float32 sums: ranges of every width, one-sided ones and zeros among them."""
    random = Random(seed)
    for _ in range(count):
        low, high = sorted(random.choice([0, one]) for one in every_size(random, bits, 20)[-2:])
        rows = random.choice([1, 1, 2, 3])
        ends = [low, high, *(random.randint(low, high) for _ in range(rows * cols))]
        sums = [int(one) for one in float32(random.sample(ends, rows * cols))]
        yield [sums[index : index + cols] for index in range(0, len(sums), cols)]


@pytest.mark.parametrize(("bits", "cols"), [(6, 3), (24, 1), (25, 2), (26, 4), (33, 5), (63, 1)])
def test_scale_of_a_tile(bits, cols):
    """float32((max - min) / 255), `range_latency` cycles after the tile's last row, however short the tiles are."""
    spec = spec_of(bits, cols)
    dut, tiles = DynamicRange(spec), list(tiles_of(bits, cols, bits, 500))
    shape = dut.low.shape()
    rows = [
        (row, index + 1 == len(tile), number) for number, tile in enumerate(tiles) for index, row in enumerate(tile)
    ]
    latency, expected, got = range_latency(spec), {}, {}

    async def bench(ctx):
        ctx.set(dut.enable, 1)
        random, waiting, cycle = Random(1), list(rows), 0
        while waiting or cycle <= max(expected):
            valid = bool(waiting) and random.random() < 0.8
            row, last, number = waiting.pop(0) if valid else ([0] * cols, random.random() < 0.5, None)
            ctx.set(dut.valid, valid)
            ctx.set(dut.last, last)
            ctx.set(
                dut.sums, sum((one & (1 << shape.width) - 1) << index * shape.width for index, one in enumerate(row))
            )
            if valid and last:
                expected[cycle + latency] = number
            got[cycle] = ctx.get(dut.scale), ctx.get(dut.low)
            await ctx.tick()
            cycle += 1
        got[cycle] = ctx.get(dut.scale), ctx.get(dut.low)

    simulated(dut, bench)
    held = (pattern(1.0), 0)
    for cycle in range(max(expected) + 1):
        if cycle in expected:
            x = float32([0, *np.concatenate(tiles[expected[cycle]]).tolist()])
            width = x.max() - x.min()
            held = pattern(width / np.float32(255)) if width else pattern(1.0), int(x.min())
        assert got[cycle] == held, f"cycle {cycle}"


def test_division_by_255_of_every_significand():
    """The digits to base 256 of a significand tell its 255th: what hdl.dynamic_scale builds, for all 2**23 of them."""
    significand = np.arange(1 << 23, 1 << 24)
    high = significand >> 16
    digits = (significand & 255) + (significand >> 8 & 255) + high
    carry = (digits >= 255).astype(int) + (digits >= 510) + (digits >= 765)
    rest, whole = digits + carry & 255, (significand >> 8) + high + carry
    quotient = 512 * whole + 2 * rest + (rest >> 7)
    large = quotient >> 25
    kept, guard = quotient >> 1 + large, quotient >> large & 1
    sticky = (rest != 0) | (quotient & large != 0)
    rounded = kept + (guard & (sticky | kept & 1))
    exact = significand.astype(np.float32) / np.float32(255)
    assert np.array_equal(np.ldexp(rounded.astype(np.float32), large - 8), exact)


def near_ties(random, bits):
    """(sum, scale): quotients that float32 rounds to k + 1/2, from either side, and their nearest neighbours."""
    k = random.randrange(256)
    sum_ = random.randrange(1 << min(bits - 1, 24) - 1, 1 << min(bits - 1, 24)) << random.randrange(max(bits - 24, 1))
    scale = float32([sum_])[0] / np.float32(k + 0.5)
    return sum_, np.nextafter(scale, np.float32(random.choice([0, np.inf]))) if random.random() < 0.5 else scale


def quotients(bits, count):
    """(sum, scale pattern, zero point): near ties, exact ties, quotients of every size, far too large ones."""
    random = Random(bits)
    top = (1 << bits - 1) - 1
    while count:
        sum_, scale = near_ties(random, bits)
        kind = random.randrange(4)
        if kind == 1:
            scale = np.float32(2.0 ** random.randrange(max(bits - 8, 1)))
            sum_ = int(scale * random.randrange(512)) // 2
        if kind == 2:
            width = np.float32(random.randint(1, 2 * top) >> random.randrange(bits))
            scale, sum_ = max(width, np.float32(1)) / np.float32(255), random.randint(0, top) >> random.randrange(bits)
        sum_ = int(float32([min(sum_, top)])[0])
        if sum_ <= top and 1 / 255.1 < scale < 2 * top / 254:
            count -= 1
            yield random.choice((1, -1)) * sum_, pattern(scale), random.randrange(256)


@pytest.mark.parametrize("bits", WIDTHS)
def test_quotients_are_rounded_twice(bits):
    """round(float32(sum / scale)) + zero point, though no float32 quotient is formed (11.8)."""
    spec = spec_of(bits)
    dut, vectors = DynamicQuantizer(spec), list(quotients(bits, 1500))
    first, latency, got = aligned_age(spec), quantizer_latency(spec), []

    def significand(index):
        return vectors[index][1] & 0x7FFFFF | 0x800000 if 0 <= index < len(vectors) else 0

    async def bench(ctx):
        ctx.set(dut.enable, 1)
        for cycle in range(len(vectors) + latency):
            sum_, scale, _ = vectors[min(cycle, len(vectors) - 1)]
            ctx.set(dut.sum, sum_)
            ctx.set(dut.amount, BIAS + fraction_bits(spec) - (scale >> 23))
            looked_at = [significand(cycle - first - stage) for stage in range(QUOTIENT + 1)]
            ctx.set(dut.significands, sum(one << 24 * stage for stage, one in enumerate(looked_at)))
            ctx.set(dut.zero_point, vectors[max(cycle - latency + 1, 0) % len(vectors)][2])
            await ctx.tick()
            got.append(ctx.get(dut.y))

    simulated(dut, bench)
    sums, scales, zero_points = (np.array(column) for column in zip(*vectors, strict=True))
    scales = scales.astype(np.int32).view(np.float32)
    expected = [int(quantize(*one, "uint8")) for one in zip(float32(sums), scales, zero_points, strict=True)]
    assert got[latency - 1 : -1] == expected
    once = np.rint(sums / scales.astype(np.float64))
    assert bits < 20 or (np.rint(float32(sums) / scales) != once).sum() > 20, "no quotient shows both roundings"
