"""Mixed precision for a float model: the front of costs and expected noise, what its best networks give, the choice."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from network.costs import Charge, memory_charges, total
from network.float_network import FloatNetwork
from network.mixed_precision.pareto import Point
from network.mixed_precision.search import Search, search
from network.mixed_precision.sensitivity import Sensitivity, sensitivities
from network.network import Network
from network.quantizing.post_training import quantize
from network.quantizing.recipe import LayerFormats, Recipe

from .data import Examples
from .errors import InputError, as_input_error
from .hardware_costs import Cycles, Luts
from .progress import Progress
from .scores import Score, boundary_of, score

CALIBRATION_BATCH = 32
UNITS = {"memory": "bits of memory", "luts": "LUTs", "cycles": "cycles"}
MOST_BUDGET = 1 << 62


@dataclass(frozen=True)
class Budget:
    """What a network may cost: a name of UNITS, and how much of it."""

    name: str
    most: int

    @property
    def unit(self) -> str:
        return UNITS[self.name]


def parse_budget(text: str) -> Budget:
    """A budget written NAME=NUMBER. Raises InputError."""
    name, _, number = text.partition("=")
    if name not in UNITS or not number.isascii() or not number.isdigit() or not 0 < int(number[:20]) <= MOST_BUDGET:
        raise InputError(f"budget must be {', '.join(f'{one}=NUMBER' for one in UNITS)}, not {text!r}")
    return Budget(name, int(number))


def charges_of(budget: Budget, *, examples: int, target: str) -> Callable[[Network], Sequence[Charge]]:
    """What the products of a network add to the cost that the budget is of."""
    makers = {
        "memory": lambda: memory_charges,
        "cycles": lambda: Cycles(examples).charges,
        "luts": lambda: Luts(target).charges,
    }
    return makers[budget.name]()


@dataclass(frozen=True)
class Tried:
    """A point of the front that was quantized and run: its cost, found again, and its score against the float model."""

    point: Point
    formats: dict[str, LayerFormats]
    expected: float
    cost: int
    score: Score


@dataclass(frozen=True)
class Searched:
    """The search, the points that were tried by rising cost, and the one chosen among them.

    sensitivities : each layer in turn with each choice of formats, the others by the recipe; where they were asked for.
    """

    search: Search = field(repr=False)
    budget: Budget
    within: int
    tried: tuple[Tried, ...]
    chosen: Tried
    sensitivities: tuple[Sensitivity[Score], ...] = ()

    @property
    def recipe(self) -> Recipe:
        """The recipe that quantizes to the chosen formats."""
        return self.search.recipe_of(self.chosen.point)


def searched(
    real: FloatNetwork,
    calibration: Examples,
    data: Examples,
    recipe: Recipe,
    formats: Sequence[LayerFormats],
    budget: Budget,
    charges: Callable[[Network], Sequence[Charge]],
    progress: Progress,
    *,
    tries: int,
    one_by_one: bool,
) -> Searched:
    """Searches, tries at most `tries` points within the budget, evenly spread over them and the last, and chooses.

    The choice is the point with most labels right, or without labels most classes as the float model has them; of
    equal ones that with the highest SQNR, then the cheapest. Raises InputError where nothing is within the budget, or
    where a layer does not take a format.
    """
    batches, wanted = calibration.batches(CALIBRATION_BATCH), real.run(data.x)
    boundary = boundary_of(real.layers, real.after)
    with progress.step("searching"), as_input_error(ValueError):
        found = search(real, batches, recipe, formats, charges)
    within = found.within(budget.most)
    if not within:
        least = found.front.points[0].cost
        raise InputError(f"budget is {budget.most} {budget.unit}, but no choice of formats takes less than {least}")
    chosen = np.unique(np.linspace(len(within) - 1, 0, tries).astype(int)) if tries > 1 else [len(within) - 1]

    def scored(outputs):
        return score(outputs, wanted, data.labels, boundary=boundary)

    with progress.step("running networks of the front"), as_input_error(ValueError):
        tried = []
        for point in (within[index] for index in chosen):
            network = quantize(real, batches, found.recipe_of(point))
            cost = total(charges(network))
            tried.append(Tried(point, found.formats(point), found.sqnr(point), cost, scored(network.run(data.x))))
    alone = ()
    if one_by_one:
        with progress.step("one layer at a time"), as_input_error(ValueError):
            alone = sensitivities(real, batches, recipe, formats, data.x, scored)
    return Searched(found, budget, len(within), tuple(tried), max(tried, key=_rank), alone)


def _rank(tried):
    own = tried.score
    right = own.same_class if own.correct is None else own.correct
    return right or 0, own.sqnr, -tried.cost
