"""A quantized network as the table of a network.toml, and back; the spec and the arrays of products lie beside it."""

import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np

from golden.spec import Spec
from network.dynamic import DynamicProduct, RealEntry, RealExit
from network.float_network import FloatAveragePool
from network.functions import Logistic, Rescale, Softmax
from network.grid import Grid
from network.layers import AveragePool, Dequantize, Product, Quantize
from network.network import Network
from network.quantized_weights import QuantizedWeights
from network.shapes import MaxPool, Reshape, Transpose

from .errors import InputError
from .one_row import one_row
from .plain import fields_of, made, plain, plain_fields, value_of

KINDS: dict[str, type] = {
    "quantize": Quantize,
    "product": Product,
    "average_pool": AveragePool,
    "max_pool": MaxPool,
    "transpose": Transpose,
    "reshape": Reshape,
    "rescale": Rescale,
    "softmax": Softmax,
    "logistic": Logistic,
    "dequantize": Dequantize,
    "real_entry": RealEntry,
    "dynamic_product": DynamicProduct,
    "float_average_pool": FloatAveragePool,
    "real_exit": RealExit,
}
ENTRIES, EXITS = (Quantize, RealEntry), (Dequantize, RealExit)
BETWEEN = tuple(kind for kind in KINDS.values() if kind not in (*ENTRIES, *EXITS))
BESIDE = ("spec", "arrays", "weights")
LONGEST_NAME = 60
Parts = Callable[[str], tuple[Spec, dict]]


def folder_names(names) -> dict[str, str]:
    """For each name of a layer the name of its folder: letters, digits, points, - and _; no two alike in any case."""
    found: dict[str, str] = {}
    for name in names:
        plain_name = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-")[:LONGEST_NAME] or "layer"
        taken = {one.lower() for one in found.values()}
        tried, count = plain_name, 1
        while tried.lower() in taken:
            count += 1
            tried = f"{plain_name}-{count}"
        found[name] = tried
    return found


def network_table(network: Network) -> dict:
    """The network as plain data, without spec and arrays of its products.

    The grid x that a layer takes is that of the codes before it, and is not there a second time. Raises InputError for
    layers that are not of KINDS.
    """
    check_kinds(network)
    entry, *layers, exit = (_layer_table(layer) for layer in network.steps)
    folders = folder_names([layer.name for layer in network.on_arrays])
    for table in layers:
        if table["name"] in folders:
            table["folder"] = folders[table["name"]]
    return {"name": network.name, "shape": list(network.shape), "entry": entry, "layers": layers, "exit": exit}


def check_kinds(network: Network):
    """Raises InputError for a network with layers that are not of KINDS."""
    for layer in network.steps:
        if type(layer) not in KINDS.values():
            raise InputError(f"layer {layer.name} is {type(layer).__name__}, which a network folder cannot hold")


def _layer_table(layer):
    kinds = {kind: name for name, kind in KINDS.items()}
    try:
        return {"kind": kinds[type(layer)], **plain_fields(layer, without=("x", *BESIDE)), **_beside(layer)}
    except TypeError as error:
        raise InputError(f"layer {layer.name}: {error}") from error


def _beside(layer):
    """What must be known of a product beside its files."""
    if not isinstance(layer, Product | DynamicProduct):
        return {}
    found = {"arrays": sorted(layer.arrays)}
    if isinstance(layer, DynamicProduct):
        given = {name: plain(one) for name, one in layer.weights.spec_fields.items()}
        found["weights"] = {"grid": plain(layer.weights.grid), **given}
    return found


def network_of(table: dict, parts: Parts) -> Network:
    """The network of a table; `parts` gives the spec and the complete arrays in the folder of a product.

    Raises ValueError, naming the place in the table, for whatever does not fit.
    """
    entry = _layer(table.get("entry"), "entry", ENTRIES, parts, None)
    grid, layers = entry.y, []
    for index, one in enumerate(_list(table, "layers")):
        layers.append(_layer(one, f"layers[{index}]", BETWEEN, parts, grid))
        grid = getattr(layers[-1], "y", grid)
    exit = _layer(table.get("exit"), "exit", EXITS, parts, grid)
    name, shape = table.get("name"), _list(table, "shape")
    if not isinstance(name, str) or not all(type(size) is int for size in shape):
        raise ValueError("name must be a string and shape a list of integers")
    network = Network(name, tuple(shape), entry, tuple(layers), exit)
    _check_folders(network, table["layers"])
    return network


def _list(table, name) -> list[Any]:
    value = table.get(name)
    if not isinstance(value, list):
        raise ValueError(f"{name} must be a list, not {value!r:.80}")
    return value


def _layer(table, where, wanted, parts, grid) -> Any:
    if not isinstance(table, dict):
        raise ValueError(f"{where} must be a table, not {table!r:.80}")
    table = dict(table)
    kind = KINDS.get(str(table.pop("kind", None)))
    if kind not in wanted or kind is None:
        names = ", ".join(name for name, one in KINDS.items() if one in wanted)
        raise ValueError(f"{where}.kind must be one of {names}")
    if kind in (Product, DynamicProduct):
        return _on_array(kind, table, where, parts, grid)
    given = {"x": grid} if "x" in {one.name for one in fields(kind)} else {}
    return made(kind, table, where, **given)


def _on_array(kind, table, where, parts, grid):
    folder = table.pop("folder", None)
    if not isinstance(folder, str):
        raise ValueError(f"{where} has no folder")
    spec, arrays = parts(folder)
    own = _list(table, "arrays")
    kept = {name: one for name, one in arrays.items() if name in own}
    if "w" not in kept or kept["w"].ndim != 2:
        raise ValueError(f"{where} has no matrix w")
    del table["arrays"]
    if kind is Product:
        layer = made(Product, table, where, x=grid, spec=spec, arrays=kept)
    else:
        weights = _weights(table.pop("weights", None), f"{where}.weights", kept)
        layer = made(DynamicProduct, table, where, spec=spec, weights=weights)
    _check_arrays(layer, arrays, f"layers/{folder}/arrays.npz")
    return layer


def _weights(table, where, arrays):
    if not isinstance(table, dict) or "grid" not in table:
        raise ValueError(f"{where} must be a table with a grid, not {table!r:.80}")
    given = {name: one for name, one in table.items() if name != "grid"}
    grid: Any = value_of(Grid, table["grid"], f"{where}.grid")
    return QuantizedWeights(fields_of(Spec, given, where), arrays, grid)


def _check_arrays(layer, arrays, path):
    """Raises ValueError for arrays that the design does not take, or that are not what the grids say."""
    complete = layer.complete_arrays
    if differing := [name for name in (*complete, *arrays) if not _same(complete.get(name), arrays.get(name))]:
        raise ValueError(f"{path}: {differing[0]} is not what the grids of the layer come to")
    try:
        one_row(layer.spec, arrays)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _same(one, other):
    return one is not None and other is not None and np.array_equal(one, other)


def _check_folders(network, tables):
    names = folder_names([layer.name for layer in network.on_arrays])
    for layer, table in zip(network.layers, tables, strict=True):
        if layer.name in names and table["folder"] != names[layer.name]:
            raise ValueError(f"the folder of layer {layer.name} must be {names[layer.name]}, not {table['folder']!r}")
