"""The front of choices along a chain against every assignment there is."""

from itertools import product

import numpy as np
import pytest

from network.mixed_precision.pareto import Front, Tables, front


def every(tables):
    """The front by trying all assignments."""
    points = [tables.point(choices) for choices in product(*(range(len(one)) for one in tables.noise))]
    return {
        (point.cost, point.noise)
        for point in points
        if not any(
            (other.cost <= point.cost and other.noise < point.noise)
            or (other.cost < point.cost and other.noise <= point.noise)
            for other in points
        )
    }


def random_tables(seed, choices, peaks, noises=1000):
    rng = np.random.default_rng(seed)
    shapes = list(zip(choices, (*choices[1:], 1), strict=True))
    cost = [rng.integers(0, 30, shape) for shape in shapes]
    peak = [rng.integers(0, 60, shape) for shape in shapes] if peaks else ()
    return Tables(tuple(rng.integers(1, noises, n) / 8 for n in choices), tuple(cost), tuple(peak))


@pytest.mark.parametrize("noises", [4, 1000])
@pytest.mark.parametrize("peaks", [False, True])
@pytest.mark.parametrize("choices", [(1,), (4,), (3, 4), (2, 3, 4, 2), (3, 3, 3, 3, 3)])
def test_the_front_is_that_of_all_assignments(choices, peaks, noises):
    for seed in range(6):
        tables = random_tables(seed, choices, peaks, noises)
        found = front(tables)
        assert found.exact
        assert {(point.cost, point.noise) for point in found.points} == every(tables)
        assert [tables.point(point.choices) for point in found.points] == list(found.points)
        costs, noise = [point.cost for point in found.points], [point.noise for point in found.points]
        assert costs == sorted(set(costs)) and noise == sorted(set(noise), reverse=True)


def test_peaks_and_pairs_by_hand():
    # two layers, two choices each: the second pair costs less, but its peak is larger
    tables = Tables(([1, 2], [4, 8]), ([[10, 10], [1, 1]], [[5], [0]]), ([[3, 3], [20, 3]], [[2], [2]]))
    assert tables.point((1, 0)).cost == 1 + 5 + 20
    found = [(point.choices, point.cost, point.noise) for point in front(tables).points]
    assert found == [((1, 1), 4, 10.0), ((0, 1), 13, 9.0), ((0, 0), 18, 5.0)]


def test_fronts_that_are_too_long_are_thinned_and_say_so():
    tables = random_tables(1, (4,) * 6, peaks=False)
    whole, thin = front(tables), front(tables, most=5)
    assert (whole.exact, thin.exact) == (True, False)
    assert 1 < len(thin.points) <= 5 < len(whole.points)
    assert thin.points[0].cost == whole.points[0].cost
    assert front(tables) == whole  # deterministic


def test_a_long_chain():
    tables = random_tables(2, (4,) * 40, peaks=True)
    found = front(tables)
    assert isinstance(found, Front) and len(found.points) > 50


ERRORS = {
    "cost must have shapes [[2, 1]], not [[1, 2]]": lambda: Tables(([1, 2],), ([[1, 2]],)),
    "peak must have shapes [[2, 1], [1, 1]], not [[1, 1]]": lambda: Tables(
        ([1, 2], [3]), ([[1], [2]], [[3]]), ([[1]],)
    ),
    "there must be a layer at least": lambda: Tables((), ()),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors(message):
    with pytest.raises(ValueError) as error:
        ERRORS[message]()
    assert str(error.value) == message
