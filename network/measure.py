"""How far real numbers are from others that they stand for."""

from dataclasses import dataclass
from math import inf, log10, sqrt
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Error:
    """The difference of some numbers x' from the numbers x that they stand for, as sums: parts of the data add up.

    count, differing : how many numbers, and how many of them differ.
    total, squares, largest : of (x' - x) / step: sum, sum of squares, largest magnitude.
    noise, signal, power, product : sums of (x' - x)^2, x^2, x'^2 and x * x'.
    """

    count: int = 0
    differing: int = 0
    total: float = 0.0
    squares: float = 0.0
    largest: float = 0.0
    noise: float = 0.0
    signal: float = 0.0
    power: float = 0.0
    product: float = 0.0

    @classmethod
    def between(cls, x, found, step: float | np.ndarray = 1.0) -> "Error":
        """Of numbers found [..., C] where x [..., C] should be, in steps (a scalar or [C]). Raises ValueError."""
        x, found = np.asarray(x, np.float64), np.asarray(found, np.float64)
        if x.shape != found.shape or not x.size:
            raise ValueError(f"numbers to compare must have one shape, not {list(x.shape)} and {list(found.shape)}")
        difference = found - x
        steps = difference / step
        noise, signal, power = (float(np.square(one).sum()) for one in (difference, x, found))
        return cls(
            count=x.size,
            differing=int(np.count_nonzero(difference)),
            total=float(steps.sum()),
            squares=float(np.square(steps).sum()),
            largest=float(np.abs(steps).max()),
            noise=noise,
            signal=signal,
            power=power,
            product=float((x * found).sum()),
        )

    def __add__(self, other: "Error") -> "Error":
        """Of both parts of the data together."""
        if not isinstance(other, Error):
            return NotImplemented
        sums: dict[str, Any] = {name: value + getattr(other, name) for name, value in vars(self).items()}
        sums["largest"] = max(self.largest, other.largest)
        return Error(**sums)

    @property
    def mean(self) -> float:
        """In steps."""
        return self.total / self.count

    @property
    def rms(self) -> float:
        """Root of the mean square, in steps."""
        return sqrt(self.squares / self.count)

    @property
    def sqnr(self) -> float:
        """Signal to quantization noise in dB, 10 log10(sum x^2 / sum (x' - x)^2); infinite where nothing is lost."""
        return decibels(self.signal, self.noise)

    @property
    def cosine(self) -> float:
        """Of the angle between x and x'; 0 where one of them is zero throughout, 1 where both are."""
        norm = sqrt(self.signal * self.power)
        return self.product / norm if norm else float(self.signal == self.power)


def decibels(signal, noise) -> float:
    """10 log10(signal / noise); infinite without noise, minus infinite where there is noise alone."""
    if not noise:
        return inf
    return 10 * log10(signal / noise) if signal else -inf
