"""The options of `bittrue quantize`: each field of a recipe, and the recipe's file."""

import functools
import inspect
from pathlib import Path
from typing import Annotated

import typer

from golden.block_formats import NAMED_BLOCKS
from golden.ranges import METHODS
from network.arrays import KINDS
from network.quantizing.lowering import BUILDABLE
from network.quantizing.recipe import CORRECTIONS, DYNAMIC, EXACT, GRANULARITIES, SCALES, SCHEMES, LayerFormats, Recipe

from .errors import InputError, as_input_error
from .options import option
from .recipe_file import read_recipe

_FORMATS, _RANGES, _ARRAY = "Formats", "Ranges and corrections", "Array"
_RECIPE = inspect.Parameter(
    "recipe",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        Path | None,
        typer.Option(help="Recipe (TOML), as OUT/quantize.toml; flags win over it.", show_default=False),
    ],
)
_DEFAULT = Recipe()


def _of(name, kind, text, panel):
    default = getattr(_DEFAULT, name)
    told = "" if default is None else f" (default: {default})"
    return option(name, kind, f"{text}{told}.", panel)


_OPTIONS = [
    _of("weights", str, f"Format of weights, or blocks: {', '.join(NAMED_BLOCKS)}", _FORMATS),
    _of(
        "activations", str, "Format of activations: integer, fixed-point or bipolar; dynamic ones may be more", _FORMATS
    ),
    _of("output", str, f"Format of the last layer's outputs, or {EXACT}: its sums", _FORMATS),
    option("layer", list[str], "Formats of one layer: NAME:weights=int8,activations=uint8. Repeatable.", _FORMATS),
    _of("platform", str, f"Platform whose rules the hardware follows: {', '.join(BUILDABLE)}", _FORMATS),
    _of("granularity", str, f"What shares a scale of weights: {', '.join(GRANULARITIES)}", _RANGES),
    _of("group", int, "Weights along K in a group", _RANGES),
    _of("group_scale", str, "Format of the scales of groups (default: by the format of weights)", _RANGES),
    _of("weight_range", str, f"Range of weights: {', '.join(n for n in METHODS if n != 'moving_average')}", _RANGES),
    _of("activation_range", str, f"Range of activations: {', '.join((*METHODS, DYNAMIC))}", _RANGES),
    _of("percent", float, "Percentage that percentile covers", _RANGES),
    _of("bins", int, "Bins of the histograms of percentile and entropy", _RANGES),
    _of("scheme", str, f"Scale and zero point of a range: {', '.join(SCHEMES)} (default: by the platform)", _RANGES),
    _of("scales", str, f"Scales: {', '.join(SCALES)}", _RANGES),
    option("symmetric", bool, "Zero point 0 for activations of signed formats.", _RANGES),
    option("correct", list[str], f"Correction: {', '.join(CORRECTIONS)}. Repeatable.", _RANGES),
    _of("seed", int, "Seed of what is drawn at random", _RANGES),
    _of("array", str, f"Array that every layer runs on, but depthwise ones: {', '.join(KINDS)}", _ARRAY),
    _of("rows", int, "Its rows; matrix_vector has one", _ARRAY),
    _of("cols", int, "Its columns", _ARRAY),
    _of("lanes", int, "Its lanes: products per element and cycle", _ARRAY),
]
_NAMES = [one.name for one in _OPTIONS]


def takes_recipe(command):
    """Gives a command the options of a recipe in place of its parameter `recipe`."""

    @functools.wraps(command)
    def wrapped(**given):
        flags = {name: value for name in _NAMES if (value := given.pop(name)) is not None}
        return command(recipe=_recipe(given.pop("recipe"), flags), **given)

    own = [one for one in inspect.signature(command).parameters.values() if one.name != "recipe"]
    own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    vars(wrapped)["__signature__"] = inspect.Signature([*own, _RECIPE, *_OPTIONS])
    return wrapped


def _recipe(path, flags) -> Recipe:
    recipe = read_recipe(path) if path else _DEFAULT
    layers, corrections = flags.pop("layer", None), flags.pop("correct", None)
    if layers:
        given = [parse_layer(one) for one in layers]
        names = [name for name, _ in given]
        if twice := [name for name in names if names.count(name) > 1]:
            raise InputError(f"layer {twice[0]!r} is given {names.count(twice[0])} times; give it once")
        flags["layers"] = {**recipe.layers, **dict(given)}
    if corrections:
        flags["corrections"] = tuple(dict.fromkeys(corrections))
    with as_input_error(ValueError):
        return recipe.with_(**flags)


def parse_layer(text: str) -> tuple[str, LayerFormats]:
    """A layer's name and formats, written NAME:weights=int4,activations=uint4. Raises InputError."""
    name, _, rest = text.rpartition(":")
    given: dict[str, str] = {}
    for part in rest.split(","):
        key, _, fmt = part.partition("=")
        if not name or not fmt or key not in ("weights", "activations") or key in given:
            raise InputError(f"layer must be NAME:weights=FORMAT,activations=FORMAT, or one of the two, not {text!r}")
        given[key] = fmt
    return name, LayerFormats(**given)
