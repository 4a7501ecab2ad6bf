"""Runs a Yosys script in a process of its own: `python -m hdl.yosys_child SCRIPT`.

Some commands are added to those of Yosys, so that the Verilog says what it means and no linter has to guess:
`fit_operands` gives both operands of each sum and comparison the same width, and those of a product at most its own;
`select_constants` makes a shift of a constant the selection of its bits, which is a read-only memory;
`name_unread` collects, in a wire of that name, the bits that optimization left nobody to read.
"""

import sys
from pathlib import Path

from pyosys import libyosys as ys

_TO_RESULT = ("$add", "$sub")
_TO_EACH_OTHER = ("$eq", "$ne", "$lt", "$le", "$gt", "$ge")


def fit_operands(design):
    """Extends operands, by their sign where they are signed, to the width of the result or of each other.

    Operands of a product lose the bits above its width, on which it does not depend.
    """
    for module in design.all_selected_modules():
        for cell in module.selected_cells():
            kind = cell.type.str()
            if kind == "$mul":
                _truncate_operands(cell)
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


def _truncate_operands(cell):
    width = cell.getPort(ys.IdString("\\Y")).size()
    for port in "AB":
        signal = cell.getPort(ys.IdString(f"\\{port}"))
        if signal.size() > width:
            cell.setPort(ys.IdString(f"\\{port}"), signal.extract(0, width))
            cell.setParam(ys.IdString(f"\\{port}_WIDTH"), ys.Const(width, 32))


def select_constants(design):
    """Makes `CONSTANT >> index` a bit selection: synthesis sees a table of constants, simulation need not shift it."""
    for module in design.all_selected_modules():
        for cell in module.selected_cells():
            if cell.type.str() == "$shift" and cell.getPort(ys.IdString("\\A")).is_fully_const():
                cell.type = ys.IdString("$shiftx")


def name_unread(design):
    """Reads, into a wire `unused_bits`, each bit of a module that is driven and that nothing else reads."""
    for module in design.all_selected_modules():
        driven, read = _bits_by_wire(module)
        unread = ys.SigSpec()
        for name in sorted(driven):
            wire = module.wire(ys.IdString(name))
            for offset in sorted(driven[name] - read.get(name, set()) if not wire.port_output else ()):
                unread.append(ys.SigSpec(wire).extract(offset, 1))
        if unread.size():
            result = module.addWire(ys.IdString("\\unused_bits"), 1)
            module.addReduceOr(ys.IdString("$unused_bits"), unread, ys.SigSpec(result), False)


def _bits_by_wire(module):
    """Offsets of the bits that are driven, and of those that are read, by the name of their wire."""
    driven, read = {}, {}

    def note(table, signal):
        for bit in signal.bits():
            if bit.is_wire():
                table.setdefault(bit.wire.name.str(), set()).add(bit.offset)

    for wire in module.wires_.values():
        if wire.port_input:
            note(driven, ys.SigSpec(wire))
    for cell in module.cells_.values():
        for port, signal in cell.connections_.items():
            note(driven if cell.output(port) else read, signal)
    for target, source in module.connections_:
        note(driven, target)
        note(read, source)
    return driven, read


COMMANDS = {"fit_operands": fit_operands, "select_constants": select_constants, "name_unread": name_unread}


def main():
    design = ys.Design()
    for command in Path(sys.argv[1]).read_text().splitlines():
        if command in COMMANDS:
            COMMANDS[command](design)
        else:
            ys.run_pass(command, design)


if __name__ == "__main__":
    main()
