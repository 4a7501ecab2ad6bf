"""Whole arrays, AXI4-Stream top and all, against the golden model in both simulators: values, stalls and cycles."""

import numpy as np
import pytest
from amaranth.hdl import Fragment
from simulation import SIMULATORS, blind_roundings, missing, random_operands, replay_streams, verilog

from golden.formats import parse
from golden.rules import RULES
from golden.spec import Spec
from golden.tensors import golden
from hdl.array import Array
from hdl.timing import cycles, latency
from sim import simulators
from sim.replay import build_bench, replay
from sim.streams import tiling

STALLS = (0.0, 0.3, 0.7)
PERMUTATION = tuple(31 - 5 * code % 64 for code in range(64))


def case(shape, size, a, w, **fields):
    """A spec for an array of shape rows x cols x lanes, and the size (M, K, N) of a product for it."""
    rows, cols, lanes = shape
    formats = {"activations": parse(a), "weights": parse(w)}
    formats |= {name: parse(fields.pop(name)) for name in ("bias", "output", "table_input") if name in fields}
    return Spec(rows=rows, cols=cols, lanes=lanes, **({"depth": 40} | formats | fields)), size


CASES = {
    "one element": case((1, 1, 1), (3, 5, 2), "int8", "int8"),
    "matrix-vector": case(
        *((1, 5, 3), (5, 7, 11), "uint8", "int4"),
        **{
            "requantize": "multiplier",
            "multiplier_bits": 15,
            "bias": "int16",
            "output": "int8",
            "rounding": "half_away",
        },
    ),
    "shift": case(
        (4, 3, 2), (13, 13, 7), "int4", "int4", requantize="shift", bias="int10", output="int5", rounding="half_up"
    ),
    "signs by activations": case((5, 2, 1), (7, 11, 3), "bipolar", "int6"),
    "signs by weights": case(
        (2, 4, 3), (9, 17, 5), "uint5", "bipolar", requantize="shift", output="int4", rounding="ceil"
    ),
    "all zero points": case(
        *((8, 8, 4), (17, 29, 19), "uint8", "int8"),
        **{"requantize": "multiplier", "bias": "int20", "output": "uint8", "rounding": "half_even"},
        **{"depth": 2048, "activation": "relu", "a_zero_point": True, "w_zero_point": True, "y_zero_point": True},
    ),
    "binary, one lane": case((3, 7, 1), (4, 17, 8), "bipolar", "bipolar"),
    "binary to bipolar": case((2, 9, 5), (5, 23, 10), "bipolar", "bipolar", bias="int6", output="bipolar"),
    "binary, odd pad, few beats": case(
        (5, 4, 7), (11, 19, 9), "bipolar", "bipolar", requantize="shift", output="int4", rounding="toward_zero"
    ),
    "binary, even pad": case((2, 2, 6), (3, 10, 3), "bipolar", "bipolar"),
    "accumulator wraps": case(
        (3, 3, 2), (7, 31, 4), "int5", "int5", accumulator=8, accumulator_overflow="wrap", bias="int8"
    ),
    "accumulator saturates": case(
        (2, 3, 3), (7, 31, 4), "int5", "uint4", accumulator=9, accumulator_overflow="saturate"
    ),
    "depth one, output wraps": case(
        *((6, 1, 2), (13, 1, 3), "q2.3", "uq3.4"),
        **{"requantize": "shift", "output": "q2.2", "rounding": "floor", "overflow": "wrap"},
    ),
    "clip": case(
        *((4, 6, 1), (9, 3, 13), "q3.4", "q1.5"),
        **{"requantize": "shift", "bias": "int12", "output": "q2.3", "rounding": "half_down", "clip": (-12, 9)},
    ),
    "zero point before rounding": case(
        *((3, 4, 2), (37, 21, 19), "int8", "int4"),
        **{"requantize": "multiplier", "bias": "int16", "output": "int8", "y_zero_point": True},
        **{"zero_point_order": "before_rounding", "activation": "relu"},
    ),
    "dpu": case(
        *((3, 4, 2), (37, 21, 19), "int8", "int4"),
        **{"requantize": "multiplier", "bias": "int16", "output": "int8", "y_zero_point": True, "rounding": "dpu"},
    ),
    "float32": case(
        *((3, 4, 2), (37, 21, 13), "int8", "int8"),
        **{"requantize": "float32", "bias": "int32", "output": "int8", "y_zero_point": True, "a_zero_point": True},
    ),
    "float32 of long sums": case(
        *((1, 3, 1), (23, 9, 8), "int16", "int16"),
        **{"requantize": "float32", "bias": "int32", "output": "uint8", "y_zero_point": True, "clip": (3, 250)},
    ),
    "float32, relu6": case(
        *((4, 2, 3), (31, 7, 9), "uint8", "int4"),
        **{"requantize": "float32", "bias": "int32", "output": "int8", "a_zero_point": True, "y_zero_point": True},
        **{"activation": "relu6"},
    ),
    "relu6": case(
        *((3, 4, 2), (37, 21, 19), "int8", "int4"),
        **{"requantize": "multiplier", "bias": "int16", "output": "int8", "y_zero_point": True},
        **{"activation": "relu6", "rounding": "half_up"},
    ),
    "relu6, zero point before rounding": case(
        *((2, 4, 2), (37, 21, 19), "int8", "int4"),
        **{"requantize": "shift", "bias": "int16", "output": "int6", "y_zero_point": True},
        **{"activation": "relu6", "zero_point_order": "before_rounding", "clip": (-30, 25)},
    ),
    "table": case(
        *((3, 4, 2), (37, 21, 19), "int8", "int4"),
        **{"requantize": "multiplier", "bias": "int16", "y_zero_point": True, "rounding": "half_up"},
        **{"output": "int6", "table": PERMUTATION, "table_input": "int6"},
    ),
    "table of unsigned codes, relu": case(
        *((4, 3, 1), (13, 13, 17), "int4", "int4"),
        **{"requantize": "shift", "bias": "int10", "y_zero_point": True, "rounding": "half_even"},
        **{"activation": "relu", "output": "int8", "table": PERMUTATION[:32], "table_input": "uint5"},
    ),
    "table of bits": case(
        *((2, 5, 3), (11, 9, 12), "bipolar", "int6"),
        **{"bias": "int6", "output": "bipolar", "table": tuple(code & 1 for code in range(256)), "table_input": "int8"},
    ),
    "thresholds": case((3, 4, 2), (37, 21, 13), "int8", "int4", requantize="thresholds", output="int4"),
    "thresholds, one row": case(
        *((1, 3, 1), (23, 17, 8), "uint8", "int8"),
        **{"requantize": "thresholds", "output": "int8", "clip": (-50, 49), "a_zero_point": True},
    ),
    "parallel thresholds": case(
        *((4, 2, 3), (31, 7, 9), "uint5", "int4"),
        **{"requantize": "thresholds", "output": "uint3", "clip": (1, 6), "threshold_search": "parallel"},
    ),
    "one threshold": case((2, 3, 5), (9, 23, 10), "bipolar", "bipolar", requantize="thresholds", output="bipolar"),
    "one threshold, parallel": case(
        *((2, 3, 1), (9, 23, 10), "bipolar", "int3"),
        **{"requantize": "thresholds", "output": "bipolar", "threshold_search": "parallel"},
    ),
} | {
    rule: case(
        *((3, 4, 2), (37, 21, 13), "int8", "int8"),
        **{"requantize": rule, "bias": "int32", "output": "int8", "y_zero_point": True, "activation": activation},
    )
    for rule, activation in zip(list(RULES)[:4], ("none", "none", "relu", "relu"), strict=True)
}
EACH_CASE = pytest.mark.parametrize("name", CASES)
EACH_SIMULATOR = pytest.mark.parametrize("simulator", SIMULATORS)


