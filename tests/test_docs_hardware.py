"""The figures of docs/hardware.md are those of the hardware."""

import re
from pathlib import Path

import pytest

from benchmarks import blocks, kinds
from benchmarks.requantizers import CASES
from golden.formats import parse
from golden.spec import Spec
from hdl import matrix_vector_timing, weight_timing
from hdl.element import element_latency
from hdl.multiply import dot_product
from hdl.requantize import requantizer_latency
from hdl.thresholds import load_gap
from hdl.timing import cycles, latency
from hdl.vector import vector_latency
from hdl.vector_timing import vector_cycles

TEXT = (Path(__file__).resolve().parent.parent / "docs" / "hardware.md").read_text()


def test_latencies_of_requantizers():
    section = TEXT[TEXT.index("| requantizer | Q |") :].split("\n\n")[0]
    told = {name: int(count) for name, count in re.findall(r"^\| (.+?) \| (\d+) \|$", section, re.M)}
    assert len(told) == 11
    assert told == {name: requantizer_latency(CASES[name]) for name in told}


STEPS = {"bias": 1, "multiplication": 3, "shift and rounding": 4, "relu": 1, "zero point": 1, "clip": 1, "table": 1}


def test_steps_add_up():
    sentence = TEXT[TEXT.index("Q is the sum") : TEXT.index("`float32` has, in place")].replace("\n", " ")
    assert all(f"{name} {count}" in sentence for name, count in STEPS.items())
    fields = {"bias": parse("int8"), "output": parse("int8"), "y_zero_point": True, "activation": "relu6"}
    table = {"table": tuple(range(-128, 128)), "table_input": parse("int8")}
    spec = Spec(activations=parse("int8"), weights=parse("int8"), requantize="multiplier", **fields, **table)
    relu6 = 1
    assert requantizer_latency(spec) == sum(STEPS.values()) + relu6
    assert requantizer_latency(spec.with_(requantize="tflite")) == sum(STEPS.values()) + relu6 + 3
    assert requantizer_latency(spec.with_(zero_point_order="before_rounding")) == sum(STEPS.values()) + relu6 - 1


