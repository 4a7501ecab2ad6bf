"""Which tests are long; and a build folder for the tests of the command line: made once, copied for each test."""

import shutil
from zlib import crc32

import pytest
from commands import DESIGN, done, save
from simulation import missing

WHOLE_ARRAYS = ("test_sim_array", "test_sim_axi", "test_sim_kinds", "test_sim_requantize", "test_sim_thresholds")
ONE_IN = 3


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of whole arrays in Verilator, which take long to compile, two designs in three are for `make test-all` only."""
    for item in items:
        if item.path.stem in WHOLE_ARRAYS and "verilator" in item.name and _left_out(item):
            item.add_marker("long")


def _left_out(item):
    """The same for all tests of a design, and every time; of each kind of array one layer stays."""
    given = getattr(getattr(item, "callspec", None), "params", {})
    if "layer" in given:
        return given["layer"] != "thresholds"
    return "name" in given and crc32(given["name"].encode()) % ONE_IN != 0


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    """A folder that holds design.toml, inputs.npz and a build folder x with a run of Icarus."""
    if reason := missing("icarus"):
        pytest.skip(reason)
    home = tmp_path_factory.mktemp("simulated")
    (home / "design.toml").write_text(DESIGN)
    save(home / "inputs.npz")
    done("generate", home / "design.toml", "--out", home / "x")
    done("simulate", home / "x", "--simulator", "icarus", "--inputs", home / "inputs.npz")
    return home


@pytest.fixture
def here(simulated, tmp_path, monkeypatch):
    """The working directory of a test: a copy of `simulated`."""
    shutil.copytree(simulated, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path
