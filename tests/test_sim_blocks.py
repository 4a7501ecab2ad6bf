"""Sums of blocks in the emitted Verilog against golden: every pairing of block formats, exact and in float32."""

import numpy as np
import pytest
from simulation import missing, replay_streams, verilog
from test_sim_formats import in_icarus

from golden.blocks import float32_values
from golden.formats import parse
from golden.spec import Spec
from golden.tensors import golden, operands
from sim.replay import build_bench, replay
from sim.stimulus import random_arrays
from sim.streams import tiling

NEEDS_VERILATOR = pytest.mark.skipif(bool(missing("verilator")), reason=missing("verilator"))
NEEDS_ICARUS = pytest.mark.skipif(bool(missing("icarus")), reason=missing("icarus"))
FORMATS = ("activations", "weights", "a_block_scale", "w_block_scale", "output", "bias")
FLOAT = {"block_sum": "float32", "output": "float32"}


def both(element, scale):
    return {"activations": element, "weights": element, "a_block_scale": scale, "w_block_scale": scale}


PROMISED = {"scale_range": (120, 127)}
PAIRINGS = {
    "mxint8": {**both("q2.6", "e8m0"), "block": 32},
    "mxfp8_e4m3": {**both("float8_e4m3fn", "e8m0"), "block": 32},
    "mxfp8_e5m2": {**both("float8_e5m2", "e8m0"), "block": 32},
    "mxfp6_e3m2": {**both("float6_e3m2fn", "e8m0"), "block": 32},
    "mxfp6_e2m3": {**both("float6_e2m3fn", "e8m0"), "block": 32},
    "mxfp4": {**both("float4_e2m1fn", "e8m0"), "block": 32},
    "nvfp4": {**both("float4_e2m1fn", "float8_e4m3fn"), "block": 16},
    "mxfp8 x mxfp4": {**both("float8_e4m3fn", "e8m0"), "weights": "float4_e2m1fn", "block": 32},
    "vs-quant": {**both("int4", "uint4"), "a_block_scale": "uint6", "block": 16},
    "int4 groups": {
        **{"activations": "int8", "weights": "uint4", "block": 8, "w_block_scale": "uint6"},
        **{"w_block_zero_point": True, "a_zero_point": True},
    },
    "int8 x mxfp4": {"activations": "int8", "weights": "float4_e2m1fn", "block": 32, "w_block_scale": "e8m0"},
    "nvfp4 x int8": {
        **{"activations": "float4_e2m1fn", "weights": "int8", "block": 16, "a_block_scale": "float8_e4m3fn"},
    },
}
OTHERS = {
    "zero points alone": {"activations": "int8", "weights": "int4", "block": 8, "w_block_zero_point": True},
    "float16 x bfloat16": {**both("int8", "float16"), "w_block_scale": "bfloat16", "block": 8, **FLOAT},
    "wide integer scales": {**both("int8", "uint16"), "block": 8, **FLOAT},
    "e8m0 x e5m2": {**both("pot4", "e8m0"), "weights": "bipolar", "a_block_scale": "float8_e5m2", "block": 8, **FLOAT},
    "one bit and a power": {**both("ternary", "e8m0"), "a_block_scale": "uint1", "block": 8, **FLOAT},
    "beats of floats": {"activations": "float8_e5m2", "weights": "float8_e4m3fn", **FLOAT},
    "beats of integers": {"activations": "int32", "weights": "uint16", "w_zero_point": True, **FLOAT},
    "scaled down": {
        **{**both("q2.6", "e8m0"), "block": 8, **PROMISED, "requantize": "shift", "output": "int8", "bias": "int16"},
    },
}
LANES = {"mxfp4": (1, 32), "mxint8": (32, 1), "nvfp4": (16, 4), "int4 groups": (1, 8), "vs-quant": (4, 16)}


def build(**fields):
    fields = {"rows": 2, "cols": 3, "lanes": 4, "depth": 150, "name": "blocks"} | fields
    return Spec(**{name: parse(value) if name in FORMATS else value for name, value in fields.items()})


def paired(name, block_sum):
    """The pairing with exact or float32 sums; the lanes that LANES tells, in either."""
    lanes = LANES.get(name, (4, 8))[block_sum == "float32"]
    if block_sum == "float32":
        return build(**PAIRINGS[name], **FLOAT, lanes=lanes)
    promised = PROMISED if "e8m0" in PAIRINGS[name].values() else {}
    wide = {"output": "int64", "requantize": "shift"} if "e5m2" in name else {}
    return build(**PAIRINGS[name], **promised, **wide, lanes=lanes)


def products_of(spec, sizes=((2, 7, 3), (2, 33, 4), (1, 1, 1), (1, 117, 1), (1, 64, 2))):
    """K below a block, whole blocks, one element and most of a block more, a single element."""
    return [operands(spec, random_arrays(spec, m=m, k=k, n=n, seed=seed)) for seed, (m, k, n) in enumerate(sizes)]


def check(spec, products, folder):
    for number, (given, y) in enumerate(zip(products, in_icarus(spec, products, folder), strict=True)):
        assert y.tolist() == golden(spec, given).tolist(), f"product {number}, K = {given.shape[1]}"


@NEEDS_ICARUS
@pytest.mark.parametrize("block_sum", ["exact", "float32"])
@pytest.mark.parametrize("name", PAIRINGS)
def test_pairings(name, block_sum, tmp_path):
    spec = paired(name, block_sum)
    check(spec, products_of(spec), tmp_path)


