"""Products on the bit-serial array: bit planes of A and W, pair by pair, as many as each tile needs."""

from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from golden.precision import most_bits
from golden.tensors import Operands, decoded_activations, decoded_weights
from hdl.layout import a_beat, w_beat

from .output_stationary import OutputStationary
from .packing import Stream, ends, pack, padded
from .parameter_sets import parameter_sets


class Planes(NamedTuple):
    """How many bit planes an operand is cut into, and whether the top one counts negative (two's complement)."""

    bits: int
    signed: bool


@dataclass(frozen=True)
class BitSerial(OutputStationary):
    """A tile takes ceil(K / lanes) beats for each pair of a plane of A and one of W: `a_planes` of its tile row times
    `w_planes` of its tile column, the least that hold their integers unless the operands say how many.
    """

    a_planes: tuple[Planes, ...]
    w_planes: tuple[Planes, ...]

    @classmethod
    def of(cls, spec, operands: Operands):
        a, w = decoded_activations(spec, operands), decoded_weights(spec, operands)
        m, k, n = operands.shape
        return cls(
            *(spec, m, k, n),
            a_planes=_planes(a, spec.rows, int(operands.extras.get("a_bits", 0)), spec.a_range),
            w_planes=_planes(w.T, spec.cols, int(operands.extras.get("w_bits", 0)), spec.w_range),
        )

    @property
    def tile_beats(self):
        return [self.beats * a.bits * w.bits for w, a in product(self.w_planes, self.a_planes)]

    @property
    def capacity(self):
        """Products per cycle, on average over all tiles, each at its precision."""
        return super().capacity * self.beats * self.tiles / sum(self.tile_beats)

    def streams(self, operands: Operands):
        spec, (tiles_m, tiles_n) = self.spec, self.grid
        depth = self.beats * spec.lanes
        a = padded(decoded_activations(spec, operands), (tiles_m * spec.rows, depth), 0)
        w = padded(decoded_weights(spec, operands).T, (tiles_n * spec.cols, depth), 0)
        a_planes = [self._cut(*tile) for tile in zip(np.split(a, tiles_m), self.a_planes, strict=True)]
        w_planes = [self._cut(*tile) for tile in zip(np.split(w, tiles_n), self.w_planes, strict=True)]
        pairs = [plane_pairs(*planes) for planes in product(self.w_planes, self.a_planes)]
        tiles = list(zip(product(w_planes, a_planes), pairs, strict=True))
        streams = {
            "a": _joined([pack(a_beat(spec), self._a_codes(one, order)) for (_, one), order in tiles]),
            "w": _joined([pack(w_beat(spec), {"w": _chosen(one, order[:, 0])}) for (one, _), order in tiles]),
        }
        if spec.parameters:
            streams["p"] = parameter_sets(self, operands.parameters, self.parameter_beats)
        return streams

    def _cut(self, tile, planes):
        """The bits [planes, beats, rows or columns, lanes] of a tile's integers [rows or columns, K]."""
        bits = tile >> np.arange(planes.bits)[:, None, None] & 1
        return bits.reshape(planes.bits, len(tile), self.beats, -1).transpose(0, 2, 1, 3)

    def _a_codes(self, planes, order):
        """Fields of the beats of A of one tile: each plane of the order with its marks, for all beats of a pair."""
        marks = np.repeat(order[:, 2:], self.beats, axis=0)
        marks[np.arange(len(marks)) % self.beats != 0, 0] = 0
        return {"a": _chosen(planes, order[:, 1]), "raise": marks[:, :1], "negative": marks[:, 1:]}


def _planes(values, tile, given, interval):
    """The planes of each tile of so many vectors [vectors, K]."""
    if given:
        return (Planes(given, interval[0] < 0),) * -(-len(values) // tile)
    return tuple(least_planes(values[first : first + tile]) for first in range(0, len(values), tile))


def least_planes(values) -> Planes:
    """The fewest planes that hold these integers."""
    lo, hi = int(values.min()), int(values.max())
    return Planes(max(most_bits((lo, hi)), 1), lo < 0)


def plane_pairs(w: Planes, a: Planes):
    """The plane pairs of a tile in the order of their beats, by falling weight: [pairs, (w, a, raise, negative)].

    `raise` marks the first pair of each weight but the highest, `negative` pairs with one top plane that is negative.
    """
    pairs = sorted(product(range(w.bits), range(a.bits)), key=lambda pair: -sum(pair))
    order = np.array([(j, i, 0, _is_top(j, w) != _is_top(i, a)) for j, i in pairs], np.int64)
    order[1:, 2] = np.diff(order[:, 0] + order[:, 1]) != 0
    return order


def _is_top(plane, planes):
    return planes.signed and plane == planes.bits - 1


def _chosen(planes, order):
    """The beats of planes [planes, beats, ...] in an order, one after the other."""
    return planes[order].reshape(-1, *planes.shape[2:])


def _joined(tiles):
    """One stream of the beats of all tiles."""
    return Stream(np.concatenate(tiles), np.concatenate([ends(len(data), len(data)) for data in tiles]))
