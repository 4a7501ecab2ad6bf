"""The tiles of outputs that a product is cut into, and their order."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tiles:
    """Outputs [M, N] in tiles of rows x cols, padded to whole ones.

    For each tile column all tile rows follow each other, so that weights and parameters repeat; or, `across_first`, for
    each tile row all tile columns.
    """

    rows: int
    cols: int
    m: int
    n: int
    across_first: bool = False

    @property
    def grid(self):
        """Tile rows, tile columns."""
        return -(-self.m // self.rows), -(-self.n // self.cols)

    @property
    def count(self):
        return self.grid[0] * self.grid[1]

    @property
    def padded_shape(self):
        """Rows and columns of all tiles together."""
        return self.grid[0] * self.rows, self.grid[1] * self.cols

    def place(self, m, n):
        """(tile number, row, column) that holds output [m, n]."""
        (tile_m, row), (tile_n, col) = divmod(m, self.rows), divmod(n, self.cols)
        tile = tile_m * self.grid[1] + tile_n if self.across_first else tile_n * self.grid[0] + tile_m
        return tile, row, col

    def at(self, tile):
        """Tile row and tile column of a tile by its number."""
        if self.across_first:
            return tile // self.grid[1], tile % self.grid[1]
        return tile % self.grid[0], tile // self.grid[0]

    def split(self, outputs) -> np.ndarray:
        """[M, N], or padded already, as [tiles, rows, cols] in order; pads are zero."""
        shape, (tiles_m, tiles_n) = self.padded_shape, self.grid
        outputs = np.pad(outputs, [(0, size - given) for size, given in zip(shape, outputs.shape, strict=True)])
        tiles = outputs.reshape(tiles_m, self.rows, tiles_n, self.cols)
        order = (0, 2, 1, 3) if self.across_first else (2, 0, 1, 3)
        return tiles.transpose(order).reshape(-1, self.rows, self.cols)

    def join(self, tiles) -> np.ndarray:
        """The inverse of `split`, pads included: [padded M, padded N]."""
        (tiles_m, tiles_n), shape = self.grid, (self.rows, self.cols)
        if self.across_first:
            return tiles.reshape(tiles_m, tiles_n, *shape).transpose(0, 2, 1, 3).reshape(self.padded_shape)
        return tiles.reshape(tiles_n, tiles_m, *shape).transpose(1, 2, 0, 3).reshape(self.padded_shape)
