"""How packed trits may be misread: (step, cause, from a window to its decoded operands)."""

import numpy as np

from golden.trits import TRITS


def trit_faults(machine):
    """Faults of unpacking weights that come five to a byte."""
    if machine.spec.w_packing != "trits":
        return
    yield (
        "order",
        "trits are in reverse order within each byte",
        lambda window: _in_order(window, np.arange(TRITS)[::-1]),
    )
    yield "decode", "trits of weights count as 0, 1, 2 where they mean -1, 0, 1", _without_offset


def _without_offset(window):
    a, w = _whole(window)
    return a, w[:, window.cols] + 1


def _in_order(window, order):
    """Operands on whole beats, the trits of each byte in another order; a byte may reach over two columns."""
    spec, (a, w) = window.spec, _whole(window)
    lanes, cols = spec.lanes, spec.cols
    beats = w.reshape(-1, lanes, w.shape[1] // cols, cols).transpose(2, 0, 3, 1)
    flat = beats.reshape(*beats.shape[:2], cols * lanes)
    filled = np.pad(flat, ((0, 0), (0, 0), (0, -flat.shape[2] % TRITS)))
    moved = filled.reshape(*flat.shape[:2], -1, TRITS)[..., order].reshape(filled.shape)[..., : flat.shape[2]]
    return a, moved.reshape(beats.shape).transpose(1, 3, 0, 2).reshape(w.shape)[:, window.cols]


def _whole(window):
    """Decoded A of the window [rows, whole beats] and W of all columns [whole beats, padded N], pads included."""
    spec, machine = window.spec, window.machine
    missing = machine.tiling.beats * spec.beat_depth - machine.tiling.k
    a_pad = spec.activations.decode(window.operands.a_zero_point) - window.operands.a_zero_point
    a = np.pad(window.a, ((0, 0), (0, missing)), constant_values=a_pad)
    return a, np.pad(machine.w, ((0, missing), (0, 0)))
