"""The build folder: the whole record of a design and its runs. Every step reads from there.

design.toml   the resolved spec
NAME.v        the Verilog
manifest.json the spec, ports, bit map of every beat, accumulator, latency, cycles, tool versions, sha256 of the Verilog
report.html   the last comparison
runs/SIM/     inputs.npz, hardware.npz, results.xml, waves on request
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from golden.spec import Spec

from . import __version__
from .design import read_toml, to_spec, to_toml
from .errors import InputError, as_input_error, reason, writing
from .manifest import manifest

TEMPORARY = ".bittrue-"
REMOVALS = 50
REMOVAL_PAUSE_S = 0.1


@dataclass(frozen=True)
class Folder:
    """An opened build folder: the spec and the Verilog text that belongs to it."""

    path: Path
    spec: Spec
    verilog: str

    @property
    def sha256(self):
        return digest(self.verilog)

    def run(self, simulator):
        return self.path / "runs" / simulator


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def create(path: Path, spec: Spec, verilog: str) -> Folder:
    """Writes a build folder, whole or not at all. A build folder that is there already is replaced.

    Raises InputError where the place holds something else or cannot be written.
    """
    check_place(path)
    design = to_toml(spec)
    with replaced(path) as fresh:
        (fresh / "design.toml").write_text(design)
        (fresh / f"{spec.name}.v").write_text(verilog)
        (fresh / "manifest.json").write_text(json.dumps(manifest(spec, digest(verilog)), indent=2) + "\n")
    return Folder(path, spec, verilog)


def check_place(path: Path):
    """Raises InputError unless a build folder may be put there: nothing, an empty folder or another build folder."""
    check_free(path, "build", _is_build_folder)


def check_free(path: Path, kind: str, is_ours):
    """Raises InputError unless there is nothing at the path, an empty folder, or one of a kind that may be replaced."""
    with writing(path):
        try:
            path.stat()
        except FileNotFoundError:
            return
        free = path.is_dir() and (not any(path.iterdir()) or is_ours(path))
    if not free:
        raise InputError(f"{path} exists and is not a {kind} folder; give another --out")


@contextmanager
def replaced(path: Path):
    """A fresh folder that takes the place of `path` when the block ends well; else all stays as it was.

    Raises InputError where it cannot be written.
    """
    with writing(path):
        place = path.resolve()
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=place.parent))
        try:
            fresh.chmod(0o755)
            yield fresh
            _swap(fresh, place)
        finally:
            _remove(fresh)


def _remove(folder):
    """Deletes a folder, also one that a simulator, interrupted but not dead yet, still puts files into."""
    for _ in range(REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(REMOVAL_PAUSE_S)


def write_text(path: Path, text: str):
    """Writes a text file that appears whole or not at all. Raises InputError."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes):
    """Writes a file that appears whole or not at all. Raises InputError."""
    with writing(path):
        handle, name = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise


def _swap(fresh, path):
    """Puts the fresh folder in the place of the old one; what goes is deleted only after the new one is there."""
    old = fresh.with_name(f"{fresh.name}-old")
    try:
        if path.exists():
            os.rename(path, old)
        os.rename(fresh, path)
    except BaseException:
        if old.exists() and not path.exists():
            os.rename(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def open_folder(path: Path) -> Folder:
    """Opens a build folder; checks that it is whole, of this version, its Verilog untouched. Raises InputError."""
    if not (path / "manifest.json").is_file():
        raise InputError(f"{path} is not a build folder: no manifest.json; make one with bittrue generate --out {path}")
    try:
        record = _read_record(path)
    except (OSError, ValueError, RecursionError) as error:
        damage = f"{path}/manifest.json is damaged: {reason(error)}"
        raise InputError(f"{damage}; delete the folder and generate it again") from error
    if (made := record.get("bittrue")) != __version__:
        raise InputError(f"{path} was made by bittrue {made}, this is {__version__}; generate it again")
    given = read_toml(path / "design.toml")
    with as_input_error(InputError, prefix=f"{path}/design.toml"):
        spec = to_spec(given)
    with as_input_error(OSError, UnicodeDecodeError, prefix=f"cannot read {path}/{spec.name}.v"):
        verilog = (path / f"{spec.name}.v").read_bytes().decode()
    expected = manifest(spec, digest(verilog))
    if record.get("verilog") != expected["verilog"]:
        raise InputError(f"{path}/{spec.name}.v was edited since it was generated (sha256 differs); generate it again")
    if record | {"tools": None} != expected | {"tools": None}:
        raise InputError(f"{path}/design.toml and manifest.json do not belong together; generate it again")
    return Folder(path, spec, verilog)


def _read_record(path):
    record = json.loads((path / "manifest.json").read_bytes())
    if not isinstance(record, dict):
        raise ValueError("it must hold an object")
    return record


def _is_build_folder(path):
    try:
        return "bittrue" in _read_record(path)
    except (OSError, ValueError, RecursionError):
        return False
