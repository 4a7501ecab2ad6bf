"""What a matrix-vector unit asks of its design and its layers: messages, sparse patterns, words of folds."""

from itertools import product as every

import numpy as np
import oracle
import pytest

from golden.folds import folded, layer_size
from golden.formats import parse
from golden.sparsity import compressed, most_products, pruned
from golden.spec import Spec
from golden.tensors import accumulators, golden, operands

SPARSE = {"sparsity": "2:4", "lanes": 2}


def unit(activations="int4", weights="int4", **fields):
    formats = {"activations": parse(activations), "weights": parse(weights)}
    return Spec(**({"array": "matrix_vector", "rows": 1, "cols": 3} | formats | fields))


REFUSED = [
    ({"rows": 2}, "rows must be 1 with array 'matrix_vector', not 2"),
    ({"outputs": 0}, "outputs must be positive, not 0"),
    ({"outputs": 65537}, "outputs must be at most 65536, not 65537"),
    ({"sparsity": "1:4"}, "sparsity must be one of none, 2:4, not '1:4'"),
    ({**SPARSE, "array": "output_stationary"}, "sparsity needs array 'matrix_vector', not 'output_stationary'"),
    (
        {"stored_weights": ((1,),), "array": "output_stationary"},
        "stored_weights needs array 'matrix_vector', not 'output_stationary'",
    ),
    ({**SPARSE, "weights": "bipolar"}, "sparsity 2:4 needs weights that have a zero, not bipolar"),
    ({**SPARSE, "w_zero_point": True}, "sparsity 2:4 takes no w_zero_point: its zeros are codes of value 0"),
    ({**SPARSE, "lanes": 3}, "lanes must be a multiple of 2 with sparsity 2:4, not 3"),
    ({"stored_weights": ()}, "stored_weights must be a matrix with at least one element, K rows of N codes"),
    (
        {"stored_weights": ((1, 2), (3,))},
        "stored_weights must be a matrix with at least one element, K rows of N codes",
    ),
    ({"stored_weights": ((1,),) * 3, "depth": 2}, "stored_weights have K = 3; this design's depth is 2"),
    ({"stored_weights": ((1,) * 65,)}, "stored_weights have N = 65; this design's outputs are 64"),
    (
        {"stored_weights": ((0,) * 257,) * 256, "outputs": 257},
        "stored_weights must be at most 65536 codes, not 65792; more can come over w",
    ),
    ({"stored_weights": ((1, 7), (8, 9))}, "stored_weights[1, 0] is 8, outside int4 [-8, 7]"),
    (
        {"stored_weights": ((0, 127),), "weights": "float8_e4m3fn"},
        "stored_weights[0, 1] is 127, which is no number in float8_e4m3fn",
    ),
    (
        {**SPARSE, "stored_weights": ((0, 1), (1, 1), (1, 0), (1, 2), (0, 3))},
        "stored_weights[0:4, 0] has 3 weights other than zero; sparsity 2:4 allows 2 of each 4 along K",
    ),
    (
        {"stored_weights": ((0,),), "w_zero_point": True, "activations": "bipolar"},
        "stored_weights take no w_zero_point with bipolar activations, which have no zero to pad with",
    ),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_designs_are_refused(changes, message):
    with pytest.raises(ValueError) as error:
        unit(**changes)
    assert str(error.value) == message


@pytest.mark.parametrize("stored", [[[1]], ((1.0,),), ((True,),), (1, 2), "1"])
def test_stored_weights_are_a_matrix_of_integers(stored):
    with pytest.raises(TypeError) as error:
        unit(stored_weights=stored)
    assert str(error.value) == f"stored_weights must be a matrix of integers, not {stored!r}"


STORED = {"stored_weights": ((1, 2), (3, 4), (5, 6)), "depth": 9}
LAYERS = [
    ({"outputs": 2}, np.ones((3, 4), int), "w has N = 4 columns; this design's outputs are 2"),
    (STORED, np.ones((2, 2), int), "w must be the stored weights, of shape [3, 2], not [2, 2]"),
    (STORED, [[1, 2], [3, 4], [5, 7]], "w must be the stored weights: w[2, 1] is 7 where 6 is stored"),
    (
        SPARSE,
        [[0, 1]] * 4 + [[0, 0]] + [[1, 0]] * 3,
        "w[0:4, 1] has 4 weights other than zero; sparsity 2:4 allows 2 of each 4 along K",
    ),
    (
        SPARSE,
        [[0, 1], [0, 0], [1, 0], [1, 0]] + [[1, 1]] * 3,
        "w[4:7, 0] has 3 weights other than zero; sparsity 2:4 allows 2 of each 4 along K",
    ),
]


@pytest.mark.parametrize(("fields", "w", "message"), LAYERS)
def test_layers_are_refused(fields, w, message):
    w = np.array(w)
    with pytest.raises(ValueError) as error:
        operands(unit(**fields), {"a": np.ones((1, len(w)), int), "w": w})
    assert str(error.value) == message


def test_negative_zero_keeps_the_pattern():
    """Sign-magnitude has two codes of value zero."""
    w = np.array([[8], [0], [1], [8], [9], [8]])
    given = operands(unit(weights="sm4", **SPARSE), {"a": np.arange(6)[None], "w": w})
    assert golden(unit(weights="sm4", **SPARSE), given).tolist() == [[2 * 1 + 4 * -1]]


def test_stored_weights_need_not_be_given():
    spec = unit(**STORED)
    given = operands(spec, {"a": np.array([[1, -1, 2], [0, 3, 0]])})
    assert golden(spec, given).tolist() == oracle.product(given.a, np.array(spec.stored_weights))


def test_layer_sizes():
    assert layer_size(unit(outputs=5), 7, 9) == (7, 5)
    assert layer_size(unit(**STORED), 7, 9) == (3, 2)
    assert layer_size(unit(array="output_stationary"), 7, 99) == (7, 99)


@pytest.mark.parametrize("k", range(1, 10))
def test_sums_of_sparse_weights(k):
    """The range is that of the largest sum that the pattern allows, found by trying all places of extreme weights."""
    spec = unit("int2", "int2", depth=k, **SPARSE)
    reach = {0}
    for places in every((0, 1), repeat=k):
        if all(sum(places[i : i + 4]) <= 2 for i in range(0, k, 4)):
            reach |= {4 * sum(places), -2 * sum(places)}
    assert spec.sum_range == (min(reach), max(reach))
    assert most_products(k) == max(reach) // 4


def test_every_pattern_is_compressed():
    """Codes and positions give the group back, positions rise, and no kept code is lost."""
    for group in every((0, 5, -3), repeat=4):
        if sum(code != 0 for code in group) > 2:
            continue
        codes = np.array(group)
        kept, positions = compressed(codes, codes == 0)
        back = [0] * 4
        for code, position in zip(kept.tolist(), positions.tolist(), strict=True):
            back[position] = code
        assert back == list(group)
        assert 0 <= positions[0] < positions[1] <= 3


def test_pruning_keeps_two_of_four():
    rng = np.random.default_rng(1)
    w = rng.integers(1, 8, (11, 5))
    kept = pruned(w, rng.random(w.shape))
    counts = [(kept[start : start + 4] != 0).sum(axis=0).tolist() for start in (0, 4, 8)]
    assert counts == [[2] * 5] * 3
    assert ((kept == w) | (kept == 0)).all()


def test_words_in_figures():
    spec = unit(lanes=2, depth=9, outputs=9)
    w = np.arange(12).reshape(3, 4) - 6
    assert folded(spec, w, zero_point=7).tolist() == [
        [[-6, -2], [-5, -1], [-4, 0]],
        [[2, 7], [3, 7], [4, 7]],
        [[-3, 1], [7, 7], [7, 7]],
        [[5, 7], [7, 7], [7, 7]],
    ]


def test_saturation_of_sparse_sums_is_once_per_beat():
    """A beat of sparse weights brings twice `lanes` products, zeros included."""
    spec = unit(**SPARSE, depth=8, accumulator=7, accumulator_overflow="saturate")
    a, w = np.array([[7, 7, 7, 7, -8, 7, 7, 7]]), np.array([[7], [7], [0], [0], [7], [0], [0], [0]])
    assert accumulators(spec, operands(spec, {"a": a, "w": w})).tolist() == [[63 - 56]]
    assert oracle.accumulate(a, w, 4, 7, "saturate") == [[63 - 56]]
