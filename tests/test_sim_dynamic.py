"""Dynamic quantization in hardware: codes, scales, zero points and cycles; products that follow each other; faults."""

from fractions import Fraction

import numpy as np
import pytest
from designs import design
from planting import planted, simulated
from simulation import SIMULATORS, random_operands, read_beats, verilog
from test_golden_dynamic import float32, tiles_of_sums
from test_sim_formats import NEEDS_ICARUS, in_icarus

from golden.dynamic import FROM_RESET, SCALES, dynamic
from golden.tensors import accumulators, golden, operands
from golden.tiles import Tiles
from hdl.dynamic_stage import dynamic_latency
from hdl.requantize import requantizer_latency
from hdl.timing import latency
from sim.diagnose import diagnose
from sim.replay import build_bench, replay
from sim.stimulus import random_arrays
from sim.streams import tiling

DYNAMIC = {"requantize": "dynamic", "output": "uint8"}
SUMS = {"rows": 4, "cols": 5, "lanes": 4, "depth": 4, **DYNAMIC}  # sums of 34 bits
EACH_SCALE = pytest.mark.parametrize("scale_of", SCALES)


def sums_as_operands(spec, sums):
    """A product whose sums [4, N] are any 32-bit integers: of the identity and of these."""
    return operands(spec, {"a": np.eye(4, dtype=np.int64), "w": sums})


