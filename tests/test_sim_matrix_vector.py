"""The matrix-vector unit in simulation: folds and layers without gaps, stored and sparse weights, planted bugs."""

import re

import numpy as np
import oracle
import pytest
from icarus import compiled, played
from planting import planted
from simulation import missing, random_operands, verilog

from bittrue.design import to_fields, to_spec
from golden.formats import parse
from golden.spec import Spec
from golden.tensors import golden, operands
from hdl import weight_rom
from hdl.matrix_vector_timing import cycles
from hdl.verilog import run_yosys, to_verilog
from sim.diagnose import diagnose
from sim.stimulus import random_arrays, separates
from sim.streams import tiling

pytestmark = pytest.mark.skipif(bool(missing("icarus")), reason=missing("icarus"))

SCALED = {"requantize": "multiplier", "bias": parse("int16"), "output": parse("int8"), "y_zero_point": True}
COUNTED = {"requantize": "thresholds", "output": parse("uint3")}


def unit(activations="int8", weights="int4", **fields):
    formats = {"activations": parse(activations), "weights": parse(weights)}
    size = {"rows": 1, "cols": 3, "lanes": 4, "depth": 40, "outputs": 20, "name": "unit"}
    return Spec(**({"array": "matrix_vector"} | size | formats | fields))


def drawn(spec, m, k, n, seed):
    return operands(spec, random_arrays(spec, m=m, k=k, n=n, seed=seed))


def stored(spec, k, n, seed=5):
    """The design with random weights [k, n] stored in it."""
    w = random_arrays(spec, m=1, k=k, n=n, seed=seed)["w"]
    return spec.with_(stored_weights=tuple(tuple(row) for row in w.tolist()))


