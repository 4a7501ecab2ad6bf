"""The best choices along a chain: every trade of cost against noise that no other choice beats, exactly.

Of each layer i one choice c[i] is taken. Noises add up, costs add up, and a cost may depend on the choices of two
layers that follow each other, as an output's format is that of the next layer's input. On top comes a peak, the largest
of such numbers, as buffers have it that layers take in turn:

    noise = sum_i noise[i][c[i]]
    cost  = sum_i cost[i][c[i], c[i+1]] + max_i peak[i][c[i], c[i+1]]
"""

from dataclasses import dataclass, field

import numpy as np

MOST_LABELS = 20_000


@dataclass(frozen=True, eq=False)
class Tables:
    """noise [layers][choices]; cost and peak [layers][choices, choices of the next layer], of the last [choices, 1].

    cost and peak hold integers, none negative; without a peak it is zero. Raises ValueError for shapes.
    """

    noise: tuple[np.ndarray, ...] = field(repr=False)
    cost: tuple[np.ndarray, ...] = field(repr=False)
    peak: tuple[np.ndarray, ...] = field(default=(), repr=False)

    def __post_init__(self):
        object.__setattr__(self, "noise", tuple(np.asarray(one, np.float64) for one in self.noise))
        object.__setattr__(self, "cost", tuple(np.asarray(one, np.int64) for one in self.cost))
        peak = self.peak or tuple(np.zeros_like(one) for one in self.cost)
        object.__setattr__(self, "peak", tuple(np.asarray(one, np.int64) for one in peak))
        choices = [len(one) for one in self.noise]
        if not choices:
            raise ValueError("there must be a layer at least")
        wanted = list(zip(choices, (*choices[1:], 1), strict=True))
        for name in ("cost", "peak"):
            if [one.shape for one in getattr(self, name)] != wanted:
                shapes = [list(one.shape) for one in getattr(self, name)]
                raise ValueError(f"{name} must have shapes {[list(one) for one in wanted]}, not {shapes}")

    def point(self, choices) -> "Point":
        """Noise and cost of one choice for each layer."""
        pairs = list(zip(range(len(choices)), choices, (*choices[1:], 0), strict=True))
        cost = sum(int(self.cost[i][c, d]) for i, c, d in pairs) + max(int(self.peak[i][c, d]) for i, c, d in pairs)
        noise = 0.0
        for layer, choice in enumerate(choices):
            noise += float(self.noise[layer][choice])
        return Point(tuple(choices), cost, noise)


@dataclass(frozen=True)
class Point:
    """One choice for each layer, by its number, and what it comes to."""

    choices: tuple[int, ...]
    cost: int
    noise: float


@dataclass(frozen=True)
class Front:
    """Points of which none costs and loses as little as another, by rising cost; `exact` unless some were left out."""

    points: tuple[Point, ...]
    exact: bool


def front(tables: Tables, *, most: int = MOST_LABELS) -> Front:
    """The front of all assignments.

    By dynamic programming: of the assignments of the first layers that end in one choice only those are kept of which
    no other costs as little and loses as little. Once for each bound on the peak that some pair of choices sets, under
    which the peak does not count; so with the largest peak of the best assignment as the bound, it is found. Where more
    than `most` are to be kept for a choice, so many are, evenly by their rank in cost, and the front is not exact.
    """
    points, exact = [], True
    for bound in _bounds(tables):
        found, complete = _under(tables, bound, most)
        points += [tables.point(choices) for choices in found]
        exact &= complete
    points.sort(key=lambda point: (point.cost, point.noise, point.choices))
    best: list[Point] = []
    for point in points:
        if not best or point.noise < best[-1].noise:
            best.append(point)
    return Front(tuple(best), exact)


def _bounds(tables):
    """The peaks that can be the largest: from the least that some assignment needs to the largest of all."""
    least = max(int(one.min()) for one in tables.peak)
    found = {int(value) for one in tables.peak for value in one.reshape(-1)}
    return sorted(value for value in found if value >= least)


@dataclass(frozen=True, eq=False)
class _Labels:
    """Assignments of the first layers that end in one choice: their sums; of each the choice before and its label."""

    cost: np.ndarray
    noise: np.ndarray
    before: np.ndarray
    label: np.ndarray

    def kept(self, chosen) -> "_Labels":
        return _Labels(*(one[chosen] for one in (self.cost, self.noise, self.before, self.label)))


def _under(tables, bound, most):
    """(choices of each assignment on the front under a bound on peaks, whether that is all of it)."""
    nothing = np.zeros(1, np.int64)
    stages = [[_Labels(nothing, np.array([noise]), nothing, nothing) for noise in tables.noise[0]]]
    exact = True
    for layer, (cost, peak) in enumerate(zip(tables.cost, tables.peak, strict=True)):
        added = tables.noise[layer + 1] if layer + 1 < len(tables.noise) else np.zeros(1)
        stage = []
        for following in range(cost.shape[1]):
            labels = _extended(stages[-1], cost[:, following], peak[:, following] <= bound, added[following])
            labels, complete = _undominated(labels, most)
            exact &= complete
            stage.append(labels)
        stages.append(stage)
    return [_choices(stages, label) for label in range(len(stages[-1][0].cost))], exact


def _extended(stage, cost, allowed, noise):
    """All labels of a stage with one more choice, those not allowed left out."""
    parts = [
        _Labels(
            labels.cost + cost[choice],
            labels.noise + noise,
            np.full(len(labels.cost), choice),
            np.arange(len(labels.cost)),
        )
        for choice, labels in enumerate(stage)
        if allowed[choice]
    ]
    columns = [[getattr(part, name) for part in parts] for name in ("cost", "noise", "before", "label")]
    return _Labels(*(np.concatenate(column) if column else np.zeros(0, np.int64) for column in columns))


def _undominated(labels, most):
    """(labels of which none costs and loses as little as another, whether these are all)."""
    order = np.lexsort((labels.label, labels.before, labels.noise, labels.cost))
    noise = labels.noise[order]
    least = np.concatenate([[np.inf], np.minimum.accumulate(noise)[:-1]]) if len(order) else noise
    order = order[noise < least]
    if len(order) <= most:
        return labels.kept(order), True
    return labels.kept(order[np.unique(np.linspace(0, len(order) - 1, most).astype(int))]), False


def _choices(stages, label):
    choice, found = 0, []
    for stage in reversed(stages[1:]):
        labels = stage[choice]
        choice, label = int(labels.before[label]), int(labels.label[label])
        found.append(choice)
    return tuple(reversed(found))