def seed_of(name):
    return 1000 + list(CASES).index(name)


def operands_of(name):
    spec, size = CASES[name]
    return random_operands(spec, *size, seed_of(name))


def built(spec, simulator):
    return build_bench(spec, verilog(spec), simulator)


def differences(y, expected, seed):
    """First differing output, or nothing."""
    if y.shape != expected.shape:
        return f"shape {y.shape}, expected {expected.shape} (seed {seed})"
    wrong = np.argwhere(y != expected)
    if not len(wrong):
        return ""
    m, n = wrong[0]
    return f"{len(wrong)} of {y.size} differ; first y[{m}, {n}] = {y[m, n]}, expected {expected[m, n]} (seed {seed})"


@EACH_CASE
def test_stimulus_is_not_blind(name):
    spec, _ = CASES[name]
    given = operands_of(name)
    assert blind_roundings(spec, given) == []
    assert len(np.unique(golden(spec, given))) >= min(4, 1 << spec.y.width), f"seed {seed_of(name)}"


@EACH_CASE
@EACH_SIMULATOR
def test_equals_the_golden_model(name, simulator, tmp_path):
    spec, (_, k, _) = CASES[name]
    given, seed = operands_of(name), seed_of(name)
    cut = tiling(spec, given)
    unstalled = cycles(spec, [spec.beats(k)] * cut.tiles, cut.parameter_beats)
    for stall in STALLS:
        came = replay(built(spec, simulator), spec, given, tmp_path, stall=stall, seed=seed)
        assert differences(came.y, golden(spec, given), seed) == "", f"stall {stall}"
        if stall == 0:
            assert came.cycles == unstalled
        else:
            assert came.cycles > unstalled


