"""Random codebooks that hold the extremes of their entries and zero, in any order."""

import numpy as np

from golden.formats import Codebook, Integer

_NARROW = 4


def ranks(fmt: Codebook):
    """The format of codes before the tables are shuffled: entries ascend with them, the extremes at both ends."""
    return Integer(fmt.width, signed=False)


def zero_rank(fmt: Codebook):
    """The rank at which every table of `random_tables` has zero; the lowest where there are but two signed entries."""
    return fmt.entries // 2 if fmt.entry.signed and fmt.entries > 2 else 0


def random_tables(rng, fmt: Codebook, n):
    """Ascending tables [n, entries]: the entries' least and largest at the ends, zero at `zero_rank`.

    Every fourth one has small entries in place of the extremes.
    """
    return np.stack([_table(rng, fmt, narrow=index % _NARROW == _NARROW - 1) for index in range(n)])


def _table(rng, fmt, *, narrow):
    lo, hi = fmt.entry.code_range
    if narrow:
        lo, hi = max(lo, -fmt.entries), min(hi, fmt.entries)
    zero = zero_rank(fmt)
    if fmt.entries == 2:
        return np.array([lo, hi])
    below = np.sort(rng.integers(lo, 0, zero, endpoint=True)) if zero else np.zeros(0, np.int64)
    above = np.sort(rng.integers(0, hi, fmt.entries - zero - 1, endpoint=True))
    below[:1], above[-1:] = lo, hi
    return np.concatenate([below, [0], above])


def shuffled(rng, w, tables):
    """(codes [K, N], tables in random orders) that stand for the same entries as ranks w [K, N] in ascending tables."""
    orders = np.stack([rng.permutation(tables.shape[1]) for _ in tables])
    places = orders.argsort(axis=1)
    return places[np.arange(len(tables)), w], np.take_along_axis(tables, orders, axis=1)
