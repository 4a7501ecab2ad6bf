"""The layers of a quantized network: real numbers to codes, products on a MAC array, pools, codes to real numbers.

Maps are [B, H, W, C], vectors [B, K]. `run` computes in codes what the network gives. `fake` computes in float64, on
the real numbers that codes stand for, what fake quantization gives: its results lie on the grid of the layer's output.
"""

from dataclasses import dataclass, field

import numpy as np

from golden import platforms, pooling
from golden.blocks import decoded_scales, spread
from golden.derive import SCALES, takes
from golden.formats import Integer
from golden.quantize import code_range
from golden.spec import Spec
from golden.tensors import Operands, decoded_weights, golden, operands

from .elementwise import Step, applied
from .functions import Function
from .grid import Grid
from .shapes import Shape, Window

_OWN_NUMBERS = ("multiplier", "shift", "scale", "thresholds")
BOUNDS = {"none": (-np.inf, np.inf), "relu": (0, np.inf), "relu6": (0, 6)}


@dataclass(frozen=True, eq=False)
class Quantize:
    """Real numbers to codes: float32 steps, then a row of golden.quantize.QUANTIZERS; the sign for a bipolar format."""

    name: str
    y: Grid
    quantizer: str = "onnx"
    before: tuple[Step, ...] = ()
    narrow: bool = False

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and the largest code: `narrow` leaves out the least of signed integers, the largest of others."""
        fmt = self.y.fmt
        narrow = self.narrow and isinstance(fmt, Integer)
        return code_range(Integer(fmt.width, fmt.signed), narrow=True) if narrow else fmt.code_range

    def run(self, x) -> np.ndarray:
        """Codes, int64, of real x [B, ...]. Raises ValueError for NaN."""
        return self.y.codes(applied(self.before, x), self.quantizer, narrow=self.narrow)

    def fake(self, x) -> np.ndarray:
        return self.y.values(self.run(x))


@dataclass(frozen=True, eq=False)
class Product:
    """A product of activations and weights on an array of golden.spec, and what follows it there.

        y = requantize(sum_k a[m, k] * w[k, n])

    with golden.tensors for the rule. Dense without a window: codes are [B, ..., K] and y is [B, ..., N]. With one, a
    convolution: K runs over the places of the kernel [KH, KW] and, fastest, over the channels; padding is the zero
    point. On array "vector" a depthwise one: K runs over the places, and output channel n looks at input channel
    n // (N / C).

    arrays : what golden.tensors.operands takes beside a, zero points and real scales: w [K, N], bias, thresholds, ...
    x, w, y : grids of the codes in, of the weights (a scale for all columns or one for each [N]) and of the codes out.
        Where the design takes real scales and the arrays hold no numbers in their place, these are the scales.
        `sum_grid` is the y of a product whose exact sums leave.
    real : what thresholds stand for: the steps and the quantizer of the sum's real value; None for a plain requantizer.

    Raises ValueError where grids and spec do not belong together.
    """

    name: str
    spec: Spec
    arrays: dict = field(repr=False)
    x: Grid = field(repr=False)
    w: Grid = field(repr=False)
    y: Grid = field(repr=False)
    window: Window | None = None
    real: Quantize | None = field(default=None, repr=False)

    def __post_init__(self):
        pairs = {"x": self.spec.activations, "w": self.spec.weights, "y": self.spec.y}
        for grid, fmt in pairs.items():
            if (own := getattr(self, grid).fmt) != fmt:
                raise ValueError(f"layer {self.name}: grid {grid} must be of {fmt}, as its spec says, not {own}")

    @property
    def columns(self) -> int:
        """N"""
        return np.shape(self.arrays["w"])[1]

    @property
    def complete_arrays(self) -> dict:
        """The arrays with the zero points and real scales of the grids, where the design takes them."""
        grids = {"a_zero_point": self.x, "w_zero_point": self.w, "y_zero_point": self.y}
        found = {name: grid.zero_point for name, grid in grids.items() if getattr(self.spec, name)}
        if set(SCALES) <= set(takes(self.spec)) and not set(_OWN_NUMBERS) & set(self.arrays):
            found |= {name: grid.scale for name, grid in zip(SCALES, (self.x, self.w, self.y), strict=True)}
        return {**found, **self.arrays}

    def matrix(self, codes) -> np.ndarray:
        """Activations a [M, K], or [M, K, N] of a depthwise convolution, as the array takes them."""
        return self._matrix(codes, self.x.zero_point)

    def _matrix(self, x, pad):
        x = np.asarray(x)
        if self.window is None:
            return x.reshape(-1, x.shape[-1])
        taken = self.window.taken(x, pad)
        if self.spec.array == "vector":
            taken = np.repeat(taken, self.columns // taken.shape[-1], axis=-1)
            return taken.reshape(-1, *taken.shape[3:])
        return taken.reshape(int(np.prod(taken.shape[:3])), -1)

    def shaped(self, y, x) -> np.ndarray:
        """Outputs y [M, N] as a tensor, for activations x as they came."""
        outer = np.shape(x)[:-1]
        if self.window is not None:
            outer = (outer[0], *self.window.places(outer[1:]))
        return np.asarray(y).reshape(*outer, self.columns)

    def given(self, codes) -> Operands:
        """What the array takes for these activations. Raises ValueError for codes outside their format."""
        return operands(self.spec, {**self.complete_arrays, "a": self.matrix(codes)})

    def run(self, codes) -> np.ndarray:
        """Output codes, int64, for codes [B, ...]."""
        return self.shaped(golden(self.spec, self.given(codes)), codes)

    @property
    def real_weights(self) -> np.ndarray:
        """The real numbers [K, N], float64, that the weights stand for, block scales and residual codes included."""
        one = np.full((1, len(self.arrays["w"])), self.x.zero_point)
        if self.spec.array == "vector":
            one = np.repeat(one[..., None], self.columns, axis=-1)
        given = operands(self.spec, {**self.complete_arrays, **_residual(self.spec, one), "a": one})
        decoded = decoded_weights(self.spec, given).astype(np.float64)
        for name, fmt in self.spec.scale_formats.items():
            scales = decoded_scales(fmt, given.extras[name]).astype(np.float64)
            decoded = decoded * spread(scales, self.spec.block, len(decoded))
        return decoded * self.w.scale.astype(np.float64)

    @property
    def real_bias(self) -> np.ndarray:
        """The real numbers [N], float64, that the biases stand for."""
        bias = np.broadcast_to(np.asarray(self.arrays.get("bias", 0), np.float64), (self.columns,))
        return bias * (self.x.scale.astype(np.float64) * self.w.scale)

    def real_sums(self, values) -> np.ndarray:
        """Sums and biases as real numbers [B, ..., N], float64, for real activations [B, ...]."""
        a = self._matrix(np.asarray(values, np.float64), 0.0)
        w = self.real_weights
        sums = np.einsum("mkn,kn->mn", a, w) if a.ndim == 3 else a @ w
        return self.shaped(sums + self.real_bias, values)

    def fake(self, values) -> np.ndarray:
        """Real numbers on the grid y for real activations [B, ...], by real sums, a bound, and the quantizer.

        Raises ValueError for a table, whose function the design does not say.
        """
        sums = self.real_sums(values)
        if self.real is not None:
            return self.real.fake(sums)
        if self.spec.table is not None:
            raise ValueError(f"layer {self.name}: a table has no function of real numbers")
        sums = np.clip(sums, *BOUNDS[self.spec.activation])
        if self.spec.output is None or self.spec.is_float_sum:
            return sums
        return self.y.values(np.clip(self.y.codes(sums), *self.spec.clip_range))


def _residual(spec, a):
    return {"a_residual": np.zeros_like(a)} if spec.residual and spec.residual_of == "activations" else {}


def sum_grid(spec: Spec, x: Grid, w: Grid) -> Grid:
    """The grid of exact sums that leave a product without requantization. Raises ValueError for float32 sums."""
    if spec.is_float_sum:
        raise ValueError("sums in float32 have no grid of integers")
    return Grid(spec.y, x.scale * w.scale)


@dataclass(frozen=True, eq=False)
class AveragePool:
    """The mean of each window of a map; padding does not count.

    platform : whose rule it is, a name of golden.platforms; None: the exact mean, ties to even, on the grid of the
        inputs.

    Raises ValueError without a platform for another grid of the outputs.
    """

    name: str
    window: Window
    x: Grid = field(repr=False)
    y: Grid = field(repr=False)
    platform: str | None = None

    def __post_init__(self):
        if self.platform is None and not self.x.equals(self.y):
            raise ValueError(f"layer {self.name}: a mean without a platform has the grid of its inputs")

    def run(self, codes) -> np.ndarray:
        """Output codes, int64, [B, OH, OW, C]."""
        codes = np.asarray(codes, np.int64)
        there = self.window.taken(np.ones_like(codes[:1, ..., :1]), 0)[0, ..., 0].astype(bool)
        taken = np.moveaxis(self.window.taken(codes), 3, -1)
        y = np.empty(taken.shape[:-1], np.int64)
        for inside in np.unique(there.reshape(-1, there.shape[-1]), axis=0):
            alike = (there == inside).all(axis=-1)
            y[:, alike] = self._means(taken[:, alike][..., inside])
        return y

    def _means(self, taken):
        """Those of the last axis."""
        if self.platform is None:
            exact = pooling.mean((taken - self.x.zero_point).sum(axis=-1), taken.shape[-1], "half_even")
            return np.asarray(exact, np.int64) + self.x.zero_point
        return platforms.average_pool(
            self.platform,
            taken,
            x_scale=float(self.x.scale),
            x_zero_point=self.x.zero_point,
            y_scale=float(self.y.scale),
            y_zero_point=self.y.zero_point,
            x_format=str(self.x.fmt),
            y_format=str(self.y.fmt),
        )

    def fake(self, values) -> np.ndarray:
        means = mean(self.window, values)
        if self.platform is not None:
            return self.y.values(self.y.codes(means))
        steps = np.rint(means / self.y.scale.astype(np.float64))  # in float32 a tie may not be one
        return self.y.values(np.clip(steps + self.y.zero_point, *self.y.fmt.code_range).astype(np.int64))


def mean(window: Window, values) -> np.ndarray:
    """The mean of each window of a real map, [B, OH, OW, C]; padding does not count."""
    there = window.taken(np.ones(np.shape(values)), 0.0).sum(axis=3)
    return window.taken(np.asarray(values, np.float64), 0.0).sum(axis=3) / there


@dataclass(frozen=True, eq=False)
class Dequantize:
    """Codes to the real numbers that the network gives: float32 values of a grid, then float32 steps."""

    name: str
    x: Grid
    after: tuple[Step, ...] = ()

    def run(self, codes) -> np.ndarray:
        """float32 [B, ...]"""
        return applied(self.after, self.x.values(codes))

    def fake(self, values) -> np.ndarray:
        return applied(self.after, values)


Layer = Product | AveragePool | Shape | Function
