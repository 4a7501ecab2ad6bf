"""Designs with thresholds in the shipped Verilog: formats, shapes, kept sets, stalls, cycles; other people's rules."""

import numpy as np
import pytest
from simulation import SIMULATORS, missing, replay_streams, verilog
from threshold_stimulus import threshold_operands

from golden import platforms
from golden.formats import parse
from golden.spec import Spec
from golden.tensors import accumulators, golden, operands
from hdl.layout import p_beats
from hdl.timing import cycles, latency
from sim.replay import build_bench, replay
from sim.streams import tiling

EACH_SIMULATOR = pytest.mark.parametrize("simulator", SIMULATORS)
STALLS = (0.0, 0.5)
OUTPUTS = [*(f"uint{bits}" for bits in range(1, 9)), *(f"int{bits}" for bits in range(2, 9)), "bipolar"]
SHAPES = ((1, 1, 1), (1, 3, 2), (3, 1, 1), (2, 4, 3), (4, 2, 1), (5, 3, 2))


def design(output, rows=3, cols=2, lanes=2, **fields):
    formats = {"activations": parse("int6"), "weights": parse("int5"), "output": parse(output)}
    shape = {"rows": rows, "cols": cols, "lanes": lanes, "depth": 24}
    return Spec(**formats | shape | {"requantize": "thresholds", "name": "thresholds"} | fields)


CASES = {
    **{output: design(output, *SHAPES[index % len(SHAPES)]) for index, output in enumerate(OUTPUTS)},
    **{
        f"{output}, parallel": design(output, *shape, threshold_search="parallel")
        for output, shape in zip(("uint1", "uint4", "int3", "int6", "bipolar"), SHAPES[1:], strict=True)
    },
    "clip to 11 codes": design("int4", 2, 3, clip=(-5, 5)),
    "clip to two codes": design("int8", 1, 2, clip=(99, 100)),
    "clip to 255 codes": design("int8", 3, 2, clip=(-127, 127)),
    "clip to 4 codes, parallel": design("uint8", 2, 2, clip=(7, 10), threshold_search="parallel"),
    "clip to 10 codes, parallel": design("uint4", 2, 3, clip=(3, 12), threshold_search="parallel"),
}


def seed_of(name):
    return 8000 + list(CASES).index(name)


