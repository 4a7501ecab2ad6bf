"""From one linear layer of real numbers, with grids and quantized weights, to a product on an array."""

import numpy as np

from golden.block_formats import NAMED_BLOCKS
from golden.checks import requantizer_of
from golden.derive import derived
from golden.formats import Bipolar, Integer, parse
from golden.ops import int_bits
from golden.platform_sums import with_platform_sums
from golden.platform_table import PLATFORMS
from golden.spec import Spec

from ..elementwise import Step
from ..float_network import Linear
from ..grid import Grid
from ..layers import Product, Quantize, sum_grid
from ..quantized_weights import QuantizedWeights
from ..scales import POWER_OF_TWO
from .recipe import Recipe

MOST_BIAS = 1 << 30
LEAST_UNIT = 2.0**-62  # multipliers take half of it
RELU6 = 6
LEAST_BITS = 32
_BIAS_BITS = {"int32": 32, "required32": 32, "required48": 48}
BUILDABLE = tuple(
    name
    for name, platform in PLATFORMS.items()
    if platform.effective is not None and platform.scaling is not None and platform.accumulator != "pairs16"
)
_RELU = {"relu": (Step("relu"),), "relu6": (Step("clip", (np.zeros(()), np.array(RELU6))),)}


def most_bias(layer: Linear, x: Grid, recipe: Recipe) -> int:
    """The largest bias, in units of the sums, for which weights keep their scale: 2**30, or the largest sum if more.

    On a platform 2**30. Larger biases come of columns whose weights are tiny beside them: these get a larger scale.
    """
    if recipe.platform is not None:
        return MOST_BIAS
    name = recipe.formats(layer.name)[0]
    fmt = NAMED_BLOCKS[name].element if name in NAMED_BLOCKS else parse(name)
    a, w = (max(map(abs, each.decoded_range)) for each in (x.fmt, fmt))
    return max(MOST_BIAS, len(layer.w) * a * w)


def least_scale(layer: Linear, x: Grid, y: Grid | None, most=MOST_BIAS) -> np.ndarray:
    """The scales [N] of the weights at which biases are `most` units of the sums at most.

    And such a unit 2**-62 steps of the outputs on grid y at least, where there is one.
    """
    least = np.abs(layer.bias.astype(np.float64)) / (np.float64(x.scale) * most)
    return least if y is None else np.maximum(least, LEAST_UNIT * np.float64(y.scale) / np.float64(x.scale))


def product(layer: Linear, weights: QuantizedWeights, x: Grid, y: Grid | None, recipe: Recipe) -> Product:
    """The product of a layer: codes on grid x in, on grid y out, or exact sums for y None.

    Biases are rounded to the units of the sums, ties to even, in 32 bits or as many as they need. Sums are scaled by
    the rule of the recipe's platform, by thresholds where hardware has no such rule; without a platform by a multiplier
    or, where scales are powers of two, a shift. Bipolar outputs are signs.

    Raises ValueError, naming the layer, for what no hardware does.
    """
    try:
        made = _bipolar if y is not None and isinstance(y.fmt, Bipolar) else _scaled if y is not None else _exact
        found = made(layer, weights, x, y, recipe)
        found.real_weights  # noqa: B018  what the array refuses is refused here
        return found
    except ValueError as error:
        raise ValueError(f"layer {layer.name}: {error}") from None


def _exact(layer, weights, x, y, recipe):
    bias, bits = _biases(layer, weights, x)
    spec = _spec(layer, weights, x, recipe, bias=Integer(bits, signed=True), activation=layer.activation)
    y, arrays = sum_grid(spec, x, weights.grid), {**weights.arrays, "bias": bias}
    if layer.activation == "relu6":
        most = np.rint(RELU6 / y.scale.astype(np.float64))
        arrays["y_max"] = np.minimum(most, float(spec.y.code_range[1])).astype(np.int64)
    return _product(layer, spec, arrays, x, weights, y)


