"""What a synthesized module is made of, by Yosys: LUTs, flip-flops and blocks, before place and route. Deterministic.

LUTs are LUT1-6 (xc7), LUT4 + 2 CCU2C (ecp5), SB_LUT4 (ice40) of `stat`, and shift registers in LUTs; memories made of
LUTs (xc7: RAM32M, RAM64M, ecp5: TRELLIS_DPR16X4) are counted beside them.
"""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .verilog import run_yosys

WITHOUT_DSP = {
    "xc7": "synth_xilinx -family xc7 -nodsp -noiopad -noclkbuf -flatten -top {top}",
    "ecp5": "synth_ecp5 -nodsp -top {top}",
    "ice40": "synth_ice40 -top {top}",
}
WITH_DSP = {
    "xc7": "synth_xilinx -family xc7 -noiopad -noclkbuf -flatten -top {top}",
    "ecp5": "synth_ecp5 -top {top}",
    "ice40": "synth_ice40 -dsp -top {top}",
}
WEIGHTS = {"CCU2C": 2}
KINDS = {
    "lut": r"LUT\d|SB_LUT4|CCU2C|SRL",
    "ff": r"FD|TRELLIS_FF|SB_DFF",
    "dsp": r"DSP48|MULT18|SB_MAC16",
    "lut_ram": r"RAM\d+[MDX]|TRELLIS_DPR",
    "block_ram": r"RAMB|DP16KD|SB_RAM40",
}


@dataclass(frozen=True)
class Cells:
    """Cells of a synthesized module, by kind."""

    lut: int
    ff: int
    dsp: int
    lut_ram: int
    block_ram: int

    def __str__(self):
        named = {"DSP": self.dsp, "LUT RAM": self.lut_ram, "block RAM": self.block_ram}
        return ", ".join([f"{self.lut} / {self.ff}", *(f"{count} {name}" for name, count in named.items() if count)])


def report_of(verilog: str, flow: str) -> str:
    """What Yosys' last `stat` says of a Verilog text after a synthesis command."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "design.v"
        source.write_text(verilog)
        log = run_yosys(f"read_verilog {source}", flow, "stat")
    return log[log.rindex("Number of cells") if "Number of cells" in log else log.rindex("=== ") :]


def cells(report: str) -> Cells:
    """Cells by kind from a report of Yosys' `stat`."""
    found = [(name, int(count)) for count, name in re.findall(r"^\s+(\d+)\s+(\S+)$", report, re.M)]
    return Cells(
        **{
            kind: sum(WEIGHTS.get(name, 1) * count for name, count in found if re.match(pattern, name))
            for kind, pattern in KINDS.items()
        }
    )
