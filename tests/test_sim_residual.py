"""Residual codes in the shipped Verilog: every triple of narrow codes, stalls, odd sizes, cycles, faults by name."""

import json
from importlib.util import find_spec
from itertools import product as every

import numpy as np
import oracle
import pytest
from icarus import in_icarus
from planting import planted, simulated, with_declaration
from simulation import SIMULATORS, missing, verilog
from test_sim_axi import frames, y_frames

from golden.formats import parse
from golden.mac import matmul
from golden.spec import Spec
from golden.tensors import golden, operands
from hdl.layout import marks
from hdl.timing import latency
from sim.diagnose import diagnose
from sim.machine import Machine
from sim.replay import build_bench, replay
from sim.simulators import build, run
from sim.stimulus import random_arrays, separates
from sim.streams import input_streams, tiling

NEEDS_ICARUS = pytest.mark.skipif(bool(missing("icarus")), reason=missing("icarus"))


def design(a="int4", w="int4", residual=4, rows=2, cols=3, lanes=2, depth=13, **fields):
    formats = {name: parse(fields.pop(name)) for name in ("bias", "output") if name in fields}
    shape = {"rows": rows, "cols": cols, "lanes": lanes, "depth": depth, "name": "twice"}
    return Spec(activations=parse(a), weights=parse(w), residual=residual, **shape, **formats, **fields)


SCALED = {"requantize": "multiplier", "bias": "int16", "output": "int8", "y_zero_point": True}
DESIGNS = {
    "weights": design(a_zero_point=True),
    "activations": design("uint4", "int3", 2, residual_of="activations", w_zero_point=True, rows=3, cols=2),
    "scaled": design("int8", **SCALED),
    "one lane, one element": design("int3", "int5", 5, rows=1, cols=1, lanes=1),
    "one beat in each pass": design(lanes=13),
    "bipolar": design("bipolar", "bipolar", 1, lanes=5),
    "bipolar weights": design("uint4", "bipolar", 1, lanes=3),
    "powers of two": design("int5", "pot4", 3),
    "floats": design("float4_e2m1fn", "float4_e2m1fn", 6, residual_of="activations"),
    "wrapping": design(accumulator=9, accumulator_overflow="wrap"),
    "promised": design(accumulator_range=(-4000, 3500)),
    "thresholds": design("uint4", "int2", 2, requantize="thresholds", output="int3"),
    "dsp": design("int8", "int8", 8, multiplier_style="dsp"),
}
SIZES = ((5, 13, 7), (1, 1, 1), (3, 2, 4), (4, 7, 2))


def products(spec):
    return [operands(spec, random_arrays(spec, m=m, k=k, n=n, seed=k)) for m, k, n in SIZES]


@NEEDS_ICARUS
@pytest.mark.parametrize(("bits", "a", "w"), [*every((1, 2, 3), ("int2", "int3"), ("int2", "int3"))])
def test_every_triple_of_codes(bits, a, w, tmp_path):
    """Each code with each pair of the other operand's, residual codes of W and of A in turns."""
    of = "weights" if (a == w) == (bits != 2) else "activations"
    spec = design(a, w, bits, residual_of=of, lanes=2)
    alone, twice = (range(-(1 << int(x[-1]) - 1), 1 << int(x[-1]) - 1) for x in ((a, w) if of == "weights" else (w, a)))
    first, second = np.array([*every(twice, repeat=2)]).T
    one = np.array([*alone])
    if of == "weights":
        arrays = {"a": one[:, None], "w": first[None], "w_residual": second[None]}
        expected = oracle.product(one[:, None], (first * 2**bits + second)[None])
    else:
        arrays = {"a": first[:, None], "a_residual": second[:, None], "w": one[None]}
        expected = oracle.product((first * 2**bits + second)[:, None], one[None])
    (y,), _ = in_icarus(spec, [operands(spec, arrays)], tmp_path)
    assert y.tolist() == expected


