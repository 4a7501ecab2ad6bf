"""Ranges by calibration, against definitions written out in plain Python."""

import math
from statistics import fmean

import numpy as np
import pytest

from golden import ranges
from golden.calibrate import choose


def batches_of(seed, count=3, size=200):
    rng = np.random.default_rng(seed)
    return [(rng.standard_normal((size // 4, 4)) * rng.uniform(0.5, 3)).astype(np.float32) for _ in range(count)]


def test_minimum_and_maximum_of_all_batches():
    assert ranges.minimum_maximum([np.array([[1.0, -2.0]]), np.array([0.5]), np.array([3.0, 2.0])]) == (-2.0, 3.0)


def test_a_moving_average_begins_with_the_first_batch():
    batches = [np.array([-1.0, 2.0]), np.array([-3.0, 10.0]), np.array([-1.0, 2.0])]
    assert ranges.moving_average(batches[:1]) == (-1.0, 2.0)
    assert ranges.moving_average(batches, constant=0.5) == (-1.5, 4.0)


@pytest.mark.parametrize("seed", range(5))
def test_a_percentile_is_that_of_the_sorted_values_to_within_a_bin(seed):
    """So many values lie beyond each end, give or take those of its bin."""
    (batch,) = batches_of(seed, count=1, size=4000)
    values = batch.reshape(-1).tolist()
    width = 2 * max(map(abs, values)) / 2048
    lo, hi = ranges.percentile([batch], 98)
    assert sum(x < lo for x in values) <= 40 <= sum(x <= lo + width for x in values)
    assert sum(x > hi + width for x in values) <= 40 <= sum(x >= hi for x in values)
    lo, hi = ranges.percentile([batch], 98, symmetric=True)
    assert lo == -hi
    assert sum(abs(x) > hi + width for x in values) <= 80 <= sum(abs(x) >= hi for x in values)


def test_100_percent_reach_the_last_bin():
    batches = batches_of(9)
    (lo, hi), (least, most) = ranges.percentile(batches, 100), ranges.minimum_maximum(batches)
    assert lo == least and most - 2 * max(-least, most) / 1024 < hi <= most


def test_entropy_cuts_off_what_is_rare():
    rng = np.random.default_rng(3)
    common = rng.uniform(-1, 1, 20_000)
    lo, hi = ranges.entropy([np.append(common, [60.0])], bins=2048)
    assert -1.1 < lo < -0.9 and 0.9 < hi < 10


def divergence(p, q):
    return sum(x * math.log(x / y) for x, y in zip(p, q, strict=True) if x)


def smoothed(counts):
    empty = sum(count == 0 for count in counts)
    taken = 1e-4 * empty / (len(counts) - empty)
    raised = [1e-4 if count == 0 else count - taken for count in counts]
    return [value / sum(raised) for value in raised]


def test_entropy_takes_the_least_divergence():
    """The same search in plain Python, in double precision, on a histogram of few bins."""
    bins, levels = 40, 8
    rng = np.random.default_rng(1)
    values = np.append(rng.standard_normal(3000), [-9.0, 8.0]).astype(np.float32)
    top = float(np.abs(values).max())
    counts = np.histogram(values, bins, range=(-top, top))[0].tolist()
    lost = {}
    for half in range(levels // 2, bins // 2 + 1):
        start, end = bins // 2 - half, min(bins // 2 + half + 1, bins)
        part = counts[start:end]
        kept = [sum(counts[:start]) + part[0], *part[1:-1], sum(counts[end:]) + part[-1]]
        width = len(part) // levels
        spread = [0] * len(part)
        for level in range(levels):
            inside = range(level * width, (level + 1) * width)
            total = sum(part[i] for i in inside) + (sum(part[levels * width :]) if level == levels - 1 else 0)
            filled = sum(kept[i] != 0 for i in inside)
            for i in inside:
                spread[i] = total // filled if filled else 0
        lost[start, end] = divergence(smoothed(kept), smoothed(spread))
    start, end = min(lost, key=lambda part: lost[part])
    edges = np.histogram_bin_edges(values, bins, range=(-top, top)).tolist()
    expected = max(edges[start], float(values.min())), min(edges[end], float(values.max()))
    assert ranges.entropy([values], bins, levels) == pytest.approx(expected, rel=1e-6)
    assert expected[1] < 8


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("fmt", ["int4", "int8"])
def test_mean_square_error_is_least_of_all_that_are_tried(fmt, symmetric):
    rng = np.random.default_rng(7)
    values = rng.standard_t(2, 300).astype(np.float32)
    lo, hi = ranges.mean_square_error([values[:100], values[100:]], fmt, symmetric=symmetric)
    bits = int(fmt[3:])

    def error(ends):
        scale, zero = choose("onnxruntime", *ends, fmt, symmetric=symmetric)
        codes = [min(max(round(x / scale) + zero, -(2 ** (bits - 1))), 2 ** (bits - 1) - 1) for x in values.tolist()]
        return fmean((scale * (code - zero) - x) ** 2 for code, x in zip(codes, values.tolist(), strict=True))

    whole = ranges.minimum_maximum([values])
    tried = [(whole[0] * part / 100, whole[1] * part / 100) for part in range(1, 101)]
    assert error((lo, hi)) == pytest.approx(min(map(error, tried)))
    assert error((lo, hi)) < error(whole) or bits == 8


@pytest.mark.parametrize("method", ranges.METHODS)
def test_what_is_no_sample_is_refused(method):
    find = ranges.METHODS[method]
    with pytest.raises(ValueError, match="calibration (needs|batches must hold)"):
        find([])
    for batch in ([], [1.0, math.nan], [math.inf]):
        with pytest.raises(ValueError, match="^calibration batches must hold finite numbers, one at least$"):
            find([np.array(batch)])


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="^percent must be 0 to 100, not 101$"):
        ranges.percentile(batches_of(0), 101)
    with pytest.raises(ValueError, match="^bins must be at least levels, not 64 and 128$"):
        ranges.entropy(batches_of(0), bins=64)


def test_all_zero_batches_have_an_empty_range():
    zeros = [np.zeros(5), np.zeros(3)]
    assert [ranges.METHODS[name](zeros) for name in ("minmax", "moving_average", "percentile", "mse")] == [(0, 0)] * 4
