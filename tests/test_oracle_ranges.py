"""Calibrated ranges against onnxruntime.quantization's, on the same batches: equal to the last bit."""

import numpy as np
import pytest
from oracle_cases import need

from golden import ranges

need("onnxruntime")

DRAWS = (
    lambda rng, size: rng.standard_normal(size) * rng.uniform(0.5, 3),
    lambda rng, size: rng.exponential(size=size) * rng.uniform(0.5, 2),
    lambda rng, size: np.maximum(rng.standard_normal(size), 0),
    lambda rng, size: rng.standard_t(2, size=size),
)


def batches_of(seed):
    rng = np.random.default_rng(seed)
    return [DRAWS[seed % 4](rng, 400).astype(np.float32) for _ in range((1, 3, 5)[seed % 3])]


def theirs(method, batches, *, bins, levels=128, percent=99.999, symmetric=False):
    from onnxruntime.quantization.calibrate import HistogramCollector

    collector = HistogramCollector(method, symmetric, bins, levels, percent, "same")
    for batch in batches:
        collector.collect({"x": batch})
    lo, hi = collector.compute_collection_result()["x"][:2]
    return float(lo), float(hi)


@pytest.mark.parametrize("seed", range(24))
@pytest.mark.parametrize(("percent", "symmetric"), [(99.999, False), (99.9, True), (95, False), (99, True)])
def test_percentile(seed, percent, symmetric):
    expected = theirs("percentile", batches_of(seed), bins=2048, percent=percent, symmetric=symmetric)
    assert ranges.percentile(batches_of(seed), percent, symmetric=symmetric) == expected


@pytest.mark.parametrize("seed", range(24))
@pytest.mark.parametrize(("bins", "levels"), [(128, 128), (512, 128), (256, 64)])
def test_entropy(seed, bins, levels):
    expected = theirs("entropy", batches_of(seed), bins=bins, levels=levels)
    assert ranges.entropy(batches_of(seed), bins, levels) == expected
