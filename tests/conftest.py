"""A build folder for the tests of the command line: made and simulated once, copied for each test."""

import shutil

import pytest
from commands import DESIGN, done, save
from simulation import missing


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
