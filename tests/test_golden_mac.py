"""golden.mac against plain Python integers: every route through BLAS at its bound, and narrow accumulators."""

from itertools import product as every

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden import mac
from golden.formats import parse
from golden.mac import accumulate, accumulator_range, matmul
from golden.ops import exact_dtype, int_bits
from golden.spec import Spec

quick = settings(derandomize=True, deadline=None, max_examples=100, database=None)


@pytest.fixture
def routes(monkeypatch):
    """Names of the routes that matmul takes, in order: ("float32", chunks) or ("limbs", 0)."""
    taken, chunks, limbs = [], mac._matmul_in_chunks, mac._matmul_in_limbs

    def spy_chunks(a, w, chunk, blas, dtype):
        taken.append((blas.__name__, -(-a.shape[1] // chunk)))
        return chunks(a, w, chunk, blas, dtype)

    def spy_limbs(a, w):
        taken.append(("limbs", 0))
        return limbs(a, w)

    monkeypatch.setattr(mac, "_matmul_in_chunks", spy_chunks)
    monkeypatch.setattr(mac, "_matmul_in_limbs", spy_limbs)
    return taken


def row(*runs):
    """A [1, K] matrix from (value, count) runs."""
    return np.array([[value for value, count in runs for _ in range(count)]])


def check(a, w, dtype=np.int64):
    result = matmul(a, w)
    assert result.tolist() == oracle.product(a, w)
    assert result.dtype == dtype


def in_float(a, w, dtype):
    """What BLAS would give without the bound: the whole sum at once."""
    return int((a.astype(dtype) @ w.astype(dtype)).item())


def test_float32_up_to_its_bound(routes):
    a = row((256, 256))
    check(a, a.T)
    check(-a, a.T)
    assert routes == [("float32", 1)] * 2
    assert matmul(a, a.T).item() == 2**24


def test_beyond_the_float32_bound_in_two_chunks(routes):
    a = row((256, 256), (1, 1))
    check(a, a.T)
    assert routes == [("float32", 2)]
    assert matmul(a, a.T).item() == 2**24 + 1 != in_float(a, a.T, np.float32)


def test_float32_gives_way_to_float64(routes):
    a = row((257, 256), (1, 1))
    check(a, a.T)
    assert routes == [("float64", 1)]


def test_float64_up_to_its_bound(routes):
    a = row((2**26, 2))
    check(a, a.T)
    check(-a, a.T)
    assert routes == [("float64", 1)] * 2
    assert matmul(a, a.T).item() == 2**53


def test_beyond_the_float64_bound_in_two_chunks(routes):
    a, w = row((2**22, 256), (1, 1)), row((2**23, 256), (1, 1)).T
    check(a, w)
    assert routes == [("float64", 2)]
    assert matmul(a, w).item() == 2**53 + 1 != in_float(a, w, np.float64)


def test_chunks_of_less_than_256_give_way_to_limbs(routes):
    a, w = row((2**22 + 1, 256), (1, 1)), row((2**23, 256), (1, 1)).T
    check(a, w)
    assert matmul(a, w).item() == 2**53 + 2**31 + 1 != in_float(a, w, np.float64)
    assert routes[:2] == [("limbs", 0)] * 2


def test_a_short_sum_beyond_the_float64_bound_in_limbs(routes):
    a = row((2**26, 2), (1, 1))
    check(a, a.T)
    assert routes[0] == ("limbs", 0)
    assert matmul(a, a.T).item() == 2**53 + 1 != in_float(a, a.T, np.float64)


def test_limbs_up_to_the_int64_bound(routes):
    check(row((2**63 - 1, 1)), row((1, 1)))
    check(row((-(2**63) + 1, 1)), row((1, 1)))
    check(row((5 * 2**31 - 7, 1), (-1, 2)), row((2**28, 3)).T)
    assert routes.count(("limbs", 0)) >= 3


@pytest.mark.parametrize("sign", [1, -1])
def test_beyond_the_int64_bound_in_python_integers(sign):
    check(row((-(2**63), 1)), row((sign, 1)), object)
    check(row((-(2**31), 2)), sign * row((2**31, 2)).T, object)


def test_the_limbs_swap_sides_for_the_wider_operand(routes):
    a, w = row((3, 5)), row((2**61 - 1, 3), (-(2**61), 2)).T
    check(a, w, object)
    check(w.T, a.T, object)
    assert routes[:2] == [("limbs", 0)] * 2


EXTREMES = {
    "int32 minima": (-(2**31), -(2**31), 3),
    "uint32 maxima": (2**32 - 1, 2**32 - 1, 5),
    "int32 minimum, uint32 maximum": (-(2**31), 2**32 - 1, 2),
    "33-bit differences": (-(2**32) + 1, 2**32 - 1, 3),
    "int16 minima": (-(2**15), -(2**15), 509),
    "int16 minimum, maximum": (-(2**15), 2**15 - 1, 263),
    "int8 minima": (-128, -128, 1031),
    "uint8 maxima": (255, 255, 65537),
    "int8 minima, deep": (-128, -128, 100003),
    "int4 minima": (-8, -8, 262147),
    "signs": (-1, 1, 100003),
    "one product": (-(2**31), -(2**31), 1),
    "one small product": (-3, 5, 1),
    "zeros": (0, 0, 7),
    "zero times wide": (2**200, 0, 2),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_all_codes_extreme(name):
    x, y, depth = EXTREMES[name]
    a, w = np.full((2, depth), x), np.full((depth, 3), y)
    assert matmul(a, w).tolist() == [[depth * x * y] * 3] * 2


@pytest.mark.parametrize("depth", [1, 2, 255, 256, 257, 509])
@pytest.mark.parametrize(
    "bits", [(1, 1), (8, 8), (8, 9), (16, 8), (12, 13), (22, 23), (23, 24), (32, 4), (31, 31), (33, 33)]
)
def test_random_matrices(bits, depth):
    generator = np.random.default_rng((depth, *bits))
    a = generator.integers(-(1 << bits[0] - 1), 1 << bits[0] - 1, (3, depth))
    w = generator.integers(-(1 << bits[1] - 1), 1 << bits[1] - 1, (depth, 2))
    a[0], w[:, 0] = -(1 << bits[0] - 1), -(1 << bits[1] - 1)
    assert matmul(a, w).tolist() == oracle.product(a, w)


@pytest.mark.parametrize("bits", [(8, 8), (22, 23)])
def test_deep_random_matrices(bits):
    generator = np.random.default_rng(bits)
    a, w = (generator.integers(-(1 << b - 1), 1 << b - 1, 20011)[None] for b in bits)
    assert matmul(a, w.T).tolist() == oracle.product(a, w.T)


@quick
@given(st.data(), st.integers(1, 40), st.integers(1, 40), st.integers(1, 12))
def test_any_matrices(data, a_bits, w_bits, depth):
    def matrix(rows, cols, bits):
        items = st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        values = data.draw(st.lists(items, min_size=rows * cols, max_size=rows * cols))
        return np.array(values).reshape(rows, cols)

    a, w = matrix(2, depth, a_bits), matrix(depth, 2, w_bits)
    assert matmul(a, w).tolist() == oracle.product(a, w)


def test_objects_and_int64_alike():
    a = np.arange(-6, 6).reshape(3, 4)
    assert matmul(a.astype(object), a.T).tolist() == matmul(a, a.T).tolist() == oracle.product(a, a.T)


def test_int_bits_is_the_narrowest_width():
    for lo in range(-17, 18):
        for hi in range(lo, 18):
            fits = [width for width in range(1, 8) if -(2 ** (width - 1)) <= lo and hi < 2 ** (width - 1)]
            assert int_bits(lo, hi) == fits[0]


@pytest.mark.parametrize(
    ("lo", "hi", "dtype"),
    [
        (-(2**63), 2**63 - 1, np.int64),
        (-(2**63) - 1, 0, object),
        (0, 2**63, object),
        (0, 0, np.int64),
    ],
)
def test_exact_dtype(lo, hi, dtype):
    assert exact_dtype(lo, hi) is dtype


PAIRINGS = [
    ("int4", "int4", 7),
    ("uint4", "int3", 6),
    ("bipolar", "bipolar", 3),
    ("bipolar", "int4", 4),
    ("uint2", "bipolar", 3),
    ("int8", "int8", 15),
    ("q2.4", "uq1.3", 9),
    ("int16", "uint8", 20),
    ("int32", "int32", 61),
    ("uint31", "uint32", 40),
    ("uint32", "uint32", 64),
    ("uint32", "uint32", 65),
]


def narrow(activations, weights, width, rule, lanes=1, depth=64):
    return Spec(
        activations=parse(activations),
        weights=parse(weights),
        lanes=lanes,
        depth=depth,
        accumulator=width,
        accumulator_overflow=rule,
        output=parse("int8"),
    )


def decoded(spec, rows, depth, cols):
    """Extreme and random decoded operands: the first row and column hold only the largest."""
    generator = np.random.default_rng((depth, spec.exact_accumulator_width))

    def matrix(fmt, shape):
        lo, hi = fmt.code_range
        return generator.choice([lo, hi, *generator.integers(lo, hi + 1, 6).tolist()], shape)

    a, w = matrix(spec.activations, (rows, depth)), matrix(spec.weights, (depth, cols))
    a[0], w[:, 0], w[:, 1] = spec.activations.code_range[1], spec.weights.code_range[1], spec.weights.code_range[0]
    return spec.activations.decode(a), spec.weights.decode(w)


@pytest.mark.parametrize("rule", ["wrap", "saturate"])
@pytest.mark.parametrize("lanes", [1, 2, 3, 5, 16])
@pytest.mark.parametrize(("activations", "weights", "width"), PAIRINGS)
def test_narrow_accumulator(activations, weights, width, lanes, rule):
    spec = narrow(activations, weights, width, rule, lanes)
    a, w = decoded(spec, 3, 23, 4)
    expected = oracle.accumulate(a, w, lanes, width, rule)
    assert accumulate(a, w, spec).tolist() == expected
    assert expected != oracle.product(a, w)


@pytest.mark.parametrize("width", [61, 62, 63, 64, 65, 66])
@pytest.mark.parametrize("rule", ["wrap", "saturate"])
@pytest.mark.parametrize("lanes", [1, 3])
def test_accumulators_around_the_width_of_int64(lanes, rule, width):
    for activations, weights in (("int32", "int32"), ("uint32", "int32"), ("uint31", "uint32"), ("int32", "int31")):
        spec = narrow(activations, weights, width, rule, lanes)
        a, w = decoded(spec, 2, 11, 3)
        assert accumulate(a, w, spec).tolist() == oracle.accumulate(a, w, lanes, width, rule)


@pytest.mark.parametrize(("activations", "weights", "width"), PAIRINGS)
def test_exact_accumulator(activations, weights, width):
    spec = narrow(activations, weights, None, None, lanes=4)
    a, w = decoded(spec, 3, 23, 4)
    assert accumulate(a, w, spec).tolist() == oracle.product(a, w)
    assert spec.exact_accumulator_width > width


@pytest.mark.parametrize("rule", ["wrap", "saturate"])
def test_an_accumulator_of_the_exact_width_never_overflows(rule):
    exact = narrow("int8", "int8", None, None).exact_accumulator_width
    a, w = np.full((1, 64), -128), np.full((64, 1), -128)
    assert accumulate(a, w, narrow("int8", "int8", exact, rule)).tolist() == [[64 * 2**14]]
    a_code = accumulate(a, w, narrow("int8", "int8", exact - 1, rule)).item()
    assert a_code == oracle.accumulate(a, w, 1, exact - 1, rule)[0][0] != 64 * 2**14


def test_wrapping_is_free_of_order_and_lanes():
    a, w = decoded(narrow("int8", "int8", 10, "wrap"), 3, 24, 4)
    order = np.random.default_rng(1).permutation(24)
    outcomes = [
        accumulate(a[:, ks], w[ks], narrow("int8", "int8", 10, "wrap", n))
        for ks in (order, np.sort(order))
        for n in (1, 5)
    ]
    assert all(outcome.tolist() == outcomes[0].tolist() for outcome in outcomes)


def test_saturating_depends_on_order_and_lanes():
    a, w = row((7, 2), (-7, 1)), row((7, 3)).T
    spec = narrow("int4", "int4", 7, "saturate")
    assert accumulate(a, w, spec).item() == 63 - 49
    assert accumulate(a[:, ::-1], w, spec).item() == 49
    assert accumulate(a, w, spec.with_(lanes=3)).item() == 49
    assert accumulate(a, w, spec.with_(lanes=2)).item() == 63 - 49


def test_missing_lanes_of_the_last_beat_add_nothing():
    a, w = np.full((1, 5), 1), np.full((5, 1), 1)
    spec = narrow("bipolar", "bipolar", 3, "saturate", lanes=4)
    assert accumulate(a, w, spec).item() == 3
    assert accumulate(-a, w, spec).item() == -4


def reach(w, codes):
    """Smallest and largest partial sum of one column over every activation vector."""
    partial = [
        sum(x * y for x, y in zip(a, w[:k], strict=True)) for k in range(len(w) + 1) for a in every(codes, repeat=k)
    ]
    return min(partial), max(partial)


@pytest.mark.parametrize("activations", ["uint2", "int2", "bipolar", "uint1", "int1", "int3"])
@pytest.mark.parametrize("weights", ["int4", "uint3", "bipolar"])
def test_accumulator_range_is_reached(activations, weights):
    spec = narrow(activations, weights, None, None)
    lo, hi = spec.activations.decoded_range
    decoded_codes = (-1, 1) if activations == "bipolar" else range(lo, hi + 1)
    generator = np.random.default_rng(7)
    for _ in range(8):
        codes = generator.integers(spec.weights.code_range[0], spec.weights.code_range[1] + 1, (3, 2))
        w = spec.weights.decode(codes)
        columns = [reach(column, decoded_codes) for column in w.T.tolist()]
        assert accumulator_range(w, spec) == (min(low for low, _ in columns), max(high for _, high in columns))


def test_accumulator_range_over_every_zero_point():
    spec = narrow("uint2", "int4", None, None).with_(a_zero_point=True)
    for w in ([3, 5, 1], [-2, -7, -1], [4, -3, 2]):
        points = [reach(w, range(-zero, 4 - zero)) for zero in range(4)]
        lo, hi = accumulator_range(np.array(w)[:, None], spec)
        assert lo <= min(low for low, _ in points) and hi >= max(high for _, high in points)
        assert (lo, hi) == (-3 * sum(map(abs, w)), 3 * sum(map(abs, w)))


def test_accumulator_range_takes_the_widest_column_and_wide_weights():
    spec = narrow("uint32", "int32", None, None)
    w = np.array([[2**31 - 1, -1], [2**31 - 1, -(2**31)], [0, 0]])
    assert accumulator_range(w, spec) == (-(2**32 - 1) * (2**31 + 1), 2 * (2**32 - 1) * (2**31 - 1))
