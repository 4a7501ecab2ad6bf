"""Reading npz files that may be damaged or hostile: plain arrays only, bounded."""

import warnings
import zipfile
from pathlib import Path

import numpy as np

from .errors import InputError, as_input_error, reason

MAX_BYTES = 1 << 30


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an npz file, by name. No pickles; at most MAX_BYTES unpacked. Raises InputError."""
    with as_input_error(OSError, prefix=f"cannot read {path}"):
        path.stat()
    if not path.is_file():
        raise InputError(f"cannot read {path}: not a file")
    try:
        with zipfile.ZipFile(path) as archive, warnings.catch_warnings(action="ignore"):
            return _arrays(path, archive)
    except InputError:
        raise
    except Exception as error:  # zipfile, its decompressors and numpy raise a dozen kinds on damaged files
        raise InputError(f"{path} is not a readable npz file: {reason(error)}") from error


def _arrays(path, archive):
    total = sum(member.file_size for member in archive.infolist())
    if total > MAX_BYTES:
        raise InputError(f"{path}: the arrays must have at most {MAX_BYTES} bytes in all, not {total}")
    arrays = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name in arrays:
            raise InputError(f"{path}: array {name!r} is there twice")
        try:
            arrays[name] = _array(archive, member)
        except ValueError as error:
            raise InputError(f"{path}: array {name!r} cannot be read: {reason(error)}") from error
    return arrays


def _array(archive, member):
    with archive.open(member) as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
        if file.read(1):
            raise ValueError("data after its end")
        return array
