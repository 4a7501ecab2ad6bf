"""Post-training quantization: a network of real numbers and some of its inputs to one of codes."""

import numpy as np

from ..dynamic import RealEntry, RealExit
from ..float_network import FloatAveragePool, FloatNetwork, Linear
from ..layers import AveragePool, Dequantize, Quantize
from ..network import Network
from ..shapes import Transpose
from .adaround import adaptively_rounded
from .calibration import INPUT, calibrated
from .correction import DATA, Data, bias_corrected
from .dynamic import dynamic_product
from .equalize import equalized
from .lowering import least_scale, most_bias, product
from .recipe import Recipe
from .weights import quantized_weights

_TFLITE = ("litert-reference", "tflite", "cmsis", "tosa")
_QONNX = ("qonnx", "brevitas", "finn")


def quantizer(recipe: Recipe) -> str:
    """The row of golden.quantize.QUANTIZERS that makes codes of a network's inputs on the recipe's platform."""
    name = recipe.platform or ""
    if name in _QONNX:
        return "qonnx"
    if name.startswith(_TFLITE):
        return "tflite-reference"
    return "litert" if name.startswith("litert") else "onnx"


def quantize(network: FloatNetwork, batches, recipe: Recipe) -> Network:
    """The network in codes, as the recipe says, calibrated on batches of real inputs [B, *shape].

    Raises ValueError, naming layer, rule and value, for what no hardware or platform does.
    """
    batches = _checked(network, batches, recipe)
    if "equalize" in recipe.corrections:
        network = equalized(network)
    first, last = (_free(name, [layer.name for layer in network.layers]) for name in ("input", "output"))
    if recipe.is_dynamic:
        entry, exit = RealEntry(first, network.before), RealExit(last, network.after)
        return Network(network.name, network.shape, entry, _layers(network, entry, batches, {}, recipe), exit)
    grids = calibrated(network, batches, recipe)
    entry = Quantize(first, grids[INPUT], quantizer(recipe), network.before)
    layers = _layers(network, entry, batches, grids, recipe)
    grid = next((layer.y for layer in layers[::-1] if hasattr(layer, "y")), entry.y)
    _check_columns(network, grid)
    return Network(network.name, network.shape, entry, layers, Dequantize(last, grid, network.after))


def _layers(network, entry, batches, grids, recipe):
    """The layers in codes, one after the other: each is corrected with what those before it bring."""
    data, grid, layers = Data.at(entry, batches, recipe), entry.y, []
    for layer in network.layers:
        layers.append(_quantized(layer, grid, grids.get(layer.name), data, recipe))
        data = data.after(layer, layers[-1])
        grid = getattr(layers[-1], "y", grid)
    return tuple(layers)


def _checked(network, batches, recipe):
    """The batches as float32. Raises ValueError for none, for what does not fit the network, and for no finite ones."""
    if not network.linears:
        raise ValueError(f"network {network.name} has no linear layer to quantize")
    names = [layer.name for layer in network.linears]
    if unknown := sorted(set(recipe.layers) - set(names)):
        raise ValueError(f"layers: the network has no linear layer {unknown[0]!r}; it has {', '.join(names)}")
    for layer in network.linears:
        if not (np.isfinite(layer.w).all() and np.isfinite(layer.bias).all()):
            raise ValueError(f"layer {layer.name}: weights and biases must be finite")
    batches = [np.asarray(batch, np.float32) for batch in batches]
    if not batches and not (recipe.is_dynamic and not DATA & set(recipe.corrections)):
        raise ValueError("calibration needs one batch at least")
    for index, batch in enumerate(batches):
        if batch.shape[1:] != tuple(network.shape):
            wanted = ", ".join(map(str, network.shape))
            raise ValueError(f"calibration batch {index} must have shape [B, {wanted}], not {list(batch.shape)}")
        if not batch.size or not np.isfinite(batch).all():
            raise ValueError(f"calibration batch {index} must hold finite numbers, one at least")
    return batches


def _quantized(layer, x, y, data, recipe):
    if isinstance(layer, FloatAveragePool) and x is not None:
        return _pool(layer, x, x if y is None else y, recipe)
    if not isinstance(layer, Linear):
        return layer
    weights = _weights(layer, x, y, recipe)
    if "adaround" in recipe.corrections:
        weights = adaptively_rounded(layer, weights, data.inputs, data.values(x), seed=recipe.seed)
    if "bias" in recipe.corrections:
        layer = bias_corrected(layer, weights, data.inputs, data.values(x))
    return _product(layer, weights, x, y, recipe)


def _weights(layer, x, y, recipe):
    least = 0 if x is None else least_scale(layer, x, y, most_bias(layer, x, recipe))
    try:
        return quantized_weights(layer.w, recipe.formats(layer.name)[0], recipe, least_scale=least)
    except ValueError as error:
        raise ValueError(f"layer {layer.name}: {error}") from None


def _product(layer, weights, x, y, recipe):
    if recipe.is_dynamic:
        return dynamic_product(layer, weights, recipe)
    return product(layer, weights, x, y, recipe)


def _check_columns(network, grid):
    """Raises ValueError where what follows exact sums moves the columns, each with its scale, off the last axis."""
    if not grid.scale.ndim:
        return
    last = max(i for i, layer in enumerate(network.layers) if isinstance(layer, Linear))
    outputs = list(network.trace(np.zeros((1, *network.shape), np.float32)).values())
    for layer, x, y in zip(network.layers[last + 1 :], outputs[last:], outputs[last + 1 :], strict=False):
        moved = isinstance(layer, Transpose) and layer.axes[-1] != x.ndim - 1
        if moved or x.shape[-1] != y.shape[-1]:
            raise ValueError(
                f"layer {layer.name}: exact sums of a scale per column keep their last axis; give output a format"
            )


def _pool(layer, x, y, recipe):
    if x.scale.ndim:
        raise ValueError(f"layer {layer.name}: exact sums of a scale per column are not pooled; give output a format")
    return AveragePool(layer.name, layer.window, x, y, recipe.platform)


def _free(name, taken):
    while name in taken:
        name += "_"
    return name
