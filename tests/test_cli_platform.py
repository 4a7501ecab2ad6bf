"""Designs by a platform's name, real scales and tables, through the command line."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from commands import command, done, refusal
from simulation import missing

from bittrue import folder as folder_module
from bittrue.design import MAX_TOML_BYTES, to_fields, to_spec, to_toml
from bittrue.errors import InputError
from golden import platforms
from golden.checks import requantizer_of
from golden.platform_table import PLATFORMS
from golden.tables import table
from golden.tensors import operands

SMALL = ("--activations", "int8", "--weights", "int8", "--rows", "2", "--cols", "2", "--depth", "16")
ICARUS = ("--simulator", "icarus")
NEEDS_ICARUS = pytest.mark.skipif(bool(missing("icarus")), reason=missing("icarus"))
NO_RULE = ("tensorrt", "onnxruntime-avx2-saturating")
WITH_RULE = [name for name in PLATFORMS if name not in NO_RULE]
A, W = np.arange(-20, 28).reshape(6, 8), np.arange(-12, 12).reshape(8, 3) * 5
SCALES = {"a_scale": np.float32(0.05), "w_scale": np.float32([0.02, 0.03, 0.5]), "y_scale": np.float32(0.75)}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def manifest(path):
    return json.loads(Path(path, "manifest.json").read_text())


def load(path):
    with np.load(path) as file:
        return dict(file)


def fields(**changes):
    return {"activations": "int8", "weights": "int8", "output": "int8", **changes}


@pytest.mark.parametrize("name", WITH_RULE)
def test_a_platform_picks_the_whole_rule(name):
    spec = to_spec(fields(platform=name))
    held = requantizer_of(PLATFORMS[name]) == "thresholds"
    assert (spec.requantize, spec.platform) == (requantizer_of(PLATFORMS[name]), name)
    assert (str(spec.bias), spec.y_zero_point) == (("None", False) if held else ("int32", True))
    assert to_spec(tomllib.loads(to_toml(spec))) == spec


def test_a_platform_can_be_realized_by_thresholds():
    spec = to_spec(fields(platform="tflite-micro", requantize="thresholds", activation="relu"))
    assert (spec.requantize, spec.bias, spec.y_zero_point) == ("thresholds", None, False)


@pytest.mark.parametrize(
    ("given", "accumulator"),
    [
        ({"platform": "tflite-micro", "depth": 1 << 14}, (None, None)),
        ({"platform": "tflite-micro", "depth": 1 << 20}, (32, "wrap")),
        ({"platform": "tflite-micro", "depth": 1 << 20, "accumulator": 48}, (48, None)),
        ({"platform": "tflite-micro-int16", "depth": 1 << 20}, (None, None)),
        ({"platform": "tosa", "depth": 1 << 20}, (None, None)),
        ({"requantize": "tflite", "depth": 1 << 20}, (None, None)),
    ],
)
def test_sums_wrap_at_32_bits_where_the_platforms_do(given, accumulator):
    spec = to_spec(fields(**given))
    assert (spec.accumulator, spec.accumulator_overflow) == accumulator
    assert to_spec(to_fields(spec)) == spec


def test_real_weights_may_spare_the_wrapping(place):
    np.savez("w.npz", w=np.ones((1 << 18, 1), int))
    wide = (*SMALL, "--platform", "tflite-micro", "--output", "int8", "--depth", str(1 << 18))
    done("generate", *wide, "--weights-from", "w.npz", "--out", "x")
    assert manifest("x")["accumulator"]["width"] == 26
    done("generate", *wide, "--out", "y")
    assert manifest("y")["accumulator"]["why"].endswith("which needs 34 bits; with 32 bits it wraps")


@pytest.mark.parametrize("requantize", ["float32", "thresholds", "tflite", "multiplier"])
def test_real_weights_go_with_every_requantizer(place, requantize):
    np.savez("w.npz", w=np.ones((16, 2), int))
    done("generate", *SMALL, "--requantize", requantize, "--output", "int8", "--weights-from", "w.npz", "--out", "x")
    assert manifest("x")["accumulator"]["width"] == 12


@pytest.mark.parametrize(
    ("flags", "effective", "encoding"),
    [
        (
            ("--platform", "tflite-micro"),
            "a_scale * w_scale / y_scale in float64",
            "multiplier * 2**(shift - 31), the multiplier rounded to 31 bits",
        ),
        (
            ("--platform", "cmsis-nn"),
            "a_scale * w_scale in float32, divided by y_scale in float64; with a w_scale per column "
            "a_scale * w_scale / y_scale in float64",
            "multiplier * 2**(shift - 31), the multiplier rounded to 31 bits",
        ),
        (
            ("--platform", "onnxruntime"),
            "a_scale * w_scale / y_scale, rounded to float32 after each step",
            "a float32 number",
        ),
        (
            ("--platform", "qonnx"),
            "a_scale * w_scale in float32; the scaled sum is divided by y_scale",
            "thresholds: the least sums for which platform 'qonnx', with two float32 numbers, gives each code",
        ),
        (
            ("--platform", "tflite-micro-int16"),
            "a_scale * w_scale / y_scale in float64",
            "multiplier * 2**(shift - 15), the multiplier rounded to 15 bits",
        ),
        (
            ("--requantize", "multiplier", "--multiplier-bits", "16"),
            "a_scale * w_scale / y_scale in float64",
            "multiplier / 2**shift, the multiplier rounded to 16 bits, ties up",
        ),
        (
            ("--requantize", "shift"),
            "a_scale * w_scale / y_scale in float64",
            "a power of two: shift to the right",
        ),
    ],
)
def test_the_manifest_says_how_parameters_follow_from_scales(place, flags, effective, encoding):
    done("generate", *SMALL, *flags, "--output", "int8", "--out", "x")
    made = manifest("x")
    assert made["platform"] == (flags[1] if flags[0] == "--platform" else None)
    assert made["scales"] == {
        "inputs": ["a_scale", "w_scale", "y_scale"],
        "effective": effective,
        "encoding": encoding,
    }


def test_the_manifest_of_relu6_and_of_designs_without_scales(place):
    done("generate", *SMALL, "--platform", "tosa-double", "--output", "int8", "--out", "x")
    done("generate", *SMALL, "--out", "x")
    assert manifest("x")["scales"] is None and manifest("x")["platform"] is None
    done("generate", *SMALL, "--requantize", "thresholds", "--output", "int4", "--out", "x")
    assert manifest("x")["scales"] is None
    said = done(
        "generate", *SMALL, "--platform", "tflite-micro", "--activation", "relu6", "--output", "int8", "--out", "x"
    )
    assert said.splitlines()[0].endswith(", as tflite-micro")
    assert manifest("x")["scales"]["y_max"].startswith("y_zero_point + 6 / y_scale")


@NEEDS_ICARUS
@pytest.mark.parametrize(
    ("name", "flags", "found"),
    [
        ("tflite-micro", ("--activation", "relu6"), {"multiplier", "shift", "y_max"}),
        ("onnxruntime", (), {"scale"}),
        ("qonnx", ("--threshold-search", "parallel"), {"thresholds"}),
        ("litert-reference", ("--activation", "relu"), {"thresholds"}),
    ],
)
def test_a_run_records_the_scales_and_what_they_came_to(place, name, flags, found):
    bias = np.array([5, -60, 7])
    np.savez("i.npz", a=A, w=W, bias=bias, y_zero_point=np.int64(3), **SCALES)
    design = ("--platform", name, *flags, "--output", "int8")
    result = json.loads(done("run", *SMALL, *design, *ICARUS, "--inputs", "i.npz", "--out", "x", "--json"))
    assert result["equal"] and result["results"][0]["compared"] == 18
    record = load("x/runs/icarus/hardware.npz")
    expected = platforms.matmul(
        name, A, W, **SCALES, bias=bias, y_zero_point=3, activation=flags[1] if "--activation" in flags else None
    )
    np.testing.assert_array_equal(record["y"], expected)
    for recorded in (record, load("x/runs/icarus/inputs.npz")):
        assert set(SCALES) | found <= set(recorded)
        assert all(np.array_equal(recorded[key], value) for key, value in SCALES.items())
    if name == "onnxruntime":
        assert record["scale"].dtype == np.float32
        np.testing.assert_array_equal(record["scale"], platforms.derive(name, **SCALES)["scale"])
    assert json.loads(done("compare", "x", "--hardware", "x/runs/icarus/hardware.npz", "--json"))["equal"]
    done("simulate", "x", *ICARUS, "--inputs", "x/runs/icarus/inputs.npz", "--quiet")
    assert json.loads(done("compare", "x", "--json"))["equal"]


@NEEDS_ICARUS
def test_a_wrong_output_of_a_platforms_design_is_explained(place):
    np.savez("i.npz", a=A, w=W, y_zero_point=np.int64(3), **SCALES)
    done("run", *SMALL, "--platform", "onnxruntime", "--output", "int8", *ICARUS, "--inputs", "i.npz", "--out", "x")
    record = load("x/runs/icarus/hardware.npz")
    record["y"] = np.clip(record["y"] + 1, -128, 127)
    np.savez("x/runs/icarus/hardware.npz", **record)
    result = command("compare", "x")
    assert result.code == 1 and "first difference: y[0, 0]" in result.out


ARRAYS = {
    "zero scale": ("tosa", {"a_scale": np.float32(0)}, "a_scale must be positive and finite in float32, not 0.0"),
    "negative scale": ("tosa", {"y_scale": np.float32(-1)}, "y_scale must be positive and finite in float32, not -1.0"),
    "nan scale": ("tosa", {"w_scale": np.float32("nan")}, "w_scale must be positive and finite in float32, not nan"),
    "infinite scale": (
        "onnxruntime",
        {"w_scale": np.float32("inf")},
        "w_scale must be positive and finite in float32, not inf",
    ),
    "one scale": ("tosa", {"w_scale": None}, "w_scale: array missing; scales are given all three or not at all"),
    "huge scale": ("tosa", {"w_scale": 1e30}, "shift is 96, outside int6 [-31, 30]"),
    "own scale": (
        *("onnxruntime", {"scale": np.float32([0.1, 0.2, 0.0])} | dict.fromkeys(SCALES)),
        "scale[2] must be a positive number, not 0.0",
    ),
    "negative own scale": (
        *("onnxruntime", {"scale": np.float32(-0.5)} | dict.fromkeys(SCALES)),
        "scale must be a positive number, not -0.5",
    ),
    "scale of integers": (
        *("onnxruntime", {"scale": 3} | dict.fromkeys(SCALES)),
        "scale must hold float32 numbers, not int64",
    ),
    "wide scale": (
        *("onnxruntime", {"scale": 0.1} | dict.fromkeys(SCALES)),
        "scale must be a float32 number to the last bit, not 0.1",
    ),
    "shift": (
        *("tosa", {"multiplier": 1 << 30, "shift": 31} | dict.fromkeys(SCALES)),
        "shift is 31, outside int6 [-31, 30]",
    ),
    "multiplier": (
        *("tosa", {"multiplier": [1, 1 << 31, 2], "shift": 0} | dict.fromkeys(SCALES)),
        "multiplier[1] is 2147483648, outside uint31 [0, 2147483647]",
    ),
    "contradiction": (
        *("tosa", {"shift": 2}),
        "shift is not what the real scales come to: shift[0] is 2 where they give -9; leave out shift or the scales",
    ),
    "thresholds": (
        *("qonnx", {"thresholds": np.arange(255)[::-1]} | dict.fromkeys(SCALES)),
        "thresholds[0, 1] is 253, below its predecessor 254; they must ascend",
    ),
    "few thresholds": (
        *("qonnx", {"thresholds": np.arange(15)} | dict.fromkeys(SCALES)),
        "thresholds must have shape [255] or have shape [3, 255], not [15]",
    ),
    "no thresholds": (
        *("qonnx", dict.fromkeys(SCALES)),
        "a_scale: array missing; scales are given all three or not at all",
    ),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    home = tmp_path_factory.mktemp("made")
    for name in ("tosa", "onnxruntime", "qonnx"):
        done("generate", *SMALL, "--platform", name, "--output", "int8", "--out", home / name)
    return home


@NEEDS_ICARUS
@pytest.mark.parametrize("name", ARRAYS)
def test_wrong_scales_and_parameters_are_refused(made, monkeypatch, name):
    monkeypatch.chdir(made)
    platform, changes, message = ARRAYS[name]
    arrays = {"a": A, "w": W, **SCALES, **changes}
    np.savez("i.npz", **{key: value for key, value in arrays.items() if value is not None})
    assert refusal(made, "simulate", platform, *ICARUS, "--inputs", "i.npz") == f"i.npz: {message}"
    assert refusal(made, "agree", platform, "--inputs", "i.npz") == f"i.npz: {message}"


TANH = ("table", "tanh", "--x-scale", "0.05", "--y-scale", "0.01")


def test_a_table_is_written_with_its_formats(place):
    said = done(*TANH, "--y-format", "uint8", "--y-zero-point", "100", "--x-zero-point", "-3", "--out", "t.npz")
    assert said == "t.npz: 256 entries, int8 -> uint8, 0..200\n"
    arrays = load("t.npz")
    fmt = {name: to_spec(fields(output=text)).output for name, text in (("x", "int8"), ("y", "uint8"))}
    entries = table(
        "tanh", x_format=fmt["x"], x_scale=0.05, x_zero_point=-3, y_format=fmt["y"], y_scale=0.01, y_zero_point=100
    )
    assert arrays["table"].tolist() == list(entries)
    assert (str(arrays["table_input"]), str(arrays["output"])) == ("int8", "uint8")
    assert json.loads(done(*TANH, "--out", "u.npz", "--json")) == {
        **{"table": "u.npz", "entries": 256, "lowest": -100, "highest": 100},
    }
    assert done(*TANH, "--out", "u.npz", "--quiet") == ""


TABLES = {
    ("table", "tan", "--x-scale", "1", "--y-scale", "1"): (
        "function must be one of sigmoid, tanh, gelu, hard_swish, not 'tan'"
    ),
    (*TANH, "--x-scale", "0"): "x_scale must be a positive number, not 0.0",
    (*TANH, "--x-scale", "-1"): "x_scale must be a positive number, not -1.0",
    (*TANH, "--y-scale", "nan"): "y_scale must be a positive number, not nan",
    (*TANH, "--y-scale", "inf"): "y_scale must be a positive number, not inf",
    (*TANH, "--x-format", "int17"): "x_format must be an integer format of at most 16 bits, not int17",
    (*TANH, "--x-format", "bipolar"): "x_format must be an integer format of at most 16 bits, not bipolar",
    (*TANH, "--y-format", "int0"): "y_format: width of int must be 1 to 64, not 0",
    (*TANH, "--x-zero-point", "128"): "x_zero_point is 128, outside int8 [-128, 127]",
    (*TANH, "--rounding", "up"): (
        "unknown rounding 'up'; known are floor, ceil, toward_zero, half_up, half_down, half_away, half_even, dpu"
    ),
    (*TANH, "--out", "no/t.npz"): "cannot write no/t.npz: No such file or directory",
    ("table",): "Missing argument 'function'.",
    ("table", "tanh", "--x-scale", "1"): "Missing option '--y-scale'.",
}


@pytest.mark.parametrize(("words", "message"), TABLES.items(), ids=lambda value: value if type(value) is str else "")
def test_a_wrong_table_is_refused(place, words, message):
    assert refusal(place, *words) == message


@NEEDS_ICARUS
def test_a_table_is_applied_last(place):
    done(*TANH, "--y-format", "uint8", "--y-zero-point", "100", "--quiet")
    np.savez("i.npz", a=A, w=W, y_zero_point=np.int64(3), **SCALES)
    flags = ("--platform", "tosa", "--table", "table.npz", "--inputs", "i.npz", *ICARUS, "--out", "x")
    assert json.loads(done("run", *SMALL, *flags, "--json"))["equal"]
    codes = platforms.matmul("tosa", A, W, **SCALES, y_zero_point=3)
    np.testing.assert_array_equal(load("x/runs/icarus/hardware.npz")["y"], load("table.npz")["table"][codes + 128])
    spec = to_spec(tomllib.loads(Path("x/design.toml").read_text()))
    assert (str(spec.table_input), str(spec.output), len(spec.table)) == ("int8", "uint8", 256)
    done("generate", "x/design.toml", "--out", "y")
    assert manifest("y")["verilog"]["sha256"] == manifest("x")["verilog"]["sha256"]


FILES = {
    "no table": ({"y": [1]}, (), "t.npz: table must be there, a row of integers"),
    "a matrix": ({"table": np.ones((2, 2), int)}, (), "t.npz: table must be there, a row of integers"),
    "floats": ({"table": np.ones(4)}, (), "t.npz: table must be there, a row of integers"),
    "other input": (
        *({"table": np.ones(256, int), "table_input": "int8"}, ("--table-input", "uint8")),
        "table_input is 'uint8', but t.npz was made for 'int8'",
    ),
    "other output": (
        *({"table": np.ones(4, int), "table_input": "int2", "output": "int4"}, ("--output", "int8")),
        "output is 'int8', but t.npz was made for 'int4'",
    ),
    "length": (
        *({"table": np.ones(5, int)}, ("--table-input", "int2", "--output", "int8")),
        "table must have 4 entries for int2, not 5",
    ),
    "entry": (
        *({"table": [1, 2, 8, 3]}, ("--table-input", "int2", "--output", "int4")),
        "table[2] is 8, outside int4 [-8, 7]",
    ),
    "thresholds": (
        *({"table": [1, 2, 4, 3]}, ("--table-input", "int2", "--output", "int4", "--requantize", "thresholds")),
        "thresholds take no table; put its function into them",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_wrong_table_file_is_refused(place, name):
    arrays, flags, message = FILES[name]
    np.savez("t.npz", **arrays)
    assert refusal(place, "generate", *SMALL, "--table", "t.npz", *flags) == message


def test_a_table_too_long_for_a_design_file_is_refused(place, monkeypatch):
    entries = np.arange(1 << 16, dtype=np.int64) - (1 << 40)
    np.savez("t.npz", table=entries, table_input="uint16", output="int42")
    monkeypatch.setattr(folder_module, "manifest", None)
    message = refusal(place, "generate", *SMALL, "--requantize", "shift", "--table", "t.npz")
    assert message.startswith("table makes a design file of 1") and message.endswith(f"at most {MAX_TOML_BYTES} bytes")
    fitting = to_spec(fields(table=[-(1 << 15)] * (1 << 16), table_input="uint16", output="int16"))
    assert len(to_toml(fitting)) < MAX_TOML_BYTES
    with pytest.raises(InputError):
        to_toml(to_spec(fields(table=entries.tolist(), table_input="uint16", output="int42")))


def test_operands_of_another_platform_would_be_noticed():
    """Plant: parameters of one platform in a design of another give other codes somewhere."""
    spec = to_spec(fields(platform="tflite-micro", rows=2, cols=2))
    arrays = {"a": A, "w": W, **SCALES}
    theirs = platforms.derive("tflite-micro-int16", **SCALES)
    assert (operands(spec, arrays).parameters["multiplier"] != theirs["multiplier"]).all()
