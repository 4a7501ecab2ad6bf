"""Two codes for one value: sums and ranges by plain Python integers, the errors that are left, every message."""

import re
from fractions import Fraction
from itertools import product as every

import numpy as np
import oracle
import pytest

from golden.case import sums_case
from golden.formats import parse
from golden.residual import best_scale, quantize_residual, restored, sqnr
from golden.spec import Spec
from golden.tensors import accumulators, decoded_activations, decoded_weights, operands, padded


def design(a="int3", w="int2", residual=2, **fields):
    return Spec(activations=parse(a), weights=parse(w), residual=residual, depth=9, **fields)


def numbers(name):
    """Code -> number of a format, in plain Python."""
    if name == "bipolar":
        return {0: -1, 1: 1}
    width = int(name[-1])
    if name.startswith("pot"):
        half = [0, *(2**e for e in range(2 ** (width - 1) - 1))]
        return dict(enumerate([*half, *(-value for value in half)]))
    lo = -(2 ** (width - 1)) if name.startswith("int") else 0
    return {code: code for code in range(lo, lo + 2**width)}


PAIRS = [
    ("int3", "int2", 1),
    ("uint3", "int2", 2),
    ("int2", "uint2", 3),
    ("bipolar", "bipolar", 1),
    ("int2", "pot3", 4),
]


@pytest.mark.parametrize("of", ["weights", "activations"])
@pytest.mark.parametrize(("a", "w", "bits"), PAIRS)
def test_ranges_are_those_of_every_pair_of_codes(a, w, bits, of):
    spec = design(a, w, bits, residual_of=of)
    coarse = numbers(w if of == "weights" else a).values()
    values = [(first << bits) + second for first, second in every(coarse, repeat=2)]
    both = [values, list(numbers(w).values())] if of == "activations" else [list(numbers(a).values()), values]
    assert [spec.a_value_range, spec.w_value_range] == [(min(x), max(x)) for x in both]
    products = [x * y for x, y in every(*both)]
    low, high = min(0, 9 * min(products)), max(0, 9 * max(products))
    assert spec.sum_range == (low, high)
    width = next(width for width in range(2, 99) if -(2 ** (width - 1)) <= low and high < 2 ** (width - 1))
    assert spec.accumulator_width == width


@pytest.mark.parametrize("of", ["weights", "activations"])
@pytest.mark.parametrize(("a", "w", "bits"), PAIRS)
def test_sums(a, w, bits, of):
    spec, rng = design(a, w, bits, residual_of=of), np.random.default_rng(bits)
    codes = {"a": rng.choice(list(numbers(a)), (4, 7)), "w": rng.choice(list(numbers(w)), (7, 5))}
    name = of[0]
    fine = rng.choice(list(numbers(w if name == "w" else a)), codes[name].shape)
    given = operands(spec, {**codes, f"{name}_residual": fine})
    values = {which: np.vectorize(numbers(fmt).get)(codes[which]) for which, fmt in (("a", a), ("w", w))}
    values[name] = values[name] * 2**bits + np.vectorize(numbers(w if name == "w" else a).get)(fine)
    assert decoded_activations(spec, given).tolist() == values["a"].tolist()
    assert decoded_weights(spec, given).tolist() == values["w"].tolist()
    assert accumulators(spec, given).tolist() == oracle.product(values["a"], values["w"])
    whole = accumulators(spec, padded(spec, given, 6, 8))
    assert whole[:4, :5].tolist() == accumulators(spec, given).tolist()


def test_beats_of_two_passes():
    assert [design(lanes=2).beats(k) for k in (1, 2, 3, 9)] == [2, 2, 4, 10]
    assert [design(residual=0, lanes=2).beats(k) for k in (1, 2, 3, 9)] == [1, 1, 2, 5]


@pytest.mark.parametrize(
    ("spec", "more", "message"),
    [
        (design(), {}, "w_residual: array missing"),
        (design(residual_of="activations"), {}, "a_residual: array missing"),
        (design(residual=0), {"w_residual": 0}, "w_residual: this design takes no such array; it takes a, w"),
        (design(), {"a_residual": 0}, "a_residual: this design takes no such array; it takes a, w, w_residual"),
        (design(), {"w_residual": [[1, 0]]}, "w_residual must have shape [K, N] = [3, 2], not [1, 2]"),
        (design(), {"w_residual": np.full((3, 2), 2)}, "w_residual[0, 0] is 2, outside int2 [-2, 1]"),
    ],
)
def test_errors_of_operands(spec, more, message):
    w = np.array([[-2, 0], [0, 1], [0, 0]])
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        operands(spec, {"a": np.zeros((2, 3), int), "w": w, **more})


