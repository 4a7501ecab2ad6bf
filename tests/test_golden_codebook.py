"""Codebooks: names, lookup, operands; and k-means against scikit-learn, brute force and plain Python."""

from fractions import Fraction
from itertools import combinations
from random import Random

import numpy as np
import oracle
import pytest

from golden.codebook import assigned, codebook_for, inertia, lloyd, quantiles
from golden.formats import Codebook, parse
from golden.spec import Spec
from golden.tensors import accumulators, operands


@pytest.mark.parametrize(
    ("name", "width", "entry"),
    [
        ("codebook1", 1, "int8"),
        ("codebook8", 8, "int8"),
        ("codebook4_int12", 4, "int12"),
        ("codebook2_uint4", 2, "uint4"),
    ],
)
def test_names(name, width, entry):
    fmt = parse(name)
    assert fmt == Codebook(width, parse(entry)) and str(fmt) == fmt.name == name
    assert (fmt.width, fmt.signed, fmt.fraction, fmt.entries) == (width, False, 0, 2**width)
    assert (fmt.code_range, fmt.decoded_range) == ((0, 2**width - 1), parse(entry).code_range)


def test_the_entries_of_int8_need_no_name():
    assert parse("codebook3_int8") == parse("codebook3")


REFUSALS = {
    "activations": (
        {"activations": "codebook4", "weights": "int4"},
        "activations take no codebook, which only weights can have, not codebook4",
    ),
    "entries": (
        {"activations": "int4", "weights": "codebook4_int33"},
        "weights must have entries of at most 32 bits, not codebook4_int33",
    ),
    "bipolar": (
        {"activations": "bipolar", "weights": "codebook2", "lanes": 3},
        "lanes must be 1 for bipolar activations and weights codebook2, not 3: neither has a code for zero, which "
        "spare lanes need",
    ),
    "array": (
        {"activations": "int4", "weights": "codebook4", "array": "vector", "rows": 1},
        "array must be 'output_stationary' with weights codebook4, not 'vector', which has no tables at its entry",
    ),
    "zero point": (
        {"activations": "int4", "weights": "codebook2", "w_zero_point": True},
        "w_zero_point needs an integer format, not codebook2",
    ),
    "output": (
        {"activations": "int4", "weights": "int4", "output": "codebook2"},
        "output must be an integer, fixed-point or bipolar format, not codebook2",
    ),
}


FORMATS = ("activations", "weights", "output")


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name):
    fields, message = REFUSALS[name]
    fields = {key: parse(value) if key in FORMATS else value for key, value in fields.items()}
    with pytest.raises(ValueError) as error:
        Spec(**fields)
    assert str(error.value) == message


def spec_of(weights="codebook2_int5", **fields):
    return Spec(**{"activations": parse("int4"), "weights": parse(weights), "depth": 8} | fields)


A = np.array([[7, -8, 3], [1, 0, -1]])
W = np.array([[0, 3], [1, 2], [2, 0]])
TABLE = np.array([[5, -16, 15, 0], [1, -1, 9, -9]])


def test_a_product_in_figures():
    given = operands(spec_of(), {"a": A, "w": W, "w_codebook": TABLE})
    entries = [[5, -9], [-16, 9], [15, 1]]
    assert accumulators(spec_of(), given).tolist() == oracle.product(A, np.array(entries, object))


def test_one_table_for_all_columns():
    one = operands(spec_of(), {"a": A, "w": W, "w_codebook": TABLE[0]})
    each = operands(spec_of(), {"a": A, "w": W, "w_codebook": np.stack([TABLE[0]] * 2)})
    assert (one.extras["w_codebook"] == each.extras["w_codebook"]).all()
    assert (accumulators(spec_of(), one) == accumulators(spec_of(), each)).all()


