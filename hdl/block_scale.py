"""The scale of a block in an element: the product of the scales of its row and its column, where there are such."""

import operator
from dataclasses import dataclass

from amaranth.hdl import Const, Mux, Signal, Value

from golden.formats import Format, Integer
from golden.minifloat import MiniFloat
from golden.scale_formats import PowerScale
from golden.spec import Spec

from .decode import float_parts
from .float_add import BIAS
from .float_round import Grid, Scaled, rounded
from .pipeline import Pipeline
from .words import gate, shape_of

LEAST_POWER, MOST_POWER = 1 - BIAS - 23, BIAS  # of two, in float32


@dataclass(frozen=True)
class Factor:
    """A scale, or a product of them: a number, its sign, and whether it is infinite instead; NaN goes another way."""

    number: Scaled
    negative: Value
    infinite: Value

    @property
    def is_zero(self):
        return ~self.number.magnitude.any()


ONE = Factor(Scaled(Const(1, 1), Const(0, 0), Grid(1, 0)), Const(0, 1), Const(0, 1))


def grid_of(fmt: Format) -> Grid:
    """The grid of a scale's decoded codes: significand times a power of two."""
    match fmt:
        case PowerScale():
            return Grid(1, fmt.least - BIAS, 0, fmt.most - fmt.least)
        case MiniFloat():
            return Grid(
                fmt.mantissa_bits + 1, -fmt.fraction, 0, (1 << fmt.exponent_bits) - 2 - (fmt.specials == "ieee")
            )
        case Integer():
            return Grid(fmt.width, -fmt.fraction)
    raise TypeError(f"no scale: {fmt}")


def factor_of(fmt: Format, code: Value) -> Factor:
    """The number that a scale's code stands for. That of a code that is NaN means nothing."""
    grid, nothing = grid_of(fmt), Const(0, 1)
    match fmt:
        case PowerScale():
            power = code - fmt.least if fmt.least else code
            return Factor(Scaled(Const(1, 1), power, grid), nothing, nothing)
        case MiniFloat():
            significand, shift = float_parts(code, fmt)
            infinite = nothing
            if fmt.specials == "ieee":
                infinite = code[fmt.mantissa_bits : -1].all() & ~code[: fmt.mantissa_bits].any()
            return Factor(Scaled(significand, shift, grid), code[-1], infinite)
    return Factor(Scaled(code, Const(0, 0), grid), nothing, nothing)


def product_grid(spec: Spec) -> Grid:
    """The grid of the product of a block's scales before it is rounded."""
    grid = ONE.number.grid
    for fmt in spec.scale_formats.values():
        grid = grid.times(grid_of(fmt))
    return grid


def scale_grid(spec: Spec) -> Grid:
    """The grid of what `scale_product` gives."""
    grid = product_grid(spec)
    if not spec.is_float_sum or grid.is_float32:
        return grid
    if grid.bits == 1:
        return Grid(1, grid.base, LEAST_POWER - grid.base, MOST_POWER - grid.base)
    return grid.in_float32


def product_latency(spec: Spec):
    """Cycles from a block's scale codes to their product; 0 without scales."""
    grid = product_grid(spec)
    rounds = spec.is_float_sum and grid.bits > 1 and not grid.is_float32
    return bool(spec.scale_formats) + rounds * grid.latency


def scale_product(p: Pipeline, codes: dict[str, Value]) -> Factor:
    """The product of the scales of a block, from their codes by name; in float32, where sums are.

    Latency `product_latency(spec)`.
    """
    factors = [factor_of(fmt, codes[name]) for name, fmt in p.spec.scale_formats.items()]
    if not factors:
        return ONE
    product = _registered(p, factors)
    grid = product.number.grid
    if scale_grid(p.spec) == grid:
        return product
    if grid.bits == 1:
        return _power(p, product)
    start = p.age
    value = rounded(p, product.number, "scale")
    infinite = value.infinite | p.since(product.infinite, start, "scale_infinite_late")
    return Factor(value.scaled, p.since(product.negative, start, "scale_negative_late"), infinite)


def _registered(p, factors):
    grid = product_grid(p.spec)
    magnitude, offset, negative, infinite = Const(1, 1), Const(0, 0), Const(0, 1), Const(0, 1)
    for factor in factors:
        one = isinstance(factor.number.magnitude, Const)
        magnitude = magnitude if one else times(magnitude, factor.number.magnitude)
        offset = offset + factor.number.offset
        negative = either(negative, factor.negative, operator.xor)
        infinite = either(infinite, factor.infinite, operator.or_)
    p.age += 1
    held = p.hold(offset, shape_of(grid.lo, grid.hi), "scale_offset") if grid.hi else Const(0, 0)
    magnitude = magnitude if isinstance(magnitude, Const) else p.hold(magnitude, grid.bits, "scale_magnitude")
    number = Scaled(magnitude, held, grid)
    negative, infinite = (
        bit if isinstance(bit, Const) else p.hold(bit, 1, name)
        for bit, name in ((negative, "scale_negative"), (infinite, "scale_infinite"))
    )
    return Factor(number, negative, infinite)


def either(x, y, combine):
    """Two bits combined, of which a constant is zero and left out."""
    if isinstance(x, Const) or isinstance(y, Const):
        return y if isinstance(x, Const) else x
    return combine(x, y)


def _power(p: Pipeline, product: Factor) -> Factor:
    """A power of two in float32: half of the smallest and less are zero, twice the largest and more infinite."""
    offset, base = product.number.offset, product.number.grid.base
    exists, infinite = Signal(name="scale_exists"), Signal(name="scale_too_large")
    kept = Signal(len(offset), name="scale_power")
    p.m.d.comb += [
        exists.eq(offset >= LEAST_POWER - base),
        infinite.eq(offset > MOST_POWER - base),
        kept.eq(Mux(exists & ~infinite, offset, LEAST_POWER - base)),
    ]
    number = Scaled(exists & product.number.magnitude, kept, scale_grid(p.spec))
    return Factor(number, product.negative, infinite)


def times(x: Value, y: Value) -> Value:
    """x * y for unsigned values, without a multiplier where one of them is one bit."""
    if len(x) == 1 or len(y) == 1:
        bit, value = (x, y) if len(x) == 1 else (y, x)
        return value if isinstance(bit, Const) else gate(value, bit)
    return x * y
