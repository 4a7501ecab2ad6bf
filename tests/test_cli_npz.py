"""Npz files a user may hand over: wrong arrays, other people's files, damage and hostility."""

import os
import pickle
import random
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from commands import A, W, command, done, refusal, save

from bittrue import npz
from bittrue.errors import InputError
from bittrue.npz import read_npz

SIZE_IN_DIRECTORY = 24
MATRIX = "must be a matrix with at least one element, not of shape"
TAKES = "this design takes no such array; it takes a, a_scale, bias, shift, w, w_scale, y_scale"
OBJECTS = "Object arrays cannot be loaded when allow_pickle=False"

ARRAY_ERRORS = {
    "code above": ({"a": A + (A == 7)}, "a[0, 1] is 8, outside int4 [-8, 7]"),
    "code below": ({"w": W - (W == -8)}, "w[0, 1] is -9, outside int4 [-8, 7]"),
    "huge code": (
        {"a": np.full((1, 3), 2**64 - 1, np.uint64)},
        "a[0, 0] is 18446744073709551615, outside int4 [-8, 7]",
    ),
    "bias": ({"bias": np.array([5, 128])}, "bias[1] is 128, outside int8 [-128, 127]"),
    "shift": ({"shift": 63}, "shift is 63, outside uint6 [0, 62]"),
    "wrong K": ({"w": W[:2]}, "a has K = 3 columns and w has K = 2 rows; they must be equal"),
    "K over depth": (
        {"a": np.zeros((1, 10), int), "w": np.zeros((10, 2), int)},
        "a has K = 10; this design's depth is 9",
    ),
    "vector": ({"a": A[0]}, f"a {MATRIX} [3]"),
    "empty": ({"a": A[:0]}, f"a {MATRIX} [0, 3]"),
    "bias too short": ({"bias": np.array([1])}, "bias must be a scalar or have shape [2], not [1]"),
    "missing": ({"w": None}, "w: array missing"),
    "unknown": ({"weights": W}, f"weights: {TAKES}"),
    "not taken": ({"a_zero_point": 1}, f"a_zero_point: {TAKES}"),
    "float": ({"a": A.astype(float)}, "a must hold integer codes, not float64"),
    "NaN": ({"w": np.full((3, 2), np.nan)}, "w must hold integer codes, not float64"),
    "bool": ({"a": A > 0}, "a must hold integer codes, not bool"),
    "text": ({"a": A.astype(str)}, "a must hold integer codes, not <U21"),
    "objects": ({"a": A.astype(object)}, f"array 'a' cannot be read: {OBJECTS}"),
}


@pytest.mark.parametrize(("changes", "message"), ARRAY_ERRORS.values(), ids=ARRAY_ERRORS)
def test_wrong_arrays_are_refused(here, changes, message):
    save("i.npz", **changes)
    assert refusal(here, "simulate", "x", "--simulator", "icarus", "--inputs", "i.npz") == f"i.npz: {message}"
    assert refusal(here, "run", "design.toml", "--out", "x", "--simulator", "icarus", "--inputs", "i.npz") == (
        f"i.npz: {message}"
    )


def array_alone(path):
    with path.open("wb") as file:
        np.save(file, A)


def empty_zip(path):
    zipfile.ZipFile(path, "w").close()


def zip_of_text(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", "no array at all")


def array_twice(path):
    save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a", archive.read("a.npy"))


def array_with_more(path):
    save(path, a=None)
    with zipfile.ZipFile(path, "a") as archive, archive.open("a.npy", "w") as member:
        np.lib.format.write_array(member, A)
        member.write(b"more")


def lying_header(path):
    """An array that says it has 2**62 elements, of which none is there."""
    header = b"{'descr': '|i1', 'fortran_order': False, 'shape': (4611686018427387904,), }\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)


def truncated(path):
    save(path)
    path.write_bytes(path.read_bytes()[:-100])


def flipped(path):
    save(path)
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)


NO_ZIP = "is not a readable npz file: File is not a zip file"
MAGIC = "the magic string is not correct; expected b'\\x93NUMPY', got b'no arr'"
FILES = {
    "npy": (array_alone, f"i.npz {NO_ZIP}"),
    "text": (lambda path: path.write_text("1 2 3\n"), f"i.npz {NO_ZIP}"),
    "nothing in it": (lambda path: path.write_bytes(b""), f"i.npz {NO_ZIP}"),
    "pickle": (lambda path: path.write_bytes(pickle.dumps({"a": A})), f"i.npz {NO_ZIP}"),
    "truncated": (truncated, f"i.npz {NO_ZIP}"),
    "a bit flipped": (flipped, "i.npz is not a readable npz file: Bad CRC-32 for file 'a.npy'"),
    "empty zip": (empty_zip, "i.npz: a: array missing"),
    "other zip": (zip_of_text, f"i.npz: array 'a' cannot be read: {MAGIC}"),
    "array twice": (array_twice, "i.npz: array 'a' is there twice"),
    "more than an array": (array_with_more, "i.npz: array 'a' cannot be read: data after its end"),
    "folder": (Path.mkdir, "cannot read i.npz: not a file"),
    "pipe": (os.mkfifo, "cannot read i.npz: not a file"),
    "nothing": (lambda path: None, "cannot read i.npz: No such file or directory"),
}