def sums_of_every_kind(seed, outputs):
    """[4, N]: tiles of 4 x 5 sums as test_golden_dynamic has them, beyond 32 bits cut off, N odd."""
    tiles = np.array(list(tiles_of_sums(seed, -(-outputs // 20), 20)), np.int64).reshape(-1, 4, 5)
    return np.clip(np.concatenate(tiles, axis=1), -(1 << 31), (1 << 31) - 1)[:, :-2]


@EACH_SCALE
@pytest.mark.parametrize("simulator", SIMULATORS)
def test_ranges_of_every_kind(simulator, scale_of, tmp_path):
    """25000 outputs in each simulator and mode: ties, no range at all, one-sided ones, sums beyond 2**24."""
    spec = design("uint1", "int32", **SUMS, dynamic_scale=scale_of)
    given = sums_as_operands(spec, sums_of_every_kind(len(simulator), 25_000))
    came = replay(build_bench(spec, verilog(spec), simulator), spec, given, tmp_path)
    made = dynamic(accumulators(spec, given), spec)
    assert came.y.size >= 24_990 and np.array_equal(came.y, made.y)
    assert np.array_equal(came.of_tiles["y_scale"], made.y_scale)
    assert np.array_equal(came.of_tiles["y_zero_point"], made.y_zero_point)
    assert came.cycles == tiling(spec, given).cycles
    assert {0, 1} <= set(np.unique(made.y_scale)) | {0} and {0, 255} <= set(np.unique(made.y_zero_point))


SHAPES = {
    "one element": design("int8", "int8", rows=1, cols=1, lanes=1, depth=20, **DYNAMIC),
    "tiles shorter than rows": design("int6", "uint5", rows=5, cols=2, lanes=8, depth=20, **DYNAMIC, a_zero_point=True),
    "long sums": design("int16", "int16", rows=2, cols=3, lanes=3, depth=200, **DYNAMIC, w_zero_point=True),
    "unsigned": design("uint4", "uint3", rows=3, cols=4, lanes=2, depth=20, **DYNAMIC),
    "saturating sums": design(
        *("int8", "int8"), rows=2, cols=2, depth=20, accumulator=14, accumulator_overflow="saturate", **DYNAMIC
    ),
}


def expected_of(spec, products):
    """What golden makes of products that follow each other: codes of each, scales and zero points of all tiles."""
    made = []
    for given in products:
        made.append(dynamic(accumulators(spec, given), spec, made[-1].after if made else FROM_RESET))
    scales = [
        (float(scale), int(zero)) for one in made for scale, zero in zip(one.y_scale, one.y_zero_point, strict=True)
    ]
    return [one.y.tolist() for one in made], scales


def check(spec, products, folder, **stalls):
    came = in_icarus(spec, products, folder, **stalls)
    codes, scales = expected_of(spec, products)
    assert [y.tolist() for y in came] == codes, stalls
    of_tiles = tiling(spec, products[0]).of_tiles("q", read_beats(spec, "q", folder))
    assert list(zip(of_tiles["y_scale"].tolist(), of_tiles["y_zero_point"].tolist(), strict=True)) == scales, stalls


@NEEDS_ICARUS
@pytest.mark.parametrize(
    ("name", "scale_of"),
    [*((name, "same_tile") for name in SHAPES), ("one element", "next_tile"), ("long sums", "next_tile")],
)
def test_shapes_and_stalls(name, scale_of, tmp_path):
    spec = SHAPES[name].with_(dynamic_scale=scale_of)
    products = [random_operands(spec, *size, seed) for seed, size in enumerate([(11, 20, 9), (1, 1, 1)])]
    check(spec, products, tmp_path)
    check(spec, products, tmp_path, a=0.3, w=0.4, y=0.5, q=0.6)


@NEEDS_ICARUS
@pytest.mark.parametrize(("name", "scale_of"), [("tiles shorter than rows", "same_tile"), ("long sums", "next_tile")])
def test_cycles(name, scale_of, tmp_path):
    spec = SHAPES[name].with_(dynamic_scale=scale_of)
    given = random_operands(spec, 11, 20, 9, seed=1)
    came, cut = replay(build_bench(spec, verilog(spec), "icarus"), spec, given, tmp_path), tiling(spec, given)
    assert (
        came.cycles
        == cut.cycles
        == cut.beats + (cut.tiles - 1) * max(cut.beats, spec.rows) + latency(spec) + spec.rows - 1
    )


@NEEDS_ICARUS
@EACH_SCALE
def test_products_follow_each_other_while_one_stream_stalls(scale_of, tmp_path):
    """With next_tile the range of a product's last tile scales the first one of the next."""
    spec = design("int8", "int8", rows=3, cols=2, lanes=2, depth=20, **DYNAMIC, dynamic_scale=scale_of)
    products = [random_operands(spec, *size, seed) for seed, size in enumerate([(5, 9, 3), (1, 1, 1), (7, 20, 5)])]
    for name in ("a", "w", "y", "q"):
        check(spec, products, tmp_path, **{name: 0.8})
    fresh = [golden(spec, given).tolist() for given in products]
    assert (fresh == expected_of(spec, products)[0]) == (scale_of == "same_tile")


@pytest.mark.parametrize("rows", [1, 8])
@pytest.mark.parametrize("cols", [1, 5, 8])
@pytest.mark.parametrize("bits", [12, 25, 40])
def test_latency_in_figures(bits, rows, cols):
    """docs/hardware.md, (T.8)."""
    held = {"accumulator": bits, "accumulator_overflow": "wrap", "depth": 1 << 24}
    spec = design("int16", "int16", **{**held, "rows": rows, "cols": cols}, **DYNAMIC)
    width = max(bits + 1 if bits == 40 else bits, 24)
    fraction = max(width - 31, 0)
    tree, cut = (cols - 1).bit_length(), 3 if bits > 25 else 0
    found = tree + 2 + -(-((width - 1).bit_length()) // 2) + 4 + 1
    quotient = 1 + -(-((31 + fraction).bit_length()) // 2) + 9 + 3
    assert dynamic_latency(spec) == requantizer_latency(spec) == cut + found + rows + quotient
    assert requantizer_latency(spec.with_(dynamic_scale="next_tile")) == cut + found + quotient
    assert latency(spec) - latency(spec.with_(dynamic_scale="next_tile")) == rows


def broken(sums, scale_of, shape, bug):
    """The codes of a product with one fault, in fractions: sums [M, N] in tiles of `shape`."""
    tiles = Tiles(*shape, *sums.shape)
    parts = [[float32(Fraction(int(one))) for one in tile.reshape(-1)] for tile in tiles.split(sums)]
    own = [_scale_and_zero_point(part, bug) for part in parts]
    used = own if (scale_of == "same_tile") != (bug == "other tile") else [(Fraction(1), 0), *own[:-1]]
    codes = [[_code(one, *scale, bug) for one in part] for part, scale in zip(parts, used, strict=True)]
    return tiles.join(np.array(codes).reshape(-1, *shape))[: sums.shape[0], : sums.shape[1]]


def _scale_and_zero_point(part, bug):
    low, high = (min(part), max(part)) if bug == "no zero" else (min(0, *part), max(0, *part))
    if low == high:
        return Fraction(1), 0
    scale = float32(float32(high - low) / {"256": 256, "254": 254}.get(bug, 255))
    zero = min(max(float32(-low / scale), 0), 255)
    return scale, int(zero) if bug == "truncated" else round(zero)


def _code(one, scale, zero_point, bug):
    quotient = float32(one / scale)
    away = int(abs(quotient) + Fraction(1, 2)) * (1 if quotient > 0 else -1)
    return min(max((away if bug == "away" else round(quotient)) + zero_point, 0), 255)


BUGS = {
    "no zero": "zero is not included in the range",
    "256": "the range is divided by 256 instead of 255",
    "254": "the range is divided by 254 instead of 255",
    "truncated": "the zero point is truncated instead of rounded",
    "away": "rounds half_away where the design says half_even",
}
OTHER_TILE = {
    "same_tile": "each tile is scaled by the range of the tile before, not of its own sums",
    "next_tile": "each tile is scaled by the range of its own sums, not of the tile before",
}


@EACH_SCALE
@pytest.mark.parametrize("bug", [*BUGS, "other tile"])
def test_faults_are_found_and_named(bug, scale_of):
    spec = design("int8", "int8", rows=4, cols=4, depth=50, **DYNAMIC, dynamic_scale=scale_of)
    given = operands(spec, random_arrays(spec, m=21, k=40, n=9, seed=3))
    sums = accumulators(spec, given)
    assert np.array_equal(broken(sums, scale_of, (4, 4), None), golden(spec, given))
    found = diagnose(spec, given, broken(sums, scale_of, (4, 4), bug))
    assert found.cause == BUGS.get(bug, OTHER_TILE[scale_of])
    assert found.explained == found.compared


@NEEDS_ICARUS
@pytest.mark.parametrize(
    ("module", "pattern", "replacement", "hits", "cause"),
    [
        (
            "range",
            r"_before = fresh \? 17'h00000 : (tile_(low|high));",
            r"_before = fresh ? \2_0_0 : \1;",
            2,
            BUGS["no zero"],
        ),
        (
            *("range", r"_before = fresh \? 17'h00000 : (tile_\w+);"),
            r"_before = \1 === 17'hx ? 17'h00000 : \1;",
            *(2, "the range is not cleared between tiles"),
        ),
        ("requantize", r"assign up = whole\[0\] \? (\w+) : (\w+);", r"assign up = \1;", 1, BUGS["away"]),
        ("output_stage", r"assign (zero_point_\d+) = .*;", r"assign \1 = 8'h00;", 1, "the zero point is missing"),
    ],
)
def test_faults_planted_in_the_verilog(module, pattern, replacement, hits, cause, tmp_path, monkeypatch):
    fields = {"rows": 2, "cols": 2, "lanes": 2, "depth": 63, "multiplier_style": "dsp", "name": "planted"}
    spec = design("int8", "int4", **DYNAMIC, **fields)
    given = operands(spec, random_arrays(spec, m=13, k=60, n=5, seed=1))
    y = simulated(spec, planted(spec, module, pattern, replacement, hits), given, tmp_path, monkeypatch)
    assert diagnose(spec, given, y).cause == cause
