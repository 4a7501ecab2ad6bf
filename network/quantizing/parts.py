"""Parts of a weight matrix that share a scale: all of it, its columns, or groups along K in each column."""

import numpy as np

from golden.blocks import spread


def in_parts(w, granularity, group) -> np.ndarray:
    """w [K, N] as parts [..., L]: [K * N] of "tensor", [N, K] of "channel", [N, blocks, group] of "group".

    A last group that is short is filled with zeros.
    """
    if granularity == "tensor":
        return w.reshape(-1)
    if granularity == "channel":
        return w.T
    filled = np.pad(w.T, ((0, 0), (0, -len(w) % group)))
    return filled.reshape(w.shape[1], -1, group)


def over(values, granularity, group, depth) -> np.ndarray:
    """A number of each part, [...] as above, as what broadcasts to w [depth, N]."""
    return spread(np.asarray(values).T, group, depth) if granularity == "group" else np.asarray(values)


def lengths(granularity, group, shape) -> np.ndarray:
    """How many weights of a matrix of shape (K, N) each part has, zeros that fill it not counted; int64 [...]."""
    depth, columns = shape
    if granularity == "tensor":
        return np.array(depth * columns)
    if granularity == "channel":
        return np.full(columns, depth)
    starts = np.arange(0, depth, group)
    return np.tile(np.minimum(group, depth - starts), (columns, 1))
