"""cocotb tests of the AXI4-Stream ports, run inside the simulator with clients that are not this project's own.

`axi.json`, in the folder the simulation runs in, holds two products, `first` and `second`: for each stream, inputs and
outputs, a list of frames (one per tile or parameter set), each its bytes in hexadecimal, beat after beat, lowest byte
first.
"""

import itertools
import json
from pathlib import Path
from random import Random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

from sim.clock import PERIOD_NS

QUIET_CYCLES = 60
TIMEOUT_CYCLES = 20_000
OUTPUTS = ("y", "q")


class Ports:
    """Clock, reset, and a client at every stream of the top module."""

    def __init__(self, dut, names):
        self.dut = dut
        dut.aresetn.value = 0
        cocotb.start_soon(Clock(dut.aclk, PERIOD_NS, "ns").start())
        how = {"clock": dut.aclk, "reset": dut.aresetn, "reset_active_level": False}
        self.sources = {name: AxiStreamSource(AxiStreamBus.from_prefix(dut, f"s_axis_{name}"), **how) for name in names}
        outputs = [name for name in OUTPUTS if hasattr(dut, f"m_axis_{name}_tdata")]
        self.sinks = {name: AxiStreamSink(AxiStreamBus.from_prefix(dut, f"m_axis_{name}"), **how) for name in outputs}
        self.sink = self.sinks["y"]

    @property
    def all(self):
        return [*self.sources.values(), *self.sinks.values()]

    def silent(self):
        """Whether no output is valid."""
        return all(getattr(self.dut, f"m_axis_{name}_tvalid").value == 0 for name in self.sinks)

    def pause(self, chance, seed):
        """From now on each stream pauses in a fraction `chance` of the cycles, on its own."""
        for number, port in enumerate(self.all):
            random = Random(seed + number)
            port.set_pause_generator(random.random() < chance for _ in itertools.count())

    async def reset(self, cycles=4):
        """Asserts the reset and drops what the clients still hold."""
        self.dut.aresetn.value = 0
        await ClockCycles(self.dut.aclk, cycles)
        for port in self.all:
            port.clear()
        await RisingEdge(self.dut.aclk)
        assert self.silent(), "an output is valid in reset"
        self.dut.aresetn.value = 1

    async def quiet(self):
        for _ in range(QUIET_CYCLES):
            await RisingEdge(self.dut.aclk)
            assert self.silent(), "an output that nothing asked for"
        assert all(sink.empty() for sink in self.sinks.values()), "a beat that nothing asked for"

    def send(self, product):
        for name, source in self.sources.items():
            for frame in product[name]:
                source.send_nowait(AxiStreamFrame(tdata=bytes.fromhex(frame)))

    async def received(self, count, name="y"):
        """Waits until so many output frames are there, or comes back without after a while."""
        for _ in range(TIMEOUT_CYCLES):
            if self.sinks[name].count() >= count:
                break
            await RisingEdge(self.dut.aclk)

    async def expect(self, product):
        """Waits for all output frames and compares them; nothing may follow."""
        for name, sink in self.sinks.items():
            await self.received(len(product[name]), name)
            frames = [bytes(sink.recv_nowait().tdata).hex() for _ in range(sink.count())]
            assert frames == product[name], f"on m_axis_{name}: {frames}, expected {product[name]}"
        await self.quiet()


def products():
    given = json.loads(Path("axi.json").read_text())
    return given["first"], given["second"]


def ports(dut, product):
    return Ports(dut, [name for name in product if name not in OUTPUTS])


@cocotb.test()
async def random_pauses(dut):
    """Every stream pauses at random, from never to most of the time; two products without a reset between them."""
    first, second = products()
    streams = ports(dut, first)
    await streams.reset()
    for seed, chance in enumerate((0.0, 0.3, 0.8)):
        streams.pause(chance, 100 * seed)
        for product in (first, second, first):
            streams.send(product)
            await streams.expect(product)


@cocotb.test()
async def one_stream_pauses(dut):
    """Each stream in turn is there in one cycle of ten, the others always."""
    first, _ = products()
    streams = ports(dut, first)
    await streams.reset()
    for number, slow in enumerate(streams.all):
        streams.pause(0.0, 0)
        random = Random(number)
        slow.set_pause_generator(random.random() < 0.9 for _ in itertools.count())
        streams.send(first)
        await streams.expect(first)


