"""Layers that compute one function of codes, by the rule of a platform of golden.platforms, and move nothing."""

from dataclasses import dataclass, field

import numpy as np

from golden import platforms

from .grid import Grid


@dataclass(frozen=True, eq=False)
class _OfCodes:
    """What they have in common: grids of the codes in and out."""

    name: str
    platform: str
    x: Grid = field(repr=False)
    y: Grid = field(repr=False)

    def real(self, values) -> np.ndarray:
        """The function of real numbers."""
        raise NotImplementedError

    def fake(self, values) -> np.ndarray:
        """The same, on the grid y."""
        return self.y.values(self.y.codes(self.real(values)))


@dataclass(frozen=True, eq=False)
class Rescale(_OfCodes):
    """The same real numbers as codes of another grid."""

    def run(self, codes) -> np.ndarray:
        """Output codes, int64, of codes of any shape."""
        scales = {"x_scale": self.x.scale, "y_scale": self.y.scale}
        zero_points = {"x_zero_point": self.x.zero_point, "y_zero_point": self.y.zero_point}
        return platforms.rescale(self.platform, codes, **scales, **zero_points, y_format=str(self.y.fmt))

    def real(self, values) -> np.ndarray:
        return np.asarray(values, np.float64)


@dataclass(frozen=True, eq=False)
class Softmax(_OfCodes):
    """exp(beta * x) over its sum along the last axis; the grid y is what the platform's rule says."""

    beta: float = 1.0

    def run(self, codes) -> np.ndarray:
        """Output codes, int64, [..., C]."""
        return platforms.softmax(self.platform, codes, x_scale=self.x.scale, beta=self.beta, x_format=str(self.x.fmt))

    def real(self, values) -> np.ndarray:
        powers = np.exp(self.beta * (np.asarray(values) - np.max(values, axis=-1, keepdims=True)))
        return powers / powers.sum(axis=-1, keepdims=True)


@dataclass(frozen=True, eq=False)
class Logistic(_OfCodes):
    """1 / (1 + exp(-x)) of each element; the grid y is what the platform's rule says."""

    def run(self, codes) -> np.ndarray:
        """Output codes, int64, of codes of any shape."""
        where = {"x_scale": self.x.scale, "x_zero_point": self.x.zero_point, "x_format": str(self.x.fmt)}
        return platforms.logistic(self.platform, codes, **where)

    def real(self, values) -> np.ndarray:
        return 1 / (1 + np.exp(-np.maximum(values, -700)))


Function = Rescale | Softmax | Logistic
