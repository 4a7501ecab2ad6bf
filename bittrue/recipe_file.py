"""The recipe of a quantization as TOML, and back: quantize.toml."""

from pathlib import Path

from network.quantizing.recipe import LayerFormats, Recipe

from .errors import InputError, as_input_error
from .plain import made, plain_fields
from .toml_file import read_table, written

MOST_BYTES = 1 << 20


def recipe_toml(recipe: Recipe) -> str:
    """The recipe as TOML; `read_recipe` of a file of it gives the same recipe."""
    return written(recipe_table(recipe))


def recipe_table(recipe: Recipe) -> dict:
    """The recipe as plain data."""
    layers = {name: plain_fields(own) for name, own in recipe.layers.items()}
    return plain_fields(recipe, without=("layers",)) | ({"layers": layers} if layers else {})


def read_recipe(path: Path) -> Recipe:
    """The recipe in a file; fields that are left out have their defaults. Raises InputError."""
    return recipe_of(read_table(path, MOST_BYTES, "a recipe"), path)


def recipe_of(table: dict, path: Path) -> Recipe:
    """The recipe of plain data from a file. Raises InputError."""
    own = table.pop("layers", {})
    if not isinstance(own, dict):
        raise InputError(f"{path}: layers must be a table, not {own!r:.80}")
    with as_input_error(ValueError, prefix=str(path)):
        layers = {name: made(LayerFormats, one, f"layers.{name}") for name, one in own.items()}
        return made(Recipe, table, "recipe", layers=layers)
