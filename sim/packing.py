"""Codes to the bytes of beats and back, as hdl/layout.py describes them. Knows nothing of matrices."""

from dataclasses import dataclass
from math import prod

import numpy as np

from golden.formats import from_bits, to_bits
from golden.trits import pack_trits, unpack_trits
from hdl.layout import Beat


@dataclass(frozen=True)
class Stream:
    """Beats as bytes [beats, bytes] (uint8, lowest byte first) and `last` [beats]."""

    data: np.ndarray
    last: np.ndarray


def pack(beat: Beat, codes):
    """Bytes [beats, beat.bytes] from the codes of each field: name -> [beats, *field.shape]."""
    count = len(next(iter(codes.values())))
    bits = np.zeros((count, beat.bytes * 8), np.uint8)
    for field in beat.fields:
        field_bits = (_trit_bits if field.packing == "trits" else _code_bits)(field, codes[field.name])
        bits[:, field.offset : field.offset + field.width] = field_bits.reshape(count, field.width)
    return np.packbits(bits, axis=1, bitorder="little")


def _code_bits(field, codes):
    raw = np.ascontiguousarray(to_bits(codes, field.fmt).reshape(-1), dtype="<u8")
    return np.unpackbits(raw.view(np.uint8).reshape(-1, 8), axis=1, count=field.fmt.width, bitorder="little")


def _trit_bits(field, codes):
    return np.unpackbits(pack_trits(np.asarray(codes).reshape(len(codes), -1)), axis=1, bitorder="little")


def unpack(beat: Beat, data):
    """The codes of each field, name -> int64 [beats, *field.shape], from bytes [beats, beat.bytes].

    Raises ValueError for a byte of packed trits that holds none.
    """
    bits = np.unpackbits(data, axis=1, bitorder="little")
    codes = {}
    for field in beat.fields:
        field_bits = bits[:, field.offset : field.offset + field.width]
        codes[field.name] = (_trits if field.packing == "trits" else _codes)(field, field_bits)
    return codes


def _codes(field, bits):
    width = field.fmt.width
    field_bits = bits.reshape(-1, width)
    raw = np.zeros((len(field_bits), 64), np.uint8)
    raw[:, :width] = field_bits
    words = np.packbits(raw, axis=1, bitorder="little").view("<u8").reshape(len(bits), *field.shape)
    return from_bits(words, field.fmt)


def _trits(field, bits):
    packed = np.packbits(bits, axis=1, bitorder="little")
    return unpack_trits(packed, prod(field.shape)).reshape(len(bits), *field.shape)


def padded(matrix, shape, code):
    """A matrix [M, N], in the upper left corner of one of another shape that is full of one code."""
    result = np.full(shape, code, np.int64)
    result[: matrix.shape[0], : matrix.shape[1]] = matrix
    return result


def ends(count, period):
    """`last` [count] of beats of which every `period` end something."""
    return np.arange(1, count + 1) % period == 0
