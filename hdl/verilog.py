"""From components to Verilog: RTLIL by Amaranth, Verilog by Yosys in a child process."""

import importlib.metadata
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from golden.spec import Spec

from .axi import AxiTop
from .share import Netlist

_INTERNAL = ("generator", "top", "src", "amaranth.hierarchy", "amaranth.decoding", "keep", "init")


class YosysError(RuntimeError):
    """Yosys refused a script; the message is its own."""


def run_yosys(*commands):
    """Runs commands on one design in a child process (an error in Yosys ends the process it runs in); returns the log.

    Raises YosysError with the message of Yosys.
    """
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script.ys"
        script.write_text("\n".join(commands) + "\n")
        # -P and the path as it is here: a folder named hdl where the user stands must not come first
        command = [sys.executable, "-P", "-m", "hdl.yosys_child", str(script)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
    log = done.stdout + done.stderr
    if done.returncode:
        errors = re.findall(r"ERROR: .*", log)
        raise YosysError(errors[-1] if errors else log[-400:])
    return log


def to_verilog(spec: Spec) -> str:
    """Verilog of the whole design, the top module `spec.name` with AXI4-Stream ports."""
    netlist = Netlist()
    top = AxiTop(spec)
    netlist.add(top, name=top.module_name)
    return from_rtlil(netlist.modules.values(), spec.name, netlist.verbatim.values())


def from_rtlil(modules, spec_file, verbatim=()) -> str:
    """Verilog of RTLIL modules, with nothing but what the design needs: no attributes, no initial values.

    Modules that are empty boxes there stand in `verbatim`, in Verilog, and follow the others.

    Whatever matters is reset, so that an FPGA and an ASIC start alike.
    """
    with tempfile.TemporaryDirectory() as folder:
        sources = []
        for number, text in enumerate(modules):
            sources.append(Path(folder) / f"{number}.il")
            sources[-1].write_text(_plain_module_names(text))
        verilog = Path(folder) / "design.v"
        remove = " ".join(f"-remove {attribute}" for attribute in _INTERNAL)
        run_yosys(
            *(f"read_rtlil {source}" for source in sources),
            "proc -noopt",
            "select_constants",
            "delete t:$meminit*",
            "opt_clean -purge",
            "setattr -unset init w:*",
            "select -set with_reset w:rst w:aresetn %u %m",
            "opt_dff -simple-dffe -keepdc @with_reset",
            "opt_dff -nosdff -simple-dffe -keepdc",
            "opt_clean -purge",
            *["wreduce", "opt_clean -purge"] * 3,
            "fit_operands",
            "name_unread",
            f"attrmap {remove}",
            f"attrmap -modattr {remove}",
            "rename -unescape",
            f"write_verilog {verilog}",
        )
        return _with_locations(spec_file, "\n".join([_plain_register_names(verilog.read_text()), *verbatim]))


def _with_locations(name, verilog):
    """Verilog whose messages in other tools name the module, as NAME.v/MODULE:line, the line counted in the module."""
    tools = " and ".join(f"{tool} {importlib.metadata.version(tool)}" for tool in ("amaranth", "pyosys"))
    verilog = re.sub(r"\A/\*.*?\*/", f"/* {name}: made by bittrue with {tools} */", verilog)
    return re.sub(r"^module (\w+)", lambda match: f'`line 1 "{name}.v/{match[1]}.v" 0\n{match[0]}', verilog, flags=re.M)


def _plain_module_names(rtlil):
    """Names of nested modules with underscores for dots, so that Verilog need not escape them."""
    return re.sub(r"^( *(?:module|cell) \\\S+)", lambda match: match[1].replace(".", "_"), rtlil, flags=re.MULTILINE)


def _plain_register_names(verilog):
    """Names of registers that drive a part of a port, `\\y_reg[3] ` as Yosys writes them, without the escape."""
    return re.sub(r"\\(\w+)\[(\d+)(?::(\d+))?\] ", lambda match: "_".join(filter(None, match.groups())) + " ", verilog)
