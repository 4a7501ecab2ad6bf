"""Weights with codebooks in simulation: every code, tables that load and stay, cycles, faults found and named."""

from itertools import product as every
from random import Random

import numpy as np
import oracle
import pytest
from icarus import compiled, played
from simulation import SIMULATORS, random_operands, verilog
from test_sim_formats import COLS, LANES, NEEDS_ICARUS, PARTNERS, ROWS, codes_of, decode, in_icarus

from golden.formats import parse
from golden.spec import Spec
from golden.tensors import golden, operands
from hdl.layout import c_beats
from hdl.timing import cycles, latency, table_waits
from sim.diagnose import diagnose
from sim.hypotheses import hypotheses
from sim.machine import Machine
from sim.replay import build_bench, replay
from sim.stimulus import random_arrays, separates
from sim.streams import tiling


def spec_of(activations, weights, **fields):
    fields = {"rows": 4, "cols": 3, "lanes": 2, "depth": 40, "name": "codebooks"} | fields
    named = {name: parse(fields.pop(name)) for name in ("output", "bias") if name in fields}
    return Spec(activations=parse(activations), weights=parse(weights), **named, **fields)


def tables(random, fmt, columns):
    """Random tables that hold the extremes."""
    lo, hi = fmt.entry.code_range
    rows = [[lo, hi, *(random.randint(lo, hi) for _ in range(fmt.entries - 2))] for _ in range(columns)]
    for row in rows:
        random.shuffle(row)
    return np.array(rows)


def every_code(a_name, fmt, random):
    """Each code of A meets each code of W, alone and in each lane; every column has a table of its own."""
    a, w = np.array(codes_of(a_name)), np.arange(fmt.entries)
    products = [(a[:, None], w[None, :])]
    if a_name != "bipolar":
        products.append(
            (
                np.stack([np.roll(a, lane) for lane in range(LANES)], axis=1),
                np.stack([np.roll(w, 2 * lane) for lane in range(LANES)]),
            )
        )
    for a_codes, w_codes in products:
        yield a_codes, w_codes, tables(random, fmt, w_codes.shape[1])


PAIRS = [*every(PARTNERS, ["codebook1_int3", "codebook2", "codebook3", "codebook3_uint5"]), ("uint2", "codebook8_int9")]


@NEEDS_ICARUS
@pytest.mark.parametrize(("a_name", "weights"), PAIRS)
def test_every_pair_of_codes(a_name, weights, tmp_path):
    lanes = 1 if a_name == "bipolar" else LANES
    spec = spec_of(a_name, weights, rows=ROWS, cols=COLS, lanes=lanes)
    products = list(every_code(a_name, spec.weights, Random(f"{a_name} {weights}")))
    given = [operands(spec, {"a": a, "w": w, "w_codebook": book}) for a, w, book in products]
    for (a, w, book), y in zip(products, in_icarus(spec, given, tmp_path), strict=True):
        entries = [[int(book[n, code]) for n, code in enumerate(row)] for row in w]
        assert y.tolist() == oracle.product(decode(a_name, a), np.array(entries, object))


SCALED = {"requantize": "shift", "bias": "int16", "output": "int8"}
DESIGNS = {
    "one table is longer than a tile": spec_of("int4", "codebook4", **SCALED),
    "short tables": spec_of("uint5", "codebook1_int12", lanes=3, cols=5, rows=2),
    "tall": spec_of("int3", "codebook2_uint4", rows=9, cols=2, lanes=4, **SCALED),
    "thresholds too": spec_of("int4", "codebook3", requantize="thresholds", output="int4"),
    "one element": spec_of("bipolar", "codebook2_int3", rows=1, cols=1, lanes=1),
}
SIZES = ((9, 23, 8), (1, 1, 1), (21, 3, 7), (5, 40, 13), (2, 9, 2))


