"""Weight-stationary arrays: cycles of any tiling, passes of any length, what stalls, what the accumulators keep."""

from itertools import product as every

import numpy as np
import oracle
import planting
import pytest
from icarus import compiled, played
from simulation import missing, random_operands
from test_sim_formats import expected, random_pair

from golden.formats import parse
from golden.spec import Spec
from golden.tensors import golden, operands
from hdl.multiply import dot_product
from hdl.requantize import requantizer_latency
from hdl.thresholds import load_gap
from hdl.weight_timing import cycles, latency
from sim.diagnose import diagnose
from sim.stimulus import random_arrays
from sim.streams import tiling

pytestmark = pytest.mark.skipif(bool(missing("icarus")), reason=missing("icarus"))


def design(shape, a="int8", w="int4", pass_rows=16, **fields):
    rows, cols, lanes = shape
    formats = {"activations": parse(a), "weights": parse(w)}
    formats |= {name: parse(fields.pop(name)) for name in ("bias", "output") if name in fields}
    where = {"array": "weight_stationary", "rows": rows, "cols": cols, "lanes": lanes, "pass_rows": pass_rows}
    return Spec(**where, **({"depth": 64} | formats | fields))


SCALED = {"requantize": "multiplier", "bias": "int16", "output": "int8", "y_zero_point": True}
ZERO_POINTS = {"a_zero_point": True, "w_zero_point": True}
CASES = {
    "one element": design((1, 1, 1), pass_rows=3),
    "one element, one accumulator": design((1, 1, 1), pass_rows=1),
    "one array row": design((1, 5, 3), pass_rows=4, **SCALED),
    "one column": design((5, 1, 2), pass_rows=7, **ZERO_POINTS),
    "one lane": design((4, 3, 1), **SCALED, **ZERO_POINTS),
    "many lanes, one accumulator": design((3, 2, 5), pass_rows=1, **SCALED),
    "more rows than a pass": design((8, 3, 1), pass_rows=3),
    "binary": design((3, 4, 3), "bipolar", "bipolar", pass_rows=5),
    "binary, one lane": design((4, 3, 1), "bipolar", "bipolar", pass_rows=5),
    "saturating": design((2, 3, 2), "int6", "int5", pass_rows=4, accumulator=11, accumulator_overflow="saturate"),
    "wrapping": design((3, 2, 2), "int6", "int5", pass_rows=4, accumulator=9, accumulator_overflow="wrap"),
    "thresholds": design((2, 3, 2), "int5", "int4", pass_rows=6, requantize="thresholds", output="int6"),
    "late thresholds": design(
        (3, 2, 4), "int5", "int4", pass_rows=2, requantize="thresholds", output="uint8", clip=(9, 70)
    ),
    "parallel thresholds": design(
        *((2, 2, 1), "uint5", "int4", 4), requantize="thresholds", output="int4", threshold_search="parallel"
    ),
}
EACH_CASE = pytest.mark.parametrize("name", CASES)
SIZES = ((1, 1, 1), (1, 61, 7), (2, 23, 5), (4, 5, 13), (7, 64, 3), (16, 17, 6), (17, 31, 4), (23, 12, 11))


@EACH_CASE
def test_outputs_and_cycles_of_any_size(name, tmp_path):
    spec = CASES[name]
    compiled(spec, tmp_path)
    for seed, size in enumerate(SIZES):
        given = random_operands(spec, *size, seed)
        (y,), took = played(spec, [given], tmp_path)
        assert y.tolist() == golden(spec, given).tolist(), size
        assert took == tiling(spec, given).cycles, size


@EACH_CASE
def test_products_of_any_size_follow_each_other(name, tmp_path):
    spec = CASES[name]
    compiled(spec, tmp_path)
    products = [random_operands(spec, *size, seed) for seed, size in enumerate(SIZES[1::2])]
    cuts = [tiling(spec, given) for given in products]
    right = [golden(spec, given).tolist() for given in products]
    came, took = played(spec, products, tmp_path)
    assert [y.tolist() for y in came] == right
    tiles = [(height, cut.beats) for cut in cuts for height in cut.heights]
    assert took == cycles(spec, tiles, [beats for cut in cuts for beats in cut.parameter_beats])
    for stalled in (*tiling(spec, products[0]).streams(products[0]), "y"):
        came, _ = played(spec, products, tmp_path, **{stalled: 0.85})
        assert [y.tolist() for y in came] == right, f"while {stalled} stalls"
    for seed in (2, 3):
        came, _ = played(spec, products, tmp_path, seed, a=0.4, w=0.4, p=0.4, y=0.4)
        assert [y.tolist() for y in came] == right, f"while all stall, seed {seed}"