@cocotb.test()
async def valid_waits_for_no_ready(dut):
    """`m_axis_y_tvalid` rises, and its data hold still, while nobody is ready."""
    first, _ = products()
    streams = ports(dut, first)
    await streams.reset()
    streams.sink.pause = True
    streams.send(first)
    await with_timeout(RisingEdge(dut.m_axis_y_tvalid), TIMEOUT_CYCLES * PERIOD_NS, "ns")
    await RisingEdge(dut.aclk)
    data = dut.m_axis_y_tdata.value
    for _ in range(QUIET_CYCLES):
        await RisingEdge(dut.aclk)
        held = dut.m_axis_y_tready.value, dut.m_axis_y_tvalid.value, dut.m_axis_y_tdata.value
        assert held == (0, 1, data), f"ready, valid and data {held}, expected {(0, 1, data)}"
    streams.sink.pause = False
    await streams.expect(first)


@cocotb.test()
async def reset_in_flight(dut):
    """A reset at every moment of a product: within a tile, while it drains, between. Then another product is right."""
    first, second = products()
    streams = ports(dut, first)
    await streams.reset()
    tiles_under_way = set()
    for chance in (0.0, 0.5):
        moment = 2
        while True:
            streams.pause(chance, moment)
            streams.send(first)
            await ClockCycles(dut.aclk, moment)
            if streams.sink.count() == len(first["y"]):
                break
            tiles_under_way.add(streams.sink.count())
            await streams.reset(cycles=1 + moment % 4)
            if moment % 2:
                await streams.quiet()
            streams.pause(chance, moment)
            streams.send(second)
            await streams.expect(second)
            moment += 3
        for name, sink in streams.sinks.items():
            await streams.received(len(first[name]), name)
            sink.clear()
        await streams.quiet()
    assert tiles_under_way == set(range(len(first["y"]))), f"resets came only after {tiles_under_way} tiles"


def set_streams(product):
    """The streams that bring one set per tile: parameters, codebooks."""
    return [name for name in ("p", "c") if name in product]


@cocotb.test()
async def late_sets(dut):
    """Each set comes only when all outputs before it have been received, and none of its own came sooner."""
    first, second = products()
    streams = ports(dut, first)
    await streams.reset()
    choices = itertools.product(set_streams(first), (first, second), (0.0, 0.4))
    for seed, (late, product, chance) in enumerate(choices):
        streams.pause(chance, 100 * seed)
        streams.send({**product, late: []})
        tiles = len(product["y"]) // len(product[late])  # of each set
        for number, frame in enumerate(product[late]):
            await streams.received(number * tiles)
            for _ in range(QUIET_CYCLES):
                await RisingEdge(dut.aclk)
            assert streams.sink.count() == number * tiles, "outputs without their set"
            streams.sources[late].send_nowait(AxiStreamFrame(tdata=bytes.fromhex(frame)))
        await streams.expect(product)


async def beats_on(port, dut, count):
    """Waits for so many transfers on an input."""
    while count:
        await RisingEdge(dut.aclk)
        count -= int(getattr(dut, f"{port}_tvalid").value) & int(getattr(dut, f"{port}_tready").value)


@cocotb.test()
async def reset_in_load(dut):
    """A reset after each beat of a set, the last too; then a product is right."""
    first, second = products()
    streams = ports(dut, first)
    await streams.reset()
    for name in set_streams(first):
        whole = bytes.fromhex(first[name][0])
        width = len(getattr(dut, f"s_axis_{name}_tdata")) // 8
        for count in range(1, len(whole) // width + 1):
            streams.pause(0.0, count)
            streams.sources[name].send_nowait(AxiStreamFrame(tdata=whole))
            await beats_on(f"s_axis_{name}", dut, count)
            await streams.reset(cycles=1 + count % 3)
            streams.pause(0.3, count)
            streams.send(second)
            await streams.expect(second)


@cocotb.test()
async def unsorted_thresholds(dut):
    """`unsorted` is low through sorted and kept sets, and rises with an unsorted one until the next reset."""
    first, second = products()
    streams = ports(dut, first)
    await streams.reset()
    for product in (first, second, first):
        streams.send(product)
        await streams.expect(product)
        assert dut.unsorted.value == 0, "unsorted rose with sorted sets"
    for frame in json.loads(Path("unsorted.json").read_text()):
        streams.send({**first, "p": [frame, *first["p"][1:]]})
        await streams.received(len(first["y"]))
        assert dut.unsorted.value == 1, "unsorted did not rise"
        streams.sink.clear()
        streams.send(second)
        await streams.expect(second)
        assert dut.unsorted.value == 1, "unsorted did not stay"
        await streams.reset()
        assert dut.unsorted.value == 0, "unsorted outlived a reset"
