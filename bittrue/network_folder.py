"""The network folder: the whole record of a quantized network. Every step reads it from there.

network.toml              the layers in order, their attributes and grids; where it came from; sha256 of all parts
layers/NAME/design.toml   the resolved spec of a product, as bittrue generate takes it
layers/NAME/arrays.npz    what bittrue simulate takes beside `a`: w, bias, ...
model.onnx                the same network as an ONNX model, with QuantizeLinear and DequantizeLinear or, of dynamic
                          quantization, DynamicQuantizeLinear and products of integers; where ONNX has such
float.onnx                the float model that it was made of
quantize.toml             the recipe that it was made by
build/                    build folders and runs of its products, as bittrue evaluate leaves them
"""

import hashlib
import io
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from golden.spec import Spec
from network.example_shapes import example_shapes
from network.network import Network
from network.quantizing.recipe import Recipe

from . import __version__
from .design import read_toml, to_fields, to_spec, to_toml
from .errors import InputError, as_input_error
from .folder import check_free, replaced
from .network_checks import check_network
from .network_toml import folder_names, network_of, network_table
from .npz import read_npz
from .recipe_file import read_recipe, recipe_toml
from .toml_file import read_bounded, table_of, written

TABLE, QDQ, FLOAT, RECIPE = "network.toml", "model.onnx", "float.onnx", "quantize.toml"
MOST_TABLE_BYTES = 1 << 24
_SEAL = re.compile(rb'sha256 = "([0-9a-f]{64})"\n')
AGAIN = "quantize or import it again"


@dataclass(frozen=True)
class NetworkFolder:
    """An opened network folder. `source` says what the network was made of: its file, kind and sha256."""

    path: Path
    network: Network = field(repr=False)
    source: dict[str, Any]
    recipe: Recipe | None = None

    @property
    def float_model(self) -> Path | None:
        """The float model, where the folder has it."""
        return path if (path := self.path / FLOAT).is_file() else None

    @property
    def build(self) -> Path:
        return self.path / "build"

    @property
    def folders(self) -> dict[str, str]:
        """The name of the folder of each product."""
        return folder_names([layer.name for layer in self.network.on_arrays])

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Of what the network gives for one example."""
        return list(example_shapes(self.network).values())[-1]


def check_network_place(path: Path):
    """Raises InputError unless a network folder may be put there."""
    check_free(path, "network", lambda found: _is_sealed(found / TABLE))


def create_network(path: Path, network: Network, *, source: dict, recipe=None, models: dict[str, bytes]):
    """Writes a network folder, whole or not at all. A network folder that is there already is replaced.

    models : contents of QDQ and FLOAT, as far as there are such. Raises InputError where the place holds something
    else or cannot be written, and for layers that have no place in such a folder.
    """
    check_network_place(path)
    parts = _layer_parts(network) | models
    if recipe is not None:
        parts[RECIPE] = recipe_toml(recipe).encode()
    table = {"bittrue": __version__, "source": source, **network_table(network)}
    table["parts"] = {name: hashlib.sha256(content).hexdigest() for name, content in parts.items()}
    with replaced(path) as fresh:
        for name, content in {**parts, TABLE: _sealed(written(table))}.items():
            place = fresh / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
    return NetworkFolder(path, network, source, recipe)


def _layer_parts(network):
    names, parts = folder_names([layer.name for layer in network.on_arrays]), {}
    for layer in network.on_arrays:
        folder = f"layers/{names[layer.name]}"
        with as_input_error(InputError, prefix=f"layer {layer.name}"):
            parts[f"{folder}/design.toml"] = _design(layer.spec).encode()
        parts[f"{folder}/arrays.npz"] = _npz(layer.complete_arrays)
    return parts


def _design(spec):
    if to_spec(to_fields(spec)) != spec:
        raise InputError("its design is none that a design file gives")
    return to_toml(spec)


def _npz(arrays):
    file = io.BytesIO()
    narrow: dict[str, Any] = {name: _narrow(np.asarray(value)) for name, value in arrays.items()}
    np.savez_compressed(file, **narrow)
    return file.getvalue()


def _narrow(array):
    """Integers in as few bytes as hold them all; other arrays as they are."""
    if array.dtype.kind not in "iu" or not array.size:
        return array
    lo, hi = int(array.min()), int(array.max())
    for kind in ("i1", "u1", "i2", "u2", "i4", "u4"):
        if np.iinfo(kind).min <= lo and hi <= np.iinfo(kind).max:
            return array.astype(kind)
    return array


def _sealed(text):
    content = text.encode()
    return f'sha256 = "{hashlib.sha256(content).hexdigest()}"\n'.encode() + content


def _is_sealed(path):
    try:
        with path.open("rb") as file:
            return _SEAL.match(file.read(100)) is not None
    except OSError:
        return False


def open_network(path: Path) -> NetworkFolder:
    """Opens a network folder; checks that it is whole, of this version, nothing in it edited. Raises InputError."""
    if not (path / TABLE).is_file():
        made = "make one with bittrue quantize or bittrue import"
        raise InputError(f"{path} is not a network folder: no {TABLE}; {made}")
    table = _unsealed(path / TABLE)
    if (version := table.get("bittrue")) != __version__:
        raise InputError(f"{path} was made by bittrue {version}, this is {__version__}; {AGAIN}")
    recorded, source = (_table(table, name) for name in ("parts", "source"))
    _check_parts(path, recorded)
    with as_input_error(ValueError, prefix=str(path / TABLE)):
        network = network_of(table, lambda folder: _layer_of(path, folder, recorded))
        check_network(network)
    return NetworkFolder(path, network, source, read_recipe(path / RECIPE) if RECIPE in recorded else None)


def _unsealed(path) -> dict:
    content = read_bounded(path, MOST_TABLE_BYTES, "a network")
    seal = _SEAL.match(content)
    if seal is None:
        raise InputError(f"{path} is not as bittrue writes it; {AGAIN}")
    if hashlib.sha256(content[seal.end() :]).hexdigest() != seal[1].decode():
        raise InputError(f"{path} was edited since it was written (sha256 differs); {AGAIN}")
    return table_of(content, path)


def _table(table, name) -> dict:
    return found if isinstance(found := table.get(name), dict) else {}


_PART = re.compile(rf"{QDQ}|{FLOAT}|{RECIPE}|layers/[A-Za-z0-9][A-Za-z0-9._-]*/(design\.toml|arrays\.npz)")


def _check_parts(path, recorded):
    """Raises InputError for a part that is missing, was edited, or has no place in the folder."""
    for name, expected in recorded.items():
        if not _PART.fullmatch(name):
            raise InputError(f"{path / TABLE}: parts has an entry {name!r:.80}, which is no part of a network folder")
        with as_input_error(OSError, prefix=f"cannot read {path / name}"), (path / name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            raise InputError(f"{path / name} was edited since it was written (sha256 differs); {AGAIN}")
    for name in (QDQ, FLOAT, RECIPE):
        if name not in recorded and (path / name).exists():
            raise InputError(f"{path / name} is no part of this network, says {TABLE}; {AGAIN}")


def _layer_of(path, folder, recorded) -> tuple[Spec, dict]:
    design, arrays = (f"layers/{folder}/{name}" for name in ("design.toml", "arrays.npz"))
    for name in (design, arrays):
        if name not in recorded:
            raise ValueError(f"parts has no {name!r:.80}")
    with as_input_error(InputError, prefix=str(path / design)):
        spec = to_spec(read_toml(path / design))
    found = read_npz(path / arrays)
    return spec, {name: one.astype(np.int64) if one.dtype.kind in "iu" else one for name, one in found.items()}
