"""Histograms of real values that grow as batches come, as calibrators of quantized networks keep them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Histogram:
    """`counts` [bins] between `edges` [bins + 1], and the least and the largest value seen."""

    counts: np.ndarray
    edges: np.ndarray
    lo: np.float32
    hi: np.float32


def symmetric_histogram(batches, bins) -> Histogram:
    """Values between -m and m, m the largest magnitude of the first batch; later ones add bins of that width.

    Where a later batch reaches beyond m, only its own values fall into the new bins exactly as wide as the old ones.
    Source of the rule: microsoft/onnxruntime quantization/calibrate.py (collect_value, merge_histogram).
    """
    merged = None
    for batch in flat(batches):
        merged = _first(batch, bins) if merged is None else _merged(merged, batch)
    return _there(merged)


def magnitude_histogram(batches, bins) -> Histogram:
    """Magnitudes between those of the first batch; later ones add bins at the upper end.

    Source of the rule: microsoft/onnxruntime quantization/calibrate.py (collect_absolute_value).
    """
    merged = None
    for batch in flat(batches):
        magnitudes = np.abs(batch)
        counts, edges = np.histogram(magnitudes, bins=bins if merged is None else _longer(merged.edges, magnitudes))
        lo, hi = batch.min(), batch.max()
        if merged is not None:
            counts[: len(merged.counts)] += merged.counts
            lo, hi = min(merged.lo, lo), max(merged.hi, hi)
        merged = Histogram(counts, edges.astype(np.float32), lo, hi)
    return _there(merged)


def flat(batches):
    """Each batch as a vector of float32 numbers. Raises ValueError for an empty one, NaN or infinity."""
    for batch in batches:
        values = np.asarray(batch, np.float32).reshape(-1)
        if not values.size or not np.isfinite(values).all():
            raise ValueError("calibration batches must hold finite numbers, one at least")
        yield values


def _there(merged):
    if merged is None:
        raise ValueError("calibration needs one batch at least")
    return merged


def _first(batch, bins):
    top = np.abs(batch).max()
    counts, edges = np.histogram(batch, bins, range=(-top, top))
    return Histogram(counts, edges, batch.min(), batch.max())


def _merged(old, batch):
    top, old_top = np.abs(batch).max(), old.edges[-1]
    lo, hi = min(old.lo, batch.min()), max(old.hi, batch.max())
    bins, more = len(old.counts), 0
    if top > old_top > 0:
        step = 2 * old_top / bins
        more = int((top - old_top) // step + 1)
        top = more * step + old_top
    elif old_top:
        top = old_top
    counts, edges = np.histogram(batch, bins + 2 * more, range=(-top, top))
    counts[more : more + bins] += old.counts
    return Histogram(counts, edges, lo, hi)


def _longer(edges, magnitudes):
    top, step = magnitudes.max(), edges[1] - edges[0]
    return np.hstack((edges, np.arange(edges[-1] + step, top + step, step))) if top > edges[-1] else edges
