"""Parameters [N], thresholds [N, T] and codebooks [N, entries] as the sets that streams bring."""

import numpy as np

from hdl.layout import c_beat, c_beats, p_beat, p_beats, p_columns

from .packing import Stream, ends, pack
from .tiling import Tiling


def parameter_sets(cut: Tiling, parameters, beats) -> Stream:
    """One set per tile, of so many `beats` each: the whole set of its tile column, or only its first beats."""
    return _sets(cut, packed_sets(cut, parameters), p_beats(cut.spec), beats)


def codebook_sets(cut: Tiling, tables, beats) -> Stream:
    """One set of codebooks per tile, of so many `beats` each, likewise; columns that do not exist have zeros."""
    entries = {"w_codebook": _by_rank(cut, tables)}
    return _sets(cut, pack(c_beat(cut.spec), entries), c_beats(cut.spec), beats)


def _sets(cut, whole, beats_of_whole, beats):
    """A set for each tile from the whole sets of tile columns."""
    tiles_m, tiles_n = cut.grid
    whole = whole.reshape(tiles_n, beats_of_whole, -1)
    sets = [whole[tile // tiles_m, :size] for tile, size in enumerate(beats)]
    return Stream(np.concatenate(sets), np.concatenate([ends(len(one), len(one)) for one in sets]))


def _by_rank(cut, values):
    """Values [N, T] as [tile columns * T, cols]: beat t of a tile column holds the t-th of every column."""
    tiles_n, cols = cut.grid[1], cut.spec.cols
    every = np.zeros((tiles_n * cols, values.shape[1]), np.int64)
    every[: cut.n] = values
    return every.reshape(tiles_n, cols, -1).transpose(0, 2, 1).reshape(-1, cols)


def packed_sets(cut: Tiling, parameters):
    """The beats of whole sets, one after the other for each tile column."""
    return pack(p_beat(cut.spec), _codes(cut, parameters))


def _codes(cut, parameters):
    """The codes of whole sets, one after the other for each tile column."""
    spec, tiles_n = cut.spec, cut.grid[1]
    if spec.threshold_count:
        columns = _by_rank(cut, parameters["thresholds"])
        return {f"thresholds[{column}]": columns[:, column : column + 1] for column in range(spec.cols)}
    codes, per_beat = {}, p_columns(spec)
    for name in spec.parameters:
        columns = np.zeros((tiles_n, p_beats(spec) * per_beat), np.int64)
        values = np.zeros(tiles_n * spec.cols, np.int64)
        values[: cut.n] = parameters[name]
        columns[:, : spec.cols] = values.reshape(tiles_n, spec.cols)
        for column in range(per_beat):
            codes[f"{name}[{column}]"] = columns.reshape(-1, per_beat)[:, column : column + 1]
    return codes
