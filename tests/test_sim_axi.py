"""The AXI4-Stream top, without any bench of ours around it, under the clients of cocotbext-axi in both simulators."""

import json
from dataclasses import replace
from importlib.util import find_spec
from struct import pack as pack_bytes

import numpy as np
import pytest
from simulation import SIMULATORS, missing, random_operands, verilog
from threshold_stimulus import threshold_operands

from golden.dynamic import dynamic
from golden.formats import parse, to_bits
from golden.spec import Spec
from golden.tensors import accumulators, golden
from hdl.layout import p_beat
from sim.packing import pack
from sim.simulators import build, run
from sim.streams import input_streams

pytestmark = pytest.mark.skipif(
    find_spec("cocotbext") is None or find_spec("cocotbext.axi") is None,
    reason="cocotbext-axi is not installed: pip install cocotbext-axi",
)

INT8 = {"activations": parse("int8"), "weights": parse("int8")}
SIGNS = {"activations": parse("bipolar"), "weights": parse("bipolar")}
MIXED = {"activations": parse("uint4"), "weights": parse("bipolar")}
SCALED = {"requantize": "multiplier", "multiplier_bits": 12, "bias": parse("int16"), "output": parse("int8")}
DESIGNS = {
    "multiplier": Spec(**INT8, **SCALED, rows=3, cols=4, lanes=2, y_zero_point=True, name="axi_multiplier"),
    "binary": Spec(**SIGNS, rows=2, cols=3, lanes=5, bias=parse("int5"), output=parse("bipolar"), name="axi_binary"),
    "planes": Spec(**INT8, rows=3, cols=2, lanes=4, array="bit_serial", w_zero_point=True, name="axi_planes"),
    "stationary": Spec(
        **INT8, **SCALED, rows=3, cols=2, lanes=2, array="weight_stationary", pass_rows=4, name="axi_stationary"
    ),
    "bricks": Spec(**INT8, **SCALED, rows=2, cols=1, lanes=2, array="scalable", name="axi_bricks"),
    "mixed": Spec(**MIXED, rows=4, cols=2, lanes=1, name="axi_mixed"),
}
CHANNELS = {"array": "vector", "rows": 1, "cols": 3, "lanes": 2}
DESIGNS["vector"] = Spec(**INT8, **SCALED, **CHANNELS, depth=16, y_zero_point=True, name="axi_vector")
COUNTS = {"activations": parse("int5"), "weights": parse("int4"), "requantize": "thresholds"}
PARALLEL = {"threshold_search": "parallel"}
THRESHOLDS = {
    "search": Spec(**COUNTS, rows=2, cols=3, lanes=2, output=parse("int4"), name="axi_search"),
    "parallel": Spec(**COUNTS, **PARALLEL, rows=3, cols=2, output=parse("int4"), clip=(-3, 2), name="axi_parallel"),
    "resident": Spec(
        **COUNTS, array="matrix_vector", rows=1, cols=3, lanes=2, outputs=7, output=parse("uint3"), name="axi_resident"
    ),
    "signs": Spec(**COUNTS, rows=1, cols=2, output=parse("bipolar"), name="axi_signs"),
}
DESIGNS |= {name: THRESHOLDS[name] for name in ("search", "parallel", "resident")}
CODEBOOK = {"activations": parse("int4"), "weights": parse("codebook2_int5")}
CODEBOOKS = {"codebook": Spec(**CODEBOOK, **SCALED, rows=2, cols=3, lanes=2, name="axi_codebook")}
BLOCKS = {
    "groups": Spec(
        activations=parse("int8"),
        weights=parse("uint4"),
        **{"rows": 2, "cols": 3, "lanes": 2, "block": 4, "w_block_scale": parse("uint6"), "w_block_zero_point": True},
        name="axi_groups",
    ),
    "nvfp4": Spec(
        activations=parse("float4_e2m1fn"),
        weights=parse("float4_e2m1fn"),
        **{"rows": 3, "cols": 2, "lanes": 2, "block": 4, "block_sum": "float32", "output": parse("float32")},
        **{"a_block_scale": parse("float8_e4m3fn"), "w_block_scale": parse("float8_e4m3fn")},
        name="axi_nvfp4",
    ),
}
DYNAMIC = {**INT8, "requantize": "dynamic", "output": parse("uint8"), "rows": 2, "cols": 3, "lanes": 2}
DESIGNS["dynamic"] = Spec(**DYNAMIC, name="axi_dynamic")
NEXT_TILE = Spec(**DYNAMIC, dynamic_scale="next_tile", name="axi_next_tile")
DEPTHS = (11, 2)


def frames(stream):
    """Bytes in hexadecimal, cut after each `last`."""
    ends = np.flatnonzero(stream.last) + 1
    return [stream.data[begin:end].tobytes().hex() for begin, end in zip([0, *ends[:-1]], ends, strict=True)]


def tile_rows(spec):
    """Rows of a tile in the order in which they leave: the last one first, but the first where weights stay."""
    return range(spec.pass_rows) if spec.array == "weight_stationary" else range(spec.rows)[::-1]