@NEEDS_ICARUS
@pytest.mark.parametrize("name", DESIGNS)
def test_equals_the_golden_model_in_the_cycles_of_the_closed_form(name, tmp_path):
    spec = DESIGNS[name]
    compiled(spec, tmp_path)
    for seed, size in enumerate(SIZES):
        given = random_operands(spec, *size, seed)
        names = (*tiling(spec, given).streams(given), "y")
        for stall in (0.0, 0.4):
            (y,), counted = played(spec, [given], tmp_path, **dict.fromkeys(names, stall))
            assert y.tolist() == golden(spec, given).tolist(), f"{size}, stall {stall}"
            expected = tiling(spec, given).cycles
            assert counted == expected if stall == 0 else counted >= expected, f"{size}, stall {stall}"


@NEEDS_ICARUS
@pytest.mark.parametrize("name", DESIGNS)
def test_products_follow_each_other_while_one_stream_stalls(name, tmp_path):
    spec = DESIGNS[name]
    compiled(spec, tmp_path)
    products = [random_operands(spec, *size, seed) for seed, size in enumerate(SIZES)]
    for stream in (*tiling(spec, products[0]).streams(products[0]), "y"):
        came, _ = played(spec, products, tmp_path, **{stream: 0.8})
        for y, given in zip(came, products, strict=True):
            assert y.tolist() == golden(spec, given).tolist(), f"while {stream} stalls"


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_the_same_under_cocotb(simulator, tmp_path):
    spec = DESIGNS["one table is longer than a tile"]
    given = random_operands(spec, *SIZES[0], 0)
    came = replay(build_bench(spec, verilog(spec), simulator), spec, given, tmp_path)
    assert came.y.tolist() == golden(spec, given).tolist()
    assert came.cycles == tiling(spec, given).cycles


def simulated_waits(rows, beats, sets):
    """Cycle of each tile's first and last beat at the entry, cycle by cycle, by the rules of hdl.codebook."""
    loaded = in_use = False
    sent, queue, tile, beat, gap, cycle, starts, ends = 0, list(sets), 0, 0, 0, 0, [], []
    while tile < len(beats):
        accepted = in_use and not (beat == beats[tile] - 1 and gap)
        last = accepted and beat == beats[tile] - 1
        if accepted and beat == 0:
            starts.append(cycle)
        if last:
            ends.append(cycle)
        take = loaded and (last or not in_use)
        fetch = not loaded and bool(queue)
        in_use = take or (in_use and not last)
        loaded = loaded and not take
        if fetch:
            sent += 1
            if sent == queue[0]:
                sent, loaded = 0, True
                queue.pop(0)
        gap = rows - 1 if last else max(gap - 1, 0)
        tile, beat = (tile + 1, 0) if last else (tile, beat + accepted)
        cycle += 1
    return starts, ends


@pytest.mark.parametrize("seed", range(40))
def test_the_closed_form_by_counting(seed):
    random = Random(seed)
    spec = spec_of("int4", f"codebook{random.randint(1, 4)}", rows=random.choice((1, 2, 5, 12)))
    beats = [random.choice((1, 2, 7, 20)) for _ in range(7)]
    sets = [c_beats(spec), *(random.choice((1, c_beats(spec))) for _ in beats[1:])]
    starts, ends = simulated_waits(spec.rows, beats, sets)
    begin, waits = table_waits(spec, beats, sets)
    assert begin == starts[0]
    for wait, beat, start, end in zip(waits, beats[1:], starts[1:], ends, strict=False):
        assert beat == 1 or wait == start - end - 1, "a tile of one beat may wait for the rows before it"
    assert cycles(spec, beats, tables=sets) == ends[-1] + 1 + latency(spec) + spec.rows - 1


PLANTED = [("int8", "codebook4"), ("uint5", "codebook2_uint4"), ("pot4", "codebook2_int3")]


