"""Products on the scalable array: the words of its lanes, cut into one, two, four or sixteen operands by tile."""

from dataclasses import dataclass

import numpy as np

from golden.precision import MODES, holds
from golden.tensors import Operands
from hdl.layout import a_beat, w_beat

from .output_stationary import OutputStationary
from .packing import Stream, ends, pack, padded
from .parameter_sets import parameter_sets


@dataclass(frozen=True)
class Scalable(OutputStationary):
    """A tile takes ceil(K / (lanes * products)) beats, `products` being those that a lane forms per cycle in its mode.

    `modes` [tile rows, tile columns]: numbers of golden.precision.MODES; of each tile the one of most products that
    holds its codes, unless the operands say which.
    """

    modes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, spec, operands: Operands):
        m, k, n = operands.shape
        given = int(operands.extras.get("mode", -1))
        a_fits = _fits(operands.a, spec.rows, spec.activations, 0)
        w_fits = _fits(operands.w.T, spec.cols, spec.weights, 1)
        modes = (len(MODES) - 1 - np.argmax((a_fits[:, None] & w_fits)[..., ::-1], axis=2)).tolist()
        return cls(spec, m, k, n, tuple(tuple(mode if given < 0 else given for mode in row) for row in modes))

    @property
    def tile_modes(self):
        """The mode of each tile, in the order of the streams."""
        return [row[tile_n] for tile_n in range(self.grid[1]) for row in self.modes]

    @property
    def tile_beats(self):
        return [-(-self.k // (self.spec.lanes * MODES[mode].products)) for mode in self.tile_modes]

    @property
    def capacity(self):
        """Products per cycle, on average over all beats, each in its mode."""
        each = [beats * MODES[mode].products for beats, mode in zip(self.tile_beats, self.tile_modes, strict=True)]
        return super().capacity * sum(each) / sum(self.tile_beats)

    def streams(self, operands: Operands):
        spec, (tiles_m, tiles_n) = self.spec, self.grid
        a = padded(operands.a, (tiles_m * spec.rows, self.k), 0).reshape(tiles_m, spec.rows, self.k)
        w = padded(operands.w.T, (tiles_n * spec.cols, self.k), 0).reshape(tiles_n, spec.cols, self.k)
        tiles = [(a[down], w[across], self.modes[down][across]) for across in range(tiles_n) for down in range(tiles_m)]
        a_words = [(words(codes, spec.lanes, mode, 0), mode) for codes, _, mode in tiles]
        streams = {
            "a": _joined(
                [pack(a_beat(spec), {"a": one, "mode": np.full((len(one), 1), mode)}) for one, mode in a_words]
            ),
            "w": _joined([pack(w_beat(spec), {"w": words(codes, spec.lanes, mode, 1)}) for _, codes, mode in tiles]),
        }
        if spec.parameters:
            streams["p"] = parameter_sets(self, operands.parameters, self.parameter_beats)
        return streams


def _fits(vectors, tile, fmt, side):
    """Which modes hold the codes of each tile of so many vectors: [tiles, modes]."""
    parts = [vectors[first : first + tile] for first in range(0, len(vectors), tile)]
    return np.array([[holds(part, mode.bits[side], fmt.signed).all() for mode in MODES] for part in parts])


def words(codes, lanes, mode, side):
    """The words [beats, vectors, lanes] of codes [vectors, K], the first code of each word lowest."""
    bits, products = MODES[mode].bits[side], MODES[mode].products
    beats = -(-codes.shape[1] // (lanes * products))
    fields = padded(codes, (len(codes), beats * lanes * products), 0) & (1 << bits) - 1
    fields = fields.reshape(len(codes), beats, lanes, products) << bits * np.arange(products)
    return fields.sum(axis=3).transpose(1, 0, 2)


def codes_of(read, mode, side, fmt):
    """The inverse of `words`, pads included: codes [vectors, K] as a mode reads them, whatever they were packed for."""
    bits, products = MODES[mode].bits[side], MODES[mode].products
    fields = read.transpose(1, 0, 2)[..., None] >> bits * np.arange(products) & (1 << bits) - 1
    if fmt.signed:
        fields = fields - (fields >> bits - 1 << bits)
    return fields.reshape(len(fields), -1)


def _joined(tiles):
    """One stream of the beats of all tiles."""
    return Stream(np.concatenate(tiles), np.concatenate([ends(len(data), len(data)) for data in tiles]))
