"""Grids of a network's tensors, from what it computes on calibration data."""

import numpy as np

from golden.calibrate import choose
from golden.formats import Bipolar, Format, Integer, parse
from golden.ranges import METHODS

from .elementwise import applied
from .float_network import FloatAveragePool, FloatNetwork, Linear
from .grid import Grid
from .recipe import EXACT, Recipe

INPUT = ""
_TFLITE = ("tflite", "litert", "cmsis", "tosa")


def scheme(recipe: Recipe) -> str:
    """The recipe's row of golden.calibrate.SCHEMES: by default TFLite's on its platforms and their kin, else ONNX's."""
    return "tflite" if (recipe.platform or "").startswith(_TFLITE) else "onnxruntime"


def tensor_formats(network: FloatNetwork, recipe: Recipe) -> dict[str, str]:
    """Names of formats of the input, under INPUT, and of each layer's output: what the next linear layer takes.

    After the last linear layer it is the recipe's output, which may be EXACT.
    """
    names, found = [INPUT, *(layer.name for layer in network.layers)], {}
    wanted = recipe.output
    for layer, name in zip((*network.layers[::-1], None), names[::-1], strict=True):
        found[name] = wanted
        if isinstance(layer, Linear):
            wanted = recipe.formats(layer.name)[1]
    return found


def observed(network: FloatNetwork, batches) -> dict[str, list[np.ndarray]]:
    """float32 values of each batch at the input, under INPUT, and after each layer that computes."""
    found = {}
    for batch in batches:
        tensors = {INPUT: applied(network.before, batch)} | network.trace(batch)
        for name, values in tensors.items():
            found.setdefault(name, []).append(values)
    kept = {INPUT, *(layer.name for layer in network.layers if isinstance(layer, Linear | FloatAveragePool))}
    return {name: values for name, values in found.items() if name in kept}


def grid_of(batches, fmt: Format, recipe: Recipe) -> Grid:
    """The grid of one tensor in a format, from its values in each batch.

    Raises ValueError for formats that no layer's output has.
    """
    if isinstance(fmt, Bipolar):
        return Grid(fmt, np.float32(np.mean([np.abs(one).mean() for one in batches]) or 1))
    if not isinstance(fmt, Integer):
        raise ValueError(f"activations must be an integer, fixed-point or bipolar format, not {fmt}")
    if fmt.fraction:
        return Grid(fmt, np.float32(2.0**-fmt.fraction))
    symmetric = recipe.symmetric and fmt.signed
    lo, hi = METHODS[recipe.activation_range](batches)
    scale, zero_point = choose(scheme(recipe), lo, hi, str(fmt), symmetric=symmetric)
    return Grid(fmt, np.float32(scale), zero_point)


def calibrated(network: FloatNetwork, batches, recipe: Recipe) -> dict[str, Grid]:
    """The grid of the input, under INPUT, and of the output of each linear layer; not of one that leaves exact."""
    formats, values = tensor_formats(network, recipe), observed(network, batches)
    return {
        name: grid_of(values[name], parse(formats[name]), recipe)
        for name in (INPUT, *(layer.name for layer in network.linears))
        if formats[name] != EXACT
    }