WRONG = {
    "w_codebook: array missing": None,
    "w_codebook must have shape [N, entries] = [2, 4], not [4, 2]": TABLE.T,
    "w_codebook must have shape [N, entries] = [2, 4], not []": 3,
    "w_codebook[1, 3] is 16, outside int5 [-16, 15]": TABLE + [[0, 0, 0, 0], [0, 0, 0, 25]],
    "w_codebook must hold integer codes, not float64": TABLE * 1.0,
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_tables(message):
    arrays = {"a": A, "w": W} | ({} if WRONG[message] is None else {"w_codebook": WRONG[message]})
    with pytest.raises(ValueError) as error:
        operands(spec_of(), arrays)
    assert str(error.value) == message


def test_codes_beyond_the_table_and_unwanted_tables():
    with pytest.raises(ValueError) as error:
        operands(spec_of(), {"a": A, "w": W + 2, "w_codebook": TABLE})
    assert str(error.value) == "w[0, 1] is 5, outside codebook2_int5 [0, 3]"
    with pytest.raises(ValueError) as error:
        operands(spec_of("int4"), {"a": A, "w": W, "w_codebook": TABLE})
    assert str(error.value).startswith("w_codebook: ")


def test_a_promise_holds_for_entries_not_for_codes():
    held = spec_of(accumulator_range=(-200, 200))
    operands(held, {"a": A, "w": W, "w_codebook": TABLE // 4})
    with pytest.raises(ValueError) as error:
        operands(held, {"a": A, "w": W, "w_codebook": TABLE})
    promise = "outside the accumulator_range [-200, 200] this design was built for"
    assert str(error.value) == f"w can sum to -272..268, {promise}"


def test_the_width_of_products_follows_from_the_entries():
    assert spec_of("codebook1_int16").w_range == (-32768, 32767)
    assert spec_of("codebook2").with_(activations=parse("int8")).multiply == "dsp"
    assert spec_of("codebook8_int4").with_(activations=parse("int8")).multiply == "logic"


def column(seed, k):
    """Weights as they come: normal, some of them equal."""
    return np.round(np.random.default_rng(seed).normal(size=k), 2)


@pytest.mark.parametrize("entries", [2, 4, 16])
@pytest.mark.parametrize("seed", range(4))
def test_lloyd_against_scikit_learn(seed, entries):
    """The same start, the same inertia."""
    cluster = pytest.importorskip("sklearn.cluster", reason="scikit-learn is not installed: pip install scikit-learn")
    x = column(seed, 200)
    start = quantiles(x, entries)
    theirs = cluster.KMeans(entries, init=start[:, None], n_init=1, algorithm="lloyd", tol=0, max_iter=1000)
    theirs.fit(x[:, None])
    centers = lloyd(x, start)
    assert inertia(x, centers) == pytest.approx(theirs.inertia_, rel=1e-9)
    assert centers == pytest.approx(np.sort(theirs.cluster_centers_[:, 0]))


def best_inertia(x, entries):
    """The least inertia of all ways to cut the values, in order, into so many parts; by exact fractions."""
    x = sorted(Fraction(value) for value in x)

    def cost(part):
        mean = sum(part) / len(part)
        return sum((value - mean) ** 2 for value in part)

    cuts = combinations(range(1, len(x)), entries - 1)
    return min(sum(cost(x[i:j]) for i, j in zip((0, *cut), (*cut, len(x)), strict=True)) for cut in cuts)


@pytest.mark.parametrize("seed", range(12))
def test_lloyd_against_every_partition(seed):
    """Never below the optimum, and on clusters that are apart, begun one in each, just that."""
    random, entries = Random(seed), 2 + seed % 3
    x = [random.randrange(-40, 40) / 4 for _ in range(10)]
    optimum = best_inertia(x, entries)
    assert inertia(x, lloyd(x, quantiles(x, entries))) >= float(optimum) * (1 - 1e-12)
    apart = [100 * cluster + random.randrange(8) / 8 for cluster in range(entries) for _ in range(4)]
    assert inertia(apart, lloyd(apart, quantiles(apart, entries))) == pytest.approx(float(best_inertia(apart, entries)))


@pytest.mark.parametrize("seed", range(4))
def test_lloyd_ends_where_nothing_moves(seed):
    """Each center is the mean of the values nearest to it."""
    x = column(seed, 300)
    centers = lloyd(x, quantiles(x, 8))
    nearest = np.abs(x[:, None] - centers[None, :]).argmin(axis=1)
    for index in range(8):
        assert centers[index] == pytest.approx(x[nearest == index].mean())


def test_a_center_without_values_stays():
    assert lloyd([0.0, 0.0, 8.0], [-1.0, 3.0, 4.5, 9.0]).tolist() == [0.0, 3.0, 4.5, 8.0]


def test_the_lower_of_two_centers():
    assert assigned(np.array([-1.0, 0.0, 1.0]), np.array([-1, 1])).tolist() == [0, 0, 1]


@pytest.mark.parametrize(("bits", "fmt"), [(1, "int8"), (3, "int5"), (4, "int8"), (2, "uint6"), (8, "int8")])
def test_codebook_for(bits, fmt):
    fmt, rng = parse(fmt), np.random.default_rng(bits)
    x = rng.normal(size=(60, 5)) * [1, 0.01, 30, 0, 1]
    x = np.abs(x) if not fmt.signed else x
    x[:, 4] = -np.abs(x[:, 4]) if fmt.signed else x[:, 4]
    codes, table, scale = codebook_for(x, bits, fmt)
    assert codes.shape == x.shape and table.shape == (5, 2**bits) and scale.shape == (5,)
    assert fmt.code_range[0] <= table.min() and table.max() <= fmt.code_range[1] and (np.diff(table) >= 0).all()
    assert scale[3] == 1 and (table[3] == 0).all()
    near = np.abs(x[:, :, None] - (table * scale[:, None])[None])
    assert np.take_along_axis(near, codes[:, :, None], axis=2)[:, :, 0] == pytest.approx(near.min(axis=2), rel=1e-9)
    for n in (0, 1, 2):
        assert table[n, 0] == fmt.code_range[0] * fmt.signed or table[n, -1] == fmt.code_range[1]
        ideal = inertia(x[:, n], lloyd(x[:, n], quantiles(x[:, n], 2**bits)))
        step = scale[n] / 2
        spent = ((x[:, n] - table[n, codes[:, n]] * scale[n]) ** 2).sum()
        assert spent <= (np.sqrt(ideal) + np.sqrt(len(x)) * step) ** 2 * (1 + 1e-9)
    assert all((one == two).all() for one, two in zip((codes, table, scale), codebook_for(x, bits, fmt), strict=True))


def test_what_codebook_for_refuses():
    for x in (np.zeros(3), np.zeros((0, 2)), np.array([[np.nan]])):
        with pytest.raises(ValueError, match="x must be a matrix of finite numbers, not of shape"):
            codebook_for(x, 2, parse("int8"))
    with pytest.raises(ValueError, match="width of codebook must be 1 to 8, not 9"):
        codebook_for(np.zeros((2, 2)), 9, parse("int8"))
