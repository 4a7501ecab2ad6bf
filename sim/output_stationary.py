"""Products on the output-stationary array: one tile of rows x cols sums after the other."""

import numpy as np

from golden.tensors import Operands
from hdl import timing
from hdl.layout import a_beat, c_beats, has_pad_mark, p_beats, w_beat, y_beat

from .block_fields import column_fields, row_fields
from .packing import Stream, ends, pack, padded, unpack
from .parameter_sets import codebook_sets, parameter_sets
from .tiling import Tiling


class OutputStationary(Tiling):
    """A tile is rows x cols outputs; beats bring `lanes` codes for each row and column. The last row leaves first."""

    @property
    def parameter_beats(self):
        """Beats of each tile's parameter set: thresholds are sent once per tile column, and then kept."""
        whole, (tiles_m, tiles_n) = p_beats(self.spec), self.grid
        return [1 if self.spec.threshold_count and row else whole for _ in range(tiles_n) for row in range(tiles_m)]

    @property
    def codebook_beats(self):
        """Beats of each tile's codebooks, which are sent once per tile column, and then kept."""
        tiles_m, tiles_n = self.grid
        return [1 if row else c_beats(self.spec) for _ in range(tiles_n) for row in range(tiles_m)]

    @property
    def tile_beats(self):
        """Beats of each tile on `a` and `w`."""
        return [self.beats] * self.tiles

    @property
    def cycles(self):
        return timing.cycles(self.spec, self.tile_beats, self.parameter_beats, self.codebook_beats)

    def y_beat_index(self, m, n):
        tile, row, _ = self.place(m, n)
        return tile * self.spec.rows + self.spec.rows - 1 - row

    def streams(self, operands: Operands):
        streams = {"a": self._activations(operands), "w": self._weights(operands)}
        if self.spec.parameters:
            streams["p"] = parameter_sets(self, operands.parameters, self.parameter_beats)
        if c_beats(self.spec):
            streams["c"] = codebook_sets(self, operands.extras["w_codebook"], self.codebook_beats)
        return streams

    def outputs(self, data):
        spec = self.spec
        codes = unpack(y_beat(spec), data)["y"].reshape(-1, spec.rows, spec.cols)[:, ::-1]
        return self.from_tiles(codes)[: self.m, : self.n]

    def _passes(self, operands, name):
        """The codes of one operand in each pass over K."""
        codes = getattr(operands, name)
        return [codes, operands.extras.get(f"{name}_residual", codes)][: self.spec.passes]

    def _activations(self, operands):
        spec, (tiles_m, tiles_n), beats = self.spec, self.grid, self.pass_beats
        shape, zero = (tiles_m * spec.rows, beats * spec.lanes), operands.a_zero_point
        codes_of_all = np.stack([padded(codes, shape, zero) for codes in self._passes(operands, "a")])
        a = codes_of_all.reshape(-1, tiles_m, spec.rows, beats, spec.lanes).transpose(1, 0, 3, 2, 4)
        codes: dict[str, np.ndarray] = {"a": a.reshape(-1, spec.rows, spec.lanes)}
        count = len(codes["a"])
        if has_pad_mark(spec):
            missing = beats * spec.lanes - self.k
            codes["pad"] = (ends(count, beats) * (missing % 2)).reshape(-1, 1)
        if spec.residual:
            codes["raise"] = (np.arange(count) % self.beats == beats).astype(np.int64).reshape(-1, 1)
        if spec.a_zero_point:
            codes["a_zero_point"] = np.full((count, 1), operands.a_zero_point)
        codes |= row_fields(self, operands)
        data = pack(a_beat(spec), codes)
        return Stream(np.tile(data, (tiles_n, 1)), np.tile(ends(count, self.beats), tiles_n))

    def _weights(self, operands):
        spec, (tiles_m, tiles_n), beats = self.spec, self.grid, self.pass_beats
        shape, zero = (beats * spec.lanes, tiles_n * spec.cols), operands.w_zero_point
        codes_of_all = np.stack([padded(codes, shape, zero) for codes in self._passes(operands, "w")])
        if spec.is_binary:
            codes_of_all[:, self.k :] = (np.arange(beats * spec.lanes - self.k) % 2)[:, None]
        w = codes_of_all.reshape(-1, beats, spec.lanes, tiles_n, spec.cols).transpose(3, 0, 1, 4, 2)
        codes: dict[str, np.ndarray] = {"w": w.reshape(-1, spec.cols, spec.lanes)}
        if spec.w_zero_point:
            codes["w_zero_point"] = np.full((len(codes["w"]), 1), operands.w_zero_point)
        codes |= column_fields(self, operands)
        data = pack(w_beat(spec), codes).reshape(tiles_n, 1, self.beats, -1)
        data = np.broadcast_to(data, (tiles_n, tiles_m, *data.shape[2:])).reshape(self.tiles * self.beats, -1)
        return Stream(data, ends(len(data), self.beats))
