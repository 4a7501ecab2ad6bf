"""Random thresholds among the sums that occur."""

import numpy as np

from .stimulus_operands import in_turns

_KINDS = ("within", "steps", "beyond", "equal", "within")
_MET = 1 / 3


def random_thresholds(rng, spec, sums):
    """Thresholds [N, T], ascending, for accumulators [M, N].

    A third are equal to sums of their column, so that reaching differs from passing. Most columns have all thresholds
    between their smallest and largest sum, the last one at the largest; some have equal neighbours, or thresholds that
    every sum or none reaches.
    """
    kinds = in_turns(rng, _KINDS, sums.shape[1])
    columns = [np.unique(column).tolist() for column in sums.T]
    drawn = [_column(rng, spec, kind, column) for kind, column in zip(kinds, columns, strict=True)]
    return np.array(drawn, np.int64)


def _column(rng, spec, kind, sums):
    """Thresholds for sums, which are distinct and ascend."""
    count, (lo, hi) = spec.threshold_count, spec.acc_range
    first, last = sums[0], sums[-1]
    if kind == "steps":
        values = [first + (last - first) * (step + 1) // count for step in range(count)]
    else:
        met = rng.choice(len(sums), count)
        between = rng.integers(first, last, count, endpoint=True).tolist()
        values = [sums[m] if rng.random() < _MET else b for m, b in zip(met, between, strict=True)]
        values = sorted([*values[:-1], last if count > 1 else sums[len(sums) // 2]])
    if kind == "equal":
        values = [values[index - index % 3] for index in range(count)]
    if kind == "beyond" and count > 2:
        few = max(count // 8, 1)
        values = [lo] * few + values[few:-few] + [hi + 1] * few
    return values
