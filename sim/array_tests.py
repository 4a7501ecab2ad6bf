"""cocotb tests that run inside the simulator."""

import json
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

from sim.clock import PERIOD_NS, RESET_CYCLES


@cocotb.test()
async def replay(dut):
    """Gives clock and reset, waits for the bench to replay its files, and notes what it counted."""
    dut.aresetn.value = 0
    cocotb.start_soon(Clock(dut.aclk, PERIOD_NS, "ns").start())
    await ClockCycles(dut.aclk, RESET_CYCLES)
    dut.aresetn.value = 1
    await RisingEdge(dut.done)
    names = ("outputs", "first_cycle", "last_cycle", "protocol_errors", "cycle")
    counted = {name: getattr(dut, name).value.to_unsigned() for name in names}
    Path("counters.json").write_text(json.dumps(counted))
    assert counted["protocol_errors"] == 0, "m_axis_y changed or withdrew a beat before it was accepted"
    assert counted["outputs"] > 0, "no output came"
