"""The range of real values to quantize, found from samples: what post-training calibration does.

Each function takes batches, an iterable of arrays of any shape, and returns (lo, hi). golden.calibrate makes scale and
zero point of it.
"""

import numpy as np

from .calibrate import choose
from .histogram import flat, magnitude_histogram, symmetric_histogram
from .quantize import code_range

EPSILON = 1e-4
SHRINKS = 100


def minimum_maximum(batches):
    """The least and the largest value of all batches."""
    ends = _ends(batches)
    return float(ends[:, 0].min()), float(ends[:, 1].max())


def moving_average(batches, constant=0.01):
    """Ends that follow those of each batch: end += constant * (end of the batch - end), the first batch's to begin.

    In float32. Source: pytorch/pytorch ao/quantization/observer.py (MovingAverageMinMaxObserver).
    """
    first, *others = _ends(batches)
    for ends in others:
        first = first + np.float32(constant) * (ends - first)
    return float(first[0]), float(first[1])


def percentile(batches, percent=99.999, bins=2048, *, symmetric=False):
    """Ends that leave out (100 - percent) / 2 % of the values at each side; symmetric, percent of the magnitudes.

    From a histogram, the lower edge of the bin in which the part ends, and not beyond the least and the largest value.
    Equal to onnxruntime's PercentileCalibrater. Raises ValueError for a percentage that is not between 0 and 100.
    """
    if not 0 <= percent <= 100:
        raise ValueError(f"percent must be 0 to 100, not {percent}")
    found = (magnitude_histogram if symmetric else symmetric_histogram)(batches, bins)
    reached = np.cumsum(found.counts / found.counts.sum())
    if symmetric:
        end = found.edges[np.searchsorted(reached, percent / 100)]
        return _within(found, -end, end)
    cut = (100 - percent) / 200
    left, right = np.searchsorted(reached, cut), np.searchsorted(reached, 1 - cut)
    return _within(found, found.edges[left], found.edges[right])


def entropy(batches, bins=128, levels=128):
    """The symmetric part of a histogram whose quantization to `levels` loses least by Kullback-Leibler divergence.

    Equal to onnxruntime's EntropyCalibrater, its whole counts and its smoothing by 1e-4 included. Source: Migacz,
    "8-bit inference with TensorRT" (GTC 2017).
    """
    if bins < levels:
        raise ValueError(f"bins must be at least levels, not {bins} and {levels}")
    found = symmetric_histogram(batches, bins)
    middle, half = len(found.counts) // 2, levels // 2
    parts = [(middle - i, min(middle + i + 1, len(found.counts))) for i in range(half, middle + 1)]
    start, end = parts[int(np.argmin([_divergence(found.counts, start, end, levels) for start, end in parts]))]
    return _within(found, found.edges[start], found.edges[end])


def mean_square_error(batches, fmt="int8", scheme="onnxruntime", *, symmetric=False, narrow=False):
    """Of the range and of 1/100 to 99/100 of it, the one whose quantization has the least sum of squared errors.

    Codes are rounded to even and saturate; scale and zero point are those of golden.calibrate by `scheme`.
    """
    values = np.concatenate(list(flat(batches)) or [np.zeros(0, np.float32)])
    lo, hi = minimum_maximum([values])
    tried = [(lo * part / SHRINKS, hi * part / SHRINKS) for part in range(SHRINKS, 0, -1)]
    code_lo, code_hi = code_range(fmt, narrow)

    def error(ends):
        scale, zero_point = choose(scheme, ends[0], ends[1], fmt, symmetric=symmetric, narrow=narrow)
        codes = np.clip(np.rint(values / np.float64(scale)) + zero_point, code_lo, code_hi)
        return np.square((codes - zero_point) * scale - values).sum()

    return min(tried, key=error)


METHODS = {
    "minmax": minimum_maximum,
    "moving_average": moving_average,
    "percentile": percentile,
    "entropy": entropy,
    "mse": mean_square_error,
}


def _ends(batches):
    """Least and largest value of each batch, float32 [batches, 2]. Raises ValueError where there is none."""
    ends = [(batch.min(), batch.max()) for batch in flat(batches)]
    if not ends:
        raise ValueError("calibration needs one batch at least")
    return np.array(ends, np.float32)


def _within(found, lo, hi):
    return float(max(lo, found.lo)), float(min(hi, found.hi))


def _divergence(counts, start, end, levels):
    """How much is lost, in nats, where the bins [start, end) become `levels` ones and all others fall at its ends."""
    part = counts[start:end]
    clipped = part.copy()
    clipped[0] += counts[:start].sum()
    clipped[-1] += counts[end:].sum()
    width = len(part) // levels
    merged = part[: levels * width].reshape(levels, width).sum(axis=1)
    merged[-1] += part[levels * width :].sum()
    filled = (clipped[: levels * width] != 0).reshape(levels, width)
    each = merged // np.maximum(filled.sum(axis=1), 1)
    spread = np.zeros_like(part)
    spread[: levels * width] = np.repeat(np.where(filled.any(axis=1), each, 0), width)
    p, q = _smoothed(clipped), _smoothed(spread)
    if p is None or q is None:
        return np.float32(np.inf)
    p, q = p / p.sum(), q / q.sum()
    return np.sum(p * np.log(p / q))


def _smoothed(counts):
    """float32 counts with a little in each empty bin, taken off the others; None where all are empty."""
    empty = counts == 0
    if empty.all():
        return None
    taken = EPSILON * float(empty.sum()) / float((~empty).sum())
    return counts.astype(np.float32) + np.where(empty, np.float32(EPSILON), np.float32(-taken))
