"""How weights with a codebook may be misread: (step, cause, from a window to its decoded operands), or hypotheses."""

from itertools import product as every

import numpy as np

from golden.formats import Codebook, Integer

from .machine import Hypothesis


def codebook_faults(machine):
    """Faults of looking weights up in the right table; those of another column or tile are in sim.faults_tiles."""
    fmt = machine.spec.weights
    if not isinstance(fmt, Codebook):
        return
    for cause, change in _tables(fmt):
        yield "decode", cause, lambda window, change=change: (window.a, _entries(window, change(window.codebooks)))
    yield "decode", "the codebook is not applied: weights are their codes", lambda window: (window.a, window.w_codes)


def entry_faults(machine):
    """One entry of all tables off by one, for each code that the weights hold: hypotheses."""
    if not isinstance(machine.spec.weights, Codebook):
        return
    for code, (word, step) in every(np.unique(machine.operands.w).tolist(), (("more", 1), ("less", -1))):
        cause = f"entry {code} of codebooks counts one {word}"
        yield Hypothesis("decode", cause, lambda window, code=code, step=step: _stepped(window, code, step), severity=2)


def _stepped(window, code, step):
    return window.codes(window.accumulate(window.a, window.w + step * (window.w_codes == code)))


def _entries(window, tables):
    return window.spec.weights.lookup(tables, window.w_codes)


def _tables(fmt):
    """(cause, from tables [N, entries] to those that would do the same)."""
    entry = fmt.entry
    other = Integer(entry.width, signed=not entry.signed)
    for word, step in (("large", 1), ("small", -1)):
        yield f"entries of codebooks are one too {word}", lambda tables, step=step: tables + step
    yield "codebooks are read one entry too high", lambda tables: np.roll(tables, -1, axis=1)
    if fmt.entries > 2:
        yield "codebooks are read one entry too low", lambda tables: np.roll(tables, 1, axis=1)
        yield "codebooks are in reverse order", lambda tables: tables[:, ::-1]
    lost = "sign extension of entries is lost" if entry.signed else "unsigned entries are sign-extended"
    yield f"{lost}: {entry} read as {other}", other.wrap
