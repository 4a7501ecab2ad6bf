"""The few operations beside + - * >> << & and comparison that the definitions in this package need.

They take numpy arrays, Python integers, and any symbolic type that offers `select(condition, a, b)`; so the text that
computes a result is also the text that a proof can be about.
"""

from typing import Any

import numpy as np

Exact = Any  # numpy array of integers, Python integer, or a symbolic integer


def where(condition, a, b):
    """`a` where the condition holds, else `b`."""
    if isinstance(condition, bool):
        return a if condition else b
    if isinstance(condition, np.ndarray | np.generic):
        return np.where(condition, a, b)
    return type(condition).select(condition, a, b)


def pick(entries, index):
    """`entries[index]`; an array of entries where the index is an array."""
    if isinstance(index, int):
        return entries[index]
    if isinstance(index, np.ndarray | np.generic):
        return np.asarray(entries)[index.astype(np.int64)]
    chosen = entries[0]
    for position, entry in enumerate(entries[1:], start=1):
        chosen = where(index >= position, entry, chosen)
    return chosen


def int_bits(lo, hi):
    """Smallest two's complement width that holds every integer in [lo, hi]."""
    return max((~end if end < 0 else end).bit_length() for end in (lo, hi)) + 1


def exact_dtype(lo, hi):
    """numpy dtype whose integers hold [lo, hi]: int64, or Python integers (object) where int64 would overflow."""
    return np.int64 if int_bits(lo, hi) <= 64 else object
