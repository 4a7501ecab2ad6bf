"""Products on the matrix-vector unit: vector after vector against the weights of one layer, which stay."""

import numpy as np

from golden.folds import folded, sparse_words
from golden.tensors import Operands
from hdl.layout import has_pad_mark
from hdl.matrix_vector_layout import (
    fold_parameter_beats,
    is_sparse,
    mv_a_beat,
    mv_w_beat,
    mv_y_beat,
    takes_sets,
)
from hdl.matrix_vector_timing import Layer, cycles

from .packing import Stream, ends, pack, padded, unpack
from .parameter_sets import packed_sets
from .tiling import Tiling


class MatrixVectorTiling(Tiling):
    """A tile is one fold of one vector: 1 x cols outputs. All folds of a vector follow each other.

    One product is one layer: its weights and parameters come once, and its first vector puts them in use.
    """

    across_first = True

    @property
    def layer(self):
        """How many vectors of how many beats, and folds, for the closed forms."""
        return Layer(self.m, self.beats, self.grid[1])

    @property
    def cycles(self):
        return cycles(self.spec, [self.layer])

    @property
    def capacity(self):
        """Products of dense weights that one cycle can do: sparse ones count as those that they stand for."""
        return self.spec.cols * self.spec.beat_depth

    @property
    def y_ends(self):
        return ends(self.tiles, self.grid[1])

    def place_told(self, m, n):
        tile, _, col = self.place(m, n)
        vector, fold = self.at(tile)
        return f"tile {tile}: vector {vector}, fold {fold}, column {col}"

    def y_beat_index(self, m, n):
        return self.place(m, n)[0]

    def streams(self, operands: Operands):
        streams = {"a": self._activations(operands)}
        if self.spec.stored_weights is None:
            streams["w"] = self._weights(operands)
        if self.spec.parameters:
            streams["p"] = self._parameters(operands)
        return streams

    def outputs(self, data):
        codes = unpack(mv_y_beat(self.spec), data)["y"].reshape(-1, 1, self.spec.cols)
        return self.from_tiles(codes)[: self.m, : self.n]

    def _activations(self, operands):
        spec, beats = self.spec, self.beats
        whole = padded(operands.a, (self.m, beats * spec.beat_depth), operands.a_zero_point)
        codes: dict[str, np.ndarray] = {"a": whole.reshape(-1, spec.beat_depth)}
        count = len(codes["a"])
        if has_pad_mark(spec):
            missing = beats * spec.beat_depth - self.k
            codes["pad"] = (ends(count, beats) * (missing % 2)).reshape(-1, 1)
        for name in ("a_zero_point", "w_zero_point"):
            if getattr(spec, name):
                codes[name] = np.full((count, 1), getattr(operands, name))
        if takes_sets(spec):
            codes["next"] = (np.arange(count) == 0).reshape(-1, 1)
        return Stream(pack(mv_a_beat(spec), codes), ends(count, beats))

    def _weights(self, operands):
        spec = self.spec
        words = folded(spec, operands.w, operands.w_zero_point)
        codes = {"w": words, "fold_end": ends(len(words), self.beats).reshape(-1, 1)}
        if is_sparse(spec):
            codes["w"], codes["position"] = sparse_words(spec, words)
        return Stream(pack(mv_w_beat(spec), codes), ends(len(words), len(words)))

    def _parameters(self, operands):
        count = self.grid[1] * fold_parameter_beats(self.spec)
        return Stream(packed_sets(self, operands.parameters), ends(count, count))