def _bipolar(layer, weights, x, y, recipe):
    if layer.activation != "none":
        raise ValueError(f"after {layer.activation} bipolar outputs would all be +1")
    if recipe.platform is not None:
        raise ValueError(f"platform {recipe.platform!r} has no bipolar outputs")
    bias, bits = _biases(layer, weights, x)
    spec = _spec(layer, weights, x, recipe, bias=Integer(bits, signed=True), output=y.fmt)
    return _product(layer, spec, {**weights.arrays, "bias": bias}, x, weights, y, Quantize(layer.name, y))


def _scaled(layer, weights, x, y, recipe):
    bias, bits = _biases(layer, weights, x)
    fields = {"output": y.fmt, **_bounds(layer, y, recipe)}
    if recipe.platform is None:
        fields["requantize"] = "shift" if recipe.scales == POWER_OF_TWO else "multiplier"
    else:
        fields |= _platform(recipe.platform, bits)
    arrays = {**weights.arrays, "bias": bias}
    if fields["requantize"] != "thresholds":
        fields |= {"bias": Integer(bits, signed=True), "y_zero_point": y.zero_point != 0}
        return _product(layer, _spec(layer, weights, x, recipe, **fields), arrays, x, weights, y)
    spec = _spec(layer, weights, x, recipe, **fields)
    scales = {"a_scale": x.scale, "w_scale": weights.grid.scale, "y_scale": y.scale}
    arrays |= derived(spec, {**scales, "bias": bias, "y_zero_point": y.zero_point}, len(bias))
    real = Quantize(layer.name, y, before=_RELU.get(layer.activation, ()))
    return _product(layer, spec, arrays, x, weights, y, real)


def _product(layer, spec, arrays, x, weights, y, real=None):
    return Product(layer.name, spec, arrays, x, weights.grid, y, layer.window, real)


def _biases(layer, weights, x):
    """(codes [N], bits that hold them, 32 at least). Raises ValueError for more than 64."""
    bias = np.rint(layer.bias.astype(np.float64) / (np.float64(x.scale) * weights.grid.scale))
    column = int(np.abs(bias).argmax())
    if abs(bias[column]) >= 2.0**62:
        raise ValueError(f"bias[{column}] is {bias[column]:.3g} steps of its sums, more than 63 bits hold")
    codes = bias.astype(np.int64)
    return codes, max(LEAST_BITS, int_bits(int(codes.min()), int(codes.max())))


def _platform(name, bits):
    """The fields of a platform's rule. Raises ValueError where it has none, or too few bits for biases."""
    platform = PLATFORMS[name]
    if platform.scaling is not None and platform.effective is None:
        raise ValueError(f"platform {name!r} has no rule from scales to its integers")
    most = _BIAS_BITS.get(platform.accumulator, 64)
    if bits > most:
        raise ValueError(f"biases need {bits} bits, and platform {name!r} has {most}")
    return {"requantize": requantizer_of(platform), "platform": name}


def _bounds(layer, y, recipe):
    """The activation, as a field of its own or, where a platform has none, as a clip of codes."""
    if layer.activation == "none" or recipe.platform is None or PLATFORMS[recipe.platform].activations:
        return {"activation": layer.activation}
    top = int(y.codes(np.float32(RELU6))) if layer.activation == "relu6" else y.fmt.code_range[1]
    return {"clip": (y.zero_point, top)}


def _spec(layer, weights, x, recipe, **fields):
    if isinstance(x.fmt, Bipolar) and layer.window is not None and np.any(layer.window.padding):
        raise ValueError("bipolar activations have no zero to pad with")
    fields = {**array_fields(layer, weights, recipe), **fields}
    return with_platform_sums(Spec(activations=x.fmt, a_zero_point=x.zero_point != 0, **fields))


def array_fields(layer: Linear, weights: QuantizedWeights, recipe: Recipe) -> dict:
    """The fields of a Spec that say which array a layer runs on, and how its weights are there."""
    return {
        **recipe.placement.fields(layer.w.shape[1], depthwise=layer.depthwise),
        "depth": len(layer.w),
        "w_zero_point": weights.grid.zero_point != 0,
        **weights.spec_fields,
    }
