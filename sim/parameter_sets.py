"""Parameters [N] or thresholds [N, T] as the sets that the parameter stream brings."""

import numpy as np

from hdl.layout import p_beat, p_beats, p_columns

from .packing import Stream, ends, pack
from .tiling import Tiling


def parameter_sets(cut: Tiling, parameters, beats) -> Stream:
    """One set per tile, of so many `beats` each: the whole set of its tile column, or only its first beats."""
    tiles_m, tiles_n = cut.grid
    whole = pack(p_beat(cut.spec), _codes(cut, parameters)).reshape(tiles_n, p_beats(cut.spec), -1)
    sets = [whole[tile // tiles_m, :size] for tile, size in enumerate(beats)]
    return Stream(np.concatenate(sets), np.concatenate([ends(len(one), len(one)) for one in sets]))


def _codes(cut, parameters):
    """The codes of whole sets, one after the other for each tile column."""
    spec, tiles_n = cut.spec, cut.grid[1]
    if spec.threshold_count:
        values = np.zeros((tiles_n * spec.cols, spec.threshold_count), np.int64)
        values[: cut.n] = parameters["thresholds"]
        columns = values.reshape(tiles_n, spec.cols, -1).transpose(0, 2, 1).reshape(-1, spec.cols)
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
