"""Five trits in a byte: 3**5 = 243 of its 256 values."""

import numpy as np

TRITS = 5
VALUES = 3**TRITS
_WEIGHTS = 3 ** np.arange(TRITS)


def packed_bytes(count):
    """Bytes that so many trits take."""
    return -(-count // TRITS)


def pack_trits(trits) -> np.ndarray:
    """Bytes [..., ceil(n / 5)], uint8, from trits [..., n] of -1, 0, 1: byte = sum_i (t[i] + 1) * 3**i.

    Trit i of a byte is the (5 * byte + i)-th; trits that are missing in the last byte count as zero.
    """
    trits = np.asarray(trits, np.int64)
    missing = -trits.shape[-1] % TRITS
    whole = np.concatenate([trits, np.zeros((*trits.shape[:-1], missing), np.int64)], axis=-1)
    return ((whole.reshape(*trits.shape[:-1], -1, TRITS) + 1) * _WEIGHTS).sum(axis=-1).astype(np.uint8)


def unpack_trits(packed, count) -> np.ndarray:
    """The first `count` trits [..., count], int64, of bytes [..., n]; the inverse of `pack_trits`.

    Raises ValueError for bytes above 242, which no trits are packed to.
    """
    packed = np.asarray(packed, np.int64)
    if (packed >= VALUES).any():
        index = tuple(int(i) for i in np.argwhere(packed >= VALUES)[0])
        raise ValueError(f"byte{list(index)} is {int(packed[index])}; five trits are packed to 0..{VALUES - 1}")
    trits = packed[..., None] // _WEIGHTS % 3 - 1
    return trits.reshape(*packed.shape[:-1], -1)[..., :count]
