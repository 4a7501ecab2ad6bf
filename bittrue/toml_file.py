"""TOML files that may be damaged or hostile: bounded, and every fault one line."""

import tomllib
from pathlib import Path

from .errors import InputError, as_input_error


def read_bounded(path: Path, most: int, what: str) -> bytes:
    """The bytes of a file, `most` of them at most; `what` it is, for the error. Raises InputError."""
    with as_input_error(OSError, prefix=f"cannot read {path}"), path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise InputError(f"{path}: {what} has at most {most} bytes")
    return content


def table_of(content: bytes, path: Path) -> dict:
    """The table that TOML stands for. Raises InputError, naming the file."""
    with as_input_error(ValueError, RecursionError, prefix=str(path)):
        return tomllib.loads(content.decode())


def read_table(path: Path, most: int, what: str) -> dict:
    """The table in a TOML file, likewise. Raises InputError."""
    return table_of(read_bounded(path, most, what), path)
