"""Faults of the scalable array: words cut in another mode than they were packed for, their operands misread."""

import numpy as np

from golden.mac import matmul
from golden.precision import MODES

from .machine import Hypothesis, wrapped
from .scalable import codes_of, words


def mode_faults(machine):
    """Faults of the modes of tiles, and of the operands within a word."""
    if machine.spec.array == "scalable":
        for kind in (_modes, _sub_words, _beats):
            yield from kind(machine)


def _modes(machine):
    modes = machine.tiling.tile_modes
    for number, mode in enumerate(MODES):
        if set(modes) != {number}:
            yield _in_modes(f"every tile is taken in mode {mode.name}", [number] * len(modes))
    if len(set(modes)) > 1:
        yield _in_modes("tiles are taken in the mode of the previous tile", [modes[0], *modes[:-1]])
        yield _in_modes("tiles are taken in the mode of the next tile", [*modes[1:], modes[-1]])


def _in_modes(cause, taken):
    def read(tile, side, packed, fmt):
        return codes_of(packed, taken[tile.number], side, fmt)

    return Hypothesis("decode", cause, lambda window: _sums(window, read))


def _sub_words(machine):
    names = (("activations", machine.spec.activations), ("weights", machine.spec.weights))
    several = any(MODES[mode].products > 1 for mode in machine.tiling.tile_modes)
    for wrong, (name, fmt) in enumerate(names):
        if fmt.signed:
            yield _changed("decode", f"{name} within a word are read without a sign", wrong, _unsigned)
    if several:  # of which operand makes no difference
        yield _changed("order", "codes of one operand are in reverse order within a word", 1, _reversed)
        yield _changed("order", "codes of one operand are swapped in pairs within a word", 1, _swapped)
        yield _changed("sum", "only the first product of each word counts", 0, _first_only)


def _changed(step, cause, wrong, change):
    """The fault of one operand's sub-words [vectors, words, products] changed, once they are cut out of the words."""

    def read(tile, side, packed, fmt):
        codes, mode = codes_of(packed, tile.mode, side, fmt), MODES[tile.mode]
        if side != wrong:
            return codes
        return change(codes.reshape(len(codes), -1, mode.products), mode.bits[side]).reshape(codes.shape)

    return Hypothesis(step, cause, lambda window: _sums(window, read))


def _unsigned(codes, bits):
    return codes & (1 << bits) - 1


def _reversed(codes, _):
    return codes[..., ::-1]


def _swapped(codes, _):
    return codes[..., np.arange(codes.shape[-1]) ^ (codes.shape[-1] > 1)]


def _first_only(codes, _):
    return codes * (np.arange(codes.shape[-1]) == 0)


def _beats(machine):
    for which, index in (("last", -1), ("first", 0)):
        for what, factor in (("is missing", 0), ("counts twice", 2)):

            def read(tile, side, packed, fmt, index=index, factor=factor):
                codes = codes_of(packed, tile.mode, side, fmt).reshape(packed.shape[1], len(packed), -1)
                if side == 0:
                    codes[:, index] *= factor
                return codes.reshape(packed.shape[1], -1)

            yield Hypothesis("sum", f"the {which} beat {what}", lambda window, read=read: _sums(window, read))
    if machine.spec.lanes > 1:
        cause = "lanes of one operand are reversed within a beat"
        yield Hypothesis("order", cause, lambda window: _sums(window, _turned))


def _turned(tile, side, packed, fmt):
    return codes_of(packed[..., ::-1] if side else packed, tile.mode, side, fmt)


class _Tile:
    """One tile: its number in the order of the streams, its mode."""

    def __init__(self, machine, down, across):
        self.number = across * machine.tiling.grid[0] + down
        self.mode = machine.tiling.modes[down][across]


def _sums(window, read):
    """Output codes where each tile's operands are what `read` makes of its words."""
    spec, machine = window.spec, window.machine
    sums = np.zeros((len(window.rows), len(window.cols)), object)
    for down in np.unique(window.rows // spec.rows):
        rows = np.flatnonzero(window.rows // spec.rows == down)
        for across in np.unique(window.cols // spec.cols):
            cols = np.flatnonzero(window.cols // spec.cols == across)
            tile = _Tile(machine, int(down), int(across))
            a = read(tile, 0, words(window.a_codes[rows], spec.lanes, tile.mode, 0), spec.activations)
            w = read(tile, 1, words(window.w_codes.T[cols], spec.lanes, tile.mode, 1), spec.weights)
            sums[np.ix_(rows, cols)] = matmul(a, w.T)
    return window.codes(wrapped(sums, spec.accumulator_width))