def operands_of(name, k=9):
    """A product of three tile rows and two tile columns, the last ones not full where there is room."""
    spec = CASES[name]
    return threshold_operands(spec, 3 * spec.rows - spec.rows // 2, k, 2 * spec.cols - spec.cols // 2, seed_of(name))


def built(spec, simulator):
    return build_bench(spec, verilog(spec), simulator)


def differing(y, expected):
    assert y.shape == expected.shape
    return int((y != expected).sum())


def check(name, simulator, folder):
    spec, given, seed = CASES[name], operands_of(name), seed_of(name)
    cut = tiling(spec, given)
    unstalled = cycles(spec, [cut.beats] * cut.tiles, sets=cut.parameter_beats)
    for stall in STALLS:
        came = replay(built(spec, simulator), spec, given, folder, stall=stall, seed=seed)
        assert differing(came.y, golden(spec, given)) == 0, f"seed {seed}, stall {stall}"
        assert came.cycles == unstalled if stall == 0 else came.cycles > unstalled, f"seed {seed}, stall {stall}"


@pytest.mark.skipif(bool(missing("icarus")), reason=missing("icarus"))
@pytest.mark.parametrize("name", CASES)
def test_codes_and_cycles_in_icarus(name, tmp_path):
    check(name, "icarus", tmp_path)


@pytest.mark.skipif(bool(missing("verilator")), reason=missing("verilator"))
@pytest.mark.parametrize("name", list(CASES)[::3])
def test_codes_and_cycles_in_verilator(name, tmp_path):
    check(name, "verilator", tmp_path)


def test_operands_reach_thresholds():
    """Sums that are thresholds, in every case; and a count that starts above them would show."""
    for name, spec in CASES.items():
        given = operands_of(name)
        limits = given.parameters["thresholds"]
        assert (accumulators(spec, given)[:, :, None] == limits).any(), f"{name}, seed {seed_of(name)}"
        above = np.minimum(limits + 1, spec.threshold_format.code_range[1])
        given.parameters["thresholds"] = above
        assert differing(golden(spec, given), golden(spec, operands_of(name))) > 0, f"{name}, seed {seed_of(name)}"


def test_sets_are_kept_in_a_tile_column():
    for name, spec in CASES.items():
        whole = p_beats(spec)
        assert tiling(spec, operands_of(name)).parameter_beats == [whole, 1, 1, whole, 1, 1]


@pytest.mark.parametrize("name", ["uint4, parallel", "int5", "clip to two codes"])
@pytest.mark.parametrize("k", [1, 24])
@EACH_SIMULATOR
def test_cycles_of_shallow_and_deep_tiles(name, k, simulator, tmp_path):
    spec, given = CASES[name], operands_of(name, k)
    cut = tiling(spec, given)
    came = replay(built(spec, simulator), spec, given, tmp_path)
    assert differing(came.y, golden(spec, given)) == 0
    assert came.cycles == cycles(spec, [cut.beats] * cut.tiles, sets=cut.parameter_beats)


@pytest.mark.parametrize("name", ["uint3", "uint4, parallel"])
@EACH_SIMULATOR
def test_latency(name, simulator, tmp_path):
    """Of one tile long enough that its set is in place: from its last beat in to its first beat out."""
    spec = CASES[name]
    given = threshold_operands(spec, spec.rows, 24, spec.cols, seed_of(name))
    came = replay(built(spec, simulator), spec, given, tmp_path)
    assert came.cycles == spec.beats(24) + latency(spec) + spec.rows - 1


def test_latency_in_figures():
    """Rows, columns, two; the element; then one comparison per bit of the count, or one and a tree; and the code."""
    element = latency(design("int16", requantize="none")) - (3 + 2 + 1 + 2)
    assert latency(design("uint3")) == 3 + 2 + element + (3 + 1) + 2
    assert latency(design("uint8")) == 3 + 2 + element + (8 + 1) + 2
    assert latency(design("uint4", threshold_search="parallel")) == 3 + 2 + element + (1 + 4 + 1) + 2


DEPTHS = (9, 1, 24, 2, 2, 17)


@pytest.mark.parametrize("stalled", ["a", "w", "p", "y"])
@pytest.mark.parametrize("name", ["uint3", "uint4, parallel"])
@EACH_SIMULATOR
def test_one_stream_alone_stalls(stalled, name, simulator, tmp_path):
    spec = CASES[name]
    products = [threshold_operands(spec, 2 * spec.rows, k, spec.cols + 1, seed) for seed, k in enumerate(DEPTHS)]
    came, _ = replay_streams(built(spec, simulator), spec, products, tmp_path, **{stalled: 0.9})
    for seed, (y, given) in enumerate(zip(came, products, strict=True)):
        assert differing(y, golden(spec, given)) == 0, f"seed {seed}"


@pytest.mark.parametrize("name", ["uint3", "uint4, parallel"])
@EACH_SIMULATOR
def test_products_follow_each_other(name, simulator, tmp_path):
    spec = CASES[name]
    products = [threshold_operands(spec, 2 * spec.rows, k, spec.cols + 1, seed) for seed, k in enumerate(DEPTHS)]
    came, took = replay_streams(built(spec, simulator), spec, products, tmp_path)
    for seed, (y, given) in enumerate(zip(came, products, strict=True)):
        assert differing(y, golden(spec, given)) == 0, f"seed {seed}"
    cuts = [tiling(spec, given) for given in products]
    sets = [beats for cut in cuts for beats in cut.parameter_beats]
    assert took == cycles(spec, [cut.beats for cut in cuts for _ in range(cut.tiles)], sets=sets)


PLATFORMS = {
    "tflite-micro": "tflite",
    "litert-xnnpack": "float32",
    "litert-reference": "float64_away",
    "onnx-reference": "zero point before rounding",
    "qonnx": "zero point before rounding, of the product of scales",
}


def scaled_product(seed, n):
    """Codes, and scales with which some outputs end in ties: powers of two in every second column."""
    rng = np.random.default_rng(seed)
    arrays = {"a": rng.integers(-128, 128, (40, 12)), "w": rng.integers(-8, 8, (12, n))}
    w_scale = np.where(np.arange(n) % 2, rng.uniform(0.05, 0.2, n), 2.0 ** rng.integers(-5, -2, n))
    return arrays | {
        "a_scale": np.float32(0.25),
        "w_scale": w_scale.astype(np.float32),
        "y_scale": np.float32(0.5),
        "bias": rng.integers(-300, 300, n),
        "y_zero_point": int(rng.integers(-31, 31)) | 1,
    }


@pytest.mark.parametrize("platform", PLATFORMS)
@EACH_SIMULATOR
def test_thresholds_realize_a_platform(platform, simulator, tmp_path):
    """The platform's own rule on the sums, by golden.platforms, and thresholds derived from scales, in hardware."""
    formats = {"activations": parse("int8"), "weights": parse("int4"), "output": parse("int8")}
    spec = Spec(**formats, rows=4, cols=4, depth=16, requantize="thresholds", platform=platform, name="thresholds")
    arrays = scaled_product(5, 12)
    given = operands(spec, arrays)
    scales = {name: arrays[name] for name in ("a_scale", "w_scale", "y_scale")}
    offsets = {name: arrays[name] for name in ("bias", "y_zero_point")}
    theirs = platforms.requantize(platform, accumulators(spec, given), platforms.derive(platform, **scales), **offsets)
    assert len(np.unique(theirs)) > 100
    assert differing(replay(built(spec, simulator), spec, given, tmp_path).y, theirs) == 0


def test_platforms_differ_on_these_operands():
    arrays = scaled_product(5, 12)
    sums = arrays["a"] @ arrays["w"]
    scales = {name: arrays[name] for name in ("a_scale", "w_scale", "y_scale")}
    offsets = {name: arrays[name] for name in ("bias", "y_zero_point")}
    codes = {p: platforms.requantize(p, sums, platforms.derive(p, **scales), **offsets) for p in PLATFORMS}
    kinds = ("tflite-micro", "litert-xnnpack", "litert-reference", "onnx-reference")
    for index, name in enumerate(kinds):
        for other in kinds[index + 1 :]:
            assert differing(codes[name], codes[other]) > 0, f"{name} and {other}"
