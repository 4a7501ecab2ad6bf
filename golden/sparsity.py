"""Structured sparsity 2:4: of each 4 consecutive weights along K at most 2 are other than zero."""

import numpy as np

SPARSITIES = ("none", "2:4")
GROUP, KEPT = 4, 2


def most_products(k):
    """Products of a sum of depth k that can be other than zero: 2 of each whole group, at most 2 of the rest."""
    return k // GROUP * KEPT + min(k % GROUP, KEPT)


def check_pattern(name, w):
    """Raises ValueError where decoded weights w [K, N] break the pattern, naming the first group that does."""
    k, n = w.shape
    whole = np.zeros((-(-k // GROUP) * GROUP, n), bool)
    whole[:k] = w != 0
    counts = whole.reshape(-1, GROUP, n).sum(axis=1)
    if (counts > KEPT).any():
        group, column = (int(i) for i in np.argwhere(counts > KEPT)[0])
        raise ValueError(
            f"{name}[{GROUP * group}:{min(GROUP * group + GROUP, k)}, {column}] has {counts[group, column]} weights "
            f"other than zero; sparsity 2:4 allows {KEPT} of each {GROUP} along K"
        )


def compressed(codes, is_zero):
    """(kept codes, positions) of codes [..., 4 * groups], both [..., 2 * groups]: 2 of each group and where they stand.

    Positions rise within a group. Where fewer than 2 codes are other than zero, the first zeros of the group fill up.
    """
    groups = codes.reshape(*codes.shape[:-1], -1, GROUP)
    zeros_last = np.argsort(is_zero.reshape(groups.shape), axis=-1, kind="stable")
    positions = np.sort(zeros_last[..., :KEPT], axis=-1)
    kept = np.take_along_axis(groups, positions, axis=-1)
    return kept.reshape(*codes.shape[:-1], -1), positions.reshape(*codes.shape[:-1], -1)


def pruned(codes, spare):
    """Codes [K, N] that keep the pattern: of each group those with the largest `spare` [K, N] become zero."""
    kept = codes.copy()
    for start in range(0, len(codes), GROUP):
        order = np.argsort(spare[start : start + GROUP], axis=0)[KEPT:]
        np.put_along_axis(kept[start : start + GROUP], order, 0, axis=0)
    return kept
