"""The vector unit in the shipped Verilog: channels of their own, short sums, kept sets, stalls, cycles, faults."""

from dataclasses import replace

import numpy as np
import oracle
import pytest
from icarus import in_icarus
from planting import planted, simulated
from simulation import missing

from golden.formats import parse
from golden.spec import Spec
from golden.tensors import decoded_activations, decoded_weights, golden, operands
from hdl.requantize import requantizer_latency
from hdl.vector import vector_latency
from sim.diagnose import diagnose
from sim.stimulus import random_arrays, separates
from sim.streams import tiling

pytestmark = pytest.mark.skipif(bool(missing("icarus")), reason=missing("icarus"))


def design(a="int8", w="int4", cols=3, lanes=2, depth=25, **fields):
    formats = {name: parse(fields.pop(name)) for name in ("bias", "output") if name in fields}
    shape = {"array": "vector", "rows": 1, "cols": cols, "lanes": lanes, "depth": depth, "name": "channels"}
    return Spec(**{"activations": parse(a), "weights": parse(w), **shape, **formats, **fields})


SCALED = {"requantize": "multiplier", "bias": "int16", "output": "int8", "y_zero_point": True}
THRESHOLDS = {"requantize": "thresholds", "output": "int3"}
DESIGNS = {
    "exact": design(a_zero_point=True, w_zero_point=True),
    "one channel": design(cols=1, lanes=1, depth=9),
    "one beat": design(lanes=9, depth=9),
    "scaled": design(**SCALED, a_zero_point=True),
    "wrapping": design("uint4", "int4", cols=2, accumulator=7, accumulator_overflow="wrap"),
    "saturating": design("uint4", "int4", accumulator=7, accumulator_overflow="saturate"),
    "bipolar": design("bipolar", "bipolar", lanes=3),
    "signs": design("uint5", "bipolar", cols=2, lanes=3),
    "powers of two": design("int5", "pot4"),
    "small floats": design("float4_e2m1fn", "float6_e2m3fn", lanes=3),
    "thresholds": design(**THRESHOLDS),
    "thresholds, parallel": design(**THRESHOLDS, threshold_search="parallel", lanes=1, cols=5),
    "dsp": design("int8", "int8", multiplier_style="dsp", cols=5, lanes=3),
}
SIZES = ((5, 9, 7), (1, 1, 1), (2, 25, 3), (7, 2, 4))


def products(spec, sizes=SIZES):
    sizes = [(m, min(k, spec.depth), n) for m, k, n in sizes]
    return [operands(spec, random_arrays(spec, m=m, k=k, n=n, seed=k)) for m, k, n in sizes]


def sums(spec, given):
    """Accumulators by plain Python integers, each channel a product of its own."""
    a, w = decoded_activations(spec, given), decoded_weights(spec, given)
    rule = spec.accumulator_overflow or "wrap"
    columns = [
        oracle.accumulate(a[:, :, n] if a.ndim == 3 else a, w[:, n : n + 1], spec.lanes, spec.accumulator_width, rule)
        for n in range(w.shape[1])
    ]
    return [[row[0] for row in rows] for rows in zip(*columns, strict=True)]


@pytest.mark.parametrize("name", DESIGNS)
def test_every_channel_has_activations_of_its_own(name, tmp_path):
    spec = DESIGNS[name]
    given = products(spec)
    came, _ = in_icarus(spec, given, tmp_path)
    for number, (y, one) in enumerate(zip(came, given, strict=True)):
        assert one.a.ndim == 3
        assert y.tolist() == golden(spec, one).tolist(), f"product {number}"
        if spec.requantize == "none":
            assert y.tolist() == sums(spec, one), f"product {number}"


@pytest.mark.parametrize("name", ["scaled", "saturating", "thresholds", "bipolar"])
def test_products_follow_each_other_while_one_stream_stalls(name, tmp_path):
    spec = DESIGNS[name]
    given = products(spec)
    for stream in (*tiling(spec, given[0]).streams(given[0]), "y"):
        came, _ = in_icarus(spec, given, tmp_path, **{stream: 0.8})
        for y, one in zip(came, given, strict=True):
            assert y.tolist() == golden(spec, one).tolist(), f"while {stream} stalls"


