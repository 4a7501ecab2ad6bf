"""Thresholds that realize a rule: y = smallest code + how many thresholds the sum reaches (equation 9.2)."""

import numpy as np

from .ops import exact_dtype

EXHAUSTIVE = 1 << 16


def thresholds_for(rule, *, columns, acc_range, codes) -> np.ndarray:
    """Thresholds [columns, T] that give the codes of a rule for every sum in acc_range: T = hi - lo for codes (lo, hi).

    rule : from sums [S, columns] (int64, or Python integers where int64 is too short) to output codes, for example a
        requantizer with its parameters, or batch norm, activation and quantizer one after the other. It must not fall
        as the sum rises, and its codes must lie in (lo, hi).
    A threshold is the least sum whose code is lo + k + 1 or more, found by bisection; where no sum is, it is one above
    acc_range.

    Raises ValueError for a rule that falls (seen on every sum where there are at most 2**16, else on the thresholds
    and the sums that bisection visits) or leaves the codes.
    """
    first, last = acc_range
    lo, hi = codes
    count = hi - lo
    low = np.full((count, columns), first, exact_dtype(first, last + 1))
    high = np.full_like(low, last + 1)
    wanted = lo + 1 + np.arange(count)[:, None]
    visited = _Visited(rule, codes, columns)
    while (low < high).any():
        middle = (low + high) >> 1
        reaches = visited.codes(np.minimum(middle, last)) >= wanted
        searching = low < high
        low, high = np.where(searching & ~reaches, middle + 1, low), np.where(searching & reaches, middle, high)
    ends = [np.full((1, columns), end, low.dtype) for end in acc_range]
    visited.codes(np.concatenate([*ends, np.clip(low, first, last), np.clip(low - 1, first, last)]))
    if last - first < EXHAUSTIVE:
        every = np.arange(first, last + 1).astype(low.dtype)
        visited.codes(np.broadcast_to(every[:, None], (len(every), columns)))
    visited.check()
    return low.T.astype(np.int64)


class _Visited:
    """The rule, and all that has been asked of it."""

    def __init__(self, rule, codes, columns):
        self.rule = rule
        self.bounds = codes
        self.columns = columns
        self._sums, self._codes = [], []

    def codes(self, sums):
        codes = np.asarray(self.rule(sums)).astype(np.int64)
        lo, hi = self.bounds
        if codes.shape != sums.shape:
            raise ValueError(f"the rule gives codes of shape {list(codes.shape)} for sums of {list(sums.shape)}")
        if codes.min() < lo or codes.max() > hi:
            raise ValueError(f"the rule gives codes {codes.min()}..{codes.max()}, outside [{lo}, {hi}]")
        self._sums.append(sums)
        self._codes.append(codes)
        return codes

    def check(self):
        sums, codes = np.concatenate(self._sums), np.concatenate(self._codes)
        for column in range(self.columns):
            order = np.argsort(sums[:, column], kind="stable")
            ordered = codes[order, column]
            falls = np.flatnonzero(np.diff(ordered) < 0)
            if falls.size:
                at = sums[order[falls[0]], column], sums[order[falls[0] + 1], column]
                raise ValueError(
                    f"the rule falls in column {column}: code {ordered[falls[0]]} for sum {at[0]}, "
                    f"{ordered[falls[0] + 1]} for {at[1]}; where it falls throughout, negate the column's weights"
                )
