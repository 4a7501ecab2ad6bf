"""What `bittrue search` prints: rich renderables for people, plain data for scripts."""

from dataclasses import asdict
from math import isfinite
from pathlib import Path

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from network.quantizing.recipe import LayerFormats

from .error_report import decibels
from .plots import front_plot
from .search_flow import Searched, Tried


def search_report(found: Searched, out: Path):
    """The front as far as it was tried, the choice, and where it was asked for each layer's sensitivity."""
    front, budget = found.search.front, found.budget
    exactly = "" if front.exact else ", thinned out"
    about = (
        f"{len(front.points)} choices of formats that no other beats in {budget.unit} and expected noise{exactly}; "
        f"{found.within} within {budget.most}, {len(found.tried)} of them run on {found.chosen.score.examples} examples"
    )
    kept = ", ".join(f"{name} {_told(own)}" for name, own in found.chosen.formats.items())
    choice = f"chosen: {kept} -> {out}"
    parts = [Text(about), _front(found), Text(choice)]
    return Group(*parts, *([_sensitivities(found)] if found.sensitivities else []))


def _told(formats: LayerFormats):
    return f"{formats.activations} x {formats.weights}"


def _front(found):
    labels = ["accuracy"] if found.chosen.score.correct is not None else []
    headers = ("", found.budget.unit, *found.search.names, "expected", "SQNR", *labels)
    table = Table(*(escape(one) for one in headers), "class as float", box=None)
    for one in found.tried:
        table.add_row(
            "*" if one is found.chosen else "",
            str(one.cost),
            *(_told(own) for own in one.formats.values()),
            decibels(one.expected),
            *_scored(one.score, labels),
        )
    return table


def _share(count, examples):
    return "-" if count is None else f"{100 * count / examples:.2f} %"


def _sensitivities(found):
    """One layer at a time."""
    labels = ["accuracy"] if found.chosen.score.correct is not None else []
    columns = ("SQNR", *labels, "class as float")
    table = Table("layer", "formats", *columns, *(f"{name} " for name in columns), box=None)
    recipe = found.search.recipe
    for one in found.sensitivities:
        weights, activations = one.formats.weights or recipe.weights, one.formats.activations or recipe.activations
        scores = (text for scored in (one.alone, one.others) for text in _scored(scored, labels))
        table.add_row(Text(one.layer), f"{activations} x {weights}", *scores)
    told = f"one layer at a time: the others real numbers; then the others {recipe.activations} x {recipe.weights}"
    return Group(Text("\n" + told), table)


def _scored(score, labels):
    accuracy = [_share(score.correct, score.examples)] if labels else []
    return decibels(score.sqnr), *accuracy, _share(score.same_class, score.examples)


def plot(found: Searched) -> bytes:
    """The front up to the budget and somewhat beyond, and what was measured."""
    expected = [(point.cost, found.search.sqnr(point)) for point in found.search.front.points]
    measured = [(one.cost, one.score.sqnr) for one in found.tried]
    chosen = found.chosen.cost, found.chosen.score.sqnr
    return front_plot(expected, measured, cost=found.budget.unit, budget=found.budget.most, chosen=chosen)


def as_json(found: Searched, out: Path):
    """The same as plain data; numbers that are infinite are null."""
    return {
        "folder": str(out),
        "budget": asdict(found.budget),
        "exact": found.search.front.exact,
        "front": [
            {
                "cost": point.cost,
                "expected_sqnr": _finite(found.search.sqnr(point)),
                "formats": _formats(found.search.formats(point)),
            }
            for point in found.search.front.points
        ],
        "tried": [_tried(one) for one in found.tried],
        "chosen": _tried(found.chosen),
        "sensitivities": [
            {
                "layer": one.layer,
                "formats": asdict(one.formats),
                "alone": _score(one.alone),
                "others_by_recipe": _score(one.others),
            }
            for one in found.sensitivities
        ],
    }


def _tried(one: Tried):
    return {
        "cost": one.cost,
        "formats": _formats(one.formats),
        "expected_sqnr": _finite(one.expected),
        "score": _score(one.score),
    }


def _formats(formats):
    return {name: asdict(own) for name, own in formats.items()}


def _score(score):
    return asdict(score) | {"sqnr": _finite(score.sqnr)}


def _finite(value):
    return value if isfinite(value) else None
