"""Where the error of a quantized network comes from: in each layer alone, and from layer to layer to the outputs.

The ingredients of the quantized network take the place of real numbers one by one (.exchange), in the order in which
they are computed. With y[0] what the real numbers give and y[i] what they give after i exchanges, the last of which
makes golden's codes, the share of exchange i is

    (sum (y[i] - y[0])^2 - sum (y[i-1] - y[0])^2) / sum (y[last] - y[0])^2

so shares add up to 1, and the mean changes to the mean error. An exchange that takes back some of the error of those
before it has a negative share. Another order would give other shares.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce

import numpy as np

from ..dynamic import DynamicProduct
from ..float_network import FloatAveragePool, FloatNetwork
from ..functions import Function
from ..layers import AveragePool, Product, Quantize
from ..measure import Error
from ..network import Network
from .dynamic_exchange import dynamic_stages, float_pool_stages, taken_stages
from .exchange import CAUSES, GROUPS, Stages, entry_stages, function_stages, input_stages, pool_stages, product_stages
from .reference import Reference, reference
from .spread import Spread

BATCH = 32
ON_REALS = DynamicProduct | FloatAveragePool
COMPUTING = Product | AveragePool | Function | ON_REALS
INPUT = ""  # in place of a layer's name: what reaches the first layer; exchanges of a layer's inputs


@dataclass(frozen=True)
class Change:
    """What one exchange does to some outputs.

    place : the layer, or INPUT of the network's or the layer's inputs; cause : a name of exchange.CAUSES.
    step : the outputs after it against those before it, in steps of their grid, if they have one.
    before, after : sum of squares of the error before and after it.
    """

    place: str
    cause: str
    step: Error = field(repr=False)
    before: float
    after: float

    @property
    def growth(self) -> float:
        """By how much the sum of squares of the error grows; negative where it falls."""
        return self.after - self.before

    def __add__(self, other: "Change") -> "Change":
        sums = self.step + other.step, self.before + other.before, self.after + other.after
        return Change(self.place, self.cause, *sums)


@dataclass(frozen=True)
class LayerErrors:
    """Errors of a layer's outputs, in steps of their grid, if they have one.

    accumulated : golden's outputs of the whole network against the real network's.
    local : this layer's alone, for the real network's inputs; None for layers that compute nothing.
    changes : the exchanges from the real layer to the local outputs, those of its inputs first.
    """

    name: str
    accumulated: Error
    local: Error | None = None
    changes: tuple[Change, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Anatomy:
    """Errors of the entry and of all layers, and the exchanges from the real network's outputs to golden's.

    weights_known : whether there was a float network, without which weights and biases count as exact.
    on_grids : whether layers give codes, so that errors are in steps; dynamic ones give real numbers.
    after : the steps that the network has behind its last layer; errors are those before them.
    """

    examples: int
    weights_known: bool
    on_grids: bool
    entry: LayerErrors
    layers: tuple[LayerErrors, ...]
    chain: tuple[Change, ...] = field(repr=False)
    after: tuple[str, ...] = ()

    @property
    def output(self) -> Error:
        """Of the last layer."""
        return (self.entry, *self.layers)[-1].accumulated


def shares(changes: Iterable[Change], total: float) -> dict[str, float]:
    """Each group's share of the sum of squares `total`, by the groups of exchange.GROUPS; zeros for total 0."""
    found = dict.fromkeys(GROUPS, 0.0)
    for change in changes:
        found[CAUSES[change.cause]] += change.growth / total if total else 0.0
    return found


def anatomy(network: Network, x, float_network: FloatNetwork | None = None, *, batch: int = BATCH) -> Anatomy:
    """The error of a network on inputs x [B, *shape] against the float network that it was made of.

    Without one, against its own real numbers: fake quantization without the quantization. Real numbers are float64;
    `batch` examples are computed at a time, and share their ranges where those are dynamic. Raises ValueError where
    the networks do not belong together, for no examples, and for tables.
    """
    x = np.asarray(x)
    if x.shape[1:] != network.shape or not len(x):
        wanted = ", ".join(map(str, network.shape))
        raise ValueError(f"inputs must have shape [B, {wanted}] with B at least 1, not {list(x.shape)}")
    real = reference(network, float_network)
    parts = [x[first : first + batch] for first in range(0, len(x), batch)]
    spreads = _spreads(real, parts)
    entry, layers, chain = reduce(_joined, (_part(network, real, spreads, part) for part in parts))
    on_grids, after = isinstance(network.entry, Quantize), tuple(step.operation for step in network.exit.after)
    return Anatomy(len(x), float_network is not None, on_grids, entry, tuple(layers), tuple(chain), after)


def _joined(one, other):
    return _sum_of(one[0], other[0]), list(map(_sum_of, one[1], other[1])), _sums_of(one[2], other[2])


def _sums_of(one, other):
    return [first + second for first, second in zip(one, other, strict=True)]


def _sum_of(one, other):
    local = one.local + other.local if one.local else None
    changes = tuple(_sums_of(one.changes, other.changes))
    return LayerErrors(one.name, one.accumulated + other.accumulated, local, changes)


