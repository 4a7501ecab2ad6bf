"""Runs a Yosys script in a process of its own: `python -m hdl.yosys_child SCRIPT`.

One command is added to those of Yosys: `widen_operands` gives both operands of each sum and comparison the same width,
so that the Verilog says what it means and no linter has to guess.
"""

import sys
from pathlib import Path

from pyosys import libyosys as ys

_TO_RESULT = ("$add", "$sub")
_TO_EACH_OTHER = ("$eq", "$ne", "$lt", "$le", "$gt", "$ge")


def widen_operands(design):
    """Extends operands, by their sign where they are signed, to the width of the result or of each other."""
    for module in design.all_selected_modules():
        for cell in module.selected_cells():
            kind = cell.type.str()
            if kind not in _TO_RESULT + _TO_EACH_OTHER:
                continue
            a, b = cell.getPort(ys.IdString("\\A")), cell.getPort(ys.IdString("\\B"))
            result = cell.getPort(ys.IdString("\\Y"))
            width = result.size() if kind in _TO_RESULT else max(a.size(), b.size())
            signed = all(cell.getParam(ys.IdString(f"\\{port}_SIGNED")).as_bool() for port in "AB")
            for port, signal in (("A", a), ("B", b)):
                signal.extend_u0(width, signed)
                cell.setPort(ys.IdString(f"\\{port}"), signal)
                cell.setParam(ys.IdString(f"\\{port}_WIDTH"), ys.Const(width, 32))


def main():
    design = ys.Design()
    for command in Path(sys.argv[1]).read_text().splitlines():
        if command == "widen_operands":
            widen_operands(design)
        else:
            ys.run_pass(command, design)


if __name__ == "__main__":
    main()