@NEEDS_ICARUS
@pytest.mark.parametrize("name", OTHERS)
def test_other_designs(name, tmp_path):
    spec = build(**OTHERS[name])
    check(spec, products_of(spec), tmp_path)


@NEEDS_ICARUS
def test_every_stream_may_stall(tmp_path):
    """Products follow each other; beats of A come late, then those of W, then outputs are not taken."""
    spec = build(**PAIRINGS["nvfp4"], **FLOAT, rows=3, lanes=4)
    built, products = build_bench(spec, verilog(spec), "icarus"), products_of(spec, ((7, 37, 4), (2, 3, 5)))
    for name in ("a", "w", "y"):
        came, _ = replay_streams(built, spec, products, tmp_path, **{name: 0.7})
        for y, given in zip(came, products, strict=True):
            assert y.tolist() == golden(spec, given).tolist(), f"while {name} stalls"


@pytest.mark.parametrize(
    ("name", "simulator"),
    [
        pytest.param("mxfp4 in float32", "verilator", marks=NEEDS_VERILATOR),
        pytest.param("int4 groups", "verilator", marks=NEEDS_VERILATOR),
        pytest.param("int4 groups", "icarus", marks=NEEDS_ICARUS),
    ],
)
def test_cycles(name, simulator, tmp_path):
    """Many tiles, and a single output; without stalls in exactly the cycles of the closed form."""
    spec = build(**PAIRINGS["mxfp4"], **FLOAT, lanes=16) if "mxfp4" in name else paired(name, "exact")
    built = build_bench(spec, verilog(spec), simulator)
    many, one = products_of(spec, ((7, 101, 8), (1, 1, 1)))
    for given, stall in ((many, 0.0), (many, 0.4), (one, 0.0)):
        came = replay(built, spec, given, tmp_path, stall=stall, seed=3)
        assert came.y.tolist() == golden(spec, given).tolist()
        expected = tiling(spec, given).cycles
        assert came.cycles == expected if stall == 0 else came.cycles >= expected


def scales_at_the_ends(spec):
    """One block with each pair of scales from ends of their range, then one with scales of 1, which adds to it."""
    ends = np.array([0, 1, 64, 104, 105, 126, 127, 128, 191, 253, 254, 255])
    count, rng = len(ends), np.random.default_rng(5)
    codes = np.array([0, 1, 2, 7, 8, 9, 15])
    arrays = {"a": rng.choice(codes, (count, 2 * spec.block)), "w": rng.choice(codes, (2 * spec.block, count))}
    arrays["a"][::2, spec.block :] = 0
    scales = np.stack([ends, np.full(count, 127)], axis=1)
    return operands(spec, arrays | {"a_block_scale": scales, "w_block_scale": scales.T})


@NEEDS_ICARUS
@pytest.mark.parametrize("lanes", [1, 8])
def test_scales_at_the_ends(lanes, tmp_path):
    spec = build(**{**PAIRINGS["mxfp4"], "block": 8}, **FLOAT, lanes=lanes, rows=4, cols=4)
    given = scales_at_the_ends(spec)
    values = float32_values(golden(spec, given))
    normal = np.finfo(np.float32).tiny
    assert np.isnan(values).any() and np.isinf(values).any() and (values == 0).any()
    assert ((values != 0) & (abs(values) < normal)).any() and (np.isfinite(values) & (abs(values) > 1)).any()
    check(spec, [given], tmp_path)


SPECIAL = {
    "float8_e5m2": (0x7C, 0xFC, 0x7D, 0xFF, 0x00, 0x80, 0x7B, 0x01),
    "float8_e4m3fn": (0x7F, 0xFF, 0x00, 0x80, 0x7E, 0x01),
    "float8_e4m3fnuz": (0x80, 0x00, 0x7F, 0x01),
    "int3": (-4, 0, 3),
    "pot3": (0, 4, 7, 3),
    "bipolar": (0, 1),
}


@NEEDS_ICARUS
@pytest.mark.parametrize(
    ("a_name", "w_name"),
    [("float8_e5m2", "float8_e5m2"), ("float8_e5m2", "int3"), ("pot3", "float8_e5m2"), ("bipolar", "float8_e5m2")]
    + [("float8_e4m3fn", "float8_e4m3fnuz")],
)
def test_codes_that_are_no_numbers(a_name, w_name, tmp_path):
    """Each meets each, in the first lane and in the second, within a block of numbers and in the block after."""
    a, w = (np.array(SPECIAL[name]) for name in (a_name, w_name))
    spec = build(activations=a_name, weights=w_name, block=4, w_block_scale="float8_e5m2", lanes=2, depth=8, **FLOAT)
    rows, columns = (np.full((len(codes), 8), codes[-1]) for codes in (a, w))
    rows[:, 0], columns[:, 0] = a, w
    rows[:, 5], columns[:, 5] = np.roll(a, 1), np.roll(w, 2)
    scales = np.full((2, len(w)), 0x3C)
    scales[0, -1], scales[1, 0], scales[1, -1] = 0x7C, 0xBC, 0x00
    given = operands(spec, {"a": rows, "w": columns.T.copy(), "w_block_scale": scales})
    y = golden(spec, given)
    assert (y == 0x7FC00000).any() and ((y == 0x7F800000) | (y == 0xFF800000)).any()
    check(spec, [given], tmp_path)
