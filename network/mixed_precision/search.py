"""Mixed precision: formats for each layer of a network, so that it loses least under a budget."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from ..costs import Charge
from ..errors.reference import compared
from ..float_network import FloatNetwork
from ..measure import decibels
from ..network import Network
from ..quantizing.post_training import quantize
from ..quantizing.recipe import LayerFormats, Recipe
from .pareto import Front, Point, Tables, front
from .sensitivity import Alone, alone

Charges = Callable[[Network], Sequence[Charge]]


@dataclass(frozen=True)
class Search:
    """The front of all assignments of formats to layers, by cost and by expected noise.

    names : the layers, in order; options : what each may have. The noise expected of an assignment is the sum of what
    each layer causes alone (.sensitivity), as if their errors were independent; signal belongs to it.
    """

    recipe: Recipe
    names: tuple[str, ...]
    options: tuple[tuple[LayerFormats, ...], ...] = field(repr=False)
    tables: Tables = field(repr=False)
    signal: float
    front: Front

    def formats(self, point: Point) -> dict[str, LayerFormats]:
        """The formats of each layer."""
        chosen = zip(self.options, point.choices, strict=True)
        return {name: options[choice] for name, (options, choice) in zip(self.names, chosen, strict=True)}

    def recipe_of(self, point: Point) -> Recipe:
        """The recipe that quantizes to these formats."""
        return self.recipe.with_(layers=self.formats(point))

    def sqnr(self, point: Point) -> float:
        """Expected, in dB."""
        return decibels(self.signal, point.noise)

    def within(self, budget: int) -> tuple[Point, ...]:
        """Points of the front that cost no more, by rising cost."""
        return tuple(point for point in self.front.points if point.cost <= budget)


def choices(recipe: Recipe, weights: Sequence[str], activations: Sequence[str] = ()) -> tuple[LayerFormats, ...]:
    """All pairs of these formats; activations by default the recipe's."""
    pairs = product(dict.fromkeys(weights), dict.fromkeys(activations or (recipe.activations,)))
    return tuple(LayerFormats(weights=w, activations=a) for w, a in pairs)


def search(
    float_network: FloatNetwork, batches: list, recipe: Recipe, formats: Sequence[LayerFormats], charges: Charges
) -> Search:
    """All trades of a cost against expected noise, exactly (network.mixed_precision.pareto).

    batches : real inputs to calibrate on, and to expect noise of. formats : with weights and activations, what each
    layer may have; a layer that the recipe names keeps its own. charges : what each product of a network costs, which
    may depend on its own formats and on that of its outputs.

    Raises ValueError for formats that a layer does not take.
    """
    names = tuple(layer.name for layer in float_network.linears)
    options = tuple(_options(recipe, name, formats) for name in names)
    made = _Networks(float_network, batches, recipe, names, charges)
    noise = [
        np.array([made.alone(choice).noise[name] for choice in own]) for name, own in zip(names, options, strict=True)
    ]
    cost, peak = _charged(made, options)
    tables = Tables(tuple(noise), tuple(cost), tuple(peak))
    signal = made.alone(options[0][0]).signal
    return Search(recipe, names, options, tables, signal, front(tables))


def _options(recipe, name, formats):
    if name not in recipe.layers:
        return tuple(formats)
    weights, activations = recipe.formats(name)
    return (LayerFormats(weights=weights, activations=activations),)


def _charged(made, options):
    """Costs and peaks [choices, choices of the next layer] of each layer."""
    cost, peak = [], []
    for layer, (own, following) in enumerate(zip(options, (*options[1:], None), strict=True)):
        found = [
            [made.charges(choice, (after or choice).activations, layer % 2)[layer] for after in following or (None,)]
            for choice in own
        ]
        cost.append(np.array([[one.added for one in row] for row in found]))
        peak.append(np.array([[one.peak for one in row] for row in found]))
    return cost, peak


class _Networks:
    """Networks of few formats, and what the search must know of them, each quantized once.

    Every second layer has one choice, those between have other activations: so each pair of layers that follow each
    other is there.
    """

    def __init__(self, float_network, batches, recipe, names, charges):
        self._float_network, self._batches, self._recipe = float_network, batches, recipe
        self._names, self._charge = names, charges
        self._alone: dict[LayerFormats, Alone] = {}
        self._charges = {}

    def alone(self, choice) -> Alone:
        """Of the network all of whose layers have this choice."""
        if choice not in self._alone:
            network = self._quantized(dict.fromkeys(self._names, choice))
            self._alone[choice] = alone(network, compared(self._float_network, self._recipe), self._batches)
            self._charges[choice, choice.activations, 0] = self._charge(network)
        return self._alone[choice]

    def charges(self, choice, activations, parity) -> Sequence[Charge]:
        """Of the network whose layers of this parity have the choice, the others these activations."""
        key = choice, activations, parity if activations != choice.activations else 0
        if key not in self._charges:
            other = LayerFormats(weights=choice.weights, activations=activations)
            layers = {name: choice if place % 2 == parity else other for place, name in enumerate(self._names)}
            self._charges[key] = self._charge(self._quantized(layers))
        return self._charges[key]

    def _quantized(self, layers):
        return quantize(self._float_network, self._batches, self._recipe.with_(layers=layers))