def test_cycles_in_figures():
    spec = design((4, 2, 1), "int8", "int8")
    assert latency(spec) == 4 + 2 + 1 + 1 + 2
    assert cycles(spec, [(9, 1)]) == 4 + 9 + 10 + 1
    assert cycles(spec, [(9, 3)]) == 4 + 9 + 9 + 9 + 10 + 1
    assert cycles(spec, [(1, 3)]) == 4 + 4 + 4 + 1 + 10 + 1
    assert cycles(spec, [(5, 2), (2, 2)]) == 4 + 5 + 5 + 4 + 2 + 10 + 1


@pytest.mark.parametrize("search", ["binary", "parallel"])
def test_cycles_with_thresholds_in_figures(search):
    """Takes are at rows + cycles of the passes before + latency - Q - 1; sets are late beyond that, or the gap."""
    spec = design((2, 3, 1), requantize="thresholds", output="int4", threshold_search=search)
    without = cycles(spec, [(3, 1), (5, 2), (1, 1)], [1, 1, 1])
    took = 2 + 0 + latency(spec) - requantizer_latency(spec) - 1
    assert latency(spec) == 2 + 3 + dot_product(spec).latency + requantizer_latency(spec) + 2
    late = max(0, 15 - took) + max(0, load_gap(spec) + 15 - (3 + 5)) + max(0, load_gap(spec) + 1 - 5)
    assert cycles(spec, [(3, 1), (5, 2), (1, 1)], [15, 15, 1]) == without + late


def test_weights_load_behind_the_pass_before(tmp_path):
    """With as many rows of A as array rows each block of K costs just these; with fewer, loading costs the array's."""
    spec = design((4, 3, 2), pass_rows=64)
    compiled(spec, tmp_path)
    rest = spec.rows + latency(spec) + 1
    for m, blocks in every((1, 3, 4, 5, 64), (1, 2, 8)):
        given = random_operands(spec, m, 8 * blocks, 3, seed=m)
        _, took = played(spec, [given], tmp_path)
        assert took == rest + max(m, 4) * (blocks - 1) + m, (m, blocks)


def test_missing_weights_hold_only_the_next_pass(tmp_path):
    """A long pass hides any number of pauses between weight beats."""
    spec = design((4, 3, 2), pass_rows=64)
    compiled(spec, tmp_path)
    given = random_operands(spec, 64, 64, 3, seed=1)
    _, took = played(spec, [given], tmp_path, w=0.75)
    unstalled = tiling(spec, given).cycles
    assert unstalled < took < unstalled + 40  # the first tile alone has nothing to hide behind


PAIRS = (
    ("uint4", "ternary"),
    ("int5", "pot4"),
    ("bipolar", "int4"),
    ("uint5", "bipolar"),
    ("bipolar", "bipolar"),
    ("float4_e2m1fn", "float6_e3m2fn"),
    ("sm3", "float4_e2m1fn"),
)


@pytest.mark.parametrize(("a_name", "w_name"), PAIRS)
def test_formats_by_plain_integers(a_name, w_name, tmp_path):
    spec = design((2, 3, 3) if PAIRS.index((a_name, w_name)) % 2 else (3, 2, 1), a_name, w_name, pass_rows=3, depth=13)
    pairs = [random_pair(a_name, w_name, k, seed=k) for k in (1, 2, 6, 9, 11, 13)]
    compiled(spec, tmp_path)
    came, _ = played(spec, [operands(spec, {"a": a, "w": w}) for a, w in pairs], tmp_path)
    for (a, w), y in zip(pairs, came, strict=True):
        assert y.tolist() == expected(a_name, w_name, a, w), f"K = {len(w)}"