def test_a_promise_holds_for_both_codes():
    """Weights of -10, -2, -2 and -2, 2, -2 against activations of -4 to 3."""
    given = {"a": np.zeros((2, 3), int), "w": np.array([[-2, 0], [0, 1], [0, 0]]), "w_residual": np.full((3, 2), -2)}
    columns = [(-10, -2, -2), (-2, 2, -2)]
    low = min(sum(min(-4 * v, 3 * v) for v in column) for column in columns)
    high = max(sum(max(-4 * v, 3 * v) for v in column) for column in columns)
    spec = design(accumulator_range=(low, high))
    assert operands(spec, given).shape == (2, 3, 2)
    with pytest.raises(ValueError, match=f"^w can sum to {low}..{high}, outside the accumulator_range"):
        operands(spec.with_(accumulator_range=(low + 1, high)), given)


def test_sums_alone_need_no_residual_codes():
    spec = design(output=parse("int8"), requantize="shift")
    assert sums_case(spec, np.array([[3, -3]]), {}).own.tolist() == [[3, -3]]


@pytest.mark.parametrize(("name", "bits"), [("int2", 1), ("int3", 2), ("int3", 4), ("pot3", 3), ("bipolar", 1)])
def test_both_codes_together_are_the_nearest(name, bits):
    fmt, known = parse(name), numbers(name)
    x = np.concatenate([np.random.default_rng(bits).normal(0, 6, 300), np.arange(-40, 41) / 4, [1e3, -1e3]])
    codes, fine, scale = quantize_residual(x, fmt, bits, scale=0.75)
    assert scale == 0.75
    pairs = [((first << bits) + second, abs(second)) for first, second in every(known.values(), repeat=2)]
    for value, first, second in zip((x / 0.75).tolist(), codes.tolist(), fine.tolist(), strict=True):
        least = min((abs(Fraction(value) - total), abs(total), size) for total, size in pairs)
        total = (known[first] << bits) + known[second]
        assert (abs(Fraction(value) - total), abs(total), abs(known[second])) == least


def test_errors_shrink_by_the_second_code():
    """Within the range the error is at most half a step of the second code, where r is the width of the format."""
    fmt, scale = parse("int4"), 0.25
    x = np.linspace(-34, 29.75, 1001)
    codes, fine, _ = quantize_residual(x, fmt, 4, scale=scale)
    assert np.abs(x - restored(codes, fine, fmt, 4, scale)).max() <= scale / 2
    assert np.abs(x - restored(codes, None, fmt, 4, 16 * scale)).max() > scale / 2


def test_scale_per_column():
    x = np.random.default_rng(3).normal(0, [[1, 30]], (50, 2))
    scale = np.array([[best_scale(column, parse("int3"), 3) for column in x.T]])
    codes, fine, given = quantize_residual(x, parse("int3"), 3, scale=scale)
    alone = [
        quantize_residual(column, parse("int3"), 3, scale=float(s)) for column, s in zip(x.T, scale[0], strict=True)
    ]
    assert given is not None and codes.T.tolist() == [one[0].tolist() for one in alone]
    assert fine.T.tolist() == [one[1].tolist() for one in alone]


def test_best_scale_loses_least():
    x = np.random.default_rng(4).normal(0, 1, 2000)
    fmt = parse("int4")
    best = best_scale(x, fmt, 4)
    assert sqnr(x, fmt, 4) == sqnr(x, fmt, 4, scale=best)
    assert all(sqnr(x, fmt, 4, scale=best * factor) < sqnr(x, fmt, 4) for factor in (0.7, 0.85, 1.2, 1.5))
    assert sqnr(np.array([0.5, -0.5]), fmt, None, scale=0.5) == float("inf")


@pytest.mark.parametrize(
    ("scale", "message"), [(0.0, "scale must be positive, not 0.0"), (float("nan"), "scale must be positive, not nan")]
)
def test_errors_of_scales(scale, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        quantize_residual(np.ones(3), parse("int4"), 4, scale=scale)
