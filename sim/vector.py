"""Products on the vector unit: a tile is one sum of each channel; weight sets and parameters stay for a tile column."""

import numpy as np

from golden.tensors import Operands, padded
from hdl.layout import has_pad_mark, p_beats, w_beat, y_beat
from hdl.vector_layout import channel_a_beat
from hdl.vector_timing import vector_cycles

from .packing import Stream, ends, pack, unpack
from .parameter_sets import parameter_sets
from .tiling import Tiling


class Vector(Tiling):
    """A tile is one row of `cols` outputs. The first tile of a tile column brings weights and parameters."""

    @property
    def cycles(self):
        return vector_cycles(self.spec, self.beats, *self.grid)

    def place_told(self, m, n):
        tile, _, col = self.place(m, n)
        return f"tile {tile}, channel {col}"

    def y_beat_index(self, m, n):
        return self.place(m, n)[0]

    def streams(self, operands: Operands):
        whole = padded(self.spec, operands, *self.padded_shape)
        streams = {"a": self._activations(whole), "w": self._weights(whole)}
        if self.spec.parameters:
            sets = [0 if row else p_beats(self.spec) for _ in range(self.grid[1]) for row in range(self.m)]
            streams["p"] = parameter_sets(self, operands.parameters, sets)
        return streams

    def outputs(self, data):
        codes = unpack(y_beat(self.spec), data)["y"].reshape(-1, 1, self.spec.cols)
        return self.from_tiles(codes)[: self.m, : self.n]

    def _activations(self, whole):
        """Tile columns, tiles, beats; in each beat channels, lanes."""
        spec, beats, missing = self.spec, self.beats, self.beats * self.spec.lanes - self.k
        a = whole.a if whole.a.ndim == 3 else np.broadcast_to(whole.a[:, :, None], (*whole.a.shape, whole.shape[2]))
        a = np.pad(a, ((0, 0), (0, missing), (0, 0)), constant_values=whole.a_zero_point)
        a = a.reshape(self.m, beats, spec.lanes, -1, spec.cols).transpose(3, 0, 1, 4, 2)
        count = self.tiles * beats
        codes: dict[str, np.ndarray] = {"a": a.reshape(count, spec.cols, spec.lanes)}
        codes["keep"] = np.repeat(np.arange(self.tiles) % self.m != 0, beats).astype(np.int64).reshape(-1, 1)
        if has_pad_mark(spec):
            codes["pad"] = (ends(count, beats) * (missing % 2)).reshape(-1, 1)
        if spec.a_zero_point:
            codes["a_zero_point"] = np.full((count, 1), whole.a_zero_point)
        return Stream(pack(channel_a_beat(spec), codes), ends(count, beats))

    def _weights(self, whole):
        """Tile columns, beats; in each beat channels, lanes."""
        spec, missing = self.spec, self.beats * self.spec.lanes - self.k
        w = np.pad(whole.w, ((0, missing), (0, 0)), constant_values=whole.w_zero_point)
        if spec.is_binary:
            w[self.k :] = (np.arange(missing) % 2)[:, None]
        w = w.reshape(self.beats, spec.lanes, -1, spec.cols).transpose(2, 0, 3, 1)
        codes: dict[str, np.ndarray] = {"w": w.reshape(-1, spec.cols, spec.lanes)}
        if spec.w_zero_point:
            codes["w_zero_point"] = np.full((len(codes["w"]), 1), whole.w_zero_point)
        return Stream(pack(w_beat(spec), codes), ends(len(codes["w"]), self.beats))