def _spreads(real, parts) -> dict[str, Spread]:
    """How the real numbers spread that reach the first layer (INPUT) and that each layer gives."""
    ends = {}
    for values in (_values(real, part) for part in parts):
        for name, value in values.items():
            lo, hi = ends.get(name, (0.0, 0.0))
            ends[name] = min(lo, float(value.min())), max(hi, float(value.max()))
    spreads = {name: Spread.empty(*pair) for name, pair in ends.items()}
    for values in (_values(real, part) for part in parts):
        spreads = {name: spread.with_(values[name]) for name, spread in spreads.items()}
    return spreads


def _values(real, x):
    return {INPUT: real.entered(x), **real.trace(x)}


def _part(network, real, spreads, x):
    """Errors of the entry, of each layer, and the chain, of some examples."""
    values, codes = _values(real, x), network.entry.run(x)
    traced = {INPUT: codes, **network.trace(codes)}
    last = list(values)[-1]
    chain = _Chain(values[last], _step(network.grids[-1]))
    if isinstance(network.entry, Quantize):
        stages = entry_stages(network.entry, x, values[INPUT], spreads[INPUT])
        chain.take(INPUT, stages, lambda y: real.onward(INPUT, y))
    entry_error = _error(values[INPUT], codes, network.entry.y)
    entry = LayerErrors(network.entry.name, entry_error, entry_error)
    layers, before = [], INPUT
    for layer, grid in zip(network.layers, network.grids[1:], strict=True):
        name = layer.name
        if isinstance(layer, COMPUTING):
            for stages in (
                own_input_stages(real, layer, traced[before]),
                layer_stages(real, layer, traced[before], spreads[name]),
            ):
                chain.take(name, stages, lambda y, name=name: real.onward(name, y))
            _check_end(name, chain.reached, _values_of(grid, traced[name]))
        accumulated = _error(values[name], traced[name], grid)
        layers.append(_local(real, layer, values[before], values[name], spreads[before], spreads[name], accumulated))
        before = name
    return entry, layers, chain.changes


def _step(grid):
    return 1.0 if grid is None else grid.scale


def _values_of(grid, codes):
    """The real numbers that a layer gives: what its codes stand for, or themselves."""
    return np.asarray(codes, np.float64) if grid is None else grid.values(codes)


def _error(real, codes, grid):
    return Error.between(real, _values_of(grid, codes), _step(grid))


def own_input_stages(real: Reference, layer: COMPUTING, values) -> Stages:
    """The exchanges of inputs that a layer itself quantizes."""
    if isinstance(layer, DynamicProduct):
        yield from taken_stages(layer, real.linears.get(layer.name), values)


def layer_stages(real: Reference, layer: COMPUTING, codes, spread: Spread) -> Stages:
    """The exchanges of a layer for codes in, or for real numbers that it makes codes of."""
    match layer:
        case DynamicProduct():
            return dynamic_stages(layer, real.linears.get(layer.name), codes)
        case FloatAveragePool():
            return float_pool_stages(layer, codes)
        case Product():
            return product_stages(layer, real.linears.get(layer.name), codes, spread)
        case AveragePool():
            return pool_stages(layer, codes, spread)
    return function_stages(layer, codes, spread)


def _local(real, layer, x, y, x_spread, y_spread, accumulated):
    """A layer's errors, for real inputs x that give real outputs y."""
    if not isinstance(layer, COMPUTING):
        return LayerErrors(layer.name, accumulated)
    grid = getattr(layer, "y", None)
    chain = _Chain(y, _step(grid))
    if isinstance(layer, ON_REALS):
        codes = x.astype(np.float32)
        chain.take(INPUT, own_input_stages(real, layer, codes), lambda y: y)
    else:
        codes = layer.x.codes(x)
        chain.take(INPUT, input_stages(layer.x, x, x_spread), real.layers[layer.name].run)
    chain.take(layer.name, layer_stages(real, layer, codes, y_spread), lambda y: y)
    _check_end(layer.name, chain.reached, _values_of(grid, layer.run(codes)))
    return LayerErrors(layer.name, accumulated, Error.between(y, chain.reached, _step(grid)), tuple(chain.changes))


def _check_end(name, reached, golden):
    if not np.array_equal(reached, golden):
        raise ArithmeticError(f"layer {name}: the exchanges end at other numbers than golden's")


class _Chain:
    """Exchanges, one after the other, and what each does to outputs that are y without any."""

    def __init__(self, y, step):
        self._exact, self._outputs, self._noise = y, y, 0.0
        self._step = step
        self.reached = None
        self.changes: list[Change] = []

    def take(self, place, stages, onward):
        """Adds stages, of which `onward` makes the outputs; the last one stays in `reached`."""
        self.reached = None
        for cause, values in stages:
            same = self.reached is not None and np.array_equal(values, self.reached)
            outputs = self._outputs if same else onward(values)
            noise = float(np.square(outputs - self._exact).sum())
            step = Error.between(self._outputs, outputs, self._step)
            self.changes.append(Change(place, cause, step, self._noise, noise))
            self._outputs, self._noise, self.reached = outputs, noise, values
