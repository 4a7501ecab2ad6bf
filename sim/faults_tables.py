"""Faults of the table behind the requantizer: not applied, or read at another entry."""

import numpy as np

from golden.formats import from_bits
from golden.ops import pick

from .machine import Hypothesis


def table_faults(machine):
    """Faults of a design's table."""
    spec = machine.spec
    if spec.table is None:
        return
    yield Hypothesis("table", "the table is not applied: outputs are the codes it is read with", _raw)
    if spec.code.signed:
        yield _read(
            "the sign bit of the table's index is not flipped: entries begin with code 0", spec.code.code_range[0]
        )
    yield _read("the table is read one entry too high", 1)
    yield _read("the table is read one entry too low", -1)


def before_table(spec):
    """The changes that leave a spec without its table."""
    return {"table": None, "table_input": None, "output": spec.code}


def looked_up(spec, codes):
    """What the table makes of codes; the codes themselves where there is none."""
    return codes if spec.table is None else pick(spec.table, codes - spec.code.code_range[0])


def _codes(window):
    return window.codes(spec=window.spec.with_(**before_table(window.spec)))


def _raw(window):
    return from_bits(_codes(window).view(np.uint64), window.spec.y)


def _read(cause, offset):
    return Hypothesis("table", cause, lambda window: _read_at(window, offset))


def _read_at(window, offset):
    spec = window.spec
    return looked_up(spec, spec.code.wrap(_codes(window) + offset))