@pytest.mark.skipif(any(missing(name) for name in simulators.SIMULATORS), reason="needs both simulators")
@pytest.mark.parametrize("name", ["matrix-vector", "all zero points", "binary, odd pad, few beats"])
def test_both_simulators_agree_beat_by_beat(name, tmp_path):
    spec, _ = CASES[name]
    runs = [
        replay(built(spec, simulator), spec, operands_of(name), tmp_path / simulator, stall=0.3, seed=seed_of(name))
        for simulator in simulators.SIMULATORS
    ]
    assert runs[0].y.tolist() == runs[1].y.tolist()
    assert runs[0].cycles == runs[1].cycles
    assert runs[0].beat_cycles.tolist() == runs[1].beat_cycles.tolist()


def test_an_array_tells_its_timing():
    spec, _ = CASES["shift"]
    array = Array(spec)
    Fragment.get(array, None)  # used, or Amaranth warns
    assert (array.latency, array.cycles([3, 9, 1])) == (latency(spec), cycles(spec, [3, 9, 1]))


def test_cycles_in_figures():
    spec, _ = case((4, 2, 1), (1, 8, 1), "int8", "int8")
    assert latency(spec) == 4 + 2 + 1 + 1 + 2
    assert cycles(spec, [8]) == 8 + 10 + 3
    assert cycles(spec, [8, 2, 5]) == 8 + 4 + 5 + 10 + 3
    assert cycles(spec, [2, 8]) == 2 + 8 + 10 + 3


DEPTHS = (9, 1, 31, 2, 2, 29, 5, 1, 17)


@pytest.mark.parametrize(
    "name",
    ["shift", "all zero points", "binary, odd pad, few beats", "float32, relu6", "thresholds", "parallel thresholds"],
)
@EACH_SIMULATOR
def test_tiles_of_different_depth_follow_each_other(name, simulator, tmp_path):
    spec = CASES[name][0]
    products = [random_operands(spec, spec.rows + 1, k, spec.cols, seed) for seed, k in enumerate(DEPTHS)]
    came, took = replay_streams(built(spec, simulator), spec, products, tmp_path)
    for k, y, given in zip(DEPTHS, came, products, strict=True):
        assert differences(y, golden(spec, given), f"its index in DEPTHS, K = {k}") == ""
    sets = [beats for given in products for beats in tiling(spec, given).parameter_beats]
    assert took == cycles(spec, [spec.beats(k) for k in DEPTHS for _ in range(2)], sets)


@pytest.mark.parametrize("stalled", ["a", "w", "p", "y"])
@pytest.mark.parametrize("name", ["all zero points", "thresholds"])
@EACH_SIMULATOR
def test_one_stream_alone_stalls(name, stalled, simulator, tmp_path):
    spec = CASES[name][0]
    products = [random_operands(spec, spec.rows, k, spec.cols + 1, seed) for seed, k in enumerate(DEPTHS)]
    came, _ = replay_streams(built(spec, simulator), spec, products, tmp_path, **{stalled: 0.9})
    for k, y, given in zip(DEPTHS, came, products, strict=True):
        assert differences(y, golden(spec, given), f"its index in DEPTHS, K = {k}") == ""


@pytest.mark.skipif(bool(missing("verilator")), reason=missing("verilator"))
def test_a_large_product_keeps_the_array_busy(tmp_path):
    spec = CASES["all zero points"][0]
    given = random_operands(spec, 64, 2048, 64, seed=5)
    came = replay(built(spec, "verilator"), spec, given, tmp_path)
    assert differences(came.y, golden(spec, given), 5) == ""
    macs = 64 * 2048 * 64
    assert macs / (spec.rows * spec.cols * spec.lanes * came.cycles) > 0.99
