"""Post-training quantization: a network of real numbers and some of its inputs to one of codes."""

import numpy as np

from .calibration import INPUT, calibrated
from .float_network import FloatAveragePool, FloatNetwork, Linear
from .layers import AveragePool, Dequantize, Quantize
from .lowering import least_scale, product
from .network import Network
from .recipe import Recipe
from .weights import quantized_weights

POOL = "tflite-micro"


def quantize(network: FloatNetwork, batches, recipe: Recipe) -> Network:
    """The network in codes, as the recipe says, calibrated on batches of real inputs [B, *shape].

    Raises ValueError, naming layer, rule and value, for what no hardware or platform does.
    """
    batches = [np.asarray(batch, np.float32) for batch in batches]
    grids = calibrated(network, batches, recipe)
    grid, layers = grids[INPUT], []
    for layer in network.layers:
        layers.append(_quantized(layer, grid, grids.get(layer.name), recipe))
        grid = getattr(layers[-1], "y", grid)
    names = [layer.name for layer in layers]
    entry = Quantize(_free("input", names), grids[INPUT], before=network.before)
    exit = Dequantize(_free("output", names), grid, network.after)
    return Network(network.name, network.shape, entry, tuple(layers), exit)


def _quantized(layer, x, y, recipe):
    if isinstance(layer, FloatAveragePool):
        return AveragePool(layer.name, layer.window, recipe.platform or POOL, x, x)
    if not isinstance(layer, Linear):
        return layer
    weights = quantized_weights(layer.w, recipe.formats(layer.name)[0], recipe, least_scale=least_scale(layer, x))
    return product(layer, weights, x, y, recipe)


def _free(name, taken):
    while name in taken:
        name += "_"
    return name
