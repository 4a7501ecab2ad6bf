"""The build folder: the whole record of a design and its runs. Every step reads from there.

design.toml   the resolved spec
NAME.v        the Verilog
manifest.json ports, bit map of every beat, accumulator, latency, cycles, tool versions, sha256 of the Verilog
runs/SIM/     inputs.npz, hardware.npz, results.xml, waves on request
"""

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from golden.spec import Spec

from . import __version__
from .design import read_toml, to_spec, to_toml
from .errors import InputError, as_input_error, writing
from .manifest import manifest


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
    if path.exists() and not _is_replaceable(path):
        raise InputError(f"{path} exists and is not a build folder; give another --out")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        try:
            fresh.chmod(0o755)
            (fresh / "design.toml").write_text(to_toml(spec))
            (fresh / f"{spec.name}.v").write_text(verilog)
            (fresh / "manifest.json").write_text(json.dumps(manifest(spec, digest(verilog)), indent=2) + "\n")
            _swap(fresh, path)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return Folder(path, spec, verilog)


def _is_replaceable(path):
    return path.is_dir() and (not any(path.iterdir()) or (path / "manifest.json").exists())


def _swap(fresh, path):
    """Puts the fresh folder in the place of the old one; what goes is deleted only after the new one is there."""
    old = fresh.with_name(f"{fresh.name}-old")
    if path.exists():
        os.rename(path, old)
    try:
        os.rename(fresh, path)
    except OSError:
        if old.exists():
            os.rename(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def open_folder(path: Path) -> Folder:
    """Opens a build folder; checks that it is whole, of this version, its Verilog untouched. Raises InputError."""
    if not (path / "manifest.json").is_file():
        raise InputError(f"{path} is not a build folder: no manifest.json; make one with bittrue generate --out {path}")
    with as_input_error(OSError, json.JSONDecodeError, UnicodeDecodeError, prefix=f"{path}/manifest.json"):
        record = json.loads((path / "manifest.json").read_text())
    if not isinstance(record, dict) or record.get("bittrue") != __version__:
        made = record.get("bittrue") if isinstance(record, dict) else None
        raise InputError(f"{path} was made by bittrue {made}, this is {__version__}; generate it again")
    spec = to_spec(read_toml(path / "design.toml"))
    with as_input_error(OSError, UnicodeDecodeError, prefix=f"cannot read {path}/{spec.name}.v"):
        verilog = (path / f"{spec.name}.v").read_text()
    if digest(verilog) != record.get("verilog", {}).get("sha256"):
        raise InputError(f"{path}/{spec.name}.v was edited since it was generated (sha256 differs); generate it again")
    if manifest(spec, digest(verilog)) | {"tools": None} != record | {"tools": None}:
        raise InputError(f"{path}/design.toml and manifest.json do not belong together; generate it again")
    return Folder(path, spec, verilog)
