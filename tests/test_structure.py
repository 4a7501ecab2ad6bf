"""Imports run one way: golden <- hdl <- sim <- bittrue, and golden <- network <- bittrue; network <- train."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
COCOTB = {"cocotb", "cocotb_bus", "cocotb_tools", "cocotbext"}
FORBIDDEN = {
    "golden": {"amaranth", "pyosys", "network", "hdl", "sim", "bittrue", "train", "torch", "onnx", *COCOTB},
    "network": {"amaranth", "pyosys", "hdl", "sim", "bittrue", "train", "torch", *COCOTB},
    "hdl": {"network", "sim", "bittrue", "train", "torch", *COCOTB},
    "sim": {"network", "bittrue", "train", "torch"},
    "bittrue": {"tests", "benchmarks", "train", "torch"},
    "train": {"amaranth", "pyosys", "hdl", "sim", "bittrue", "tests", "benchmarks", "examples", *COCOTB},
}


def imported(source):
    """Top-level names that Python source imports: by statement anywhere in it, or by name through a function."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=aliases):
                names |= {alias.name for alias in aliases}
            case ast.ImportFrom(module=str(module), level=0):
                names.add(module)
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(module)), *_],
            ):
                names.add(module)
    return {name.partition(".")[0] for name in names}


def violations(package, source):
    return imported(source) & FORBIDDEN[package]


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_run_one_way(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files, f"{package} holds no Python file"
    broken = {
        str(file.relative_to(ROOT)): sorted(found) for file in files if (found := violations(package, file.read_text()))
    }
    assert broken == {}


ROOMS = {
    **{"onnx": set(), "qonnx": {"onnx"}, "tflite": set(), "qdq": set()},
    **{"quantizing": set(), "errors": {"quantizing"}, "mixed_precision": {"quantizing", "errors"}},
}


def rooms_imported(source, inside):
    """Rooms of network that a module imports, relative or by full name; `inside` says whether it lies in one itself."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            full = node.level == 0 and (node.module or "").startswith("network.")
            module = (node.module or "").removeprefix("network.") if full else node.module or ""
            if full or node.level == 1 + inside:
                names += [module] if module else [alias.name for alias in node.names]
    return {name.partition(".")[0] for name in names} & set(ROOMS)


@pytest.mark.parametrize("room", ["", *ROOMS])
def test_rooms_of_network_import_one_way(room):
    """What lies in none uses none; the others only those that come before them."""
    files = sorted((ROOT / "network" / room).glob("*.py"))
    found = set().union(*(rooms_imported(file.read_text(), inside=bool(room)) for file in files))
    assert found - {room} <= ROOMS.get(room, set())


def test_what_is_installed_has_every_room():
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    there = {folder.parent.relative_to(ROOT) for folder in ROOT.rglob("__init__.py")}
    ours = {".".join(path.parts) for path in there if path.parts[0] in FORBIDDEN or path.parts[0] == "examples"}
    assert set(setup["packages"]) == ours


def test_network_has_no_other_rooms():
    assert {folder.parent.name for folder in (ROOT / "network").glob("*/__init__.py")} == set(ROOMS)


@pytest.mark.parametrize(
    ("source", "inside"),
    [("from .onnx.graph import Graph", False), ("from ..onnx.graph import Graph", True)]
    + [("from network.onnx import graph", True), ("from . import onnx", False), ("from .. import onnx", True)],
)
def test_an_import_of_a_room_is_seen(source, inside):
    assert rooms_imported(source, inside) == {"onnx"}


PLANTED = [
    ("golden", "import amaranth", "amaranth"),
    ("golden", "import amaranth.lib.wiring as wiring", "amaranth"),
    ("golden", "from cocotb.triggers import Timer", "cocotb"),
    ("golden", "import numpy, hdl.array", "hdl"),
    ("golden", "def late():\n    from sim import runner", "sim"),
    ("golden", "if True:\n    import bittrue", "bittrue"),
    ("golden", "import importlib\nimportlib.import_module('hdl.array')", "hdl"),
    ("golden", "from importlib import import_module\nimport_module('sim')", "sim"),
    ("golden", "__import__('bittrue')", "bittrue"),
    ("golden", "import onnx", "onnx"),
    ("network", "import amaranth", "amaranth"),
    ("network", "from hdl.kinds import kind_of", "hdl"),
    ("hdl", "from network.grid import Grid", "network"),
    ("sim", "import network", "network"),
    ("hdl", "from sim.runner import run", "sim"),
    ("hdl", "from bittrue import flow", "bittrue"),
    ("hdl", "import cocotb_tools.runner", "cocotb_tools"),
    ("sim", "import bittrue.__main__", "bittrue"),
    ("bittrue", "from tests import oracle", "tests"),
    ("bittrue", "def late():\n    import torch", "torch"),
    ("network", "from train.network import export", "train"),
    ("train", "from hdl.verilog import emit", "hdl"),
]


@pytest.mark.parametrize(("package", "source", "name"), PLANTED)
def test_a_planted_import_is_found(package, source, name):
    assert violations(package, source) == {name}


ALLOWED = [
    ("golden", "import numpy as np\nfrom .ops import where\nfrom . import spec\nfrom golden.spec import Spec"),
    ("golden", "simple = 'import sim'\nimport simplejson, hdlparse"),
    ("hdl", "import amaranth\nfrom golden.spec import Spec\nfrom .stream import Stream"),
    ("sim", "import cocotb\nfrom hdl.verilog import emit\nfrom golden.tensors import golden"),
    ("network", "import onnx\nfrom golden.spec import Spec"),
    ("bittrue", "import golden, network, hdl, sim"),
    ("train", "import torch\nfrom network.network import Network\nfrom golden.spec import Spec"),
]


@pytest.mark.parametrize(("package", "source"), ALLOWED)
def test_an_allowed_import_is_not_reported(package, source):
    assert violations(package, source) == set()
