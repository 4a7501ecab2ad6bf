"""The outputs that a product would have if its requantizer lost nothing but the rounding to its output's grid."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from golden.formats import Integer
from golden.requantize import requantize_array
from golden.tensors import Operands, accumulators

from ..float_network import Linear
from ..layers import BOUNDS, Product
from .nearest import exact, nearest
from .reference import outputs


@dataclass(frozen=True, eq=False)
class Sums:
    """The integer sums [M, N] of a product for codes that reach it, and what an ideal requantizer makes of such sums.

    `linear` is the layer of real numbers that the product was made of, which then says the activation; or None.
    """

    layer: Product
    linear: Linear | None
    codes: np.ndarray

    @cached_property
    def given(self) -> Operands:
        return self.layer.given(self.codes)

    @cached_property
    def exact(self) -> np.ndarray:
        """What no accumulator cut."""
        return accumulators(self.layer.spec.with_(accumulator=None, accumulator_overflow=None), self.given)

    @cached_property
    def held(self) -> np.ndarray:
        """What the design's accumulator holds."""
        return self.exact if self.layer.spec.accumulator_is_exact else accumulators(self.layer.spec, self.given)

    @property
    def units(self) -> list[Fraction]:
        """Real values of one in the sums, [N]."""
        a = exact(self.layer.x.scale)
        return [a * exact(w) for w in self._of_columns(self.layer.w.scale)]

    @property
    def factors(self) -> list[Fraction]:
        """What takes sums to steps of the output, [N]; 1 where nothing is scaled."""
        if self.layer.spec.requantize == "none":
            return [Fraction(1)]
        return [unit / exact(y) for unit, y in zip(self.units, self._of_columns(self.layer.y.scale), strict=True)]

    @property
    def encoded(self) -> list[Fraction] | None:
        """The same as the design has them, [N]; None where it has thresholds, or nothing to scale."""
        spec, parameters = self.layer.spec, self.given.parameters
        if spec.rule is not None and spec.rule.is_float:
            return [exact(scale) for scale in _floats(spec.rule.parameters["scale"], parameters["scale"])]
        if "shift" not in parameters:
            return None
        left = parameters["shift"] - spec.rule.multiplier_bits if spec.rule else -parameters["shift"]
        multipliers = parameters.get("multiplier", np.ones_like(left))
        return [Fraction(int(m)) * Fraction(2) ** int(e) for m, e in zip(multipliers, left, strict=True)]

    def _of_columns(self, scale):
        return np.broadcast_to(scale, (self.layer.columns,))

    def biased(self, sums) -> np.ndarray:
        """Sums with the biases."""
        return sums + np.asarray(self.layer.arrays.get("bias", 0))

    def real(self, sums) -> np.ndarray:
        """Real outputs [M, N], float64, before they are quantized."""
        units = np.array([float(unit) for unit in self.units])
        return activated(self.layer, self.linear, self.biased(sums).astype(np.float64) * units)

    def positions(self, sums, factors=None) -> np.ndarray:
        """Real outputs [M, N] in steps of the output's grid, rounded to nearest exactly, ties to even, float64.

        Without zero point and ends. Of a bipolar output any numbers of the same signs. By default the exact factors.
        """
        whole = isinstance(self.layer.y.fmt, Integer)
        if self.layer.real is not None:
            steps = self.real(sums) / np.float64(self.layer.y.scale)
            return np.rint(steps) if whole else steps
        if not whole:
            return self.biased(sums).astype(np.float64)
        bounds = BOUNDS[self.linear.activation if self.linear else self.layer.spec.activation]
        scale = np.asarray(self.layer.y.scale, np.float64)
        return np.clip(nearest(self.biased(sums), factors or self.factors), *(np.rint(end / scale) for end in bounds))

    def values(self, positions) -> np.ndarray:
        """Real values [M, N] of positions, brought within the output's codes."""
        layer = self.layer
        if not isinstance(layer.y.fmt, Integer):
            return layer.y.values(np.where(positions >= 0, 1, 0))
        first, last = (bound - layer.y.zero_point for bound in layer.spec.clip_range)
        return np.clip(positions, first, last) * np.asarray(layer.y.scale, np.float64)

    @property
    def requantized(self) -> np.ndarray:
        """Codes [M, N] of the sums in the accumulator, by the design's own requantizer."""
        return requantize_array(self.held, self.layer.spec, **self.given.parameters)


def activated(layer: Product, linear: Linear | None, sums) -> np.ndarray:
    """Real outputs [..., N] for real sums: as the layer of real numbers has its activation, where that is known."""
    if linear is None or layer.real is not None:
        return outputs(layer, sums)
    return np.clip(sums, *BOUNDS[linear.activation])


def _floats(fmt, patterns):
    return fmt.decode(patterns)
