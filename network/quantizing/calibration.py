"""Grids of a network's tensors, from what it computes on calibration data."""

import numpy as np

from golden.calibrate import choose
from golden.formats import Bipolar, Integer, parse
from golden.platform_table import PLATFORMS
from golden.ranges import METHODS, entropy, mean_square_error, moving_average, percentile

from ..elementwise import applied
from ..float_network import FloatAveragePool, FloatNetwork, Linear
from ..grid import Grid
from ..scales import POWER_OF_TWO, grid_scale
from .recipe import EXACT, Recipe
from .weight_range import levels

INPUT = ""
_TFLITE = ("tflite", "litert", "cmsis", "tosa")


def scheme(recipe: Recipe) -> str:
    """The recipe's row of golden.calibrate.SCHEMES: by default TFLite's on its platforms and their kin, else ONNX's."""
    return recipe.scheme or ("tflite" if (recipe.platform or "").startswith(_TFLITE) else "onnxruntime")


def consumers(network: FloatNetwork) -> dict[str, str | None]:
    """The linear layer that takes each tensor, behind pools and shapes; None after the last one.

    Tensors are named after the layer that gives them, the input INPUT.
    """
    found, taker = {}, None
    for layer in network.layers[::-1]:
        found[layer.name] = taker
        taker = layer.name if isinstance(layer, Linear) else taker
    return {**found, INPUT: taker}


def observed(network: FloatNetwork, batches) -> dict[str, list[np.ndarray]]:
    """float32 values of each batch at the input, under INPUT, and after each layer that computes.

    Raises ValueError, naming the layer, where they are not finite.
    """
    kept = [INPUT, *(layer.name for layer in network.layers if isinstance(layer, Linear | FloatAveragePool))]
    found: dict[str, list[np.ndarray]] = {name: [] for name in kept}
    for batch in batches:
        with np.errstate(all="ignore"):
            tensors = {INPUT: applied(network.before, batch), **network.trace(batch)}
        for name in found:
            if not np.isfinite(tensors[name]).all():
                where = f"layer {name}" if name else "input"
                raise ValueError(f"{where}: the float network has numbers there that are not finite")
            found[name].append(tensors[name])
    return found


def range_of(batches, fmt: Integer, recipe: Recipe) -> tuple[float, float]:
    """The range of one tensor to be quantized to some integers, by the recipe's row of golden.ranges.METHODS.

    Histograms are those of all batches at once, as onnxruntime.quantization has them.
    """
    symmetric = recipe.symmetric and fmt.signed
    if recipe.activation_range in ("percentile", "entropy"):
        batches = [np.concatenate([batch.reshape(-1) for batch in batches])]
    match recipe.activation_range:
        case "percentile":
            return percentile(batches, recipe.percent, recipe.bins, symmetric=symmetric)
        case "entropy":
            return entropy(batches, recipe.bins, levels(fmt.width))
        case "mse":
            return mean_square_error(
                batches, str(fmt), scheme(recipe), symmetric=symmetric, narrow=_narrow(recipe, symmetric)
            )
        case "moving_average":
            return moving_average(batches)
        case "minmax":
            return METHODS["minmax"](batches)
    raise ValueError(f"activation_range {recipe.activation_range!r} has no range that calibration finds")


def _narrow(recipe, symmetric):
    """ONNX Runtime leaves the least code out of symmetric ranges."""
    return symmetric and scheme(recipe) == "onnxruntime"


def grid_of(batches, format_name: str, recipe: Recipe) -> Grid:
    """The grid of one tensor in a format, from its values in each batch.

    Integers: scale and zero point of golden.calibrate.choose for `range_of`. Fixed point: 2**-fraction. Bipolar: the
    mean magnitude. Raises ValueError for other formats, which no layer's output has.
    """
    fmt = parse(format_name)
    if isinstance(fmt, Bipolar):
        magnitudes = np.concatenate([np.abs(batch).reshape(-1) for batch in batches])
        return Grid(fmt, grid_scale(magnitudes.mean(dtype=np.float64)))
    if not isinstance(fmt, Integer):
        raise ValueError(f"must be an integer, fixed-point or bipolar format, not {fmt}")
    if fmt.fraction:
        return Grid(fmt, np.asarray(2.0**-fmt.fraction))
    return _chosen(*range_of(batches, fmt, recipe), fmt, recipe)


def _chosen(lo, hi, fmt, recipe):
    symmetric = recipe.symmetric and fmt.signed
    scale, zero_point = choose(scheme(recipe), lo, hi, str(fmt), symmetric=symmetric, narrow=_narrow(recipe, symmetric))
    if recipe.scales != POWER_OF_TWO:
        return Grid(fmt, np.asarray(scale), zero_point)
    scale = grid_scale(scale, POWER_OF_TWO)
    return Grid(fmt, scale, 0 if symmetric else int(np.rint(fmt.code_range[0] - min(lo, 0) / scale)))


def calibrated(network: FloatNetwork, batches, recipe: Recipe) -> dict[str, Grid]:
    """The grid of the input, under INPUT, and of the output of each linear layer and each average pool.

    A pool of exact sums, which the recipe's output may be, and that layer itself have none here. Raises ValueError
    naming the layer.
    """
    values, takers, found = observed(network, batches), consumers(network), {}
    exact = recipe.output == EXACT
    for name in (INPUT, *(layer.name for layer in network.linears)):
        if takers[name] is not None or not exact:
            found[name] = _of(values[name], takers[name], recipe)
    x = found[INPUT]
    if isinstance(x.fmt, Bipolar) and all(batch.min() >= 0 for batch in values[INPUT]):
        raise ValueError(f"layer {takers[INPUT]}: bipolar inputs would all be +1: none is negative")
    for layer in network.layers:
        if isinstance(layer, FloatAveragePool) and x is not None:
            found[layer.name] = _pooled(layer, x, values[layer.name], takers[layer.name], recipe)
        x = found.get(layer.name, None if isinstance(layer, Linear) else x)
    return found


def _of(values, taker, recipe):
    """The grid of what a layer takes, or of the network's output."""
    where = "output" if taker is None else f"layer {taker}: activations"
    try:
        return grid_of(values, recipe.output if taker is None else recipe.formats(taker)[1], recipe)
    except ValueError as error:
        raise ValueError(f"{where} {error}") from None


def _pooled(layer, x, values, taker, recipe):
    """The grid after an average pool: x where it works on codes, a multiple of its scale, or one of its own."""
    if recipe.platform is None:
        return x
    rule = PLATFORMS[recipe.platform].pool
    if rule is None:
        raise ValueError(f"layer {layer.name}: platform {recipe.platform!r} has no rule for average pooling")
    if rule == "float32":
        return _of(values, taker, recipe)
    return _shifted(layer, x) if rule == "shift" else x


def _shifted(layer, x):
    """Sums of n codes shifted right by the bits they are wider: n / 2**bits of them count as one step of the mean."""
    count = int(np.prod(layer.window.kernel))
    if x.zero_point or np.any(layer.window.padding):
        raise ValueError(f"layer {layer.name}: average pooling by a shift takes neither zero points nor padding")
    bits = (((1 << x.fmt.width) - 1) * count).bit_length() - x.fmt.width
    return Grid(x.fmt, x.scale * np.float64(2.0**bits / count))
