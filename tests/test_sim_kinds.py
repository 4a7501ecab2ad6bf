"""One test body over all kinds of arrays: the same operands give the same outputs, in the cycles of the closed form."""

from dataclasses import replace

import numpy as np
import pytest
from simulation import SIMULATORS, missing, random_operands, replay_streams, verilog

from golden.checks import ARRAYS
from golden.formats import parse
from golden.sparsity import pruned
from golden.spec import Spec
from golden.tensors import golden
from sim.replay import build_bench, replay
from sim.streams import tiling

KINDS = {
    "output_stationary": {"rows": 3, "cols": 4, "lanes": 2},
    "vector": {"rows": 1, "cols": 4, "lanes": 2},
    "bit_serial": {"rows": 3, "cols": 4, "lanes": 20},
    "matrix_vector": {"rows": 1, "cols": 4, "lanes": 2, "outputs": 9},
    "weight_stationary": {"rows": 3, "cols": 4, "lanes": 2, "pass_rows": 5},
    "scalable": {"rows": 2, "cols": 2, "lanes": 1, "a_zero_point": False},
}
LAYERS = {
    "multiplier": {
        **{"activations": "int8", "weights": "int4", "bias": "int16", "output": "int8", "requantize": "multiplier"},
        **{"a_zero_point": True, "y_zero_point": True},
    },
    "thresholds": {"activations": "uint5", "weights": "int4", "output": "uint3", "requantize": "thresholds"},
    "binary": {"activations": "bipolar", "weights": "bipolar"},
    "saturating": {
        **{"activations": "int6", "weights": "int5", "accumulator": 11, "accumulator_overflow": "saturate"},
    },
}
INTEGERS = "activations must be an integer or fixed-point format with array"
WRAP = "accumulator_overflow must be wrap with array"
REFUSED = {
    ("bit_serial", "binary"): f"{INTEGERS} 'bit_serial', which multiplies bit planes of two's complement, not bipolar",
    ("bit_serial", "saturating"): f"{WRAP} 'bit_serial', not 'saturate'",
    ("scalable", "binary"): f"{INTEGERS} 'scalable', which multiplies pairs of bits of two's complement, not bipolar",
    ("scalable", "saturating"): f"{WRAP} 'scalable', not 'saturate'",
}
SIZES = ((11, 23, 9), (1, 1, 1), (7, 37, 5))
EACH_SIMULATOR = pytest.mark.parametrize("simulator", SIMULATORS)
EACH_PAIR = pytest.mark.parametrize(
    ("kind", "layer"), [(kind, layer) for kind in KINDS for layer in LAYERS if (kind, layer) not in REFUSED]
)


def spec_of(kind, layer, **fields):
    named = {name: parse(value) for name, value in LAYERS[layer].items() if name in FORMATS}
    return Spec(**{"array": kind, "depth": 40, **LAYERS[layer], **named, **KINDS[kind], **fields})


FORMATS = ("activations", "weights", "bias", "output")


def products_of(spec):
    """The same operands for every kind of array, of odd sizes."""
    free = spec.with_(array="output_stationary") if spec.accumulator_is_exact else spec
    return [random_operands(free, *size, seed) for seed, size in enumerate(SIZES)]


@EACH_PAIR
@EACH_SIMULATOR
def test_equals_the_golden_model(kind, layer, simulator, tmp_path):
    spec = spec_of(kind, layer)
    built = build_bench(spec, verilog(spec), simulator)
    for number, given in enumerate(products_of(spec)):
        for stall in (0.0, 0.4):
            came = replay(built, spec, given, tmp_path, stall=stall, seed=number + 1)
            assert came.y.tolist() == golden(spec, given).tolist(), f"product {number}, stall {stall}"
            expected = tiling(spec, given).cycles
            assert came.cycles == expected if stall == 0 else came.cycles >= expected, f"product {number}"


@EACH_PAIR
def test_products_follow_each_other_while_one_stream_stalls(kind, layer, tmp_path):
    spec = spec_of(kind, layer)
    built, products = build_bench(spec, verilog(spec), "icarus"), products_of(spec)
    for name in (*tiling(spec, products[0]).streams(products[0]), "y"):
        came, _ = replay_streams(built, spec, products, tmp_path, **{name: 0.8})
        for y, given in zip(came, products, strict=True):
            assert y.tolist() == golden(spec, given).tolist(), f"while {name} stalls"


@pytest.mark.parametrize(("kind", "layer"), REFUSED)
def test_what_a_kind_refuses(kind, layer):
    with pytest.raises(ValueError) as error:
        spec_of(kind, layer)
    assert str(error.value) == REFUSED[kind, layer]


@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_give_the_same_outputs(kind):
    spec = spec_of(kind, "multiplier")
    first = spec_of(next(iter(KINDS)), "multiplier", a_zero_point=spec.a_zero_point)
    for given, other in zip(products_of(spec), products_of(first), strict=True):
        assert np.array_equal(golden(spec, given), golden(first, other))


SQUARE = {"rows": 4, "cols": 4, "lanes": 2, "depth": 256}
BUSY = {
    "output_stationary": ((32, 256, 32), SQUARE),
    "vector": ((1200, 9, 16), {**SQUARE, "rows": 1, "lanes": 1, "depth": 9}),
    "bit_serial": ((16, 256, 16), {**SQUARE, "lanes": 32}),
    "matrix_vector": ((32, 256, 32), {**SQUARE, "rows": 1, "outputs": 32}),
    "weight_stationary": ((32, 256, 32), {**SQUARE, "pass_rows": 32}),
    "scalable": ((16, 1024, 8), {**SQUARE, "rows": 2, "cols": 1, "lanes": 1, "depth": 1024}),
    "matrix_vector, 2:4": ((32, 512, 32), {**SQUARE, "rows": 1, "outputs": 32, "depth": 512, "sparsity": "2:4"}),
}


@pytest.mark.skipif(bool(missing("verilator")), reason=missing("verilator"))
@pytest.mark.parametrize("name", BUSY)
def test_a_large_product_keeps_the_array_busy(name, tmp_path):
    (m, k, n), fields = BUSY[name]
    spec = spec_of(name.partition(",")[0], "multiplier", **fields)
    free = spec.with_(array="output_stationary", sparsity="none")
    given = random_operands(free, m, k, n, seed=5)
    given = replace(given, w=pruned(given.w, np.abs(given.w))) if spec.sparsity != "none" else given
    came = replay(build_bench(spec, verilog(spec), "verilator"), spec, given, tmp_path)
    cut = tiling(spec, given)
    assert came.y.tolist() == golden(spec, given).tolist()
    assert came.cycles == cut.cycles
    assert cut.macs / (cut.capacity * came.cycles) > 0.95


def test_every_kind_is_kept_busy():
    assert {name.partition(",")[0] for name in BUSY} == set(ARRAYS) == set(KINDS)
