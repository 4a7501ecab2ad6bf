"""TOML files that may be damaged or hostile: bounded, and every fault one line."""

import re
import tomllib
from pathlib import Path

import tomli_w

from .errors import InputError, as_input_error

_ARRAY = re.compile(r"\[\n((?: +(?![ \]])[^\n]*,\n)+) *\]")


def written(table: dict) -> str:
    """The table as TOML, each array on one line."""
    text, flat = "", tomli_w.dumps(table)
    while text != flat:
        text, flat = flat, _ARRAY.sub(_on_one_line, flat)
    return flat


def _on_one_line(found):
    return f"[{', '.join(line.strip()[:-1] for line in found[1].splitlines())}]"


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
