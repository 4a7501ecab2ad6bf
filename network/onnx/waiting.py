"""Layers of a quantized ONNX model that wait for the grid of their outputs, which a later node says."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from golden.platform_table import PLATFORMS

from ..elementwise import Step, applied
from ..grid import Grid
from ..layers import AveragePool, Product
from ..shapes import Window
from .grids import code_format
from .node import Node
from .platform_product import Bounds, CodedProduct, Rule
from .tensors import prod

Function = Callable[[np.ndarray, Grid], np.ndarray]


@dataclass(frozen=True, eq=False)
class Waiting:
    """A layer that waits: `made` makes it of the grid of its outputs and of bounds on their codes.

    steps : what stands between it and its quantizer: bounds, as operations on real numbers.
    """

    node: Node
    made: Callable[[Grid, Bounds], Product | AveragePool] = field(repr=False)
    steps: tuple[Step, ...] = ()

    def clip(self, y: Grid) -> Bounds:
        """The bounds in codes: those of real numbers, quantized, as rounding keeps their order."""
        ends = applied(self.steps, np.array([-np.inf, np.inf]))
        lo, hi = (int(one) for one in y.codes(ends))
        return None if (lo, hi) == y.fmt.code_range else (lo, hi)


@dataclass(frozen=True, eq=False)
class WaitingProduct(Waiting):
    """A product that waits.

    rule : for grid and bounds, what makes codes of its sums, bias included. real : what leads there from real sums.
    bias : real numbers [N], which become integers with the outputs.
    """

    product: CodedProduct = field(kw_only=True)
    rule: Callable[[Grid, Bounds], Rule] = field(kw_only=True, repr=False)
    bias: np.ndarray | None = field(default=None, kw_only=True, repr=False)
    real: tuple[Step, ...] = field(default=(), kw_only=True)

    @property
    def takes_bias(self) -> bool:
        """Whether a bias can still be added."""
        return self.product.bias is None and self.bias is None and not self.steps

    @property
    def whole(self) -> CodedProduct:
        """The product with its bias as integers."""
        if self.bias is None:
            return self.product
        return replace(self.product, bias=integer_bias(self.node, self.bias, self.product.units))

    def sums(self) -> tuple[Product, list[Step]]:
        """The product with its exact sums, and what is to be done to the real numbers that they stand for."""
        bias = [] if self.bias is None else [Step("add", (self.bias,))]
        return self.product.sums(), [*bias, *self.steps]

    def then(self, y: Grid, clip: Bounds, function: Function, steps: list[Step]) -> "WaitingProduct":
        """The same, with codes on grid y within bounds, and then a function of them and of the next grid.

        steps : the function on real numbers.
        """
        first = self.rule(y, clip)
        real = (*self.real, *codes_of(y), *numbers_of(y), *steps)
        return composed(self.node, self.whole, lambda grid: lambda sums: function(first(sums), grid), real)

    def after_sums(self, steps: list[Step]) -> "WaitingProduct":
        """The product whose real sums go through steps and a quantizer."""
        units = np.asarray(self.product.units, np.float32)

        def rule(grid):
            return lambda sums: grid.codes(applied(steps, sums.astype(np.float32) * units))

        return composed(self.node, self.product, rule, tuple(steps))


def waiting_product(node: Node, product: CodedProduct, platform: str, bias: np.ndarray | None = None) -> WaitingProduct:
    """A product by the rule of a platform; a bias of real numbers [N] is rounded to integers as onnxruntime does."""
    found = WaitingProduct(
        node,
        lambda y, clip: found.whole.requantized(platform, y, clip),
        product=product,
        rule=lambda y, clip: product.rule(platform, y, clip),
        bias=bias,
    )
    return found


def composed(node: Node, product: CodedProduct, rule: Callable[[Grid], Rule], real: tuple[Step, ...]) -> WaitingProduct:
    """A product by thresholds, for any rule from its sums to codes on the grid that it waits for."""

    def made(y, clip):
        return product.composed(rule(y), y, clip, real)

    def bounded(y, clip):
        lo, hi = clip or y.fmt.code_range
        return lambda sums: np.clip(rule(y)(sums), lo, hi)

    return WaitingProduct(node, made, product=product, rule=bounded, real=real)


def integer_bias(node: Node, bias: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Real numbers in units of the sums, divided in float32 and rounded to even, int64.

    onnxruntime does so before it makes products of integers. Raises Unsupported for what int32 does not hold.
    Source: microsoft/onnxruntime, core/optimizer/qdq_transformer/weight_bias_quantization.cc.
    """
    with np.errstate(all="ignore"):
        codes = np.rint(bias / units)
    if not (np.abs(codes) < np.float32(1 << 31)).all():
        raise node.refused("has a bias that int32 does not hold in units of the sums")
    return codes.astype(np.int64)


def waiting_pool(node: Node, name: str, window: Window, x: Grid, platform: str) -> Waiting:
    """An average pool by the rule of a platform. Raises Unsupported where it has none."""
    if PLATFORMS[platform].pool is None:
        raise node.refused(f"platform {platform!r} has no rule for average pooling")

    def made(y, clip):
        if clip is not None:
            raise node.refused("has bounds on its outputs, which average pools do not take")
        return AveragePool(name, window, x, y, platform)

    return Waiting(node, made)


def waiting_mean(node: Node, name: str, shape: tuple[int, ...], x: Grid, platform: str) -> Waiting:
    """The mean of a whole map, of a shape [C, H, W] or [C, L]: in onnxruntime a sum, scaled once in float32.

    The sum is a product with weights of one, and runs where products run. Source: microsoft/onnxruntime,
    core/mlas/lib/qlgavgpool.cpp.
    """
    channels, size = shape[0], shape[1:]
    window = Window((1, size[0]) if len(size) == 1 else (size[0], size[1]))
    if not platform.startswith("onnxruntime"):
        return waiting_pool(node, name, window, x, platform)
    places = np.asarray(prod(size), np.float32)
    ones, each = np.ones((prod(size), channels), np.int64), Grid(code_format(0, 1), np.asarray(1 / places))
    product = CodedProduct(name, ones, x, each, None, window, depthwise=True)
    return Waiting(node, lambda y, clip: product.scaled(x.scale / (y.scale * places), y, clip))


def intersection(one: Bounds, other: Bounds) -> Bounds:
    """Bounds that hold both, None being no bounds; one code where they have none in common."""
    if one is None or other is None:
        return one or other
    lo, hi = max(one[0], other[0]), min(one[1], other[1])
    return min(lo, hi), hi


def within(bounds: tuple[int, int], whole: tuple[int, int]) -> Bounds:
    """Bounds inside a whole range; None where they leave all of it."""
    lo, hi = (min(max(one, whole[0]), whole[1]) for one in bounds)
    return None if (lo, hi) == whole else (lo, hi)


def codes_of(grid: Grid) -> list[Step]:
    """Real numbers to codes, as numbers: what QuantizeLinear gives, in float32."""
    lo, hi = (np.asarray(one) for one in grid.fmt.code_range)
    point = np.asarray(grid.zero_point)
    return [Step("div", (grid.scale,)), Step("round_half_even"), Step("add", (point,)), Step("clip", (lo, hi))]


def numbers_of(grid: Grid) -> list[Step]:
    """Codes as numbers to what they stand for: what DequantizeLinear gives."""
    return [Step("sub", (np.asarray(grid.zero_point),)), Step("mul", (grid.scale,))]
