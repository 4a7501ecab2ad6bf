"""Faults of the vector unit: activations of another channel, weights of another channel or of another set."""

import numpy as np

from golden.mac import columns_of

from .machine import Hypothesis


def channel_faults(machine):
    """Right operands in the wrong channel or tile: the columns that each column of a tile takes them from."""
    if machine.spec.array != "vector":
        return
    cut = machine.tiling
    tile, channel = np.divmod(np.arange(cut.padded_shape[1]), cut.tile_shape[1])
    for cause, of_tile, of_channel in (*_sets(cut, tile, channel), *_channels(cut, tile, channel)):
        source = of_tile * cut.tile_shape[1] + of_channel
        yield _with("weights", cause, lambda window, source=source: (window.a, _w(window, source)))
        if machine.a.ndim == 3 and of_tile is tile:
            yield _with("activations", cause, lambda window, source=source: (_a(window, source), window.w))


def _sets(cut, tile, channel):
    """Tiles that take the weights of another tile column: (cause, tile, channel)."""
    if cut.grid[1] == 1:
        return
    yield "tiles take the {} of the set before theirs", np.maximum(tile - 1, 0), channel
    yield "tiles take the {} of the set after theirs", np.minimum(tile + 1, cut.grid[1] - 1), channel
    yield "all tiles take the {} of the first set", np.zeros_like(tile), channel


def _channels(cut, tile, channel):
    """Channels that take the operands of another one of the same tile: (cause, tile, channel)."""
    cols = cut.tile_shape[1]
    if cols == 1 or cut.n == 1:
        return
    yield "channels take the {} of their right neighbour", tile, (channel + 1) % cols
    yield "channels take the {} of their left neighbour", tile, (channel - 1) % cols
    yield "all channels take the {} of the first", tile, np.zeros_like(channel)


def _with(operand, cause, change):
    return Hypothesis("order", cause.format(operand), lambda window: window.codes(window.accumulate(*change(window))))


def _w(window, source):
    return window.machine.w[:, source[window.cols]]


def _a(window, source):
    return columns_of(window.machine.a[window.rows], source[window.cols])
