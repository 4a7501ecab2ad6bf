"""Products by the rule of a platform, from codes, grids and a bias as other tools' files have them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from golden import platforms
from golden.checks import requantizer_of
from golden.derive import derived
from golden.formats import Integer
from golden.platform_sums import INT32, with_platform_sums
from golden.platform_table import PLATFORMS
from golden.spec import Spec
from golden.thresholds import thresholds_for

from ..arrays import Array
from ..elementwise import Step
from ..grid import Grid
from ..layers import Product, Quantize, sum_grid
from ..shapes import Window

BIAS = Integer(INT32, signed=True)
Bounds = tuple[int, int] | None
Rule = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class CodedProduct:
    """A product without its output: codes w [K, N] and their grid, the grid of the activations, an integer bias [N].

    unit : what one step of a sum stands for, where that is not x.scale * w_grid.scale, as float32 rounds it.
    """

    name: str
    w: np.ndarray = field(repr=False)
    x: Grid
    w_grid: Grid
    bias: np.ndarray | None = field(default=None, repr=False)
    window: Window | None = None
    depthwise: bool = False
    unit: np.ndarray | None = None

    @property
    def columns(self) -> int:
        return self.w.shape[1]

    @property
    def units(self) -> np.ndarray:
        """What one step of a sum stands for: float32, a scalar or [N]."""
        return self.x.scale * self.w_grid.scale if self.unit is None else self.unit

    def sums(self) -> Product:
        """The product whose exact sums leave."""
        spec = Spec(**self._fields, bias=None if self.bias is None else BIAS)
        y = sum_grid(spec, self.x, self.w_grid) if self.unit is None else Grid(spec.y, self.unit)
        return self._product(spec, y, **self._bias)

    def requantized(self, platform: str, y: Grid, clip: Bounds = None) -> Product:
        """The product whose outputs are codes on grid y, within `clip`, by the rule of a platform.

        Where hardware has no such rule, thresholds give its codes. Raises ValueError where neither does.
        """
        self._check_factor(self.units / y.scale)
        rule = requantizer_of(PLATFORMS[platform])
        fields = {**self._fields, "requantize": rule, "platform": platform, "output": y.fmt, "clip": clip}
        if rule == "thresholds":
            spec = with_platform_sums(Spec(**fields))
            found = derived(spec, {**self._scales(y), **self._bias, "y_zero_point": y.zero_point}, self.columns)
            return self._product(spec, y, **self._bias, **found)
        bias = None if self.bias is None else BIAS
        spec = with_platform_sums(Spec(**fields, bias=bias, y_zero_point=y.zero_point != 0))
        return self._product(spec, y, **self._bias)

    def scaled(self, scale, y: Grid, clip: Bounds = None) -> Product:
        """The product whose sums are multiplied by one float32 number, then rounded to even."""
        self._check_factor(scale)
        fields = {**self._fields, "requantize": "float32", "output": y.fmt, "clip": clip}
        return self._product(Spec(**fields, y_zero_point=y.zero_point != 0), y, scale=np.float32(scale))

    def composed(self, rule: Rule, y: Grid, clip: Bounds, real: Iterable[Step]) -> Product:
        """The product whose outputs are what a rule makes of sums, bias included: thresholds that give its codes.

        real : the same for real sums, before they are quantized. Raises ValueError for a rule that falls, for outputs
        of more than 8 bits, and for sums of more than 32.
        """
        spec = Spec(**self._fields, requantize="thresholds", output=y.fmt, clip=clip)
        if spec.exact_accumulator_width > INT32:
            raise ValueError(f"sums must have at most {INT32} bits, not {spec.exact_accumulator_width}")
        bias = 0 if self.bias is None else self.bias

        def bounded(sums):
            return np.clip(rule(sums + bias), *spec.clip_range)

        found = thresholds_for(bounded, columns=self.columns, acc_range=spec.acc_range, codes=spec.clip_range)
        shift = [] if self.bias is None else [Step("add", (self.bias * self.units,))]
        quantizer = Quantize(self.name, y, before=(*shift, *real))
        return self._product(spec, y, quantizer, thresholds=found)

    def rule(self, platform: str, y: Grid, clip: Bounds = None) -> Rule:
        """From sums, bias included, to codes on grid y, as a platform has it."""
        factors = platforms.derive(platform, **self._scales(y))
        how = {"y_zero_point": y.zero_point, "y_format": str(y.fmt), "clip": clip}
        return lambda sums: platforms.requantize(platform, sums, factors, **how)

    def _check_factor(self, factor):
        if not (np.isfinite(factor) & (factor > 0)).all():
            raise ValueError("scales of activations, weights and outputs make no float32 factor")

    @property
    def _fields(self) -> dict:
        return {
            "activations": self.x.fmt,
            "weights": self.w_grid.fmt,
            "depth": len(self.w),
            "a_zero_point": self.x.zero_point != 0,
            "w_zero_point": self.w_grid.zero_point != 0,
            **Array().fields(self.w.shape[1], depthwise=self.depthwise),
        }

    @property
    def _bias(self) -> dict:
        return {} if self.bias is None else {"bias": np.asarray(self.bias, np.int64)}

    def _scales(self, y) -> dict:
        return {"a_scale": self.x.scale, "w_scale": self.w_grid.scale, "y_scale": y.scale}

    def _product(self, spec, y, real=None, **arrays) -> Product:
        return Product(self.name, spec, {"w": self.w, **arrays}, self.x, self.w_grid, y, self.window, real)
