"""One layer from real numbers to golden's codes, one ingredient exchanged at a time.

Each stage is what the layer would give, as real numbers, if only the ingredients named so far were those of the
quantized network and all others exact. The last stage is golden.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from golden.formats import Integer

from ..float_network import Linear
from ..functions import Function
from ..grid import Grid
from ..layers import AveragePool, Product, Quantize, mean
from .ideal import Sums
from .spread import Spread

CAUSES = {
    "rounding": "rounding",
    "range": "range",
    "clipping": "clipping",
    "zero point": "range",
    "weights": "weights",
    "bias": "weights",
    "accumulator": "accumulator",
    "scale": "platform",
    "rule": "platform",
}
GROUPS = tuple(dict.fromkeys(CAUSES.values()))

Stages = Iterator[tuple[str, np.ndarray]]


def quantized(grid: Grid, values, positions, spread: Spread, bounds) -> Stages:
    """Real numbers onto a grid, in the steps

        rounding    to a grid of as many codes that just covers what the spread says
        range       to the step of this grid, which has no ends yet
        clipping    to its range, lying where it would clip least
        zero point  to its range where it is

    positions : round(values / scale), without the zero point; bounds : the least and the largest code. A grid with a
    scale for each channel has rounding and clipping alone.
    """
    first, last = (bound - grid.zero_point for bound in bounds)
    codes = last - first + 1
    if grid.scale.ndim:
        yield "rounding", positions * np.float64(grid.scale)
        yield "clipping", np.clip(positions, first, last) * np.float64(grid.scale)
        return
    scale = float(grid.scale)
    step = spread.step(codes)
    yield "rounding", np.rint(values / step) * step if step else values
    yield "range", positions * scale
    start = spread.start(scale, codes, first)
    yield "clipping", np.clip(positions, start, start + codes - 1) * scale
    yield "zero point", np.clip(positions, first, last) * scale


def entry_stages(entry: Quantize, x, values, spread: Spread) -> Stages:
    """Of the network's inputs: x as they come, values as the float32 steps before the quantizer leave them."""
    if isinstance(entry.y.fmt, Integer):
        yield from quantized(entry.y, values, np.rint(values / np.float64(entry.y.scale)), spread, entry.bounds)
        yield "rule", entry.fake(x)
    else:
        yield "rounding", entry.fake(x)


def input_stages(grid: Grid, values, spread: Spread) -> Stages:
    """Of a layer's inputs alone: real values onto the grid of its activations."""
    return entry_stages(Quantize("", grid), values, values, spread)


def pool_stages(layer: AveragePool, codes, spread: Spread) -> Stages:
    """Of an average pool, for codes in."""
    means = mean(layer.window, np.asarray(codes) - layer.x.zero_point)
    scale = np.float64(layer.x.scale)
    positions = np.rint(means * (scale / np.float64(layer.y.scale)))
    yield from quantized(layer.y, means * scale, positions, spread, layer.y.fmt.code_range)
    yield "rule", layer.y.values(layer.run(codes))


def function_stages(layer: Function, codes, spread: Spread) -> Stages:
    """Of a function of codes, for codes in."""
    real = layer.real(layer.x.values(codes))
    yield from quantized(layer.y, real, np.rint(real / np.float64(layer.y.scale)), spread, layer.y.fmt.code_range)
    yield "rule", layer.y.values(layer.run(codes))


def product_stages(layer: Product, linear: Linear | None, codes, spread: Spread) -> Stages:
    """Of a product, for codes in; `linear` is the layer of real numbers that it was made of, where that is known.

        weights      the real numbers that the weights' codes stand for
        bias         and the biases'
        rounding, range, clipping, zero point: the outputs onto their grid, see `quantized`
        accumulator  sums as the design's accumulator holds them
        scale        the multiplier and shift, or the float, that the real scale became
        rule         the design's own requantizer

    Up to "scale", outputs are rounded to nearest, ties to even, from the exact real number. Exact sums that leave as
    they are have no rounding. Raises ValueError for sums in float32.
    """
    if layer.spec.is_float_sum:
        raise ValueError(f"layer {layer.name}: sums in float32 are not taken apart")
    if linear is not None:
        real = replace(linear, w=layer.real_weights, bias=np.float64(linear.bias))
        yield "weights", real.run(layer.x.values(codes))
    for cause, y in _from_sums(Sums(layer, linear, np.asarray(codes)), spread):
        yield cause, layer.shaped(y, codes)


def _from_sums(sums, spread) -> Stages:
    yield "bias", sums.real(sums.exact)
    yield from _onto_grid(sums, spread)
    yield "accumulator", sums.values(sums.positions(sums.held))
    if sums.layer.real is None and (factors := sums.encoded) is not None:
        yield "scale", sums.values(sums.positions(sums.held, factors))
    yield "rule", sums.layer.y.values(sums.requantized)


def _onto_grid(sums, spread) -> Stages:
    layer, positions = sums.layer, sums.positions(sums.exact)
    if not isinstance(layer.y.fmt, Integer):
        yield "rounding", sums.values(positions)
    elif layer.spec.requantize == "none":
        yield "clipping", sums.values(positions)
    else:
        yield from quantized(layer.y, sums.real(sums.exact), positions, spread, layer.spec.clip_range)
