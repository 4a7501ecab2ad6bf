"""How much each layer's formats matter: one layer quantized at a time, the others real or as the recipe has them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from ..dynamic import DynamicProduct
from ..elementwise import applied
from ..errors.ideal import activated
from ..errors.reference import Reference, compared, reference
from ..float_network import FloatNetwork
from ..measure import decibels
from ..network import Network
from ..quantizing.post_training import quantize
from ..quantizing.recipe import LayerFormats, Recipe

Scored = TypeVar("Scored")


@dataclass(frozen=True)
class Alone:
    """Of each product, by name: the sum of squares of the error at the network's outputs where it alone is quantized.

    signal : the sum of squares of the real network's outputs.
    """

    signal: float
    noise: dict[str, float]

    def sqnr(self, layer: str) -> float:
        """In dB; infinite where nothing is lost."""
        return decibels(self.signal, self.noise[layer])


def alone(network: Network, float_network: FloatNetwork, batches: Iterable) -> Alone:
    """What quantizing the inputs and the weights of one product costs, all else being real numbers.

    The inputs are codes on the product's grid, or by the range of the batch where that is dynamic; weights and biases
    are what their codes stand for; sums are exact, and outputs not quantized, which is the next layer's choice. Raises
    ValueError where the networks do not belong together.
    """
    real, noise, signal = reference(network, float_network), {}, 0.0
    for batch in batches:
        values = real.trace(np.asarray(batch))
        wanted = list(values.values())[-1]
        signal += float(np.square(wanted).sum())
        for name, outputs in _outputs(real, network, batch, values):
            noise[name] = noise.get(name, 0.0) + float(np.square(outputs - wanted).sum())
    return Alone(signal, noise)


def _outputs(real: Reference, network, x, values) -> Iterator[tuple[str, np.ndarray]]:
    """The last layer's outputs where each product alone is quantized, by its name; `values` are the real ones."""
    inputs = dict(zip(values, [real.entered(x), *list(values.values())[:-1]], strict=True))
    for layer in network.on_arrays:
        yield layer.name, real.onward(layer.name, _alone(real, layer, inputs[layer.name]))


def _alone(real, layer, x):
    """What a product gives for real inputs, which it takes as codes."""
    if isinstance(layer, DynamicProduct):
        return layer.fake(x)
    sums = layer.real_sums(layer.x.values(layer.x.codes(x)))
    return activated(layer, real.linears[layer.name], sums)


@dataclass(frozen=True)
class Sensitivity(Generic[Scored]):
    """One layer with formats of its own: how the network's outputs score where it alone is quantized (see `alone`), and
    where the others are quantized too, as the recipe says."""

    layer: str
    formats: LayerFormats
    alone: Scored
    others: Scored


def sensitivities(
    float_network: FloatNetwork,
    batches: list,
    recipe: Recipe,
    choices: Iterable[LayerFormats],
    x,
    score: Callable[[np.ndarray], Scored],
) -> tuple[Sensitivity[Scored], ...]:
    """Each product in turn with each choice of formats.

    batches : real inputs to calibrate on. x : real inputs [B, ...] to run. score : of the network's outputs for them.
    Raises ValueError for formats that a layer does not take.
    """
    found, real = [], compared(float_network, recipe)
    for layer in float_network.linears:
        for choice in choices:
            network = quantize(float_network, batches, recipe.with_(layers={**recipe.layers, layer.name: choice}))
            whole = reference(network, real)
            own = dict(_outputs(whole, network, x, whole.trace(x)))[layer.name]
            scored = score(applied(float_network.after, own)), score(network.run(x))
            found.append(Sensitivity(layer.name, choice, *scored))
    return tuple(found)