@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
def test_narrow_accumulators_by_plain_integers(overflow, tmp_path):
    """A whole column's products are summed exactly before the accumulator saturates."""
    spec = design((3, 2, 2), "int5", "int5", pass_rows=4, accumulator=9, accumulator_overflow=overflow)
    random = np.random.default_rng(7)
    a, w = (random.choice([-16, -15, 15, 15, 0, 3], size) for size in ((9, 40), (40, 5)))
    compiled(spec, tmp_path)
    (y,), _ = played(spec, [operands(spec, {"a": a, "w": w})], tmp_path)

    def kept(m, n):
        total, reached = 0, 0
        for k in range(0, 40, 6):
            exact = sum(int(x) * int(z) for x, z in zip(a[m, k : k + 6], w[k : k + 6, n], strict=True))
            reached += not -256 <= total + exact <= 255
            total = total + exact
            total = oracle.clamp(total, -256, 255) if overflow == "saturate" else oracle.wrap(total, 9, True)
        return total, reached

    sums = [[kept(m, n) for n in range(5)] for m in range(9)]
    assert y.tolist() == [[total for total, _ in row] for row in sums]
    assert sum(bool(reached) for row in sums for _, reached in row) > 20


SPEC = design((2, 2, 2), pass_rows=3, depth=23, name="planted", multiplier_style="dsp", **SCALED)


def first_ignored():
    return planting.planted(SPEC, "accumulator", r"= first \? 16'h0000 : ", "= ", 1).replace(
        "rows [2:0];", "rows [2:0];\n  initial { rows[0], rows[1], rows[2] } = 0;"
    )


def first_always():
    return planting.planted(SPEC, "accumulator", r"= first \? ", "= 1'b1 ? ", 1)


LATE = """if (enable && begun) in_use <= next;
    if (\\1) begin
      next <= waiting;
      begun <= 1;
      if (!begun) in_use <= waiting;
    end
    if (rst) begun <= 0;
"""


def weights_one_cycle_late():
    """After those of the first pass, which nothing comes before."""
    text = planting.verilog(SPEC)
    for element in ("pe_13", "pe_14"):
        one = planting.planted(SPEC, element, r"if \((\w+)\) in_use <= waiting;", f"begin {LATE} end", 1)
        one = planting.with_declaration(SPEC, one, element, "reg begun;\n  reg [7:0] next;\n")
        text = text.replace(module(text, element), module(one, element))
    return text


def module(text, name):
    start = text.index(f"module planted_{name}(")
    return text[start : text.index("endmodule", start)]


PLANTS = {
    first_ignored: ("sum", "the accumulator is not cleared between tiles"),
    first_always: ("sum", "sums begin anew with each block of K: only the last block counts"),
    weights_one_cycle_late: (
        "order",
        "weights change one row late: the first row of each pass meets those of the pass before",
    ),
}


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_named(plant, tmp_path):
    given = operands(SPEC, random_arrays(SPEC, m=8, k=23, n=5, seed=4))
    compiled(SPEC, tmp_path, plant())
    (y,), _ = played(SPEC, [given], tmp_path)
    found = diagnose(SPEC, given, y)
    assert found.count == (y != golden(SPEC, given)).sum() > 0
    assert (found.step, found.cause) == PLANTS[plant]
    assert found.explained == y.size


@pytest.mark.parametrize(("shape", "stalls"), [((1, 2, 1), {}), ((3, 2, 1), {"a": 0.9})])
def test_a_row_that_is_read_while_it_is_written(shape, stalls, tmp_path):
    """Passes of one row come in consecutive cycles where weights wait for activations; memory alone would be late."""
    spec = design(shape, pass_rows=3, name="planted")
    given = random_operands(spec, 1, 60, 5, seed=3)
    bypassed = planting.planted(spec, "accumulator", r"= again \? acc : ", "= ", 1)
    bypassed = bypassed.replace("rows [2:0];", "rows [2:0];\n  initial { rows[0], rows[1], rows[2] } = 0;")
    for text, right in ((None, True), (bypassed, False)):
        compiled(spec, tmp_path, text)
        (y,), _ = played(spec, [given], tmp_path, **stalls)
        assert (y.tolist() == golden(spec, given).tolist()) == right


PLAIN = design((3, 2, 2), "int5", "int5", pass_rows=4)


