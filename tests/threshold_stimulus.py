"""Operands for designs with thresholds: sums that are thresholds or next to one, equal thresholds, the extremes."""

import numpy as np

from golden.tensors import accumulators, operands


def threshold_operands(spec, m, k, n, seed):
    """A product [m, k] x [k, n] whose thresholds lie among its own sums."""
    rng = np.random.default_rng(seed)
    arrays = {
        "a": rng.integers(*spec.activations.code_range, (m, k), endpoint=True),
        "w": rng.integers(*spec.weights.code_range, (k, n), endpoint=True),
    }
    sums = accumulators(spec, operands(spec.with_(requantize="none", output=None, clip=None, platform=None), arrays))
    return operands(spec, arrays | {"thresholds": thresholds_near(spec, sums, rng)})


def thresholds_near(spec, sums, rng):
    """Thresholds [N, T] for sums [M, N], in order: half of them a sum or next to one, the others anywhere between."""
    count, columns = spec.threshold_count, sums.shape[1]
    lo, hi = spec.threshold_format.code_range
    near = np.stack([rng.choice(column, count) for column in sums.T]) + rng.choice([0, 0, 0, 1, -1], (columns, count))
    between = rng.integers(sums.min() - 2, sums.max() + 3, (columns, count))
    chosen = np.where(rng.random((columns, count)) < 1 / 2, near, between)
    chosen[:, 0] = np.where(rng.random(columns) < 1 / 8, lo, chosen[:, 0])
    chosen[:, -1] = np.where(rng.random(columns) < 1 / 8, hi, chosen[:, -1])
    chosen[0, count // 2] = rng.choice(sums[:, 0])
    return np.sort(np.clip(chosen, lo, hi), axis=1)
