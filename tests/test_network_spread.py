"""How numbers spread, and where a grid lies best on them: every place that there is, tried in plain Python."""

import numpy as np
import pytest

from network.errors.spread import BINS, Spread


def spread_of(values):
    values = np.asarray(values, np.float64)
    return Spread.empty(values.min(), values.max()).with_(values)


NUMBERS = {
    "both signs": np.random.default_rng(1).normal(0.3, 1, 5000),
    "above zero": np.random.default_rng(2).exponential(1, 5000) + 1,
    "below zero": -np.random.default_rng(3).exponential(1, 5000) - 1,
    "a few far off": np.append(np.random.default_rng(4).normal(0, 0.2, 3000), [-9.0, 4.0]),
}


def beyond(values, start, scale, codes):
    """Sum of squares of what is left over of numbers beyond the grid, half a step being rounded away."""
    least, largest = (start - 0.5) * scale, (start + codes - 0.5) * scale
    return sum(max(least - x, x - largest, 0.0) ** 2 for x in values.tolist())


@pytest.mark.parametrize(("scale", "codes"), [(0.1, 16), (0.5, 4), (0.02, 64)])
@pytest.mark.parametrize("name", NUMBERS)
def test_the_start_of_the_best_grid_with_zero_on_it(name, scale, codes):
    values = NUMBERS[name]
    losses = {start: beyond(values, start, scale, codes) for start in range(1 - codes, 1)}
    found = spread_of(values).start(scale, codes, 1 - codes if name == "above zero" else 0)
    assert 1 - codes <= found <= 0
    wide = (values.max() - values.min()) / BINS
    assert losses[found] <= min(losses.values()) * (1 + 4 * wide / scale) + 1e-12
    assert found in (0, 1 - codes) if name in ("above zero", "below zero") else 1 - codes < found < 0


def test_bins_lie_where_they_are_counted():
    """Numbers below zero, too: each bin holds those between its edges."""
    for values in NUMBERS.values():
        found = spread_of(values)
        lo, hi = min(values.min(), 0.0), max(values.max(), 0.0)
        assert (found.lo, found.hi) == (lo, hi)
        places = np.minimum(((values - lo) / (hi - lo) * BINS).astype(int), BINS - 1)
        assert np.abs(np.cumsum(found.counts) - np.cumsum(np.bincount(places, minlength=BINS))).max() <= 2


def test_the_given_start_stays_where_none_is_better_else_the_least():
    """Within -1..2 steps, of ten codes: starts -7 to -1 cover all of it."""
    found = spread_of(np.linspace(-1, 2, 50))
    assert [found.start(1.0, 10, given) for given in (-7, -5, -1)] == [-7, -5, -1]
    assert [found.start(1.0, 10, given) for given in (-8, 0, 30)] == [-7, -7, -7]


def test_half_a_step_is_rounded_away():
    """-1.49 lies within half a step of -1, 2.4 of 2: of four codes the start -1 loses nothing."""
    assert spread_of([-1.49, 2.4]).start(1.0, 4, 0) == -1
    assert [spread_of([-1.49, 2.4]).start(1.0, 5, given) for given in (-2, -1)] == [-2, -1]
    assert spread_of([-1.6, 0.4]).start(1.0, 3, 0) == -2


def test_steps_that_just_cover():
    assert spread_of([-1.0, 2.0]).step(4) == 1.0
    assert (spread_of([1.0, 3.0]).step(4), spread_of([-3.0, -1.0]).step(4), spread_of([0.0]).step(4)) == (1.0, 1.0, 0.0)


def test_zeros_alone():
    found = spread_of(np.zeros(7))
    assert found.counts.sum() == 7 and found.start(0.5, 16, -3) == -3


def test_numbers_beyond_are_refused():
    with pytest.raises(ValueError, match=r"^numbers must lie in \[-1.0, 0.0\]$"):
        Spread.empty(-1, -0.5).with_([0.25])
