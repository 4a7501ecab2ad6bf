"""Imports run one way: golden <- hdl <- sim <- bittrue, and golden <- network <- bittrue; network <- train."""

import ast
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
