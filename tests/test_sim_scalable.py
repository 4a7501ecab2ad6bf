"""The scalable array: all pairs of narrow codes in each mode, tiles of different modes, its cycles, and its faults."""

import re
from itertools import product as every
from random import Random

import numpy as np
import oracle
import planting
import pytest
from broken_words import broken_words
from test_sim_formats import NEEDS_ICARUS, in_icarus

from golden.formats import parse
from golden.precision import MODES
from golden.spec import Spec
from golden.tensors import golden, operands
from hdl.timing import latency
from sim import scalable
from sim.diagnose import diagnose
from sim.replay import build_bench, replay
from sim.stimulus import random_arrays, separates
from sim.streams import tiling

SIGNS = [*every((False, True), repeat=2)]
EACH_SIGNS = pytest.mark.parametrize(("a_signed", "w_signed"), SIGNS)


def design(a_signed=True, w_signed=True, **fields):
    formats = {"activations": parse("int8" if a_signed else "uint8"), "weights": parse("int8" if w_signed else "uint8")}
    shape = {"rows": 2, "cols": 2, "lanes": 1, "depth": 70, "array": "scalable", "name": "bricks"}
    return Spec(**formats | shape | fields)


def held(bits, signed):
    """The integers of so many bits."""
    return np.arange(1 << bits) - (1 << bits - 1) * signed


def in_every_place(a, w, products):
    """Products in which every pair of codes meets in each sub-word of a lane, the others holding other codes."""
    yield a[:, None], w[None, :]
    yield (
        np.stack([np.roll(a, place) for place in range(products)], axis=1),
        np.stack([np.roll(w, 3 * place) for place in range(products)]),
    )


@NEEDS_ICARUS
@EACH_SIGNS
def test_every_pair_of_narrow_codes(a_signed, w_signed, tmp_path):
    """2x2 and 4x4 with all pairs in every place of a lane, and alone in all modes that hold them, found and given."""
    spec = design(a_signed, w_signed, lanes=1)
    arrays = []
    for bits, products in ((2, 16), (4, 4)):
        alone, everywhere = in_every_place(held(bits, a_signed), held(bits, w_signed), products)
        modes = [number for number, mode in enumerate(MODES) if min(mode.bits) >= bits]
        arrays += [{"a": alone[0], "w": alone[1], "mode": number} for number in modes]
        arrays += [{"a": everywhere[0], "w": everywhere[1], **given} for given in ({}, {"mode": modes[-1]})]
    given = [operands(spec, one) for one in arrays]
    assert len(given) == (4 + 2) + (3 + 2)
    for one, y in zip(given, in_icarus(spec, given, tmp_path), strict=True):
        assert y.tolist() == oracle.product(one.a, one.w), f"mode {one.extras}"


def drawn(random, fmt, bits, shape):
    """Random codes of so many bits, half of them extremes or next to zero."""
    lo, hi = oracle_range(min(bits, fmt.width), fmt.signed)
    edges = [lo, hi, 0, max(lo, -1), 1 if hi else 0]
    return [
        [random.choice([random.choice(edges), random.randint(lo, hi)]) for _ in range(shape[1])]
        for _ in range(shape[0])
    ]


def oracle_range(bits, signed):
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


@NEEDS_ICARUS
@pytest.mark.parametrize(("lanes", "a_signed", "w_signed"), [(1, *signs) for signs in SIGNS[:3]] + [(3, True, True)])
def test_modes_back_to_back_tile_by_tile(lanes, a_signed, w_signed, tmp_path):
    """Tile rows and columns of 2, 4 and 8 bits in random order: all modes follow each other without a gap."""
    spec, random = design(a_signed, w_signed, lanes=lanes), Random(f"{lanes}{a_signed}{w_signed}")
    given = []
    for k in (1, 29):
        down, across = (random.sample((2, 4, 8, 8, 4, 2), 6) for _ in range(2))
        a = [row for bits in down for row in drawn(random, spec.activations, bits, (2, k))]
        w = [column for bits in across for column in drawn(random, spec.weights, bits, (2, k))]
        given.append(operands(spec, {"a": np.array(a)[:-1], "w": np.array(w)[:-1].T}))
    modes = [mode for one in given for mode in tiling(spec, one).tile_modes]
    changes = {(one, other) for one, other in zip(modes, modes[1:], strict=False) if one != other}
    assert {mode for _, mode in changes} == {0, 1, 2, 3} and len(changes) >= 6
    for one, y in zip(given, in_icarus(spec, given, tmp_path), strict=True):
        assert y.tolist() == oracle.product(one.a, one.w)


NARROW = ["int5 x uint3", "q1.6 x int2", "int1 x uint1"]