def y_frames(spec, y):
    """What must come out: all tile rows of a tile column, then the next; of a matrix-vector unit row after row, all
    its columns. In a beat column 0 has the lowest bits.
    """
    rows = tile_rows(spec)
    raw = to_bits(y, spec.y)

    def beat(row):
        word = sum(int(code) << index * spec.y.width for index, code in enumerate(row))
        return word.to_bytes(-(-spec.cols * spec.y.width // 8), "little").hex()

    if spec.array == "matrix_vector":
        return ["".join(beat(row[n : n + spec.cols]) for n in range(0, len(row), spec.cols)) for row in raw]
    return [
        "".join(beat(raw[row, n : n + spec.cols]) for row in (m + row for row in rows))
        for n in range(0, y.shape[1], spec.cols)
        for m in range(0, y.shape[0], len(rows))
    ]


def product(spec, k, seed):
    """Frames of each stream for a product of two by two tiles."""
    draw = threshold_operands if spec.threshold_count else random_operands
    given = draw(spec, 2 * len(tile_rows(spec)), k, 2 * spec.cols, seed)
    given = narrowed(given) if spec.array == "bit_serial" else given
    streams = {name: frames(stream) for name, stream in input_streams(spec, given).items()}
    return streams | {"y": y_frames(spec, golden(spec, given))} | q_frames(spec, given)


def narrowed(given):
    """Operands of three bit planes of A and four of W: a product that is not too long to be reset at every moment."""
    return replace(given, a=given.a >> 5, w=given.w >> 5, w_zero_point=given.w_zero_point >> 5)


def q_frames(spec, given):
    """One frame of one beat per tile: the scale as a float32, lowest byte first, then the zero point."""
    if spec.requantize != "dynamic":
        return {}
    made = dynamic(accumulators(spec, given), spec)
    return {"q": [pack_bytes("<fB", *tile).hex() for tile in zip(made.y_scale, made.y_zero_point, strict=True)]}


def check(spec, simulator, testcase, folder):
    first, second = (product(spec, k, seed) for seed, k in enumerate(DEPTHS))
    assert first["y"] != second["y"]
    (folder / "axi.json").write_text(json.dumps({"first": first, "second": second}))
    built = build(simulator, {f"{spec.name}.v": verilog(spec)}, top=spec.name)
    run(built, "sim.axi_tests", folder, testcase=testcase)


@pytest.mark.parametrize(
    "testcase", ["random_pauses", "one_stream_pauses", "valid_waits_for_no_ready", "reset_in_flight"]
)
@pytest.mark.parametrize("name", DESIGNS)
@pytest.mark.parametrize("simulator", SIMULATORS)
def test_axi_clients(name, simulator, testcase, tmp_path):
    check(DESIGNS[name], simulator, testcase, tmp_path)


@pytest.mark.parametrize("testcase", ["random_pauses", "reset_in_flight", "late_sets", "reset_in_load"])
def test_axi_clients_of_codebooks(testcase, tmp_path):
    if reason := missing("icarus"):
        pytest.skip(reason)
    check(CODEBOOKS["codebook"], "icarus", testcase, tmp_path)


@pytest.mark.parametrize("testcase", ["one_stream_pauses", "reset_in_flight"])
@pytest.mark.parametrize("name", BLOCKS)
def test_axi_clients_of_blocks(name, testcase, tmp_path):
    """Reset in the middle of a block too: the next one begins anew."""
    if reason := missing("icarus"):
        pytest.skip(reason)
    check(BLOCKS[name], "icarus", testcase, tmp_path)


@pytest.mark.skipif(bool(missing("icarus")), reason=missing("icarus"))
def test_reset_forgets_the_range_of_the_tile_before(tmp_path):
    """The first tile after reset has scale 1 and zero point 0 again, at whatever moment the reset came."""
    check(NEXT_TILE, "icarus", "reset_in_flight", tmp_path)


@pytest.mark.parametrize("testcase", ["late_sets", "reset_in_load"])
@pytest.mark.parametrize("name", [name for name, spec in DESIGNS.items() if spec.parameters])
@pytest.mark.parametrize("simulator", SIMULATORS)
def test_parameter_sets(name, simulator, testcase, tmp_path):
    check(DESIGNS[name], simulator, testcase, tmp_path)


def unsorted_sets(spec):
    """Whole sets of which one falls: between the first two thresholds or the last two, in the first column or last."""
    count, lo = spec.threshold_count, spec.threshold_format.code_range[0]
    rising = np.tile(np.arange(count), (spec.cols, 1))
    for index in sorted({1, count - 1}):
        for column in (0, spec.cols - 1):
            falling = rising.copy()
            falling[column, index] = lo
            codes = {f"thresholds[{n}]": values[:, None] for n, values in enumerate(falling)}
            yield pack(p_beat(spec), codes).tobytes().hex()


@pytest.mark.parametrize("name", ["search", "parallel", "resident"])
@pytest.mark.parametrize("simulator", SIMULATORS)
def test_unsorted_thresholds(name, simulator, tmp_path):
    (tmp_path / "unsorted.json").write_text(json.dumps(list(unsorted_sets(THRESHOLDS[name]))))
    check(THRESHOLDS[name], simulator, "unsorted_thresholds", tmp_path)


def test_a_single_threshold_is_never_unsorted(tmp_path):
    """Each set is one beat, and may be below the set before."""
    if reason := missing("icarus"):
        pytest.skip(reason)
    (tmp_path / "unsorted.json").write_text("[]")
    spec = THRESHOLDS["signs"]
    check(spec, "icarus", "unsorted_thresholds", tmp_path)
    assert all(len(frame) == 2 * p_beat(spec).bytes for frame in product(spec, 11, 0)["p"])


def test_expected_frames_in_figures():
    spec = Spec(activations=parse("int2"), weights=parse("int2"), rows=2, cols=2, output=parse("int5"))
    y = np.array([[1, -1, 5, 0], [2, -2, 6, 0], [3, -3, 7, 0], [4, -4, -8, 1]])
    tiles = [[(2, 30), (1, 31)], [(4, 28), (3, 29)], [(6, 0), (5, 0)], [(24, 1), (7, 0)]]
    words = [[low + 32 * high for low, high in tile] for tile in tiles]
    assert y_frames(spec, y) == ["".join(word.to_bytes(2, "little").hex() for word in tile) for tile in words]
