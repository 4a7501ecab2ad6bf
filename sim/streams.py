"""Matrices to beats and back: tiling, padding, packing. The one place that does it, for testbench and user alike.

A product [M, K] x [K, N] is cut into tiles of rows x cols outputs: for each tile column all tile rows, so that weights
and parameters repeat. hdl/layout.py says which bit of a beat holds what.
"""

from dataclasses import dataclass

import numpy as np

from golden.formats import from_bits, to_bits
from golden.spec import Spec
from golden.tensors import Operands
from hdl.layout import Beat, a_beat, has_pad_mark, p_beat, p_beats, p_columns, w_beat, y_beat


@dataclass(frozen=True)
class Stream:
    """Beats as bytes [beats, bytes] (uint8, lowest byte first) and `last` [beats]."""

    data: np.ndarray
    last: np.ndarray


@dataclass(frozen=True)
class Tiling:
    """How an [M, K] x [K, N] product lies on the array."""

    spec: Spec
    m: int
    k: int
    n: int

    @property
    def grid(self):
        """Tile rows, tile columns."""
        return -(-self.m // self.spec.rows), -(-self.n // self.spec.cols)

    @property
    def tiles(self):
        return self.grid[0] * self.grid[1]

    @property
    def beats(self):
        """Beats of each tile on the streams of A and W."""
        return self.spec.beats(self.k)

    @property
    def parameter_beats(self):
        """Beats of each tile's parameter set: thresholds are sent once per tile column, and then kept."""
        whole, (tiles_m, tiles_n) = p_beats(self.spec), self.grid
        return [1 if self.spec.threshold_count and row else whole for _ in range(tiles_n) for row in range(tiles_m)]

    @property
    def y_beats(self):
        return self.tiles * self.spec.rows

    @property
    def macs(self):
        """Products that count, padding left out."""
        return self.m * self.k * self.n

    def place(self, m, n):
        """(tile number, row, column) that computes output [m, n]."""
        (tile_m, row), (tile_n, col) = divmod(m, self.spec.rows), divmod(n, self.spec.cols)
        return tile_n * self.grid[0] + tile_m, row, col

    def y_beat_index(self, m, n):
        """Which beat of the output stream brings output [m, n]."""
        tile, row, _ = self.place(m, n)
        return tile * self.spec.rows + self.spec.rows - 1 - row


def tiling(spec, operands: Operands):
    m, k, n = operands.shape
    return Tiling(spec, m, k, n)


def pack(beat: Beat, codes):
    """Bytes [beats, beat.bytes] from the codes of each field: name -> [beats, *field.shape]."""
    count = len(next(iter(codes.values())))
    bits = np.zeros((count, beat.bytes * 8), np.uint8)
    for field in beat.fields:
        raw = np.ascontiguousarray(to_bits(codes[field.name], field.fmt).reshape(-1), dtype="<u8")
        field_bits = np.unpackbits(raw.view(np.uint8).reshape(-1, 8), axis=1, count=field.fmt.width, bitorder="little")
        bits[:, field.offset : field.offset + field.width] = field_bits.reshape(count, field.width)
    return np.packbits(bits, axis=1, bitorder="little")


def unpack(beat: Beat, data):
    """The codes of each field, name -> int64 [beats, *field.shape], from bytes [beats, beat.bytes]."""
    bits = np.unpackbits(data, axis=1, bitorder="little")
    codes = {}
    for field in beat.fields:
        width = field.fmt.width
        field_bits = bits[:, field.offset : field.offset + field.width].reshape(-1, width)
        raw = np.zeros((len(field_bits), 64), np.uint8)
        raw[:, :width] = field_bits
        words = np.packbits(raw, axis=1, bitorder="little").view("<u8").reshape(len(data), *field.shape)
        codes[field.name] = from_bits(words, field.fmt)
    return codes


def input_streams(spec: Spec, operands: Operands):
    """Streams by name: "a", "w" and, where the design takes parameters, "p"."""
    cut = tiling(spec, operands)
    streams = {"a": _a_stream(spec, operands, cut), "w": _w_stream(spec, operands, cut)}
    if spec.parameters:
        streams["p"] = _p_stream(spec, operands, cut)
    return streams


def outputs(cut: Tiling, data):
    """Y [M, N], int64 codes, from the bytes of all output beats."""
    spec = cut.spec
    codes = unpack(y_beat(spec), data)["y"].reshape(cut.grid[1], cut.grid[0], spec.rows, spec.cols)[:, :, ::-1]
    return codes.transpose(1, 2, 0, 3).reshape(cut.grid[0] * spec.rows, -1)[: cut.m, : cut.n]


def _padded(matrix, shape, code):
    result = np.full(shape, code, np.int64)
    result[: matrix.shape[0], : matrix.shape[1]] = matrix
    return result


def _ends(count, period):
    return np.arange(1, count + 1) % period == 0


def _a_stream(spec, operands, cut):
    (tiles_m, tiles_n), beats = cut.grid, cut.beats
    padded = _padded(operands.a, (tiles_m * spec.rows, beats * spec.lanes), operands.a_zero_point)
    a = padded.reshape(tiles_m, spec.rows, beats, spec.lanes).transpose(0, 2, 1, 3)
    codes: dict[str, np.ndarray] = {"a": a.reshape(-1, spec.rows, spec.lanes)}
    count = len(codes["a"])
    if has_pad_mark(spec):
        missing = beats * spec.lanes - cut.k
        codes["pad"] = (_ends(count, beats) * (missing % 2)).reshape(-1, 1)
    if spec.a_zero_point:
        codes["a_zero_point"] = np.full((count, 1), operands.a_zero_point)
    data = pack(a_beat(spec), codes)
    return Stream(np.tile(data, (tiles_n, 1)), np.tile(_ends(count, beats), tiles_n))


def _w_stream(spec, operands, cut):
    (tiles_m, tiles_n), beats = cut.grid, cut.beats
    padded = _padded(operands.w, (beats * spec.lanes, tiles_n * spec.cols), operands.w_zero_point)
    if spec.is_binary:
        padded[cut.k :] = (np.arange(beats * spec.lanes - cut.k) % 2)[:, None]
    w = padded.reshape(beats, spec.lanes, tiles_n, spec.cols).transpose(2, 0, 3, 1)
    codes: dict[str, np.ndarray] = {"w": w.reshape(-1, spec.cols, spec.lanes)}
    if spec.w_zero_point:
        codes["w_zero_point"] = np.full((len(codes["w"]), 1), operands.w_zero_point)
    data = pack(w_beat(spec), codes).reshape(tiles_n, 1, beats, -1)
    data = np.broadcast_to(data, (tiles_n, tiles_m, beats, data.shape[-1])).reshape(cut.tiles * beats, -1)
    return Stream(data, _ends(len(data), beats))


def _p_stream(spec, operands, cut):
    tiles_m, tiles_n = cut.grid
    beats = p_beats(spec)
    data = pack(p_beat(spec), _p_codes(spec, operands, cut)).reshape(tiles_n, 1, beats, -1)
    sets = [data[column, 0, :size] for column in range(tiles_n) for size in cut.parameter_beats[:tiles_m]]
    return Stream(np.concatenate(sets), np.concatenate([_ends(len(one), len(one)) for one in sets]))


def _p_codes(spec, operands, cut):
    """The codes of whole sets, one after the other for each tile column."""
    tiles_n = cut.grid[1]
    if spec.threshold_count:
        values = np.zeros((tiles_n * spec.cols, spec.threshold_count), np.int64)
        values[: cut.n] = operands.parameters["thresholds"]
        columns = values.reshape(tiles_n, spec.cols, -1).transpose(0, 2, 1).reshape(-1, spec.cols)
        return {f"thresholds[{column}]": columns[:, column : column + 1] for column in range(spec.cols)}
    codes, per_beat = {}, p_columns(spec)
    for name in spec.parameters:
        columns = np.zeros((tiles_n, p_beats(spec) * per_beat), np.int64)
        values = np.zeros(tiles_n * spec.cols, np.int64)
        values[: cut.n] = operands.parameters[name]
        columns[:, : spec.cols] = values.reshape(tiles_n, spec.cols)
        for column in range(per_beat):
            codes[f"{name}[{column}]"] = columns.reshape(-1, per_beat)[:, column : column + 1]
    return codes
