"""How real numbers spread, and where a grid of so many codes would best lie on them."""

from dataclasses import dataclass, field

import numpy as np

BINS = 4096


@dataclass(frozen=True, eq=False)
class Spread:
    """The least and the largest of some numbers and zero, and how many there are in each of equal bins between."""

    lo: float
    hi: float
    counts: np.ndarray = field(repr=False)

    @classmethod
    def empty(cls, lo, hi) -> "Spread":
        """Before any number, for numbers in [lo, hi]."""
        return cls(float(min(lo, 0)), float(max(hi, 0)), np.zeros(BINS, np.int64))

    def with_(self, values) -> "Spread":
        """With more numbers, all within the range. Raises ValueError for others."""
        counts = np.histogram(values, BINS, range=(self.lo, self.hi))[0]
        if counts.sum() != np.size(values):
            raise ValueError(f"numbers must lie in [{self.lo}, {self.hi}]")
        return Spread(self.lo, self.hi, self.counts + counts)

    def step(self, codes) -> float:
        """Of a grid of so many codes that just covers all numbers and zero; 0 where they are all zero."""
        return (self.hi - self.lo) / (codes - 1)

    def start(self, scale, codes, given) -> int:
        """The least k of `codes` consecutive multiples k * scale, zero among them, that best cover the numbers.

        Best: with the least sum of squares of what is left over of each bin that lies beyond, half a step being
        rounded away; `given` where none is better. That sum is convex in k, so comparing neighbours finds its least.
        """
        below, above = 1 - codes, 0
        while below < above:
            middle = (below + above) // 2
            if self._beyond(middle, scale, codes) <= self._beyond(middle + 1, scale, codes):
                above = middle
            else:
                below = middle + 1
        return given if self._beyond(given, scale, codes) <= self._beyond(below, scale, codes) else below

    def _beyond(self, start, scale, codes):
        edges = np.linspace(self.lo, self.hi, len(self.counts) + 1)
        least, largest = (start - 0.5) * scale, (start + codes - 0.5) * scale
        over = np.maximum(least - edges[:-1], 0) + np.maximum(edges[1:] - largest, 0)
        return float(self.counts @ np.square(over))