@pytest.mark.parametrize(("make", "message"), FILES.values(), ids=FILES)
def test_files_that_are_no_npz_are_refused(here, tmp_path_factory, make, message):
    make(Path("i.npz"))
    before = sorted(here.rglob("*"))
    result = command("simulate", "x", "--simulator", "icarus", "--inputs", "i.npz")
    assert (result.code, result.out, result.err) == (2, "", f"bittrue: {message}\n")
    assert sorted(here.rglob("*")) == before


def test_an_array_smaller_than_its_header_says_is_refused(tmp_path):
    lying_header(tmp_path / "i.npz")
    with pytest.raises(InputError, match="is not a readable npz file|cannot be read"):
        read_npz(tmp_path / "i.npz")


def test_a_member_that_claims_more_than_the_limit_is_not_unpacked(here):
    save("i.npz")
    content = bytearray(Path("i.npz").read_bytes())
    struct.pack_into("<I", content, content.index(b"PK\x01\x02") + SIZE_IN_DIRECTORY, 1 << 31)
    Path("i.npz").write_bytes(content)
    with zipfile.ZipFile("i.npz") as archive:
        total = sum(member.file_size for member in archive.infolist())
    assert refusal(here, "simulate", "x", "--simulator", "icarus", "--inputs", "i.npz") == (
        f"i.npz: the arrays must have at most {1 << 30} bytes in all, not {total}"
    )


def test_a_small_file_that_unpacks_to_more_than_the_limit_is_refused(here, monkeypatch):
    monkeypatch.setattr(npz, "MAX_BYTES", 1_000_000)
    np.savez_compressed("i.npz", a=np.zeros((1, 999_000), np.int8), w=np.zeros((1, 1000), np.int8))
    assert Path("i.npz").stat().st_size < 4000
    assert refusal(here, "simulate", "x", "--simulator", "icarus", "--inputs", "i.npz") == (
        "i.npz: the arrays must have at most 1000000 bytes in all, not 1000256"
    )


def test_damaged_files_raise_nothing_but_input_errors(tmp_path):
    rng = random.Random(7)
    refused = 0
    for trial in range(200):
        path = tmp_path / "i.npz"
        (np.savez if trial % 2 else np.savez_compressed)(path, a=A, w=W)
        content = bytearray(path.read_bytes())
        for _ in range(rng.randint(1, 3)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(content[: rng.randrange(len(content))] if trial % 10 == 0 else content)
        try:
            read_npz(path)
        except InputError as error:
            refused += 1
            assert str(error).startswith(f"{path}")
    assert refused > 100


WEIGHTS = {
    "none": ({"w": None}, "w must be there, a matrix of integer codes"),
    "float": ({"w": W / 2}, "w must be there, a matrix of integer codes"),
    "vector": ({"w": W[0]}, "w must be there, a matrix of integer codes"),
    "deep": ({"w": np.zeros((10, 1), int)}, "w has K = 10; this design's depth is 9"),
    "codes": ({"w": W + 1}, "w[1, 0] is 8, outside int4 [-8, 7]"),
}


@pytest.mark.parametrize(("changes", "message"), WEIGHTS.values(), ids=WEIGHTS)
def test_wrong_weights_give_no_accumulator(here, changes, message):
    save("w.npz", **changes)
    assert refusal(here, "generate", "design.toml", "--weights-from", "w.npz", "--out", "y") == f"w.npz: {message}"


def test_weights_that_break_the_promise_are_refused(here):
    done("generate", "design.toml", "--weights-from", "inputs.npz", "--out", "y")
    save("other.npz", w=np.full((3, 2), 7))
    assert refusal(here, "simulate", "y", "--simulator", "icarus", "--inputs", "other.npz") == (
        "other.npz: w can sum to -168..147, outside the accumulator_range [-80, 85] this design was built for"
    )


Y = np.zeros((5, 2), int)
DUMPS = {
    "no y": ({}, "y: array missing"),
    "shape": ({"y": Y.T}, "y must have shape [5, 2], not [2, 5]"),
    "float": ({"y": Y + 0.5}, "y must hold integer codes, not float64"),
    "range": ({"y": Y + 16}, "y[0, 0] is 16, outside int5 [-16, 15]"),
    "cycles": ({"y": Y, "cycles": 0}, "cycles must be one positive integer, not 0"),
    "some cycles": ({"y": Y, "cycles": [1, 2]}, "cycles must be one positive integer, not [1 2]"),
    "some inputs": ({"y": Y, "a": None}, "a: array missing"),
}


@pytest.mark.parametrize(("changes", "message"), DUMPS.values(), ids=DUMPS)
def test_wrong_dumps_are_refused(here, changes, message):
    save("dump.npz", **changes)
    assert refusal(here, "compare", "x", "--hardware", "dump.npz") == f"dump.npz: {message}"


def test_inputs_of_a_dump_come_from_one_place(here):
    save("dump.npz", y=Y)
    assert refusal(here, "compare", "x", "--hardware", "dump.npz", "--inputs", "inputs.npz") == (
        "dump.npz has inputs of its own (a, bias, shift, w); give them there or with --inputs, not both"
    )
    assert refusal(here, "compare", "x", "--inputs", "inputs.npz") == (
        "inputs go with --hardware; a simulated run has its own"
    )
    done("generate", "design.toml", "--out", "y")
    np.savez("dump.npz", y=Y)
    assert refusal(here, "compare", "y", "--hardware", "dump.npz") == (
        "the dump has no inputs and nothing was simulated here; give them with --inputs FILE.npz"
    )