@NEEDS_ICARUS
@pytest.mark.parametrize("pair", NARROW)
def test_narrower_formats(pair, tmp_path):
    formats = dict(zip(("activations", "weights"), map(parse, pair.split(" x ")), strict=True))
    spec, random = design(**formats, output=None), Random(pair)
    a, w = (np.array(drawn(random, fmt, 8, (7, 23))) for fmt in formats.values())
    given = operands(spec, {"a": a, "w": w.T})
    assert in_icarus(spec, [given], tmp_path)[0].tolist() == oracle.product(a, w.T)


@NEEDS_ICARUS
def test_a_narrow_accumulator_wraps(tmp_path):
    spec = design(accumulator=13, accumulator_overflow="wrap")
    given = operands(spec, random_arrays(spec, m=3, k=33, n=3, seed=3))
    exact = oracle.product(given.a, given.w)
    wanted = [[oracle.wrap(total, 13, signed=True) for total in row] for row in exact]
    assert wanted != exact
    assert in_icarus(spec, [given], tmp_path)[0].tolist() == wanted


@EACH_SIGNS
def test_words_in_figures(a_signed, w_signed):
    """The first code of a word is its lowest; what lies beyond K is zero."""
    a = np.array([[1, 2, 3]]) - 4 * a_signed * (np.array([[1, 2, 3]]) > 1)
    assert scalable.words(a, 2, 3, 0).tolist() == [[[0b111001, 0]]]
    assert scalable.words(a, 1, 2, 1)[0, 0, 0] == sum(
        (code & 15) << 4 * place for place, code in enumerate(a[0].tolist())
    )
    assert scalable.words(a, 1, 1, 0).tolist() == [[[(a[0, 0] & 255) + ((a[0, 1] & 255) << 8)]], [[a[0, 2] & 255]]]


