"""From one linear layer of real numbers, with grids and quantized weights, to a product on an array."""

import numpy as np

from golden.formats import Integer
from golden.spec import Spec

from .float_network import Linear
from .grid import Grid
from .layers import Product, sum_grid
from .recipe import Recipe
from .weights import QuantizedWeights

BIAS = Integer(32, signed=True)
MOST_BIAS = 1 << 30


def least_scale(layer: Linear, x: Grid) -> np.ndarray:
    """The scales [N] of the weights at which biases, in units of the sums, are 2**30 at most."""
    return np.abs(layer.bias) / (np.float64(x.scale) * MOST_BIAS)


def product(layer: Linear, weights: QuantizedWeights, x: Grid, y: Grid | None, recipe: Recipe) -> Product:
    """The product of a layer: codes on grid x in, on grid y out, or exact sums for y None.

    Raises ValueError, naming the layer, for what no hardware does.
    """
    try:
        return _product(layer, weights, x, y, recipe)
    except ValueError as error:
        raise ValueError(f"layer {layer.name}: {error}") from None


def _product(layer, weights, x, y, recipe):
    units = np.float64(x.scale) * weights.grid.scale
    arrays = {**weights.arrays, "bias": np.rint(layer.bias / units).astype(np.int64)}
    spec = _spec(layer, weights, x, y, recipe)
    return Product(layer.name, spec, arrays, x, weights.grid, y or sum_grid(spec, x, weights.grid), layer.window)


def _spec(layer, weights, x, y, recipe):
    vector = {"array": "vector", "rows": 1} if layer.depthwise else {"rows": recipe.rows}
    fields = dict(
        activations=x.fmt,
        cols=recipe.cols,
        lanes=recipe.lanes,
        depth=len(layer.w),
        bias=BIAS,
        a_zero_point=x.zero_point != 0,
        w_zero_point=weights.grid.zero_point != 0,
    )
    return Spec(**fields, **vector, **weights.spec_fields, **_requantizer(layer, y, recipe))


def _requantizer(layer, y, recipe):
    if y is None:
        return {"activation": "none" if layer.activation == "none" else "relu"}
    fields = {"requantize": "multiplier", "output": y.fmt, "y_zero_point": y.zero_point != 0}
    return fields | {"activation": layer.activation}