SHAPES = {
    "folds and beats": {},
    "one product": {"cols": 1, "lanes": 1},
    "one beat per vector": {"lanes": 40},
    "one fold": {"cols": 20},
    "one beat, one fold": {"cols": 20, "lanes": 40},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_products_of_all_sizes(shape, tmp_path):
    spec = unit(**SHAPES[shape])
    products = [
        random_operands(spec, *size, seed)
        for seed, size in enumerate(
            ((1, 1, 1), (5, 40, 20), (1, 40, 1), (3, 1, 20), (40, 7, 2), (2, 39, 19), (1, 3, 4))
        )
    ]
    compiled(spec, tmp_path)
    for given, y in zip(products, played(spec, products, tmp_path)[0], strict=True):
        assert y.tolist() == oracle.product(given.a, given.w), given.shape


LAYERS = ((9, 13, 7), (1, 40, 20), (1, 2, 1), (3, 40, 20), (30, 5, 3), (2, 9, 20))
SHORT = ((1, 1, 1),) * 5  # sets load faster than outputs leave
BUSY = ((24, 1, 3),) * 12  # the last outputs of a set and the first of the next in neighbouring cycles
SERIES = {
    "sums": unit(),
    "multiplier": unit(**SCALED, a_zero_point=True, w_zero_point=True),
    "thresholds": unit(**COUNTED | {"output": parse("uint4")}),
    "parallel thresholds": unit(**COUNTED, threshold_search="parallel"),
    "stored": stored(unit(**SCALED, depth=13, outputs=7), 13, 7),
}


def series(spec):
    """Products of many layers, which follow each other."""
    if spec.stored_weights is not None:
        return [drawn(spec, m, 13, 7, seed) for seed, (m, *_) in enumerate(LAYERS)]
    return [random_operands(spec, *size, seed) for seed, size in enumerate((*LAYERS, *SHORT, *BUSY))]


@pytest.mark.parametrize("name", SERIES)
def test_layers_follow_each_other_in_the_cycles_of_the_closed_form(name, tmp_path):
    """Weights and parameters of a layer load while the layer before is computed; zero points change with a vector."""
    spec = SERIES[name]
    products = series(spec)
    compiled(spec, tmp_path)
    came, counted = played(spec, products, tmp_path)
    for given, y in zip(products, came, strict=True):
        assert y.tolist() == golden(spec, given).tolist(), given.shape
    assert counted == cycles(spec, [tiling(spec, given).layer for given in products])


RELOADS = {
    "loads while rows are in flight": ("multiplier", r"else in_flight <= .*;", "else in_flight <= 1'h0;"),
    "loads while thresholds are searched": ("thresholds", r"else if \(!take\) settling <= .*;", "else settling <= 0;"),
}


@pytest.mark.parametrize("fault", RELOADS)
def test_parameters_loaded_too_early_are_seen(fault, tmp_path):
    """The layers of the test above can fail: they show sets that overwrite those still in use."""
    name, pattern, moved = RELOADS[fault]
    spec = SERIES[name]
    products = series(spec)
    compiled(spec, tmp_path, planted(spec, "parameters", pattern, moved, 1))
    came, _ = played(spec, products, tmp_path)
    assert any(y.tolist() != golden(spec, given).tolist() for given, y in zip(products, came, strict=True))


HELD = {
    "stored": stored(unit(), 23, 10),
    "stored, scaled": stored(unit(**SCALED, w_zero_point=True), 23, 10),
    "stored, bipolar": stored(unit("bipolar", "bipolar", lanes=5), 23, 10),
    "stored, one word": stored(unit(), 4, 3),
    "stored, sparse": stored(unit(sparsity="2:4"), 23, 10),
    "sparse": unit(**SCALED, sparsity="2:4", a_zero_point=True),
    "sparse, saturating": unit(weights="pot4", sparsity="2:4", accumulator=9, accumulator_overflow="saturate"),
    "sparse, bipolar activations": unit("bipolar", sparsity="2:4", lanes=2),
    "sparse, floats": unit("float4_e2m1fn", "float6_e2m3fn", sparsity="2:4", lanes=2),
}


@pytest.mark.parametrize("name", HELD)
def test_stored_and_sparse_weights(name, tmp_path):
    spec = HELD[name]
    k, n = (23, 10) if name != "stored, one word" else (4, 3)
    given = drawn(spec, 5, k, n, seed=1)
    assert golden(spec, given).tolist() == golden(spec.with_(sparsity="none", stored_weights=None), given).tolist() or (
        not spec.accumulator_is_exact
    )
    compiled(spec, tmp_path)
    cut = tiling(spec, given)
    for slow in (None, *cut.streams(given), "y"):
        (y,), counted = played(spec, [given], tmp_path, **({slow: 0.7} if slow else {}))
        assert y.tolist() == golden(spec, given).tolist(), slow
        assert counted >= cut.cycles if slow else counted == cut.cycles


def test_sparse_weights_take_half_the_beats():
    dense, sparse = unit(lanes=2, cols=4), unit(lanes=2, cols=4, sparsity="2:4")
    given = drawn(sparse, 50, 40, 20, seed=1)
    folds = 5
    assert tiling(dense, given).layer.words == folds * 20 == 2 * tiling(sparse, given).layer.words
    assert tiling(sparse, given).capacity == 2 * tiling(dense, given).capacity


def test_stored_weights_leave_no_weight_stream():
    assert "s_axis_w" not in verilog(HELD["stored, scaled"])
    assert "s_axis_w" in verilog(unit())


def test_words_longer_than_constants_may_be(monkeypatch, tmp_path):
    """Parts of a word, the last one shorter, give the same outputs."""
    spec = HELD["stored, sparse"].with_(name="parts")
    monkeypatch.setattr(weight_rom, "LONGEST_CONSTANT", 5)
    given = drawn(spec, 3, 23, 10, seed=2)
    text = to_verilog(spec)
    assert text.count("assign o = { part_4, part_3, part_2, part_1, part_0 };") == spec.cols
    compiled(spec, tmp_path, text)
    assert played(spec, [given], tmp_path)[0][0].tolist() == golden(spec, given).tolist()


@pytest.mark.parametrize("spec", [HELD["stored"], SERIES["sums"]], ids=["stored", "loaded"])
def test_synthesis_sees_memories(spec, tmp_path):
    """Yosys makes of each column's words, and of the vectors, one memory with a registered output."""
    (tmp_path / "unit.v").write_text(verilog(spec))
    steps = ["hierarchy -top unit", "proc", "flatten", "opt", "memory -nomap", "dump t:$mem_v2"]
    log = run_yosys(f"read_verilog {tmp_path / 'unit.v'}", *steps)
    assert sorted(re.findall(r"parameter \\WIDTH (\d+)", log)) == ["16"] * spec.cols + ["32"]
    assert re.findall(r"parameter \\RD_CLK_ENABLE (\S+)", log) == ["1'1"] * (spec.cols + 1)


def test_columns_with_the_same_words_share_a_module():
    spec = unit(stored_weights=((1, 2, 1), (3, 4, 3)))
    assert re.findall(r"^module (unit_weights\w*)", to_verilog(spec), flags=re.M) == [
        "unit_weights_0",
        "unit_weights_1",
    ]


@pytest.mark.parametrize("name", HELD)
def test_design_files_hold_the_weights(name):
    spec = HELD[name]
    assert to_spec(to_fields(spec)) == spec


PLANTED = unit(
    "int8",
    "int4",
    **SCALED,
    cols=2,
    lanes=2,
    depth=15,
    outputs=8,
    sparsity="2:4",
    multiplier_style="dsp",
    name="planted",
)


def positions_one_too_high(spec):
    """Each 2-bit position of a word read as the next one."""
    pattern, moved = r"positions <= word\[11:8\];", "positions <= { word[11:10] + 2'h1, word[9:8] + 2'h1 };"
    return planted(spec, "pe", pattern, moved, 1)


def two_positions_exchanged(spec):
    return planted(spec, "pe", r"positions <= word\[11:8\];", "positions <= { word[9:8], word[11:10] };", 1)


def parameters_of_the_previous_fold(spec):
    """Folds of parameters are written one place too high, the last one at the first place."""
    last = -(-spec.outputs // spec.cols) - 1
    pattern = r"store\[\{ fold_loading, bank_loading \}\]"
    moved = f"store[{{ fold_loading == {last} ? 2'h0 : fold_loading + 2'h1, bank_loading }}]"
    return planted(spec, "parameters", pattern, moved, 1)


def weights_of_the_next_fold(spec):
    """Words are written one fold, of four words, too low; those of the first fold in the place of the last."""
    pattern = r"address = \{ word, loading \}"
    words = -(-spec.depth // (2 * spec.lanes)) * -(-spec.outputs // spec.cols)
    moved = f"address = {{ word < 4 ? word + 4'd{words - 4} : word - 4'd4, loading }}"
    return planted(spec, "weight_loader", pattern, moved, 1)


PLANTS = {
    positions_one_too_high: ("product", "positions of sparse weights are one too high"),
    two_positions_exchanged: ("product", "the two positions of a group are exchanged"),
    parameters_of_the_previous_fold: ("parameters", "folds take the parameter set of the previous fold"),
    weights_of_the_next_fold: ("order", "folds use the weights of the next fold"),
}


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_named(plant, tmp_path):
    step, cause = PLANTS[plant]
    arrays = random_arrays(PLANTED, m=7, k=15, n=8, seed=4)
    given = operands(PLANTED, arrays)
    assert cause not in separates(PLANTED, arrays)
    compiled(PLANTED, tmp_path, plant(PLANTED))
    (y,), _ = played(PLANTED, [given], tmp_path)
    found = diagnose(PLANTED, given, y)
    assert found.count == (y != golden(PLANTED, given)).sum() > 0
    assert (found.step, found.cause) == (step, cause)
    assert found.explained == found.compared == y.size


def test_the_planted_design_itself_agrees(tmp_path):
    given = drawn(PLANTED, 7, 15, 8, seed=4)
    compiled(PLANTED, tmp_path)
    assert np.array_equal(played(PLANTED, [given], tmp_path)[0][0], golden(PLANTED, given))


def test_another_vectors_activations_are_named():
    spec = unit(**SCALED)
    given = drawn(spec, 6, 20, 10, seed=2)
    rows = [0, 0, 1, 2, 3, 4]
    arrays = {"a": given.a[rows], "w": given.w, **given.parameters}
    found = diagnose(spec, given, golden(spec, operands(spec, arrays)))
    assert (found.step, found.cause) == ("order", "vectors use the activations of the vector before them")