@NEEDS_ICARUS
@pytest.mark.parametrize("name", DESIGNS)
def test_products_of_odd_sizes(name, tmp_path):
    spec = DESIGNS[name]
    given = products(spec)
    came, _ = in_icarus(spec, given, tmp_path)
    for number, (y, one) in enumerate(zip(came, given, strict=True)):
        assert y.tolist() == golden(spec, one).tolist(), f"product {number}"


@NEEDS_ICARUS
@pytest.mark.parametrize("name", ["bipolar", "scaled", "thresholds"])
def test_products_while_one_stream_stalls(name, tmp_path):
    spec = DESIGNS[name]
    given = products(spec)
    for stream in (*input_streams(spec, given[0]), "y"):
        came, _ = in_icarus(spec, given, tmp_path, **{stream: 0.8})
        for y, one in zip(came, given, strict=True):
            assert y.tolist() == golden(spec, one).tolist(), f"while {stream} stalls"


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_cycles(simulator, tmp_path):
    """(T.2) with 2 ceil(K / lanes) beats per tile."""
    spec = DESIGNS["scaled"]
    built = build_bench(spec, verilog(spec), simulator)
    for given in products(spec):
        m, k, n = given.shape
        tiles, beats = -(-m // spec.rows) * -(-n // spec.cols), 2 * -(-k // spec.lanes)
        came = replay(built, spec, given, tmp_path)
        assert came.y.tolist() == golden(spec, given).tolist()
        expected = beats + (tiles - 1) * max(beats, spec.rows) + latency(spec) + spec.rows - 1
        assert came.cycles == tiling(spec, given).cycles == expected


@NEEDS_ICARUS
@pytest.mark.skipif(find_spec("cocotbext") is None, reason="cocotbext-axi is not installed: pip install cocotbext-axi")
def test_reset_in_flight(tmp_path):
    """Within either pass: the one that is cut off leaves nothing behind."""
    spec = DESIGNS["scaled"]

    def product(k, seed):
        given = operands(spec, random_arrays(spec, m=2 * spec.rows, k=k, n=2 * spec.cols, seed=seed))
        return {name: frames(stream) for name, stream in input_streams(spec, given).items()} | {
            "y": y_frames(spec, golden(spec, given))
        }

    (tmp_path / "axi.json").write_text(json.dumps({"first": product(5, 1), "second": product(3, 2)}))
    built = build("icarus", {f"{spec.name}.v": verilog(spec)}, top=spec.name)
    run(built, "sim.axi_tests", tmp_path, testcase="reset_in_flight")


def test_the_raise_mark_is_on_the_first_beat_of_the_second_pass():
    spec = DESIGNS["weights"]
    assert marks(spec) == ("raise",)
    given = products(spec)[0]
    stream = input_streams(spec, given)["a"]
    offset = spec.rows * spec.lanes * 4
    marked = np.unpackbits(stream.data, axis=1, bitorder="little")[:, offset]
    assert marked.reshape(-1, 14).tolist() == [[0] * 7 + [1] + [0] * 6] * 9
    assert stream.last.reshape(-1, 14).tolist() == [[False] * 13 + [True]] * 9


@pytest.mark.parametrize("name", DESIGNS)
def test_random_operands_show_every_fault_of_the_passes(name):
    spec = DESIGNS[name]
    unseen = separates(spec, random_arrays(spec, m=20, k=13, n=3 * spec.cols + 1, seed=1))
    assert not [cause for cause in unseen if "pass" in cause or "raised" in cause or "residual" in cause]


def parts(spec, given):
    """Sums of both passes, and of the beats at which they meet, in the tests' own arithmetic."""
    assert spec.residual_of == "weights"
    a, w = given.a - given.a_zero_point, [given.w, given.extras["w_residual"]]
    first, second = (np.array(oracle.product(a, codes), object) for codes in w)
    last = (a.shape[1] - 1) // spec.lanes * spec.lanes
    before = np.array(oracle.product(a[:, last:], w[0][last:]), object)
    after = np.array(oracle.product(a[:, : spec.lanes], w[1][: spec.lanes]), object)
    return first, second, before, after


FAULTS = {
    "the second pass is missing": lambda first, second, before, after: first,
    "the first pass is missing": lambda first, second, before, after: second,
    "residual codes count as nothing": lambda first, second, before, after: 16 * first,
    "the passes are swapped": lambda first, second, before, after: 16 * second + first,
    "both passes take the first codes": lambda first, second, before, after: 17 * first,
    "both passes take the residual codes": lambda first, second, before, after: 17 * second,
    "the accumulator is raised by 5 bits where the design says 4": lambda f, s, before, after: 32 * f + s,
    "the accumulator is raised by 3 bits where the design says 4": lambda f, s, before, after: 8 * f + s,
    "the accumulator is not raised": lambda first, second, before, after: first + second,
    "the accumulator is raised one beat late": lambda f, s, before, after: 16 * (f + after) + s - after,
    "the accumulator is raised one beat early": lambda f, s, before, after: 16 * (f - before) + before + s,
}


@pytest.mark.parametrize("cause", FAULTS)
def test_faults_of_the_passes_are_named(cause):
    """A wide output, so that nothing of the sums is lost."""
    spec = design("int8", a_zero_point=True, output="int32")
    given = operands(spec, random_arrays(spec, m=7, k=13, n=9, seed=6))
    wrong = FAULTS[cause](*parts(spec, given))
    width = spec.accumulator_width
    y = np.vectorize(lambda value: oracle.wrap(int(value), width, signed=True))(wrong)
    found = diagnose(spec, given, y)
    assert (found.step, found.cause) == ("sum", cause)


PLANTED = {
    "the accumulator is raised by 3 bits where the design says 4": (r"\{ acc\[\d+:0\], 4'h0 \}", "{ acc[13:0], 3'h0 }"),
    "the accumulator is raised in every beat of the second pass": (r"flags_in\[3\] \?", "(flags_in[3] | second) ?"),
}
SECOND = """  reg second;
  always @(posedge clk)
    if (flags_in[0] && enable) second <= ~flags_in[2] & (flags_in[3] | (second & ~flags_in[1]));
"""


@NEEDS_ICARUS
@pytest.mark.parametrize("cause", PLANTED)
def test_planted_faults_are_named(cause, tmp_path, monkeypatch):
    spec = design("int4", rows=2, cols=2)
    given = operands(spec, random_arrays(spec, m=5, k=9, n=4, seed=3))
    text = planted(spec, "pe", *PLANTED[cause], hits=1)
    text = with_declaration(spec, text, "pe", SECOND) if "second" in PLANTED[cause][1] else text
    found = diagnose(spec, given, simulated(spec, text, given, tmp_path, monkeypatch))
    assert (found.step, found.cause) == ("sum", cause)


@pytest.mark.parametrize("name", ["weights", "activations", "bipolar", "floats"])
def test_a_window_has_both_passes(name):
    """Their sums, the first raised, are the accumulators."""
    spec = DESIGNS[name]
    window = Machine(spec, products(spec)[0]).window(np.array([0, 3]), np.array([1, 4]))
    first, second = (matmul(a, w) for a, w in window.passes)
    assert ((first << spec.residual) + second).tolist() == window.accumulators.tolist()


def test_decoding_faults_hit_both_codes():
    spec = design("int4", "int4", 4, a_zero_point=True)
    given = operands(spec, random_arrays(spec, m=7, k=9, n=5, seed=8))
    codes = (given.w % 16) * 16 + given.extras["w_residual"] % 16
    y = np.array(oracle.product(given.a - given.a_zero_point, codes))
    half = 1 << spec.accumulator_width - 1
    found = diagnose(spec, given, (y + half) % (2 * half) - half)
    assert (found.step, found.cause) == ("decode", "sign extension of weights is lost: int4 read as uint4")
