"""Reading and writing npz files: plain arrays only, bounded, whole or not at all."""

import os
import tempfile
import zipfile
import zlib
from pathlib import Path

import numpy as np

from .errors import InputError, writing

MAX_ARRAY_BYTES = 1 << 32


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an npz file, by name. No pickles. Raises InputError."""
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.file_size > MAX_ARRAY_BYTES:
                    raise InputError(f"{path}: array {member.filename} has over {MAX_ARRAY_BYTES} bytes")
        with np.load(path, allow_pickle=False) as archive:
            return {name: _read(path, archive, name) for name in archive.files}
    except FileNotFoundError as error:
        raise InputError(f"cannot read {path}: no such file") from error
    except (OSError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path} is not a readable npz file: {' '.join(str(error).split())}") from error


def _read(path, archive, name):
    try:
        return archive[name]
    except ValueError as error:
        raise InputError(f"{path}: array {name} cannot be read: {' '.join(str(error).split())}") from error


def write_npz(path: Path, arrays: dict):
    """Writes an npz file that appears whole or not at all. Raises InputError where that fails."""
    with writing(path):
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez_compressed(file, **arrays)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
