"""The bit-serial array: every precision of every pair of codes, its cycles, and its faults, against plain integers."""

import re
from itertools import product as every
from random import Random

import numpy as np
import oracle
import planting
import pytest
from broken_planes import broken_planes, planes_of
from test_sim_formats import NEEDS_ICARUS, in_icarus

from golden.formats import Integer, parse
from golden.spec import Spec
from golden.tensors import golden, operands
from hdl.timing import latency
from sim import bit_serial
from sim.bit_serial import Planes, least_planes, plane_pairs
from sim.diagnose import diagnose
from sim.replay import build_bench, replay
from sim.stimulus import random_arrays, separates
from sim.streams import tiling

LANES = 3


def design(a, w, **fields):
    fields = {"rows": 3, "cols": 4, "lanes": LANES, "depth": 13, "name": "planes"} | fields
    return Spec(activations=parse(a), weights=parse(w), array="bit_serial", **fields)


def integers(bits, signed):
    return np.arange(1 << bits) - (1 << bits - 1) * signed


def every_pair(a, w):
    """Products in which every pair of integers meets: alone, and in each lane."""
    yield a[:, None], w[None, :]
    yield (
        np.stack([np.roll(a, lane) for lane in range(LANES)], axis=1),
        np.stack([np.roll(w, 2 * lane) for lane in range(LANES)]),
    )


@NEEDS_ICARUS
@pytest.mark.parametrize(("a_signed", "w_signed"), [*every((False, True), repeat=2)])
def test_every_precision_and_every_pair_of_codes(a_signed, w_signed, tmp_path):
    """1 to 4 bits by 1 to 4 bits, given or found, in one design."""
    spec = design(f"{'u' * (not a_signed)}int4", f"{'u' * (not w_signed)}int4")
    arrays = [
        {"a": a, "w": w, **given}
        for a_bits, w_bits in every(range(1, 5), repeat=2)
        for a, w in every_pair(integers(a_bits, a_signed), integers(w_bits, w_signed))
        for given in ({}, {"a_bits": a_bits, "w_bits": w_bits})
    ]
    given = [operands(spec, one) for one in arrays]
    for one, y in zip(given, in_icarus(spec, given, tmp_path), strict=True):
        assert y.tolist() == oracle.product(one.a, one.w), f"{one.extras}"


WIDE = ["int16 x int16", "uint16 x int16", "int16 x uint7", "q5.11 x q2.3", "int32 x uint9", "int1 x uint1"]


