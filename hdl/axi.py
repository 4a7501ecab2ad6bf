"""The top: AXI4-Stream ports around the array, named as Vivado, LiteX and cocotbext-axi expect them."""

from amaranth.hdl import ClockDomain, ClockSignal, Module, ResetSignal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .array import Array
from .share import shared
from .words import unused


class AxiTop(wiring.Component):
    """`aclk`, `aresetn` (active low, synchronous), `s_axis_a_*`, `s_axis_w_*`, `s_axis_p_*` where the design takes
    parameters, `m_axis_y_*`; each with tdata (whole bytes), tvalid, tready, tlast.

    `unsorted`, where there are thresholds: some came out of order since the last reset.

    Every stream may stall at any cycle. `m_axis_y_tvalid` does not wait for `m_axis_y_tready`, and its data hold still
    until accepted. Reset drops all that is under way.
    """

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = spec.name
        self.array = Array(spec)
        ports = {"aclk": In(1), "aresetn": In(1)}
        for name in self._inputs:
            ports |= _port(f"s_axis_{name}", getattr(self.array, name), In, Out)
        ports |= _port("m_axis_y", self.array.y, Out, In)
        if spec.threshold_count:
            ports["unsorted"] = Out(1)
        super().__init__(ports)

    @property
    def _inputs(self):
        return [name for name in ("a", "w", "p") if hasattr(self.array, name)]

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = ClockDomain()
        m.d.comb += [ClockSignal().eq(self.aclk), ResetSignal().eq(~self.aresetn)]
        m.submodules.array = shared(platform, self.array)
        for name in self._inputs:
            self._connect_input(m, name, getattr(self.array, name))
        if self.spec.threshold_count:
            m.d.comb += self.unsorted.eq(self.array.unsorted)
        y = self.array.y
        m.d.comb += [
            self.m_axis_y_tdata.eq(y.p.data),
            self.m_axis_y_tlast.eq(y.p.last),
            self.m_axis_y_tvalid.eq(y.valid),
            y.ready.eq(self.m_axis_y_tready),
        ]
        return m

    def _connect_input(self, m, name, port):
        tdata, tlast, tvalid, tready = (getattr(self, f"s_axis_{name}_{part}") for part in _PARTS)
        m.d.comb += [
            port.p.data.eq(tdata),
            port.p.last.eq(tlast),
            port.valid.eq(tvalid),
            tready.eq(port.ready),
        ]
        if padding := len(tdata) - len(port.p.data):
            m.d.comb += unused(tdata[-padding:], f"{name}_padding")


_PARTS = ("tdata", "tlast", "tvalid", "tready")


def _port(prefix, port, forward, backward):
    width = -(-len(Value.cast(port.p.data)) // 8) * 8
    return {
        f"{prefix}_tdata": forward(width),
        f"{prefix}_tvalid": forward(1),
        f"{prefix}_tready": backward(1),
        f"{prefix}_tlast": forward(1),
    }