@NEEDS_ICARUS
def test_cycles_by_mode(tmp_path):
    """ceil(K / (lanes * products)) beats: with K a multiple of 16 lanes, 2x2 takes a sixteenth of 8x8."""
    spec = design(cols=1, lanes=2)
    built = build_bench(spec, planting.verilog(spec), "icarus")
    rng = np.random.default_rng(0)
    counted = {}
    for mode, k in ((0, 64), (1, 64), (3, 64), (2, 37)):
        a, w = rng.integers(-2, 2, (2, k)), rng.integers(-2, 2, (k, 1))
        given = operands(spec, {"a": a, "w": w, "mode": mode})
        came = replay(built, spec, given, tmp_path)
        beats = -(-k // (2 * MODES[mode].products))
        counted[mode] = came.cycles - latency(spec) - (spec.rows - 1)
        assert came.cycles == tiling(spec, given).cycles and counted[mode] == beats
        assert came.y.tolist() == oracle.product(a, w)
    assert counted == {0: 32, 1: 16, 3: 2, 2: 5}


def test_capacity_counts_each_tile_in_its_mode():
    spec = design(rows=1, cols=1, lanes=2)
    cut = tiling(spec, operands(spec, {"a": np.array([[1] * 64, [-128] * 64]), "w": np.full((64, 1), -2)}))
    assert cut.modes == ((3,), (1,)) and cut.tile_beats == [2, 16]
    assert cut.capacity == 2 * (2 * 16 + 16 * 2) / 18


REFUSED = {
    "mode is 2, which holds [-8, 7], but a[1, 0] is 8": {"mode": 2, "a": [[-8, 7], [8, 0]]},
    "mode is 1, which holds [0, 15], but w[1, 0] is 16": {"mode": 1, "w": [[15], [16]]},
    "mode is 3, which holds [-2, 1], but a[0, 1] is -3": {"mode": 3, "a": [[1, -3]]},
    "mode is 4, outside mode [-1, 3]": {"mode": 4},
    "mode is -2, outside mode [-1, 3]": {"mode": -2},
    "mode must be one number, not of shape [1]": {"mode": [0]},
}


@pytest.mark.parametrize("message", REFUSED)
def test_modes_that_do_not_fit(message):
    arrays = {"a": [[1, 0]], "w": [[1], [3]]} | REFUSED[message]
    with pytest.raises(ValueError) as error:
        operands(design(w_signed=False), {name: np.array(value) for name, value in arrays.items()})
    assert str(error.value) == message


DIAGNOSED = design(lanes=2, depth=40)
# bug: (step, sentence)
BUGS = {
    "mode 0": ("decode", "every tile is taken in mode 8x8"),
    "mode 1": ("decode", "every tile is taken in mode 8x4"),
    "mode 2": ("decode", "every tile is taken in mode 4x4"),
    "mode 3": ("decode", "every tile is taken in mode 2x2"),
    "mode of previous": ("decode", "tiles are taken in the mode of the previous tile"),
    "mode of next": ("decode", "tiles are taken in the mode of the next tile"),
    "a unsigned": ("decode", "activations within a word are read without a sign"),
    "w unsigned": ("decode", "weights within a word are read without a sign"),
    "a reversed": ("order", "codes of one operand are in reverse order within a word"),
    "w reversed": ("order", "codes of one operand are in reverse order within a word"),
    "a swapped": ("order", "codes of one operand are swapped in pairs within a word"),
    "w swapped": ("order", "codes of one operand are swapped in pairs within a word"),
    "first only": ("sum", "only the first product of each word counts"),
    "first beat missing": ("sum", "the first beat is missing"),
    "last beat missing": ("sum", "the last beat is missing"),
    "first beat twice": ("sum", "the first beat counts twice"),
    "last beat twice": ("sum", "the last beat counts twice"),
    "a lanes reversed": ("order", "lanes of one operand are reversed within a beat"),
    "w lanes reversed": ("order", "lanes of one operand are reversed within a beat"),
}


def stimulus():
    """Six tiles by four, in all modes."""
    random, k = Random(5), 37
    a = [row for bits in (2, 8, 4, 2, 8, 4) for row in drawn(random, DIAGNOSED.activations, bits, (2, k))]
    w = [column for bits in (4, 2, 8, 2) for column in drawn(random, DIAGNOSED.weights, bits, (2, k))]
    given = operands(DIAGNOSED, {"a": np.array(a)[:-1], "w": np.array(w).T})
    assert {*tiling(DIAGNOSED, given).tile_modes} == {0, 1, 2, 3}
    return given


def modes_of(given):
    return tiling(DIAGNOSED, given).tile_modes


def test_the_array_in_python_is_right():
    given = stimulus()
    assert broken_words(DIAGNOSED, given, modes_of(given)) == golden(DIAGNOSED, given).tolist()


@pytest.mark.parametrize("bug", BUGS)
def test_a_fault_is_named(bug):
    given = stimulus()
    y = np.array(broken_words(DIAGNOSED, given, modes_of(given), bug))
    found = diagnose(DIAGNOSED, given, y)
    assert (found.step, found.cause) == BUGS[bug]
    assert found.explained == y.size >= found.count > 0


def test_the_stimulus_of_the_commands_shows_all_faults():
    for seed in range(3):
        arrays = random_arrays(DIAGNOSED, m=11, k=37, n=12, seed=seed)
        assert len(set(modes_of(operands(DIAGNOSED, arrays)))) > 2
        assert len(separates(DIAGNOSED, arrays)) <= 2


PLANTS = {
    "every tile is taken in mode 8x8": ("entry", r"a__payload\[129:128\]", "2'h0"),
    "every tile is taken in mode 2x2": ("entry", r"a__payload\[129:128\]", "2'h3"),
}


@NEEDS_ICARUS
@pytest.mark.parametrize("cause", PLANTS)
def test_a_mode_that_is_stuck_is_named(cause, tmp_path):
    """The bits behind the words of A, two rows of two lanes, held at one mode."""
    module, pattern, replacement = PLANTS[cause]
    start = planting.verilog(DIAGNOSED).index(f"module bricks_{module}(")
    hits = len(re.findall(pattern, planting.verilog(DIAGNOSED)[start:].split("endmodule")[0]))
    text = planting.planted(DIAGNOSED, module, pattern, replacement, hits)
    (y,) = in_icarus(DIAGNOSED, [stimulus()], tmp_path, text)
    assert (found := diagnose(DIAGNOSED, stimulus(), y)).cause == cause
    assert found.explained == y.size


@NEEDS_ICARUS
@pytest.mark.parametrize("broken", ["order", "mode", "fits"])
def test_the_tests_fail_where_the_packer_is_wrong(broken, tmp_path, monkeypatch):
    """A packer of another order, mode or precision gives other outputs than golden."""
    right, fits, given = scalable.words, scalable._fits, stimulus()

    def wrong(codes, lanes, mode, side):
        return right(codes[:, ::-1] if side else codes, lanes, mode, side)

    if broken == "order":
        monkeypatch.setattr(scalable, "words", wrong)
    elif broken == "fits":
        monkeypatch.setattr(scalable, "_fits", lambda *args: fits(*args) | [False, True, False, False])
    else:
        monkeypatch.setattr(scalable, "words", lambda *args: np.bitwise_xor(right(*args), 1))
    assert in_icarus(DIAGNOSED, [given], tmp_path)[0].tolist() != golden(DIAGNOSED, given).tolist()