@NEEDS_ICARUS
@pytest.mark.parametrize("pair", WIDE)
def test_wide_operands(pair, tmp_path):
    """Extremes and integers of every width in between, tiles of different precision after each other."""
    spec, random = design(*pair.split(" x ")), Random(pair)

    def codes(fmt, vectors, k, tile):
        lo, hi = fmt.code_range
        widths = [random.randrange(0, fmt.width) for _ in range(0, vectors, tile)] + [0]
        edges = [lo, hi, -1 if lo else 1, 0]
        drawn = [[random.choice([*edges, random.randint(lo, hi)]) for _ in range(k)] for _ in range(vectors)]
        return np.array([[code >> widths[row // tile] for code in vector] for row, vector in enumerate(drawn)])

    arrays = [(codes(spec.activations, 8, k, 3), codes(spec.weights, 9, k, 4).T) for k in (1, 7, 13)]
    extremes = np.array(spec.activations.code_range)[:, None], np.array(spec.weights.code_range)[None, :]
    arrays.append(tuple(np.repeat(one, 13, axis) for axis, one in zip((1, 0), extremes, strict=True)))
    given = [operands(spec, {"a": a, "w": w}) for a, w in arrays]
    assert len({planes for one in given for planes in tiling(spec, one).a_planes}) > min(3, spec.activations.width - 1)
    for one, y in zip(given, in_icarus(spec, given, tmp_path), strict=True):
        assert y.tolist() == oracle.product(one.a, one.w)


@NEEDS_ICARUS
def test_a_narrow_accumulator_wraps(tmp_path):
    spec = design("int6", "uint5", accumulator=9, accumulator_overflow="wrap")
    given = operands(spec, random_arrays(spec, m=7, k=13, n=5, seed=3))
    exact = oracle.product(given.a, given.w)
    wanted = [[oracle.wrap(total, 9, signed=True) for total in row] for row in exact]
    assert wanted != exact
    assert in_icarus(spec, [given], tmp_path)[0].tolist() == wanted


@NEEDS_ICARUS
def test_zero_points_are_taken_off_before_the_planes_are_cut(tmp_path):
    """Then a tile takes the planes of the differences: two for codes 125 to 128 and a zero point of 127."""
    spec = design("uint8", "int8", a_zero_point=True, w_zero_point=True)
    rng = np.random.default_rng(4)
    a, w = rng.integers(125, 129, (7, 11)), rng.integers(-128, 128, (11, 5))
    w[0, :2] = -128, 127
    given = operands(spec, {"a": a, "w": w, "a_zero_point": 127, "w_zero_point": -128})
    cut = tiling(spec, given)
    assert set(cut.a_planes) == {Planes(2, True)} and cut.w_planes[0] == Planes(8, False)
    wanted = oracle.product(a.astype(object) - 127, w.astype(object) + 128)
    assert in_icarus(spec, [given], tmp_path)[0].tolist() == wanted


@NEEDS_ICARUS
def test_cycles_are_proportional_to_both_precisions(tmp_path):
    spec = design("int8", "int8", rows=2, cols=3, depth=40)
    built = build_bench(spec, planting.verilog(spec), "icarus")
    for (a_bits, w_bits), k in zip(((1, 1), (1, 8), (8, 8), (5, 4)), (40, 7, 13, 40), strict=True):
        rng = np.random.default_rng(k)
        a = Integer(a_bits, True).wrap(rng.integers(0, 256, (2, k)))
        w = Integer(w_bits, True).wrap(rng.integers(0, 256, (k, 3)))
        given = operands(spec, {"a": a, "w": w, "a_bits": a_bits, "w_bits": w_bits})
        came = replay(built, spec, given, tmp_path)
        beats = -(-k // LANES) * a_bits * w_bits
        assert came.cycles == tiling(spec, given).cycles == beats + latency(spec) + spec.rows - 1
        assert came.y.tolist() == oracle.product(a, w)


@pytest.mark.parametrize("seed", range(3))
def test_planes_are_as_few_as_hold_the_integers(seed):
    random = Random(seed)
    for _ in range(100):
        lo, hi = sorted(random.randint(-(1 << bits), 1 << bits) for bits in random.choices(range(7), k=2))
        values = [random.randint(lo, hi) for _ in range(3)]
        assert least_planes(np.array([values])) == planes_of([values])


@pytest.mark.parametrize(("a_signed", "w_signed"), [*every((False, True), repeat=2)])
def test_plane_pairs_come_to_the_product(a_signed, w_signed):
    """Horner over the order of pairs, for all integers of up to three bits; each pair once, none of it too late."""
    for a_bits, w_bits in every(range(1, 4), repeat=2):
        order = plane_pairs(Planes(w_bits, w_signed), Planes(a_bits, a_signed)).tolist()
        assert sorted((j, i) for j, i, _, _ in order) == list(every(range(w_bits), range(a_bits)))
        assert sum(mark for _, _, mark, _ in order) == a_bits + w_bits - 2
        for a, w in every(integers(a_bits, a_signed).tolist(), integers(w_bits, w_signed).tolist()):
            total = 0
            for j, i, raised, negative in order:
                total = (total << raised) + (-1) ** negative * (a >> i & w >> j & 1)
            assert total == a * w


def test_capacity_counts_each_tile_at_its_precision():
    spec = design("int8", "int8", rows=1, cols=1, lanes=4, depth=16)
    given = operands(spec, {"a": np.array([[1] * 16, [-128] * 16]), "w": np.full((16, 1), 3)})
    cut = tiling(spec, given)
    assert cut.tile_beats == [4 * 1 * 2, 4 * 8 * 2]
    assert cut.capacity == 2 * 16 / (8 + 64)


REFUSED = {
    "a_bits must be at most 6, what the widest a takes, not 7": {"a_bits": 7},
    "w_bits must be at most 5, what the widest w takes, not 63": {"w_bits": 63},
    "w_bits is 64, outside uint6 [0, 63]": {"w_bits": 64},
    "a_bits is 3, which holds [-4, 3], but a[1, 0] is 4": {"a_bits": 3, "a": [[3, -4], [4, 0]]},
    "w_bits is 4, which holds [-8, 7], but w[0, 0] less its zero point is -9": {"w_bits": 4, "w_zero_point": 1},
    "a_bits must be one number, not of shape [2]": {"a_bits": [3, 3]},
}


@pytest.mark.parametrize("message", REFUSED)
def test_precisions_that_do_not_fit(message):
    changes = {name: np.array(value) for name, value in REFUSED[message].items()}
    spec = design("int6", "int4", w_zero_point="zero point" in message or "w_bits must" in message)
    with pytest.raises(ValueError) as error:
        operands(spec, {"a": np.array([[1, 2]] * 2), "w": np.full((2, 1), -8) + 7 * ("w" not in message)} | changes)
    assert str(error.value) == message


BUGS = {
    "a top positive": "the top plane of activations counts positive",
    "w top positive": "the top plane of weights counts positive",
    "negative ignored": "the mark `negative` is ignored",
    "both tops negative": "a pair of two top planes counts negative",
    "raise ignored": "the mark `raise` is ignored: every plane pair has weight one",
    "raised always": "the accumulator is raised in every beat",
    "a lowest first": "planes of activations come lowest first",
    "w lowest first": "planes of weights come lowest first",
    "both lowest first": "planes of activations and weights come lowest first",
    "first beat missing": "the first beat is missing",
    "last beat missing": "the last beat is missing",
    "first beat twice": "the first beat counts twice",
    "last beat twice": "the last beat counts twice",
    "not cleared": "the accumulator is not cleared between tiles",
}
DIAGNOSED = design("int6", "int4", depth=8)


def stimulus():
    return operands(DIAGNOSED, random_arrays(DIAGNOSED, m=8, k=8, n=9, seed=2))


def test_the_array_in_python_is_right():
    given = stimulus()
    assert broken_planes(DIAGNOSED, given.a.tolist(), given.w.tolist()) == golden(DIAGNOSED, given).tolist()


@pytest.mark.parametrize("bug", BUGS)
def test_a_fault_is_named(bug):
    given = stimulus()
    y = np.array(broken_planes(DIAGNOSED, given.a.tolist(), given.w.tolist(), bug))
    found = diagnose(DIAGNOSED, given, y)
    assert (found.step, found.cause) == ("sum", BUGS[bug])
    assert found.explained == y.size >= found.count > 0


def test_the_stimulus_shows_all_faults():
    for seed in range(3):
        assert len(separates(DIAGNOSED, random_arrays(DIAGNOSED, m=8, k=8, n=9, seed=seed))) <= 2


def planted(pattern, replacement):
    return planting.planted(DIAGNOSED, "pe", pattern, replacement, 1)


PLANTS = {
    "the mark `raise` is ignored: every plane pair has weight one": (r"flags_in\[3\] \?", "1'b0 ?"),
    "the mark `negative` is ignored": (r"\^ \{ flags_in\[4\](, flags_in\[4\])* \}", ""),
    "the accumulator is not cleared between tiles": (r"flags_in\[1\] \?", "1'b0 ?"),
    "the last beat is missing": (r"\{ flags_in\[0\], enable \}", "{ flags_in[0], ~flags_in[2], enable }"),
}


@NEEDS_ICARUS
@pytest.mark.parametrize("cause", PLANTS)
def test_a_planted_bug_is_named(cause, tmp_path):
    text = planted(*PLANTS[cause])
    if "negative" in cause:
        text = re.sub(r"(\{ _\d+_, 1'h1 \}\) \+ .*)", lambda found: found[1].replace("flags_in[4]", "1'b0"), text)
    if "cleared" in cause:  # the first tile must find nothing
        text = re.sub(r"(reg signed \[\d+:0\] acc);", r"\1 = 0;", text)
    (y,) = in_icarus(DIAGNOSED, [stimulus()], tmp_path, text)
    assert (found := diagnose(DIAGNOSED, stimulus(), y)).cause == cause
    assert found.explained == y.size


@NEEDS_ICARUS
@pytest.mark.parametrize("broken", ["order", "raise", "negative", "fewest"])
def test_the_tests_fail_where_the_packer_is_wrong(broken, tmp_path, monkeypatch):
    """A packer of the wrong order, marks or number of planes gives other outputs than golden."""
    right, given = plane_pairs, operands(DIAGNOSED, random_arrays(DIAGNOSED, m=8, k=8, n=9, seed=2))

    def wrong(w, a):
        order = right(w, a)
        if broken == "order":
            order[:, :2] = order[::-1, :2]
        elif broken in ("raise", "negative"):
            order[:, 2 if broken == "raise" else 3] = 0
        return order

    if broken == "fewest":
        monkeypatch.setattr(bit_serial, "least_planes", lambda values: Planes(least_planes(values).bits - 1 or 1, True))
    monkeypatch.setattr(bit_serial, "plane_pairs", wrong)
    assert in_icarus(DIAGNOSED, [given], tmp_path)[0].tolist() != golden(DIAGNOSED, given).tolist()
