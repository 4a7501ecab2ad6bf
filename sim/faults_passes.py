"""Faults of a weight-stationary array: blocks of K that do not add up, weights of another pass, rows of elements."""

import numpy as np

from .faults_sums import times, whole_beats
from .machine import Hypothesis, Window


def pass_faults(machine):
    """Faults that only show where weights stay for a pass."""
    if machine.spec.array == "weight_stationary":
        for kind in (_blocks, _elements, _weights):
            yield from kind(machine)


def _blocks(machine):
    """Products of whole blocks of K left out."""
    blocks, depth, k = machine.tiling.beats, machine.spec.beat_depth, machine.tiling.k
    if blocks > 1:
        before = np.arange(k) < (blocks - 1) * depth
        yield _without(before, "sums begin anew with each block of K: only the last block counts")
        for block in range(1, blocks - 1):
            yield _without(np.arange(k) // depth == block, f"block {block} of K (of 0 to {blocks - 1}) is missing")


def _elements(machine):
    """Rows of elements that add nothing, or that hold each other's weights."""
    spec, k = machine.spec, machine.tiling.k
    for row in range(min(spec.rows, -(-k // spec.lanes)) if spec.rows > 1 else 0):
        yield _without(np.arange(k) // spec.lanes % spec.rows == row, f"array row {row} adds nothing")
    if spec.rows > 1:
        yield Hypothesis("order", "beats of W are in reverse order within each weight tile", _upside_down)


def _without(left_out, cause):
    return Hypothesis(
        "sum", cause, lambda window: window.codes(window.accumulate(times(window.a, left_out, 0), window.w))
    )


def _upside_down(window):
    spec = window.spec
    a, w, marked = whole_beats(window)
    w = w.reshape(-1, spec.rows, spec.lanes, w.shape[1])[:, ::-1].reshape(w.shape)
    return window.codes(window.accumulate(_marked(a, marked), w))


def _marked(a, marked):
    """Activations whose last one is no pair, where so marked."""
    return times(a, slice(-1, None), 0) if marked else a


def _weights(machine):
    """Weights of the pass before or after, for all its rows of A or for one."""
    if machine.tiling.tiles * machine.tiling.beats == 1:
        return
    for cause, by, rows in (
        ("passes use the weights of the pass before", -1, lambda row, height: row >= 0),
        ("passes use the weights of the pass after", 1, lambda row, height: row >= 0),
        ("weights change one row late: the first row of each pass meets those of the pass before", -1, _is_first),
        ("weights change one row early: the last row of each pass meets those of the pass after", 1, _is_last),
    ):
        yield Hypothesis("order", cause, lambda window, by=by, rows=rows: _other_weights(window, by, rows))


def _is_first(row, height):
    return row == 0


def _is_last(row, height):
    return row == height - 1


def _other_weights(window, by, rows):
    """The codes of a window some of whose rows meet the weights `by` passes away."""
    machine, cut = window.machine, window.machine.tiling
    tile, row = np.divmod(window.rows, cut.tile_shape[0])
    height = np.minimum(cut.m - tile * cut.tile_shape[0], cut.tile_shape[0])
    other = rows(row, height)
    outer = tile == (0 if by < 0 else cut.grid[0] - 1)
    sums = window.accumulators.copy()
    for chosen, across in ((other & ~outer, False), (other & outer, True)):
        if chosen.any():
            part = Window(machine, window.rows[chosen], window.cols)
            a, _, marked = whole_beats(part)
            sums[chosen] = part.accumulate(_marked(a, marked), _weights_away(part, by, across))
    return window.codes(sums)


def _weights_away(window, by, across):
    """Weights [padded K, cols] of the pass `by` = -1 or 1 away; the tile before or after may be of another column.

    Where there is no such pass, the weights of the pass itself.
    """
    machine, depth = window.machine, window.spec.beat_depth
    own = whole_beats(window)[1]
    weights = np.roll(own, -by * depth, axis=0)
    if across:
        columns = window.cols + by * window.spec.cols
        there = (columns >= 0) & (columns < machine.w.shape[1])
        neighbours = whole_beats(Window(machine, window.rows, np.where(there, columns, window.cols)))[1]
        edge, far = (slice(0, depth), slice(-depth, None))[::-by]
        weights[edge] = np.where(there, neighbours[far], own[edge])
    return weights
