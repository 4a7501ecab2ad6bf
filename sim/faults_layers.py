"""Faults of a layer that stays: weights or parameters of another fold, another vector, sparse weights elsewhere."""

import numpy as np

from golden.checks_matrix_vector import MATRIX_VECTOR
from golden.sparsity import GROUP, KEPT, compressed

from .machine import Hypothesis


def layer_faults(machine):
    """Faults that only a matrix-vector unit can have."""
    if machine.spec.array != MATRIX_VECTOR:
        return
    for kind in (_folds, _vectors, _positions):
        yield from kind(machine)


def _folds(machine):
    """Weights of another fold; padding where that fold has fewer columns."""
    folds, cols = machine.tiling.grid[1], machine.spec.cols
    if folds > 1:
        yield _reweighed("order", "folds use the weights of the next fold", lambda w: np.roll(w, -cols, 1))
        yield _reweighed("order", "all folds use the weights of the first", lambda w: np.tile(w[:, :cols], folds))
    if folds > 2:
        yield _reweighed("order", "folds use the weights of the previous fold", lambda w: np.roll(w, cols, 1))


def _vectors(machine):
    """Activations of another vector."""
    m = machine.tiling.m
    if m > 1:
        for word, other in (("before", np.arange(m) - 1), ("after", np.arange(m) + 1)):
            rows = np.clip(other, 0, m - 1)
            yield Hypothesis(
                "order",
                f"vectors use the activations of the vector {word} them",
                lambda window, rows=rows: window.codes(
                    window.accumulate(window.machine.a[rows[window.rows]], window.w)
                ),
            )


def _positions(machine):
    """Sparse weights that meet other activations of their group."""
    if machine.spec.sparsity == "none":
        return
    faults = {
        "positions of sparse weights are one too high": lambda positions: (positions + 1) % GROUP,
        "positions of sparse weights are one too low": lambda positions: (positions - 1) % GROUP,
        "positions of sparse weights are read with their bits exchanged": lambda positions: (
            positions // 2 + positions % 2 * 2
        ),
        "the two positions of a group are exchanged": lambda positions: positions[..., ::-1],
        "positions of sparse weights are ignored: the first two of each group count": lambda positions: np.broadcast_to(
            np.arange(KEPT), positions.shape
        ),
    }
    for cause, change in faults.items():
        yield _reweighed("product", cause, lambda w, change=change: _moved(w, change))


def _reweighed(step, cause, change):
    """`change`: decoded weights [K, padded N] to others."""

    def y(window):
        w = change(window.machine.w)[:, window.cols]
        return window.codes(window.accumulate(window.a, w))

    return Hypothesis(step, cause, y)


def _moved(w, change):
    """Weights [K, N] whose positions are changed; what leaves the matrix meets a padding activation, which is zero."""
    k, n = w.shape
    whole = np.pad(w, ((0, -k % GROUP), (0, 0))).T.reshape(n, -1, GROUP)
    kept, positions = compressed(whole, whole == 0)
    moved = np.zeros_like(whole)
    places = change(positions)
    for index in range(KEPT):
        place = places[..., index : index + 1]
        np.put_along_axis(
            moved, place, np.take_along_axis(moved, place, axis=-1) + kept[..., index : index + 1], axis=-1
        )
    return moved.reshape(n, -1).T[:k]