def product(activations, weights):
    fields = {"requantize": "shift", "bias": "int32", "output": "int8"}
    spec = spec_of(activations, weights, depth=9, **fields)
    return spec, operands(spec, random_arrays(spec, m=9, k=9, n=7, seed=2))


def is_of_codebooks(cause):
    return "codebook" in cause or "entries" in cause


@pytest.mark.parametrize(("activations", "weights"), PLANTED)
def test_faults_of_codebooks_are_named(activations, weights):
    spec, given = product(activations, weights)
    machine, planted = Machine(spec, given), set()
    for hypothesis in hypotheses(machine):
        if not is_of_codebooks(hypothesis.cause) or hypothesis.severity > 1:
            continue
        y = hypothesis.y(machine.window())
        assert not np.array_equal(y, golden(spec, given)), hypothesis.cause
        found = diagnose(spec, given, y)
        assert (found.step, found.explained) == (hypothesis.step, y.size)
        assert hypothesis.cause in (found.cause, *found.alternatives)
        planted.add(hypothesis.cause)
    assert planted >= {
        "codebooks are read one entry too high",
        "codebooks are in reverse order",
        "entries of codebooks are one too large",
        "tiles take the codebook of the previous tile",
        "columns take the codebook of their right neighbour",
        "the codebook is not applied: weights are their codes",
    }
    assert not {cause for cause in separates(spec, all_arrays(given)) if is_of_codebooks(cause)}


def all_arrays(given):
    return {"a": given.a, "w": given.w, **given.parameters, **given.extras}


def plain(spec, given, entry):
    """Outputs by plain Python, the entry of weight [k, n] being `entry(tile row, n, code)`."""
    codes = []
    for m, row in enumerate(given.a.tolist()):
        sums = [
            sum(a * entry(m // spec.rows, n, code) for a, code in zip(row, column, strict=True))
            for n, column in enumerate(given.w.T.tolist())
        ]
        codes.append(sums)
    return codes


def test_faults_by_hand():
    """The same faults, planted in plain Python."""
    spec = spec_of("int8", "codebook2", depth=90)
    given = operands(spec, random_arrays(spec, m=13, k=9, n=11, seed=5))
    book, cols = given.extras["w_codebook"].tolist(), spec.cols

    def previous_tile(row, n, code):
        return book[n - cols if row == 0 and n >= cols else n][code]

    def neighbour(row, n, code):
        inside = n % cols
        other = n - inside + (inside + 1) % cols
        return book[other][code] if other < len(book) else 0

    faults = {
        "codebooks are read one entry too high": lambda row, n, code: book[n][(code + 1) % 4],
        "tiles take the codebook of the previous tile": previous_tile,
        "columns take the codebook of their right neighbour": neighbour,
        "sign extension of entries is lost: int8 read as uint8": lambda row, n, code: book[n][code] % 256,
    }
    for cause, entry in faults.items():
        found = diagnose(spec, given, np.array(plain(spec, given, entry)))
        assert found.cause == cause
    assert plain(spec, given, lambda row, n, code: book[n][code]) == golden(spec, given).tolist()


@pytest.mark.parametrize("weights", ["codebook1", "codebook1_uint4", "codebook3", "codebook4_int12", "codebook2_int1"])
def test_stimulus_holds_the_extremes(weights):
    spec = spec_of("int4", weights)
    arrays = random_arrays(spec, m=9, k=20, n=13, seed=1)
    book, (lo, hi) = arrays["w_codebook"], spec.weights.entry.code_range
    entries = spec.weights.lookup(book, arrays["w"])
    assert (book.min(), book.max()) == (entries.min(), entries.max()) == (lo, hi)
    assert len({tuple(row) for row in book}) > 1
    if spec.weights.entries > 2:
        assert (book == 0).any(axis=1).all()


def test_stimulus_keeps_a_promise():
    spec = spec_of("int4", "codebook3", accumulator_range=(-3000, 3000))
    operands(spec, random_arrays(spec, m=4, k=30, n=9, seed=3))
