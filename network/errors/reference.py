"""The real numbers that a quantized network stands for, layer by layer."""

from dataclasses import dataclass, field

import numpy as np

from golden.formats import Integer

from ..dynamic import DynamicProduct
from ..elementwise import Step, applied
from ..float_network import FloatNetwork, Linear
from ..functions import Function
from ..layers import BOUNDS, AveragePool, Product, mean
from ..network import Network
from ..quantizing.equalize import equalized
from ..quantizing.recipe import Recipe

OWN = Product | DynamicProduct | AveragePool | Function


@dataclass(frozen=True, eq=False)
class OwnNumbers:
    """A quantized layer on real numbers: with its weights and biases as they are, its outputs not quantized."""

    layer: OWN

    def run(self, x) -> np.ndarray:
        """float64. Raises ValueError for a table, whose function the design does not say."""
        match self.layer:
            case Product():
                return outputs(self.layer, self.layer.real_sums(x))
            case DynamicProduct():
                rows = self.layer.rows(x).astype(np.float64)
                return self.layer.finished(self.layer.real_sums(rows, self.layer.weights.real) + self.layer.bias, x)
            case AveragePool():
                return mean(self.layer.window, x)
        return self.layer.real(x)


def outputs(layer: Product, sums) -> np.ndarray:
    """Real outputs [..., N] of a product, float64, before they are quantized, for real sums with their biases.

    By the layer's float32 steps where it has some, else by its activation. What platforms have in its place counts as
    one too: a clip within the output's codes, and codes that begin at zero. Raises ValueError for a table.
    """
    if layer.spec.table is not None:
        raise ValueError(f"layer {layer.name}: a table has no function of real numbers")
    if layer.real is not None:
        return applied(layer.real.before, sums).astype(np.float64)
    least, most = _ends(layer)
    return np.clip(np.clip(sums, *BOUNDS[layer.spec.activation]), least, most)


def _ends(layer):
    """Real values of the ends of the output's codes, where they are an activation's."""
    if not isinstance(layer.y.fmt, Integer):
        return BOUNDS["none"]
    (lo, hi), (least, most) = layer.spec.clip_range, layer.spec.code.code_range
    bounds_below = lo != least or lo == layer.y.zero_point
    return [
        float(layer.y.values(lo)) if bounds_below else -np.inf,
        float(layer.y.values(hi)) if hi != most else np.inf,
    ]


@dataclass(frozen=True, eq=False)
class Reference:
    """What the layers of a quantized network do to real numbers, by their names, float64; `before` in float32.

    `linears` are the layers of the float network that products were made of; without one, weights and biases count as
    what they are, and products stand for themselves.
    """

    before: tuple[Step, ...]
    layers: dict = field(repr=False)
    linears: dict[str, Linear] = field(repr=False)

    def entered(self, x) -> np.ndarray:
        """What reaches the first layer, for inputs x."""
        return applied(self.before, x).astype(np.float64)

    def trace(self, x) -> dict[str, np.ndarray]:
        """Real numbers after each layer, for inputs x."""
        x, found = self.entered(x), {}
        for name, layer in self.layers.items():
            x = found[name] = layer.run(x)
        return found

    def onward(self, name, x) -> np.ndarray:
        """The last layer's outputs, for what layer `name` gives, or ("") for what reaches the first one."""
        names = list(self.layers)
        for later in names[names.index(name) + 1 if name else 0 :]:
            x = self.layers[later].run(x)
        return x


def reference(network: Network, float_network: FloatNetwork | None = None) -> Reference:
    """Of the float network that a quantized one was made of, or of the quantized one's own numbers.

    Raises ValueError where the layers of both do not have the same names and kinds in the same order.
    """
    if float_network is None:
        layers = {layer.name: OwnNumbers(layer) if isinstance(layer, OWN) else layer for layer in network.layers}
        return Reference(network.entry.before, layers, {})
    _check_alike(network, float_network)
    layers = {layer.name: layer for layer in float_network.layers}
    return Reference(float_network.before, layers, {layer.name: layer for layer in float_network.linears})


def compared(float_network: FloatNetwork, recipe: Recipe) -> FloatNetwork:
    """The float network whose layers those of a network quantized by this recipe stand for: equalized, or as it is."""
    return equalized(float_network) if "equalize" in recipe.corrections else float_network


def _check_alike(network, float_network):
    pair = network.layers, float_network.layers
    names, wanted = ([layer.name for layer in layers] for layers in pair)
    if names != wanted:
        told = f"{', '.join(names)} and {', '.join(wanted)}"
        raise ValueError(f"layers of the quantized and of the float network must have the same names, not {told}")
    for layer, real in zip(*pair, strict=True):
        if isinstance(layer, Product | DynamicProduct) != isinstance(real, Linear):
            raise ValueError(f"layer {layer.name}: {_kind(layer)} does not stand for {_kind(real)}")
        if isinstance(real, Linear) and np.shape(layer.arrays["w"]) != real.w.shape:
            shapes = f"{list(np.shape(layer.arrays['w']))} and {list(real.w.shape)}"
            raise ValueError(f"layer {layer.name}: weights must have one shape, not {shapes}")


def _kind(layer):
    return type(layer).__name__
