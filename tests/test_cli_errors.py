"""What a user can mistype in flags and design files: one line, exit code 2, nothing written."""

import os
import random
import tomllib
from pathlib import Path

import pytest
from commands import DESIGN, command, done, refusal
from designs import DESIGNS as SMALL

from bittrue import flows
from bittrue.design import MAX_TOML_BYTES, read_toml, to_spec, to_toml
from bittrue.errors import InputError
from bittrue.unused import check_used
from examples.digits import network
from golden.formats import BESIDE, KNOWN
from golden.platform_table import PLATFORMS
from golden.spec import Spec

PAIR = ("--activations", "int8", "--weights", "int4")
ROUNDINGS = "floor, ceil, toward_zero, half_up, half_down, half_away, half_even, dpu"
NO_INTEGER = "Input should be a valid integer, unable to parse string as an integer"

DESIGNS = {
    (): "activations must be given, for example --activations int8",
    ("--activations", "int8"): "weights must be given, for example --weights int8",
    (*PAIR, "--activations", "int0"): "activations: width of int must be 1 to 64, not 0",
    (*PAIR, "--activations", "int65"): "activations: width of int must be 1 to 64, not 65",
    (*PAIR, "--activations", "uint64"): "activations: width of uint must be 1 to 63, not 64",
    (*PAIR, "--weights", "int33"): "weights must be at most 32 bits wide, not int33",
    (*PAIR, "--activations", "float8"): f"activations: unknown format 'float8'; known are {KNOWN}; {BESIDE}",
    (*PAIR, "--rounding", "up"): f"rounding must be one of {ROUNDINGS}, not 'up'",
    (*PAIR, "--overflow", "clamp"): "overflow must be one of wrap, saturate, not 'clamp'",
    (
        *PAIR,
        "--requantize",
        "scale",
    ): (
        "requantize must be one of none, shift, multiplier, thresholds, dynamic, tflite, double_half_up, "
        "tflite_single, mult16, float32, float64_away, not 'scale'"
    ),
    (*PAIR, "--requantize", "shift"): "output must be given with requantize 'shift'",
    (*PAIR, "--rows", "0"): "rows must be positive, not 0",
    (*PAIR, "--cols", "-8"): "cols must be positive, not -8",
    (*PAIR, "--lanes", "1025"): "lanes must be at most 1024, not 1025",
    (*PAIR, "--depth", "0"): "depth must be positive, not 0",
    (*PAIR, "--depth", "99999999999"): "depth must be at most 16777216, not 99999999999",
    (*PAIR, "--rows", "many"): f"Invalid value for '--rows': {NO_INTEGER}, not 'many'",
    (*PAIR, "--rows"): "Option '--rows' requires an argument.",
    (*PAIR, "--column", "8"): "No such option: --column (Possible options: --cols, --out)",
    (*PAIR, "--accumulator", "12"): (
        "accumulator must be at least 21 bits, not 12: 512 products of int8 and int4 sum to -520192..524288; "
        "or give accumulator_overflow"
    ),
    (*PAIR, "--clip", "low,high"): "clip must be two integers LO,HI, not 'low,high'",
    (*PAIR, "--clip", "5"): "clip must be two integers LO,HI, not '5'",
    (*PAIR, "--output", "int8", "--clip", "9,-9"): "clip must be lo <= hi within int8 [-128, 127], not [9, -9]",
    (*PAIR, "--name", "../x"): "name must be a letter, then at most 63 letters, digits or underscores, not '../x'",
    (*PAIR, "--name", "always"): "name must not be a Verilog keyword or 'bench', not 'always'",
    (*PAIR, "--platform", "tflit"): f"platform must be one of {', '.join(PLATFORMS)}, not 'tflit'",
    (*PAIR, "--platform", "tensorrt"): "platform 'tensorrt' has no published rule for requantization",
    (*PAIR, "--platform", "onnxruntime-avx2-saturating"): (
        "platform 'onnxruntime-avx2-saturating' saturates pairs of products, which hardware here does not; "
        "its results are in golden.platforms, and onnxruntime is the nearest with hardware"
    ),
    (*PAIR, "--platform", "tosa", "--requantize", "tflite", "--output", "int8"): (
        "requantize must be 'tflite_single' or 'thresholds' on platform 'tosa', not 'tflite'"
    ),
    (*PAIR, "--platform", "tosa", "--rounding", "half_even"): (
        "rounding is part of platform 'tosa'; leave it out, not 'half_even'"
    ),
    (*PAIR, "--platform", "tosa", "--zero-point-order", "before_rounding"): (
        "zero_point_order is part of platform 'tosa'; leave it out, not 'before_rounding'"
    ),
    (*PAIR, "--platform", "tosa", "--output", "int8", "--activation", "relu"): (
        "platform 'tosa' has no fused activation; give its bounds as clip"
    ),
    (*PAIR, "--platform", "tosa"): "output must be given with requantize 'tflite_single'",
    (*PAIR, "--platform", "qonnx", "--output", "int16"): "thresholds give outputs of at most 8 bits, not int16",
    (*PAIR, "--platform", "qonnx", "--output", "int8", "--bias", "int32"): (
        "bias must be left out with thresholds, which hold its effect, not int32"
    ),
    (*PAIR, "--requantize", "thresholds", "--output", "int8", "--activation", "relu"): (
        "activation must be left out with thresholds, which hold its effect, not relu"
    ),
    (*PAIR, "--requantize", "thresholds", "--output", "int8", "--y-zero-point"): (
        "y_zero_point must be left out with thresholds, which hold its effect, not True"
    ),
    (*PAIR, "--platform", "tflite-micro", "--output", "int8", "--overflow", "wrap"): (
        "overflow is part of platform 'tflite-micro'; leave it out, not 'wrap'"
    ),
    (*PAIR, "--platform", "tflite-micro", "--output", "int8", "--multiplier-bits", "16"): (
        "multiplier_bits is part of platform 'tflite-micro'; leave it out, not 16"
    ),
    (
        *(*PAIR, "--platform", "tflite-micro", "--output", "int8"),
        *("--accumulator", "16", "--accumulator-overflow", "saturate"),
    ): "accumulator is part of platform 'tflite-micro'; leave it out, not 16 bits, saturate",
    (*PAIR, "--threshold-search", "linear"): "threshold_search must be one of binary, parallel, not 'linear'",
    (*PAIR, "--activation", "relu7"): "activation must be one of none, relu, relu6, not 'relu7'",
    (*PAIR, "--requantize", "float64_away", "--output", "int8"): (
        "requantize 'float64_away' is golden only; the nearest rule that hardware has is multiplier with "
        "multiplier_bits 32 and rounding half_away"
    ),
    (*PAIR, "--table", "t.npz"): "cannot read t.npz: No such file or directory",
    (*PAIR, "--table-input", "int8"): "table, table_input and output must be given together; table is missing",
    ("nowhere.toml",): "cannot read nowhere.toml: No such file or directory",
    (".",): "cannot read .: Is a directory",
    (*PAIR, "--weights-from", "w.npz"): "cannot read w.npz: No such file or directory",
}


