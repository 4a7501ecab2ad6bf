"""One Verilog module per distinct component: elaborated once, instantiated wherever it stands.

A parent writes `m.submodules.x = shared(platform, component)`. When a netlist is collected, the first such component
becomes a module of its own and each one an instance of it. Under Amaranth's simulator the component itself is used.

A component to be shared has a `module_name`, the same for equal components only, and says whether it `has_reset`. One
that has its Verilog text as `verilog` goes into it as it is.
"""

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Fragment, Instance, ResetSignal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import Out


class Netlist:
    """Collects the RTLIL text of each distinct module, by name; `verbatim` has the Verilog of those that bring it."""

    def __init__(self):
        self.modules: dict[str, str] = {}
        self.verbatim: dict[str, str] = {}

    def add_verilog(self, component, *, name):
        """Takes a component's own Verilog; in RTLIL only its ports, `clk` among them, are known."""
        self.verbatim[name] = component.verilog
        wires = [("clk", "input", 1)]
        for path, member, port in _ports(component):
            wires.append(("__".join(map(str, path)), "output" if member.flow == Out else "input", len(port)))
        lines = [f"  wire width {width} {way} {i} \\{wire}" for i, (wire, way, width) in enumerate(wires, 1)]
        self.modules[name] = "\n".join(["attribute \\blackbox 1", f"module \\{name}", *lines, "end", ""])

    def add(self, component, *, name, domain=None):
        """Elaborates a component, and all that it shares, into modules; a given domain brings its own clock port."""
        ports = [port for _, _, port in _ports(component)]
        self.modules[name] = ""
        fragment = Fragment.get(component, self)
        if domain is not None:
            fragment.add_domains(domain)
            ports += [domain.clk] if domain.rst is None else [domain.clk, domain.rst]
        self.modules[name] = rtlil.convert(fragment, name=name, platform=self, ports=ports, emit_src=False)


def shared(platform, component: wiring.Component) -> Elaboratable:
    """The component, or an instance of the module that stands for it in the netlist being collected."""
    if not isinstance(platform, Netlist):
        return component
    name = component.module_name
    if name not in platform.modules and hasattr(component, "verilog"):
        platform.add_verilog(component, name=name)
    elif name not in platform.modules:
        platform.add(component, name=name, domain=ClockDomain("sync", reset_less=not component.has_reset))
    component._MustUse__silence = True
    ports = {"i_clk": ClockSignal()} | ({"i_rst": ResetSignal()} if component.has_reset else {})
    for path, member, port in _ports(component):
        ports[f"{'o' if member.flow == Out else 'i'}_{'__'.join(map(str, path))}"] = port
    return Instance(name, **ports)


def _ports(component):
    """Path, member and value of each port that has any bits."""
    flat = ((path, member, Value.cast(port)) for path, member, port in component.signature.flatten(component))
    return [port for port in flat if len(port[2])]
