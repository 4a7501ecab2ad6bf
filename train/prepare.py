"""From a network of real numbers to modules to be trained, which begin as post-training quantization has it."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from golden.block_formats import NAMED_BLOCKS
from golden.formats import Bipolar, Codebook, Integer, Ternary, parse
from golden.spec import Spec
from network.elementwise import applied
from network.float_network import FloatNetwork, Linear
from network.grid import Grid
from network.layers import AveragePool, Dequantize, Product, Quantize
from network.quantizing.calibration import consumers
from network.quantizing.lowering import least_scale
from network.quantizing.post_training import quantize
from network.quantizing.recipe import EXACT, Recipe
from network.quantizing.weights import quantized_weights
from network.scales import POWER_OF_TWO

from .bounded import BOUNDS
from .layers import THRESHOLD_BITS, QuantConv2d, QuantDepthwise, QuantLinear
from .network import QuantNetwork
from .norm import BatchNorm, Bias
from .output import Output
from .shapes import Moved, QuantAveragePool
from .straight_through import STEP_GRADIENTS
from .weights import MeanWeights, RecipeWeights, SteppedWeights, TableWeights

STEPS = ("learned", "mean")
SIGN_CLIP = 1.0


@dataclass(frozen=True, kw_only=True)
class Method:
    """How layers are trained.

    steps : of bipolar and ternary weights: "learned", or "mean", from the mean of magnitudes (XNOR-Net, TWN). Other
        formats have learned steps or tables, blocks and groups those of the recipe.
    step_gradient : of the outputs' steps, a name of train.straight_through.STEP_GRADIENTS.
    narrow : names of the layers whose signed outputs leave the least code out; those of int2 are then ternary.
    batch_norm : names of the layers that get a batch norm, which begins as what it normalizes.
    accumulator : bits that the sums of every layer are held in by training, or None.
    bound : how, a name of train.bounded.BOUNDS.

    Raises ValueError naming field, rule and value.
    """

    steps: str = "learned"
    step_gradient: str = "lsq"
    narrow: Collection[str] = ()
    batch_norm: Collection[str] = ()
    accumulator: int | None = None
    bound: str = "norm"

    def __post_init__(self):
        for name, known in (("steps", STEPS), ("step_gradient", STEP_GRADIENTS), ("bound", BOUNDS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, not {getattr(self, name)!r}")
        if self.accumulator is not None and not 2 <= self.accumulator <= 63:
            raise ValueError(f"accumulator must be 2 to 63 bits, not {self.accumulator}")


def trainable(network: FloatNetwork, batches, recipe: Recipe, method: Method | None = None) -> QuantNetwork:
    """The network as modules, calibrated on batches of real inputs [B, *shape]; corrections are left to training.

    Before training its codes are those of network.quantizing.post_training.quantize, but of ternary weights with
    learned steps, of bounded weights and behind batch norm. Raises ValueError, naming layer, rule and value, for what
    no hardware does or `method` cannot train.
    """
    method = method or Method()
    if recipe.is_dynamic:
        raise ValueError("activation_range must be found from calibration data for training, not 'dynamic'")
    for field in ("batch_norm", "narrow"):
        if unknown := sorted(set(getattr(method, field)) - {layer.name for layer in network.linears}):
            raise ValueError(f"{field} names {unknown[0]!r}, which is no linear layer of network {network.name}")
    network = _with_signs(network, recipe, method)
    initial = quantize(network, batches, recipe.with_(corrections=()))
    x = applied(network.before, np.concatenate([np.asarray(batch, np.float32) for batch in batches]))
    layers = []
    for layer, quantized in zip(network.layers, initial.layers, strict=True):
        layers.append(_trained(layer, quantized, recipe, method, x))
        x = layer.run(x)
    assert isinstance(initial.entry, Quantize) and isinstance(initial.exit, Dequantize)
    return QuantNetwork(network.name, network.shape, initial.entry, layers, initial.exit)


def _with_signs(network, recipe, method):
    """Layers with batch norm and bipolar outputs lose the activation, whose place the sign takes."""
    takers = consumers(network)

    def signs(layer):
        taker = takers[layer.name]
        name = recipe.output if taker is None else recipe.formats(taker)[1]
        return name != EXACT and isinstance(parse(name), Bipolar) and layer.name in method.batch_norm

    kept = [
        replace(layer, activation="none") if isinstance(layer, Linear) and signs(layer) else layer
        for layer in network.layers
    ]
    return replace(network, layers=tuple(kept))


def _trained(layer, quantized, recipe, method, x):
    if isinstance(quantized, AveragePool):
        return QuantAveragePool(quantized)
    if not isinstance(quantized, Product):
        return Moved(layer)
    kind = QuantDepthwise if layer.depthwise else QuantConv2d if layer.window else QuantLinear
    y = None if quantized.spec.output is None else _output(layer, quantized.y, recipe, method)
    norm = batch_norm(layer, x, quantized.y) if layer.name in method.batch_norm else Bias(layer.bias)
    weights = _weights(layer, quantized.x, y and quantized.y, recipe, method)
    made = kind(layer, weights, norm, y, recipe, accumulator=method.accumulator)
    if layer.name in method.batch_norm and recipe.scales == POWER_OF_TWO and not made.thresholds:
        rule = f"have at most {THRESHOLD_BITS} bits behind batch norm where scales are powers of two"
        raise ValueError(f"layer {layer.name}: outputs must {rule}, not {quantized.y.fmt}")
    return made


def _output(layer, y, recipe, method):
    try:
        return Output(y, recipe, method.step_gradient, narrow=layer.name in method.narrow)
    except ValueError as error:
        raise ValueError(f"layer {layer.name}: {error}") from None


def _weights(layer: Linear, x: Grid, y: Grid | None, recipe: Recipe, method: Method) -> nn.Module:
    name = recipe.formats(layer.name)[0]
    initial = quantized_weights(layer.w, name, recipe, least_scale=least_scale(layer, x, y))
    fmt, in_blocks = initial.grid.fmt, name in NAMED_BLOCKS or "block" in initial.spec_fields
    if method.accumulator is not None:
        return _bounded(layer, initial, x, recipe, method)
    if in_blocks:
        return RecipeWeights(name, recipe)
    if isinstance(fmt, Codebook):
        return TableWeights(initial)
    if method.steps == "mean" and isinstance(fmt, Bipolar | Ternary):
        return MeanWeights(name, recipe, SIGN_CLIP if isinstance(fmt, Bipolar) else np.inf)
    return SteppedWeights(initial, recipe)


def _bounded(layer, initial, x, recipe, method):
    fmt = initial.grid.fmt
    if not isinstance(fmt, Integer) or not fmt.signed or "block" in initial.spec_fields:
        raise ValueError(f"layer {layer.name}: accumulators bound weights of signed integers without blocks, not {fmt}")
    spec = Spec(activations=x.fmt, weights=fmt, a_zero_point=x.zero_point != 0)
    kind, bound = BOUNDS[method.bound]
    most = bound(method.accumulator, spec.a_value_range)
    if not most:
        raise ValueError(
            f"layer {layer.name}: accumulator must hold one product of {x.fmt}, not {method.accumulator} bits"
        )
    return kind(initial, recipe, layer.w, most)


def batch_norm(layer: Linear, x, y: Grid) -> BatchNorm:
    """Batch norm with the statistics of a layer's sums of real x, which gives these sums and the bias again.

    Before a bipolar output it has mean 0 and deviation 1 instead, so that both codes are there.
    """
    sums = layer.sums(x).reshape(-1, layer.w.shape[1]).astype(np.float64)
    mean, variance = sums.mean(axis=0), sums.var(axis=0)
    norm = BatchNorm(np.ones_like(mean), np.zeros_like(mean), mean - layer.bias, variance)
    if not isinstance(y.fmt, Bipolar):
        norm.keep(mean)
    return norm
