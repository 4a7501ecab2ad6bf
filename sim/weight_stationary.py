"""Products on the weight-stationary array: rows of A past one block of W after the other."""

import numpy as np

from golden.tensors import Operands
from hdl import weight_timing
from hdl.layout import has_pad_mark, p_beats
from hdl.weight_layout import a_beat, w_beat, y_beat

from .packing import Stream, ends, pack, padded, unpack
from .parameter_sets import parameter_sets
from .tiling import Tiling


class WeightStationary(Tiling):
    """A tile is up to `pass_rows` rows of outputs, `cols` wide, and takes one pass per block of K.

    Tile rows are as few as can be, of the same height; only the last one may be shorter, and it is not padded.
    """

    part = "block of K"
    row_is = "tile row"

    @property
    def tile_shape(self):
        return -(-self.m // -(-self.m // self.spec.pass_rows)), self.spec.cols

    @property
    def heights(self):
        """Rows of each tile, in order."""
        rows, (tiles_m, tiles_n) = self.tile_shape[0], self.grid
        return [min(rows, self.m - row * rows) for _ in range(tiles_n) for row in range(tiles_m)]

    @property
    def parameter_beats(self):
        """Beats of each tile's parameter set: thresholds are sent once per tile column, and then kept."""
        whole, (tiles_m, tiles_n) = p_beats(self.spec), self.grid
        return [1 if self.spec.threshold_count and row else whole for _ in range(tiles_n) for row in range(tiles_m)]

    @property
    def cycles(self):
        tiles = [(height, self.beats) for height in self.heights]
        return weight_timing.cycles(self.spec, tiles, self.parameter_beats)

    @property
    def leaving(self):
        tiles = np.repeat(np.arange(self.tiles), self.heights)
        return tiles, np.concatenate([np.arange(height) for height in self.heights])

    def y_beat_index(self, m, n):
        return n // self.spec.cols * self.m + m

    @property
    def y_ends(self):
        return np.isin(np.arange(1, self.grid[1] * self.m + 1), np.cumsum(self.heights))

    def streams(self, operands: Operands):
        streams = {"a": self._activations(operands), "w": self._weights(operands)}
        if self.spec.parameters:
            streams["p"] = parameter_sets(self, operands.parameters, self.parameter_beats)
        return streams

    def outputs(self, data):
        codes = unpack(y_beat(self.spec), data)["y"].reshape(self.grid[1], self.m, self.spec.cols)
        return codes.transpose(1, 0, 2).reshape(self.m, -1)[:, : self.n]

    def _activations(self, operands):
        spec, blocks, tiles_m = self.spec, self.beats, self.grid[0]
        codes_of_all = padded(operands.a, (self.m, blocks * spec.beat_depth), operands.a_zero_point)
        a = codes_of_all.reshape(self.m, blocks, spec.rows, spec.lanes)
        passes = [a[rows, block] for rows in self._tile_rows() for block in range(blocks)]
        codes: dict[str, np.ndarray] = {"a": np.concatenate(passes)}
        heights = np.repeat(self.heights[:tiles_m], blocks)
        if has_pad_mark(spec):
            missing = blocks * spec.beat_depth - self.k
            codes["pad"] = np.repeat(ends(len(passes), blocks) * (missing % 2), heights)[:, None]
        if spec.a_zero_point:
            codes["a_zero_point"] = np.full((len(codes["a"]), 1), operands.a_zero_point)
        last = np.isin(np.arange(1, self.m * blocks + 1), np.cumsum(heights))
        return Stream(np.tile(pack(a_beat(spec), codes), (self.grid[1], 1)), np.tile(last, self.grid[1]))

    def _tile_rows(self):
        """The rows of M of each tile row."""
        rows = self.tile_shape[0]
        return [slice(first, first + rows) for first in range(0, self.m, rows)]

    def _weights(self, operands):
        spec, (tiles_m, tiles_n), blocks = self.spec, self.grid, self.beats
        depth = blocks * spec.beat_depth
        codes_of_all = padded(operands.w, (depth, tiles_n * spec.cols), operands.w_zero_point)
        if spec.is_binary:
            codes_of_all[self.k :] = (np.arange(depth - self.k) % 2)[:, None]
        w = codes_of_all.reshape(blocks, spec.rows, spec.lanes, tiles_n, spec.cols).transpose(3, 0, 1, 4, 2)
        codes: dict[str, np.ndarray] = {"w": w.reshape(-1, spec.cols, spec.lanes)}
        block = np.arange(len(codes["w"])) // spec.rows % blocks
        codes |= {"first": (block == 0)[:, None], "final": (block == blocks - 1)[:, None]}
        if spec.w_zero_point:
            codes["w_zero_point"] = np.full((len(codes["w"]), 1), operands.w_zero_point)
        data = pack(w_beat(spec), codes).reshape(tiles_n, 1, blocks * spec.rows, -1)
        data = np.broadcast_to(data, (tiles_n, tiles_m, *data.shape[2:])).reshape(-1, data.shape[-1])
        return Stream(data, ends(len(data), spec.rows))
