"""Products whose requantizer is whatever a float network does to their sums: batch norm, activation, quantizer.

The definition: the exact integer sum times the exact product of both scales, in float64, is rounded to float32; each
step after that is one float32 operation; a quantizer ends them. The codes this gives for every sum that the weights can
make are put into thresholds (docs/arithmetic.md, section 9), found by bisection with these very steps as the judge.
"""

from dataclasses import dataclass, replace

import numpy as np

from golden.mac import accumulator_range
from golden.spec import Spec
from golden.thresholds import EXHAUSTIVE, thresholds_for

from ..arrays import Array
from ..elementwise import Step
from ..grid import Grid
from ..layers import Product, Quantize, sum_grid
from ..shapes import Window
from .weights import Weights

_AT_ONCE = 1 << 21


@dataclass(frozen=True, eq=False)
class Linear:
    """Weights, and the window and kind of array that bring activations to them."""

    weights: Weights
    window: Window | None = None
    depthwise: bool = False

    def spec(self, x: Grid, **fields) -> Spec:
        """The array for activations on grid x, sums as wide as these weights need. Raises ValueError."""
        spec = Spec(
            activations=x.fmt,
            weights=self.weights.fmt,
            **Array().fields(self.weights.codes.shape[1], depthwise=self.depthwise),
            depth=len(self.weights.codes),
            a_zero_point=bool(x.zero_point),
            **fields,
        )
        lo, hi = accumulator_range(self.weights.decoded, spec)
        return spec.with_(accumulator_range=(lo, hi) if lo < hi else None)


def exact_product(name: str, x: Grid, linear: Linear) -> Product:
    """A product whose exact sums leave. Raises ValueError."""
    spec, w = linear.spec(x), Grid(linear.weights.fmt, linear.weights.scale)
    return Product(name, spec, {"w": linear.weights.codes}, x, w, sum_grid(spec, x, w), linear.window)


def threshold_product(name: str, x: Grid, linear: Linear, real: Quantize, bounds: tuple[int, int]) -> Product:
    """A product with the codes that `real` gives for the real value of its sums, all in `bounds`.

    Columns whose codes fall as the sum rises have their weights negated, and the sum's sign put right first of all
    steps. Raises ValueError for steps that make NaN of a sum, and for outputs that thresholds do not have.
    """
    scale = np.float64(x.scale) * np.float64(linear.weights.scale)
    falls = _falls(_Rule(real, scale), linear, x)
    if falls.any():
        sign = Step("mul", (np.where(falls, -1, 1),))
        real = replace(real, before=(sign, *real.before))
        linear = replace(linear, weights=linear.weights.negated(falls))
    clip = None if bounds == real.y.fmt.code_range else bounds
    spec = linear.spec(x, requantize="thresholds", output=real.y.fmt, clip=clip)
    arrays = {"w": linear.weights.codes, "thresholds": _thresholds(_Rule(real, scale), spec, len(falls), bounds)}
    w = Grid(linear.weights.fmt, linear.weights.scale)
    return Product(name, spec, arrays, x, w, real.y, linear.window, real)


class _Rule:
    """Codes for sums [S, N]: their real values, through the steps, quantized."""

    def __init__(self, real: Quantize, scale):
        self.real, self.scale = real, scale

    def __call__(self, sums) -> np.ndarray:
        return self.real.run(np.asarray(sums, np.float64) * self.scale)

    def of(self, columns: slice, count: int) -> "_Rule":
        """The rule of some of all columns."""
        before = tuple(
            Step(step.operation, tuple(_of(one, columns, count) for one in step.operands)) for step in self.real.before
        )
        return _Rule(replace(self.real, before=before), _of(self.scale, columns, count))


def _of(operand, columns, count):
    return operand[columns] if operand.ndim and len(operand) == count else operand


def _falls(rule, linear, x) -> np.ndarray:
    """Which columns' codes fall, bool [N]: every step is monotone, so the ends of what any sum can be tell."""
    weights = linear.weights.decoded
    activation = max(abs(end) for end in linear.spec(x).a_value_range)
    reach = float(np.abs(weights).sum(axis=0).max()) * activation
    low, high = rule(np.repeat([[-reach], [reach]], weights.shape[1], axis=1))
    return low > high


def _thresholds(rule, spec, columns, bounds) -> np.ndarray:
    """[N, T], some columns at a time, so that not all their sums are held at once."""
    lo, hi = spec.acc_range
    sums = min(hi - lo + 1, EXHAUSTIVE) + 64 * (bounds[1] - bounds[0])
    width = max(_AT_ONCE // sums, 1)
    return np.concatenate(
        [
            thresholds_for(
                rule.of(slice(at, at + width), columns),
                columns=min(width, columns - at),
                acc_range=spec.acc_range,
                codes=bounds,
            )
            for at in range(0, columns, width)
        ]
    )