@pytest.mark.parametrize(("flags", "message"), DESIGNS.items(), ids=lambda value: value if type(value) is str else " ")
def test_a_wrong_flag_is_refused(tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    assert refusal(tmp_path, "generate", *flags) == message
    assert refusal(tmp_path, "run", *flags) == message


SHIFT = (*PAIR, "--requantize", "shift", "--output", "int8")
UNUSED = {
    (*PAIR, "--outputs", "20"): "outputs needs array 'matrix_vector', not 'output_stationary'",
    (*PAIR, "--array", "vector", "--rows", "1", "--pass-rows", "9"): (
        "pass_rows needs array 'weight_stationary', not 'vector'"
    ),
    (*SHIFT, "--dynamic-scale", "next_tile"): "dynamic_scale needs requantize 'dynamic', not 'shift'",
    (*SHIFT, "--threshold-search", "parallel"): "threshold_search needs requantize 'thresholds', not 'shift'",
    (*SHIFT, "--multiplier-bits", "16"): "multiplier_bits needs requantize 'multiplier', not 'shift'",
    (*PAIR, "--rounding", "floor"): "rounding needs requantize 'shift' or 'multiplier', not 'none'",
    (*SHIFT, "--no-y-zero-point", "--zero-point-order", "before_rounding"): (
        "zero_point_order needs y_zero_point, not a design without"
    ),
    (*PAIR, "--accumulator-overflow", "saturate"): (
        "accumulator_overflow needs accumulator, a width, not a design with the exact one"
    ),
    (*PAIR, "--weights", "pot4", "--multiplier-style", "dsp"): (
        "multiplier_style needs products of integers, not int8 x pot4"
    ),
}


@pytest.mark.parametrize(("flags", "message"), UNUSED.items(), ids=lambda value: value if type(value) is str else " ")
def test_an_option_that_says_nothing_is_refused(tmp_path, monkeypatch, flags, message):
    """Given as a flag, or in a design file; with its default value it may stand there."""
    monkeypatch.chdir(tmp_path)
    assert refusal(tmp_path, "generate", *flags) == message
    assert refusal(tmp_path, "run", *flags) == message
    field = message.partition(" ")[0]
    default = Spec.__dataclass_fields__[field].default
    given = [f"--{field.replace('_', '-')}", str(default)] if default is not None else []
    at = flags.index(f"--{field.replace('_', '-')}")
    done("generate", *flags[:at], *given, *flags[at + 2 :], "--rows", "1", "--cols", "1")


def test_an_unused_field_of_a_design_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("d.toml").write_text('activations = "int8"\nweights = "int4"\npass_rows = 8\n')
    message = "pass_rows needs array 'weight_stationary', not 'output_stationary'"
    assert refusal(tmp_path, "generate", "d.toml") == message
    assert refusal(tmp_path, "agree", "d.toml") == f"d.toml: {message}"


@pytest.mark.parametrize("name", SMALL)
def test_resolved_designs_use_what_they_say(name):
    spec = to_spec(tomllib.loads(to_toml(SMALL[name])))
    assert spec == SMALL[name]
    check_used(spec)


FILES = {
    'rows = "8"': "rows must be an integer, not '8'",
    "rows = 8.0": "rows must be an integer, not 8.0",
    "rows = true": "rows must be an integer, not True",
    "clip = [1]": "clip must be a pair of integers, not [1]",
    'clip = ["a", 2]': "clip must be a pair of integers, not ('a', 2)",
    "a_zero_point = 1": "a_zero_point must be true or false, not 1",
    "output = 8": "output must be a format, not 8",
    "bias = {}": "bias must be a format, not {}",
    "rounding = 1": "rounding must be a string, not 1",
    'platform = "x"': f"platform must be one of {', '.join(PLATFORMS)}, not 'x'",
    "platform = 1": f"platform must be one of {', '.join(PLATFORMS)}, not 1",
    "table = 3": "table must be integers, not 3",
    "table = [1.5]": "table must be integers, not (1.5,)",
    "table = [1, 2]": "table, table_input and output must be given together; table_input is missing",
    'table = [1, 2]\noutput = "int4"\ntable_input = "int2"': "table must have 4 entries for int2, not 2",
    'table = [1, 2]\noutput = "int4"\ntable_input = "int17"': (
        "table_input must be an integer format of at most 16 bits, not int17"
    ),
    'table = [1, 9]\noutput = "int4"\ntable_input = "int1"': "table[1] is 9, outside int4 [-8, 7]",
    'table_input = "int0"': "table_input: width of int must be 1 to 64, not 0",
    'name = "a\\"b"': "name must be a letter, then at most 63 letters, digits or underscores, not 'a\"b'",
    'name = "a\\nb"': "name must be a letter, then at most 63 letters, digits or underscores, not 'a\\nb'",
    'name = "module"': "name must not be a Verilog keyword or 'bench', not 'module'",
    "row = 8": "d.toml: unknown field 'row'; did you mean rows?",
    "accumulator-overflow = 1": "d.toml: unknown field 'accumulator-overflow'; did you mean accumulator_overflow?",
    "rows = ": "d.toml: Invalid value (at line 3, column 8)",
    "rows = 1\nrows = 2": "d.toml: Cannot overwrite a value (at line 4, column 9)",
    "rows = " + "[" * 5000: "d.toml: maximum recursion depth exceeded",
}


@pytest.mark.parametrize(("line", "message"), FILES.items(), ids=lambda value: value[:30])
def test_a_wrong_design_file_is_refused(tmp_path, monkeypatch, line, message):
    monkeypatch.chdir(tmp_path)
    Path("d.toml").write_text(f'activations = "int8"\nweights = "int4"\n{line}\n')
    refused = refusal(tmp_path, "generate", "d.toml")
    assert refused.startswith(message) if "recursion" in message else refused == message


def test_an_unknown_field_without_a_likeness_lists_the_known(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("d.toml").write_text("zzz = 1")
    known = ", ".join(Spec.__dataclass_fields__)
    assert refusal(tmp_path, "generate", "d.toml") == f"d.toml: unknown field 'zzz'; known are {known}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00", "d.toml: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (b"\x00\x01\x02", "d.toml: Invalid statement (at line 1, column 1)"),
        (b"#" * (MAX_TOML_BYTES + 1), f"d.toml: a design file has at most {MAX_TOML_BYTES} bytes"),
        (b"", "activations must be given, for example --activations int8"),
    ],
    ids=["binary", "control characters", "huge", "empty"],
)
def test_a_file_that_is_no_design_is_refused(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    Path("d.toml").write_bytes(content)
    assert refusal(tmp_path, "generate", "d.toml") == message


def test_an_endless_file_is_read_up_to_the_limit(tmp_path):
    assert refusal(tmp_path, "generate", "/dev/zero") == f"/dev/zero: a design file has at most {MAX_TOML_BYTES} bytes"


def test_control_characters_in_a_file_name_stay_on_one_line(tmp_path):
    assert refusal(tmp_path, "generate", "a\nb\x1b[31m.toml") == (
        "cannot read a\\nb\\x1b[31m.toml: No such file or directory"
    )


SIMULATIONS = {
    ("--random", "0"): "random must be 1 to 10000000 outputs, not 0",
    ("--random", "-5"): "random must be 1 to 10000000 outputs, not -5",
    ("--random", "1e3"): f"Invalid value for '--random': {NO_INTEGER}, not '1e3'",
    ("--stall", "1.5"): "stall must be 0 to 0.9, not 1.5",
    ("--stall", "nan"): "stall must be 0 to 0.9, not nan",
    ("--seed", "-1"): "seed must be 0 to 2147483647, not -1",
    ("--inputs", "inputs.npz", "--random", "9"): "give --inputs or --random, not both",
    ("--simulator", "vcs"): "simulator must be verilator, icarus or both, not 'vcs'",
    ("--simulator",): "Option '--simulator' requires an argument.",
}


@pytest.mark.parametrize(
    ("flags", "message"), SIMULATIONS.items(), ids=lambda value: value if type(value) is str else ""
)
def test_a_wrong_simulation_is_refused_and_the_run_before_it_kept(here, flags, message):
    assert refusal(here, "simulate", "x", *flags) == message
    assert refusal(here, "run", "design.toml", "--out", "x", *flags) == message


def test_unknown_and_incomplete_commands(tmp_path):
    assert refusal(tmp_path, "generat") == "No such command 'generat'. Did you mean 'generate'?"
    assert refusal(tmp_path, "simulate") == "Missing argument 'folder'."
    assert refusal(tmp_path, "compare", "x", "y") == "Got unexpected extra argument(s) (y)"
    assert refusal(tmp_path, "demo", "--simulator", "both") == "simulator must be verilator or icarus, not 'both'"


def path_without(tool, folder):
    """A folder with links to all programs on the path but one."""
    for directory in reversed(os.environ["PATH"].split(os.pathsep)):
        for program in Path(directory).glob("*"):
            if program.name != tool:
                link = folder / program.name
                link.unlink(missing_ok=True)
                link.symlink_to(program)
    return str(folder)


@pytest.mark.parametrize(
    ("simulator", "tool", "hint"),
    [
        (
            *("icarus", "iverilog"),
            "Icarus Verilog is not installed (Debian: apt-get install iverilog); or use --simulator verilator",
        ),
        ("verilator", "g++", "install it with your system's packages"),
    ],
)
def test_a_simulator_that_is_not_installed(here, monkeypatch, tmp_path_factory, simulator, tool, hint):
    monkeypatch.setenv("PATH", path_without(tool, tmp_path_factory.mktemp("bin")))
    message = f"{simulator} needs {tool}, which is not on the path: {hint}"
    assert refusal(here, "simulate", "x", "--simulator", simulator) == message
    assert refusal(here, "run", "design.toml", "--out", "x", "--simulator", simulator) == message


def test_the_cache_of_verilator_has_no_spaces(here, monkeypatch):
    monkeypatch.setattr(flows, "require", lambda simulator: None)
    monkeypatch.setenv("XDG_CACHE_HOME", "/a b")
    assert refusal(here, "simulate", "x") == (
        "verilator cannot build in a path with spaces, such as /a b/bittrue; set XDG_CACHE_HOME to another"
    )


def test_a_cache_that_cannot_be_written(here, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert refusal(here, "simulate", "x", "--simulator", "icarus", "--random", "1") == (
        "cannot build in the cache /dev/null/bittrue: Not a directory"
    )


def test_the_demo_says_what_it_lacks(tmp_path, monkeypatch):
    def held_out():
        raise ImportError("No module named 'sklearn'")

    monkeypatch.setattr(network, "held_out", held_out)
    monkeypatch.setattr(flows, "require", lambda simulator: None)
    assert refusal(tmp_path, "demo", "--out", tmp_path / "d", "--simulator", "icarus") == (
        "the demo needs scikit-learn for its images: pip install scikit-learn (No module named 'sklearn')"
    )


def test_too_little_memory_is_one_line(here, monkeypatch):
    def exhausted(*args, **kwargs):
        raise MemoryError("Unable to allocate 80.0 TiB")

    monkeypatch.setattr(flows, "random_arrays", exhausted)
    assert refusal(here, "simulate", "x", "--simulator", "icarus") == "not enough memory: Unable to allocate 80.0 TiB"


def test_an_interruption_is_silent(here, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(flows, "diagnose", interrupted)
    result = command("compare", "x")
    assert (result.code, result.out, result.err.strip()) == (130, "", "")


def test_damaged_design_files_raise_nothing_but_input_errors(tmp_path):
    rng, path = random.Random(11), tmp_path / "d.toml"
    kept = 0
    for _ in range(200):
        content = bytearray(DESIGN.encode())
        for _ in range(rng.randint(1, 4)):
            content[rng.randrange(len(content))] = rng.choice(b'0123456789=-[]"\n\x00\xffabc')
        path.write_bytes(content)
        try:
            to_spec(read_toml(path))
            kept += 1
        except InputError as error:
            assert str(error).isprintable()
    assert 0 < kept < 100