@pytest.mark.parametrize("bits", [8, 20, 24, 25, 27, 32, 40])
def test_latency_of_float32(bits):
    """Sign 1, multiplication 3, shift 3, rounding 1, clip 1; and the cuts to 24 bits."""
    held = {"accumulator": bits + 1, "accumulator_overflow": "wrap", "depth": 1 << 24}
    spec = Spec(activations=parse("int16"), weights=parse("int16"), requantize="float32", output=parse("int8"), **held)
    m = min(bits + 1, 32)  # the magnitude of -2**bits

    def cut(excess):
        return 1 + -(-excess.bit_length() // 2) if excess > 0 else 0

    assert requantizer_latency(spec) == 1 + 3 + 3 + 1 + 1 + cut(m - 24) + cut(min(m, 24))


@pytest.mark.parametrize("search", ["binary", "parallel"])
@pytest.mark.parametrize("output", ["uint1", "int4", "int8"])
def test_cycles_with_thresholds(output, search):
    """(T.3), which the simulations count."""
    fields = {"requantize": "thresholds", "threshold_search": search, "output": parse(output)}
    spec = Spec(activations=parse("int8"), weights=parse("int8"), rows=4, cols=3, **fields)
    b, s, rows, thresholds = [5, 1, 30, 2], [spec.threshold_count, 1, spec.threshold_count, 1], 4, spec.threshold_count
    gap = thresholds.bit_length() if search == "binary" else 1
    late = max(0, s[0] - (b[0] + latency(spec) - requantizer_latency(spec) - 3))
    rest = sum(max(b[i], rows, gap + s[i]) for i in range(1, 4))
    assert gap == load_gap(spec)
    assert cycles(spec, b, sets=s) == b[0] + late + rest + latency(spec) + rows - 1


@pytest.mark.parametrize("fields", [{}, {"requantize": "thresholds", "output": parse("int4")}])
def test_cycles_of_the_vector_unit(fields):
    """(V.1) and (V.2), which the simulations count."""
    shape = {"array": "vector", "rows": 1, "cols": 3, "lanes": 2}
    spec = Spec(activations=parse("int8"), weights=parse("int8"), **shape, **fields)
    latency = dot_product(spec).latency + requantizer_latency(spec) + 4
    assert vector_latency(spec) == latency
    for b, m, s in ((1, 1, 1), (1, 1, 9), (5, 4, 3), (2, 30, 2)):
        gap, t = (4, 15) if fields else (0, 0)
        late = max(0, t - (2 * b + latency - requantizer_latency(spec) - 3))
        expected = b + late + (s - 1) * max(m * b, gap + t) + m * b + latency
        assert vector_cycles(spec, b, m, s) == expected
        assert fields or expected == b * (1 + m * s) + latency


@pytest.mark.parametrize("sparsity", ["none", "2:4"])
def test_matrix_vector_formulas(sparsity):
    """(M.1) and (M.2) for one layer, whose parameters or weights may load longer."""
    assert "latency = E + Q + 5 " in TEXT and "cycles  = load + M F B + latency - 1 " in TEXT
    assert "load    = max(F B, F S)\n" in TEXT
    int8 = {"activations": parse("int8"), "weights": parse("int4")}
    for fields in ({}, {"requantize": "thresholds", "output": parse("uint3")}):
        spec = Spec(**int8, array="matrix_vector", rows=1, lanes=2, sparsity=sparsity, **fields)
        e, q = dot_product(spec).latency + (sparsity != "none"), requantizer_latency(spec)
        assert matrix_vector_timing.latency(spec) == e + q + 5
        for m, b, f in ((1, 1, 1), (5, 3, 2), (2, 20, 7)):
            told = max(f * b, f * spec.threshold_count) + m * f * b + e + q + 5 - 1
            assert matrix_vector_timing.cycles(spec, [matrix_vector_timing.Layer(m, b, f)]) == told


def test_layers_on_each_kind_of_array():
    """The closed forms, which `benchmarks kinds` and the simulation tests find to be true."""
    section = TEXT[TEXT.index("| M x K x N |") :].split("\n\n")[0]
    told = [tuple(line.strip("| ").split(" | ")) for line in section.splitlines()[2:]]
    assert told == [tuple(map(str, kinds.row(kind, layer))) for layer in kinds.LAYERS for kind in kinds.KINDS]


def test_cycles_of_the_weight_stationary_array():
    """(W.1), (W.2) and (W.3), which the simulations count."""
    shape = {"array": "weight_stationary", "rows": 4, "cols": 3, "lanes": 2}
    formats = {"activations": parse("int8"), "weights": parse("int8"), "output": parse("int8")}
    spec = Spec(**formats, **shape, requantize="shift")
    latency, b = 4 + 3 + dot_product(spec).latency + requantizer_latency(spec) + 2, [9, 9, 2, 2, 2, 5]
    assert weight_timing.latency(spec) == latency
    tiles = [(9, 2), (2, 3), (5, 1)]
    expected = 4 + sum(max(rows, 4) for rows in b[:-1]) + b[-1] + latency + 1
    assert weight_timing.cycles(spec, tiles) == expected
    spec = Spec(**formats, **shape, requantize="thresholds")
    latency = 4 + 3 + dot_product(spec).latency + requantizer_latency(spec) + 2
    s, g, gap = [255, 1, 255], [9, 9 + 4 + 4, 4], load_gap(spec)
    late = max(0, s[0] - (4 + g[0] + latency - requantizer_latency(spec) - 1))
    late += sum(max(0, gap + s[j] - g[j]) for j in (1, 2))
    expected = 4 + sum(max(rows, 4) for rows in b[:-1]) + b[-1] + latency + 1 + late
    assert weight_timing.cycles(spec, tiles, s) == expected


def rounding_cycles(bits, *, subnormal, loses):
    return -(-(bits - 1).bit_length() // 2) + 4 * subnormal + loses


def told_latencies():
    section = TEXT[TEXT.index("| elements and scales | sums | E |") :].split("\n\n")[0]
    return {
        (name, sums): int(count) for name, sums, count in re.findall(r"^\| (\w+) \| (\w+) \| (\d+) \|$", section, re.M)
    }


def test_latencies_of_blocks():
    told = told_latencies()
    assert len(told) == 14
    assert told == {key: element_latency(blocks.element(*key)) for key in told}


@pytest.mark.parametrize("name", ["mxint8", "mxfp8_e4m3", "mxfp8_e5m2", "mxfp4"])
def test_steps_of_blocks_add_up(name):
    """(B.1) and (B.2), for powers of two as scales."""
    exact, rounded = (blocks.element(name, sums) for sums in ("exact", "float32"))
    beat = dot_product(exact).latency + 1
    assert element_latency(exact) == beat + -(-(2 * 15).bit_length() // 2)
    bits = max(-rounded.block_range[0], rounded.block_range[1]).bit_length()
    cut = rounding_cycles(bits, subnormal=False, loses=True) if bits > 24 else 0
    last = rounding_cycles(min(bits, 24), subnormal=True, loses=True)
    assert element_latency(rounded) == beat + 1 + cut + last + 1
