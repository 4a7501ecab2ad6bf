"""The build folder: whole or not at all, never at the cost of what is not ours, refused when tampered with."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from commands import command, done, refusal, tree
from simulation import missing

from bittrue import __version__, flows, folder
from bittrue.errors import InputError
from bittrue.folder import create, open_folder, replaced
from sim.simulators import SimulationError

SMALL = ("--activations", "int2", "--weights", "int2", "--rows", "1", "--cols", "1", "--depth", "4")
ICARUS = ("--simulator", "icarus")
FOREIGN = "exists and is not a build folder; give another --out"
AGAIN = "generate it again"


def edit(name, old, new):
    path = Path("x") / name
    text = path.read_text()
    assert old in text
    path.write_bytes(text.replace(old, new, 1).encode())


def edit_manifest(**changes):
    path = Path("x/manifest.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def truncate(name):
    path = Path("x") / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGED = "x/manifest.json is damaged:"
DELETE = "; delete the folder and generate it again"
EDITED = f"x/mac_array.v was edited since it was generated (sha256 differs); {AGAIN}"
APART = f"x/design.toml and manifest.json do not belong together; {AGAIN}"
TAMPERED = {
    "another version": (
        lambda: edit_manifest(bittrue="0.0.1"),
        f"x was made by bittrue 0.0.1, this is {__version__}; {AGAIN}",
    ),
    "no version": (
        lambda: Path("x/manifest.json").write_text("{}"),
        f"x was made by bittrue None, this is {__version__}; {AGAIN}",
    ),
    "no object": (lambda: Path("x/manifest.json").write_text("[]"), f"{DAMAGED} it must hold an object{DELETE}"),
    "empty": (
        lambda: Path("x/manifest.json").write_text(""),
        f"{DAMAGED} Expecting value: line 1 column 1 (char 0){DELETE}",
    ),
    "Verilog": (lambda: edit("mac_array.v", "endmodule", "endmodule // mine"), EDITED),
    "line ends": (lambda: edit("mac_array.v", "\n", "\r\n"), EDITED),
    "truncated Verilog": (lambda: truncate("mac_array.v"), EDITED),
    "no Verilog": (Path("x/mac_array.v").unlink, "cannot read x/mac_array.v: No such file or directory"),
    "hash": (lambda: edit_manifest(verilog=[]), EDITED),
    "design": (lambda: edit("design.toml", "half_even", "half_up"), APART),
    "manifest": (lambda: edit_manifest(timing={}), APART),
    "wrong design": (
        lambda: edit("design.toml", "rows = 2", "rows = 0"),
        "x/design.toml: rows must be positive, not 0",
    ),
    "no design": (Path("x/design.toml").unlink, "cannot read x/design.toml: No such file or directory"),
    "no manifest": (
        Path("x/manifest.json").unlink,
        "x is not a build folder: no manifest.json; make one with bittrue generate --out x",
    ),
}


@pytest.mark.parametrize(("damage", "message"), TAMPERED.values(), ids=TAMPERED)
def test_a_tampered_folder_is_refused(here, damage, message):
    damage()
    assert refusal(here, "simulate", "x", *ICARUS) == message
    assert refusal(here, "compare", "x") == message


def test_a_truncated_manifest_is_refused(here):
    truncate("manifest.json")
    message = refusal(here, "compare", "x")
    assert message.startswith(DAMAGED) and message.endswith(DELETE)
    assert refusal(here, "generate", *SMALL, "--out", "x") == f"x {FOREIGN}"


def test_compare_needs_a_run_of_this_verilog(here):
    shutil.move("x/runs", "runs")
    assert refusal(here, "compare", "x") == (
        "x/runs/verilator/hardware.npz is not there; run bittrue simulate x --simulator verilator"
    )
    done("generate", *SMALL, "--out", "x")
    shutil.move("runs", "x/runs")
    assert refusal(here, "compare", "x") == (
        "x/runs/icarus/hardware.npz comes from another Verilog; run bittrue simulate x again"
    )


def test_a_run_whose_record_is_damaged_is_refused(here):
    path = Path("x/runs/icarus/hardware.npz")
    with np.load(path) as file:
        record = dict(file)
    np.savez(path, **{name: value for name, value in record.items() if name != "y"})
    assert refusal(here, "compare", "x") == f"{path}: y: array missing"
    path.with_name("waves.fst").touch()
    np.savez(path, **record | {"beat_cycles": []})
    assert refusal(here, "compare", "x") == (f"{path}: beat_cycles: index 0 is out of bounds for axis 0 with size 0")


def test_a_build_folder_is_replaced_whole(here):
    Path("x/mine.txt").write_text("mine")
    done("generate", *SMALL, "--name", "top", "--out", "x")
    assert sorted(tree(here / "x")) == ["design.toml", "manifest.json", "top.v"]
    assert sorted(path.name for path in here.iterdir()) == ["design.toml", "inputs.npz", "x"]


def test_a_link_to_a_build_folder_stays_a_link(here):
    Path("link").symlink_to("x")
    done("generate", *SMALL, "--out", "link")
    assert Path("link").is_symlink() and open_folder(Path("x")).spec.rows == 1


@pytest.mark.parametrize("content", ['{"name": "web application"}', "no JSON", "[" * 100_000])
def test_a_folder_with_a_foreign_manifest_is_left_alone(here, content):
    Path("y").mkdir()
    Path("y/manifest.json").write_text(content)
    Path("y/precious").write_text("mine")
    assert refusal(here, "generate", *SMALL, "--out", "y") == f"y {FOREIGN}"


def test_other_places_are_left_alone(here):
    assert refusal(here, "generate", *SMALL, "--out", ".") == f". {FOREIGN}"
    assert refusal(here, "generate", *SMALL, "--out", "inputs.npz") == f"inputs.npz {FOREIGN}"
    assert refusal(here, "generate", *SMALL, "--out", "inputs.npz/x") == "cannot write inputs.npz/x: Not a directory"
    assert refusal(here, "run", "design.toml", *ICARUS, "--out", "inputs.npz") == f"inputs.npz {FOREIGN}"


def test_an_empty_folder_is_filled(here):
    Path("y").mkdir()
    done("generate", *SMALL, "--out", "y")
    assert open_folder(Path("y")).spec.rows == 1


@pytest.mark.parametrize("failing", [1, 2])
def test_a_failure_to_move_restores_the_old_folder(here, monkeypatch, failing):
    moves, rename = [], os.rename

    def fail(source, target):
        moves.append(target)
        if len(moves) == failing:
            raise OSError(30, "Read-only file system")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail)
    assert refusal(here, "generate", *SMALL, "--out", "x") == "cannot write x: Read-only file system"
    assert len(moves) >= failing


def test_an_interruption_restores_the_old_folder(here, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    before = tree(here)
    monkeypatch.setattr(folder, "manifest", interrupted)
    with pytest.raises(KeyboardInterrupt):
        create(Path("x"), open_folder_spec(), "module x; endmodule")
    assert tree(here) == before
    with pytest.raises(KeyboardInterrupt), replaced(Path("new/y")) as fresh:
        (fresh / "half").write_text("written")
        raise KeyboardInterrupt
    assert tree(here / "new") == {}


def open_folder_spec():
    return folder.to_spec(folder.read_toml(Path("x/design.toml")))


def test_ctrl_c_leaves_the_last_run_and_nothing_else(here):
    before = tree(here)
    bench = subprocess.Popen(
        [sys.executable, "-m", "bittrue", "simulate", "x", *ICARUS, "--random", "300000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    deadline = time.monotonic() + 120
    while not list(Path("x/runs").glob(f"{folder.TEMPORARY}*/y.hex")):
        assert bench.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(bench.pid, signal.SIGINT)
    out, err = bench.communicate(timeout=60)
    assert (bench.returncode, out, err.strip()) == (130, b"", b"")
    assert tree(here) == before


def test_a_run_that_fails_leaves_its_log_and_no_outputs(here, monkeypatch):
    def failing(built, spec, given, run, **options):
        (run / "simulation.log").write_text("it went wrong")
        raise SimulationError(f"icarus stopped (log: {run}/simulation.log)")

    monkeypatch.setattr(flows, "replay", failing)
    result = command("simulate", "x", *ICARUS, "--inputs", "inputs.npz")
    message = "bittrue: icarus stopped (log: x/runs/icarus/simulation.log)\n"
    assert (result.code, result.out, result.err) == (2, "", message)
    assert tree(here / "x" / "runs") == {"icarus": False, "icarus/simulation.log": b"it went wrong"}


@pytest.fixture
def tiny(tmp_path):
    """A file system of 64 KB."""
    place = tmp_path / "tiny"
    place.mkdir()
    mount = shutil.which("mount")
    if (
        not mount
        or subprocess.run([mount, "-t", "tmpfs", "-o", "size=64k", "none", place], capture_output=True).returncode
    ):
        pytest.skip("no tmpfs can be mounted here: run as root, outside a container")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_leaves_nothing(tiny):
    (tiny / "ballast").write_bytes(bytes(48 << 10))
    assert refusal(tiny, "generate", *SMALL, "--out", tiny / "x") == f"cannot write {tiny}/x: No space left on device"


def test_a_full_disk_keeps_the_last_run(tiny, here):
    shutil.copytree("x", tiny / "x", ignore=shutil.ignore_patterns("*.log"))
    rest = os.statvfs(tiny)
    (tiny / "ballast").write_bytes(bytes(rest.f_bavail * rest.f_frsize - 8192))
    assert refusal(tiny, "simulate", tiny / "x", *ICARUS) == (
        f"cannot write {tiny}/x/runs/icarus: No space left on device"
    )


def test_a_read_only_disk_is_refused_and_keeps_all(tiny, here):
    shutil.copytree("x", tiny / "x", ignore=shutil.ignore_patterns("*.log"))
    subprocess.run(["mount", "-o", "remount,ro", tiny], check=True)
    readonly = "Read-only file system"
    assert refusal(tiny, "generate", *SMALL, "--out", tiny / "z") == f"cannot write {tiny}/z: {readonly}"
    assert refusal(tiny, "simulate", tiny / "x", *ICARUS) == f"cannot write {tiny}/x/runs/icarus: {readonly}"
    assert refusal(tiny, "compare", tiny / "x") == f"cannot write {tiny}/x/report.html: {readonly}"


def test_a_simulator_that_dies_slowly_leaves_no_folder(here, monkeypatch):
    """After an interruption it may put files into the folder while that is being deleted."""
    monkeypatch.setattr(shutil, "rmtree", undone_at_first(shutil.rmtree, 3))
    before = tree(here)
    with pytest.raises(KeyboardInterrupt), replaced(Path("x/runs/icarus")) as fresh:
        (fresh / "y.hex").write_text("half")
        raise KeyboardInterrupt
    assert tree(here) == before


def undone_at_first(remove, times):
    """`remove`, but the first few times a file is back afterwards."""
    left = iter(range(times))

    def removed(path, **options):
        remove(path, **options)
        if next(left, None) is not None:
            Path(path).mkdir()
            (Path(path) / "results.xml").write_text("late")

    return removed


def test_a_dump_without_inputs_goes_with_the_latest_run(here):
    given = dict(np.load("x/runs/icarus/inputs.npz"))
    y = np.load("x/runs/icarus/hardware.npz")["y"]
    np.savez("board.npz", y=y)
    older, newer = Path("x/runs/verilator"), Path("x/runs/icarus")
    older.mkdir()
    np.savez(older / "inputs.npz", **given | {"a": np.zeros_like(given["a"])})
    os.utime(older / "inputs.npz", (1, 1))
    assert command("compare", "x", "--hardware", "board.npz").code == 0
    os.utime(newer / "inputs.npz", (0, 0))
    assert command("compare", "x", "--hardware", "board.npz").code == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is missing: it is Linux's")
@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_output_to_a_full_disk_is_one_line(here, flags):
    with open("/dev/full", "w") as full:
        said = subprocess.run(
            [sys.executable, "-m", "bittrue", "compare", "x", *flags], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (said.returncode, said.stderr) == (2, "bittrue: cannot write the output: No space left on device\n")


def test_a_reader_that_stops_early_is_no_error(here):
    reading, writing = os.pipe()
    os.close(reading)
    said = subprocess.run([sys.executable, "-m", "bittrue", "compare", "x"], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (said.returncode, said.stderr) == (0, b"")


@pytest.mark.skipif(bool(missing("icarus")), reason=missing("icarus"))
def test_a_folder_of_another_place_opens_the_same(here):
    shutil.move("x", "a b")
    assert open_folder(Path("a b")).sha256 == json.loads(Path("a b/manifest.json").read_text())["verilog"]["sha256"]
    with pytest.raises(InputError):
        open_folder(Path("x"))
