"""The top: AXI4-Stream ports around the array, named as Vivado, LiteX and cocotbext-axi expect them."""

from amaranth.hdl import ClockDomain, ClockSignal, Module, ResetSignal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .kinds import kind_of
from .share import shared
from .words import unused


class AxiTop(wiring.Component):
    """`aclk`, `aresetn` (active low, synchronous), `s_axis_NAME_*` for each input stream of the array, such as a and w,
    `m_axis_y_*`; each with tdata (whole bytes), tvalid, tready, tlast.

    `unsorted`, where there are thresholds: some came out of order since the last reset.

    Every stream may stall at any cycle. `m_axis_y_tvalid` does not wait for `m_axis_y_tready`, and its data hold still
    until accepted. Reset drops all that is under way.
    """

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = spec.name
        self.kind = kind_of(spec)
        self.array = self.kind.component(spec)
        ports = {"aclk": In(1), "aresetn": In(1)}
        for name in self.kind.inputs(spec):
            ports |= _port(f"s_axis_{name}", getattr(self.array, name), In, Out)
        for name in self.kind.outputs(spec):
            ports |= _port(f"m_axis_{name}", getattr(self.array, name), Out, In)
        if spec.threshold_count:
            ports["unsorted"] = Out(1)
        super().__init__(ports)

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = ClockDomain()
        m.d.comb += [ClockSignal().eq(self.aclk), ResetSignal().eq(~self.aresetn)]
        m.submodules.array = shared(platform, self.array)
        for name in self.kind.inputs(self.spec):
            self._connect_input(m, name, getattr(self.array, name))
        for name in self.kind.outputs(self.spec):
            self._connect_output(m, name, getattr(self.array, name))
        if self.spec.threshold_count:
            m.d.comb += self.unsorted.eq(self.array.unsorted)
        return m

    def _connect_output(self, m, name, port):
        tdata, tlast, tvalid, tready = (getattr(self, f"m_axis_{name}_{part}") for part in _PARTS)
        m.d.comb += [tdata.eq(port.p.data), tlast.eq(port.p.last), tvalid.eq(port.valid), port.ready.eq(tready)]

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
