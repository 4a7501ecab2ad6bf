"""Tables of functions: the file that `bittrue table` writes and `--table` reads."""

import io
from pathlib import Path

import numpy as np

from golden.formats import parse
from golden.tables import table

from .errors import InputError, as_input_error
from .folder import write_bytes
from .npz import read_npz


def write_table(path: Path, function: str, **numbers) -> tuple[int, ...]:
    """Makes a table of golden.tables and writes it with its formats; formats by name. Raises InputError."""
    names = {name: numbers[name] for name in ("x_format", "y_format")}
    formats = {}
    for name, text in names.items():
        with as_input_error(ValueError, prefix=name):
            formats[name] = parse(text)
    with as_input_error(ValueError):
        entries = table(function, **numbers | formats)
    file = io.BytesIO()
    np.savez(file, table=np.array(entries, np.int64), table_input=names["x_format"], output=names["y_format"])
    write_bytes(path, file.getvalue())
    return entries


def with_table(given: dict, path: Path) -> dict:
    """The fields with the table of an npz, and its formats where the npz names them. Raises InputError."""
    arrays = read_npz(path)
    entries = arrays.get("table")
    if entries is None or entries.ndim != 1 or entries.dtype.kind not in "iu":
        raise InputError(f"{path}: table must be there, a row of integers")
    result = {**given, "table": [int(entry) for entry in entries]}
    for name in ("table_input", "output"):
        if name in arrays:
            result[name] = _agreeing(path, name, str(arrays[name]), given.get(name))
    return result


def _agreeing(path, name, made, wanted):
    if wanted not in (None, made):
        raise InputError(f"{name} is {wanted!r}, but {path} was made for {made!r}")
    return made
