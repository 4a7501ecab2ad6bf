"""How a product [M, K] x [K, N] lies on an array: what the kinds of arrays have in common."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from golden.ieee import Float
from golden.spec import Spec
from golden.tensors import Operands
from golden.tiles import Tiles
from hdl.kinds import kind_of

from .packing import Stream, ends, unpack


@dataclass(frozen=True)
class Tiling:
    """One product, cut into tiles of `tile_shape` outputs, for one kind of array; subclasses know the kind.

    The order of the tiles is that of golden.tiles: down first or, where a subclass goes `across_first`, across.
    """

    across_first = False
    part: ClassVar[str] = "beat"  # what brings `beat_depth` products of a sum, in words

    row_is: ClassVar[str] = "array row"  # what a row of a tile is, in words

    spec: Spec
    m: int
    k: int
    n: int

    @classmethod
    def of(cls, spec: Spec, operands: Operands):
        """How the product of these operands lies on the array."""
        m, k, n = operands.shape
        return cls(spec, m, k, n)

    @property
    def tile_shape(self):
        """Rows and columns of the outputs of one tile."""
        return self.spec.rows, self.spec.cols

    @property
    def _tiles(self):
        return Tiles(*self.tile_shape, self.m, self.n, self.across_first)

    @property
    def grid(self):
        """Tile rows, tile columns."""
        return self._tiles.grid

    @property
    def tiles(self):
        return self._tiles.count

    @property
    def padded_shape(self):
        """Rows and columns of all tiles together."""
        return self._tiles.padded_shape

    @property
    def beats(self):
        """Beats that each sum takes."""
        return self.spec.beats(self.k)

    @property
    def pass_beats(self):
        """Beats of one pass over K."""
        return self.beats // self.spec.passes

    @property
    def y_ends(self):
        """`last` of each output beat."""
        return ends(self.tiles * self.tile_shape[0], self.tile_shape[0])

    @property
    def y_beats(self):
        return len(self.y_ends)

    @property
    def macs(self):
        """Products that count, padding left out: those of both codes where an operand has two."""
        return self.m * self.k * self.n * self.spec.passes

    @property
    def capacity(self):
        """Products that the array can form in one cycle."""
        return self.spec.rows * self.spec.cols * self.spec.lanes

    @property
    def cycles(self):
        """Cycles from the first beat in to the last beat out where no stream stalls, by the closed form."""
        raise NotImplementedError

    def place(self, m, n):
        """(tile number, row, column) that computes output [m, n]."""
        return self._tiles.place(m, n)

    def place_told(self, m, n):
        """Where output [m, n] is computed, in words."""
        tile, row, col = self.place(m, n)
        return f"tile {tile}, {self.row_is} {row}, column {col}"

    def at(self, tile):
        """Tile row and tile column of a tile by its number in the order of the streams."""
        return self._tiles.at(tile)

    def y_beat_index(self, m, n):
        """Which beat of the output stream brings output [m, n]."""
        raise NotImplementedError

    @property
    def leaving(self):
        """The tile, and the row in it, that each beat of the output stream brings: by default the last row first."""
        rows = self.tile_shape[0]
        return np.repeat(np.arange(self.tiles), rows), np.tile(np.arange(rows)[::-1], self.tiles)

    def streams(self, operands: Operands) -> dict[str, Stream]:
        """The beats of each input stream, by its short name."""
        raise NotImplementedError

    def outputs(self, data) -> np.ndarray:
        """Y [M, N], int64 codes, from the bytes of all output beats."""
        raise NotImplementedError

    @property
    def tile_streams(self):
        """Names of the output streams beside `y`, which bring one beat per tile, each with `last`."""
        return tuple(name for name in kind_of(self.spec).outputs(self.spec) if name != "y")

    def of_tiles(self, name, data) -> dict[str, np.ndarray]:
        """What the beats of such a stream say: field name -> one number for each tile."""
        beat = kind_of(self.spec).outputs(self.spec)[name]
        codes = unpack(beat, data)
        return {field.name: _numbers(field.fmt, codes[field.name].reshape(-1)) for field in beat.fields}

    def in_tiles(self, outputs):
        """[padded M, padded N] as [tiles, tile rows, tile columns], tiles in the order of the streams."""
        return self._tiles.split(outputs)

    def from_tiles(self, tiles):
        """The inverse of `in_tiles`."""
        return self._tiles.join(tiles)


def _numbers(fmt, codes):
    return fmt.decode(codes) if isinstance(fmt, Float) else codes
