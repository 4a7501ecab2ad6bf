"""Scales and zero points of blocks as fields of the beats of an output-stationary array: repeated on each beat."""

import numpy as np

from golden.extras import extras
from golden.tensors import Operands

from .packing import padded
from .tiling import Tiling


def row_fields(cut: Tiling, operands: Operands):
    """Fields of A's beats by name, [tile rows * beats, rows], from codes [M, blocks]."""
    return _fields(cut, operands, "m", cut.grid[0], cut.spec.rows)


def column_fields(cut: Tiling, operands: Operands):
    """Fields of W's beats by name, [tile columns * beats, cols], from codes [blocks, N]."""
    return _fields(cut, operands, "n", cut.grid[1], cut.spec.cols)


def _fields(cut, operands, axis, tiles, size):
    fields = {}
    for name, extra in extras(cut.spec).items():
        if "blocks" not in extra.axes or axis not in extra.axes:
            continue
        codes = operands.extras[name] if axis == "m" else operands.extras[name].T
        block_of_beat = np.arange(cut.beats) * cut.spec.lanes // cut.spec.block
        whole = padded(codes, (tiles * size, codes.shape[1]), extra.pad)[:, block_of_beat]
        fields[name] = whole.reshape(tiles, size, cut.beats).transpose(0, 2, 1).reshape(-1, size)
    return fields
