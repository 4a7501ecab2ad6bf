"""How a product [M, K] x [K, N] lies on an array: what the kinds of arrays have in common."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from golden.spec import Spec
from golden.tensors import Operands

from .packing import Stream, ends


@dataclass(frozen=True)
class Tiling:
    """One product, cut into tiles of `tile_shape` outputs, for one kind of array; subclasses know the kind.

    For each tile column all tile rows follow each other, so that weights and parameters repeat; or, where a subclass
    goes `across_first`, for each tile row all tile columns.
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
    def grid(self):
        """Tile rows, tile columns."""
        rows, cols = self.tile_shape
        return -(-self.m // rows), -(-self.n // cols)

    @property
    def tiles(self):
        return self.grid[0] * self.grid[1]

    @property
    def padded_shape(self):
        """Rows and columns of all tiles together."""
        return self.grid[0] * self.tile_shape[0], self.grid[1] * self.tile_shape[1]

    @property
    def beats(self):
        """Beats that each sum takes."""
        return self.spec.beats(self.k)

    @property
    def y_ends(self):
        """`last` of each output beat."""
        return ends(self.tiles * self.tile_shape[0], self.tile_shape[0])

    @property
    def y_beats(self):
        return len(self.y_ends)

    @property
    def macs(self):
        """Products that count, padding left out."""
        return self.m * self.k * self.n

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
        (tile_m, row), (tile_n, col) = divmod(m, self.tile_shape[0]), divmod(n, self.tile_shape[1])
        tile = tile_m * self.grid[1] + tile_n if self.across_first else tile_n * self.grid[0] + tile_m
        return tile, row, col

    def at(self, tile):
        """Tile row and tile column of a tile by its number in the order of the streams."""
        if self.across_first:
            return tile // self.grid[1], tile % self.grid[1]
        return tile % self.grid[0], tile // self.grid[0]

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

    def in_tiles(self, outputs):
        """[padded M, padded N] as [tiles, tile rows, tile columns], tiles in the order of the streams."""
        (tiles_m, tiles_n), (rows, cols) = self.grid, self.tile_shape
        order = (0, 2, 1, 3) if self.across_first else (2, 0, 1, 3)
        return outputs.reshape(tiles_m, rows, tiles_n, cols).transpose(order).reshape(-1, rows, cols)

    def from_tiles(self, tiles):
        """The inverse of `in_tiles`."""
        (tiles_m, tiles_n), (rows, cols) = self.grid, self.tile_shape
        if self.across_first:
            return tiles.reshape(tiles_m, tiles_n, rows, cols).transpose(0, 2, 1, 3).reshape(self.padded_shape)
        return tiles.reshape(tiles_n, tiles_m, rows, cols).transpose(1, 2, 0, 3).reshape(self.padded_shape)