def cycles(spec, given):
    """Figures of docs/hardware.md, (V.1) and (V.2), written out."""
    m, k, n = given.shape
    b, sets = -(-k // spec.lanes), -(-n // spec.cols)
    latency, count = vector_latency(spec), spec.threshold_count
    gap = 1 if spec.threshold_search == "parallel" else count.bit_length()
    late = max(0, count - (2 * b + latency - requantizer_latency(spec) - 3)) if count else 0
    return b + late + (sets - 1) * max(m * b, gap + count if count else 0) + m * b + latency


@pytest.mark.parametrize("name", ["exact", "one beat", "thresholds", "thresholds, parallel"])
def test_sums_of_few_beats_follow_each_other_without_a_gap(name, tmp_path):
    """One row and one beat: a new weight set and a new sum in every cycle."""
    spec = DESIGNS[name]
    for given in products(spec, ((1, 1, 19), (1, 9, 8), (2, 3, 9), (6, 1, 5))):
        (y,), counted = in_icarus(spec, [given], tmp_path)
        assert y.tolist() == golden(spec, given).tolist()
        assert counted == tiling(spec, given).cycles == cycles(spec, given), given.shape


def test_one_set_of_weights_and_parameters_per_tile_column():
    spec = DESIGNS["scaled"]
    given = products(spec, ((5, 9, 7),))[0]
    streams = tiling(spec, given).streams(given)
    beats = 5
    assert {name: len(stream.data) for name, stream in streams.items()} == {"a": 3 * 5 * beats, "w": 3 * beats, "p": 3}
    assert [int(stream.last.sum()) for stream in streams.values()] == [15, 3, 3]


def test_the_same_activations_for_all_channels():
    """a [M, K] is [M, K, N] with N copies."""
    spec = DESIGNS["saturating"]
    shared = random_arrays(spec.with_(array="output_stationary"), m=6, k=25, n=3, seed=2)
    own = shared | {"a": np.repeat(shared["a"][:, :, None], 3, axis=2)}
    first, second = operands(spec, shared), operands(spec, own)
    assert golden(spec, first).tolist() == golden(spec, second).tolist() == sums(spec, first)
    one, other = (tiling(spec, given).streams(given) for given in (first, second))
    assert all(np.array_equal(one[name].data, other[name].data) for name in one)


@pytest.mark.parametrize("name", DESIGNS)
def test_random_operands_show_every_fault_of_channels(name):
    spec = DESIGNS[name]
    arrays = random_arrays(spec, m=20, k=min(9, spec.depth), n=2 * spec.cols + 1, seed=1)
    assert not [
        cause for cause in separates(spec, arrays) if " take the weights" in cause or " activations of" in cause
    ]


PLANTED = {
    "all channels take the activations of the first": (r"\.a_in\(a_out\[\d+:\d+\]\)", ".a_in(a_out[15:0])"),
    "all channels take the weights of the first": (r"\.w_in\(w_out\[\d+:\d+\]\)", ".w_in(w_out[7:0])"),
}


@pytest.mark.parametrize("cause", PLANTED)
def test_planted_faults_are_named(cause, tmp_path, monkeypatch):
    spec = DESIGNS["scaled"].with_(weights=parse("uint4"), activations=parse("uint8"), a_zero_point=False)
    given = operands(spec, random_arrays(spec, m=9, k=5, n=7, seed=3))
    text = planted(spec, "array", *PLANTED[cause], hits=3)
    found = diagnose(spec, given, simulated(spec, text, given, tmp_path, monkeypatch))
    assert (found.step, found.cause) == ("order", cause)


MOVED = {
    "channels take the weights of their right neighbour": ("w", [1, 2, 0, 4, 5, 3, 7, 8, 6]),
    "channels take the activations of their left neighbour": ("a", [2, 0, 1, 5, 3, 4, 8, 6, 7]),
    "tiles take the weights of the set before theirs": ("w", [0, 1, 2, 0, 1, 2, 3, 4, 5]),
    "tiles take the weights of the set after theirs": ("w", [3, 4, 5, 6, 7, 8, 6, 7, 8]),
    "all tiles take the weights of the first set": ("w", [0, 1, 2, 0, 1, 2, 0, 1, 2]),
}


@pytest.mark.parametrize("cause", MOVED)
def test_operands_of_another_channel_or_set_are_named(cause):
    spec = design()
    given = operands(spec, random_arrays(spec, m=9, k=5, n=9, seed=4))
    name, columns = MOVED[cause]
    wrong = replace(given, **{name: getattr(given, name)[..., columns]})
    found = diagnose(spec, given, golden(spec, wrong))
    assert (found.step, found.cause) == ("order", cause)
