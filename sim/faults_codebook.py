"""How weights with a codebook may be misread: (step, cause, from a window to its decoded operands)."""

import numpy as np

from golden.formats import Codebook, Integer


def codebook_faults(machine):
    """Faults of looking weights up in the right table; those of another column or tile are in sim.faults_tiles."""
    fmt = machine.spec.weights
    if not isinstance(fmt, Codebook):
        return
    for cause, change in _tables(fmt):
        yield "decode", cause, lambda window, change=change: (window.a, _entries(window, change(window.codebooks)))
    yield "decode", "the codebook is not applied: weights are their codes", lambda window: (window.a, window.w_codes)


def _entries(window, tables):
    return window.spec.weights.lookup(tables, window.w_codes)


def _tables(fmt):
    """(cause, from tables [N, entries] to those that would do the same)."""
    entry = fmt.entry
    other = Integer(entry.width, signed=not entry.signed)
    yield "codebooks are read one entry too high", lambda tables: np.roll(tables, -1, axis=1)
    if fmt.entries > 2:
        yield "codebooks are read one entry too low", lambda tables: np.roll(tables, 1, axis=1)
        yield "codebooks are in reverse order", lambda tables: tables[:, ::-1]
    lost = "sign extension of entries is lost" if entry.signed else "unsigned entries are sign-extended"
    yield f"{lost}: {entry} read as {other}", other.wrap
