"""Real weights to a table of few integers and codes that point into it: k-means by Lloyd's algorithm.

Source: S. P. Lloyd, "Least squares quantization in PCM" (1957, 1982); on the line, so that clusters are intervals.
"""

import numpy as np

from .formats import Codebook, Integer

MOST_ROUNDS = 300


def codebook_for(x, bits, fmt: Integer):
    """(codes [K, N], table [N, 2**bits], scale [N]) of real weights x [K, N]: a table for each column.

    table[n, codes[k, n]] * scale[n] is near x[k, n]. The centers of a column are those of `lloyd`, begun at the
    quantiles; the scale brings the outermost one to the end of the format that it meets first; entries are the centers
    in that scale, rounded to even, ascending; each weight then takes the entry nearest to it, of two the lower one.
    Deterministic. A column of zeros has scale 1.

    Raises ValueError for weights that are no matrix, or not finite, and for bits that no codebook has.
    """
    x, entries = np.asarray(x, np.float64), 1 << Codebook(bits, fmt).width
    if x.ndim != 2 or 0 in x.shape or not np.isfinite(x).all():
        raise ValueError(f"x must be a matrix of finite numbers, not of shape {list(x.shape)}")
    columns = [_column(column, entries, fmt) for column in x.T]
    codes, tables, scales = zip(*columns, strict=True)
    return np.stack(codes, axis=1), np.stack(tables), np.array(scales)


def _column(x, entries, fmt):
    centers = lloyd(x, quantiles(x, entries))
    scale = _scale(centers, fmt)
    table = fmt.saturate(np.rint(centers / scale)).astype(np.int64)
    return assigned(x / scale, table), table, scale


def _scale(centers, fmt):
    """The least scale in which no center leaves the format, as far as it has that sign; 1 where there is nothing."""
    needs = [
        float(center) / end for center, end in zip((centers.min(), centers.max()), fmt.code_range, strict=True) if end
    ]
    return max((need for need in needs if need > 0), default=1.0)


def quantiles(x, entries):
    """Ascending starts [entries]: the medians of `entries` equal parts of the values in order."""
    return np.quantile(np.asarray(x, np.float64), (np.arange(entries) + 0.5) / entries)


def lloyd(x, start):
    """Ascending centers of values x [K] after Lloyd's algorithm from ascending starts.

    Each round gives every value to its nearest center (`assigned`) and moves each center to the mean of its values; a
    center without values stays. It ends when nothing changes, or after MOST_ROUNDS.
    """
    x, centers = np.sort(np.asarray(x, np.float64)), np.array(start, np.float64)
    before = None
    for _ in range(MOST_ROUNDS):
        nearest = assigned(x, centers)
        if before is not None and np.array_equal(nearest, before):
            break
        counts = np.bincount(nearest, minlength=len(centers))
        sums = np.bincount(nearest, weights=x, minlength=len(centers))
        centers = np.where(counts > 0, sums / np.maximum(counts, 1), centers)
        before = nearest
    return centers


def assigned(x, centers):
    """Index [K] of the center nearest to each value, of two the lower one, for ascending centers."""
    return np.searchsorted((centers[:-1] + centers[1:]) / 2, x, side="left")


def inertia(x, centers):
    """Sum of squared distances of values from their nearest of some ascending centers."""
    return float(((np.asarray(x) - np.asarray(centers)[assigned(x, centers)]) ** 2).sum())