def sums_with(given, weights_of):
    """Sums [M, N] of a product on PLAIN where a row of a pass meets the weights that `weights_of` tells.

    It is asked with the weights of all passes, the number of the pass, the row in it and its last row.
    """
    m, k, n = given.shape
    blocks, tiles_m = -(-k // 6), -(-m // 4)
    height = -(-m // tiles_m)
    w = np.zeros((6 * blocks, n + n % 2), int)
    w[:k, :n] = given.w
    a = np.zeros((m, 6 * blocks), int)
    a[:, :k] = given.a
    passes = [
        w[6 * block : 6 * block + 6, 2 * across : 2 * across + 2]
        for across in range(w.shape[1] // 2)
        for _ in range(tiles_m)
        for block in range(blocks)
    ]
    y = np.zeros((m, w.shape[1]), int)
    for row, column, block in every(range(m), range(w.shape[1] // 2), range(blocks)):
        number = (column * tiles_m + row // height) * blocks + block
        last = min(height, m - row // height * height) - 1
        met = weights_of(passes, number, row % height, last)
        y[row, 2 * column : 2 * column + 2] += a[row, 6 * block : 6 * block + 6] @ met
    return y[:, :n]


def neighbour(passes, number, by):
    return passes[min(max(number + by, 0), len(passes) - 1)]


OTHERS = {
    "passes use the weights of the pass before": lambda passes, number, row, last: neighbour(passes, number, -1),
    "passes use the weights of the pass after": lambda passes, number, row, last: neighbour(passes, number, 1),
    "weights change one row late: the first row of each pass meets those of the pass before": (
        lambda passes, number, row, last: neighbour(passes, number, -(row == 0))
    ),
    "weights change one row early: the last row of each pass meets those of the pass after": (
        lambda passes, number, row, last: neighbour(passes, number, int(row == last))
    ),
    "array row 1 adds nothing": lambda passes, number, row, last: passes[number] * [[1], [1], [0], [0], [1], [1]],
    "beats of W are in reverse order within each weight tile": (
        lambda passes, number, row, last: passes[number][[4, 5, 2, 3, 0, 1]]
    ),
    "block 1 of K (of 0 to 3) is missing": (
        lambda passes, number, row, last: passes[number] * (0 if number % 4 == 1 else 1)
    ),
    "the last block of K is missing": lambda passes, number, row, last: passes[number] * (number % 4 != 3),
}


@pytest.mark.parametrize("cause", OTHERS)
def test_other_weights_than_meant_are_named(cause):
    given = random_operands(PLAIN, 10, 23, 5, seed=6)
    assert sums_with(given, lambda passes, number, row, last: passes[number]).tolist() == golden(PLAIN, given).tolist()
    found = diagnose(PLAIN, given, sums_with(given, OTHERS[cause]))
    assert cause in (found.cause, *found.alternatives)
    assert found.explained == found.compared
    assert len(found.alternatives) == 0


@pytest.mark.parametrize("m", [3, 10])
def test_beats_of_outputs_out_of_step_are_named(m):
    """Ten rows make tiles of 4, 4 and 2: the last one is not padded."""
    given = random_operands(PLAIN, m, 23, 5, seed=6)
    cut = tiling(PLAIN, given)
    right = golden(PLAIN, given)
    beats = [(row, 2 * column) for column in range(3) for row in range(m)]
    padded = np.pad(right, ((0, 0), (0, 1)))
    late = padded.copy()
    for (row, column), (other, before) in zip(beats, beats[-1:] + beats[:-1], strict=True):
        late[row, column : column + 2] = padded[other, before : before + 2]
    assert [cut.y_beat_index(row, column) for row, column in beats] == list(range(len(beats)))
    assert diagnose(PLAIN, given, late[:, :5]).step == "order"
    turned = np.concatenate([right[first : first + 4][::-1] for first in range(0, m, 4)])
    assert diagnose(PLAIN, given, turned).cause == "rows are in reverse order within each tile"


def test_rows_of_tiles():
    given = random_operands(PLAIN, 9, 3, 2, seed=1)
    assert tiling(PLAIN, given).heights == [3, 3, 3]
    given = random_operands(PLAIN, 10, 3, 3, seed=1)
    assert tiling(PLAIN, given).heights == [4, 4, 2] * 2
    assert tiling(PLAIN, given).y_ends.tolist() == [beat in (4, 8, 10, 14, 18, 20) for beat in range(1, 21)]
