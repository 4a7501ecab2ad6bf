"""Activations of their own for each column, and depthwise convolutions, against plain Python loops."""

import re
from itertools import product as every

import numpy as np
import oracle
import pytest

from golden.depthwise import windows
from golden.formats import parse
from golden.mac import accumulate, matmul
from golden.spec import Spec
from golden.tensors import accumulators, golden, operands, padded


def design(**fields):
    formats = {"activations": parse("int8"), "weights": parse("int8")}
    return Spec(**{**formats, "array": "vector", "rows": 1, "cols": 2, "depth": 64, **fields})


def convolution(x, w, stride, dilation, around, zero):
    """A depthwise convolution by its definition: loops over places, windows and channels, zeros outside the map."""
    (top, bottom), (left, right) = around
    height, width, channels = x.shape
    reach = [(size - 1) * step + 1 for size, step in zip(w.shape[:2], dilation, strict=True)]
    rows = range(-top, height + bottom - reach[0] + 1, stride[0])
    columns = range(-left, width + right - reach[1] + 1, stride[1])

    def at(i, j, c):
        return int(x[i, j, c]) - zero if 0 <= i < height and 0 <= j < width else 0

    places = list(every(range(w.shape[0]), range(w.shape[1])))
    return [
        [
            [
                sum(at(i + u * dilation[0], j + v * dilation[1], c) * int(w[u, v, c]) for u, v in places)
                for c in range(channels)
            ]
            for j in columns
        ]
        for i in rows
    ]


CASES = [
    ((5, 6, 3), (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1))),
    ((7, 4, 1), (2, 3), (2, 1), (1, 1), ((0, 1), (2, 0))),
    ((6, 9, 2), (3, 2), (1, 3), (2, 1), ((0, 0), (0, 0))),
    ((1, 1, 4), (1, 1), (1, 1), (1, 1), ((0, 0), (0, 0))),
    ((1, 5, 2), (5, 5), (2, 2), (1, 2), ((2, 2), (4, 4))),
]


@pytest.mark.parametrize(("size", "kernel", "stride", "dilation", "around"), CASES)
def test_a_depthwise_convolution_is_one_product(size, kernel, stride, dilation, around):
    rng = np.random.default_rng(sum(size))
    x, w = rng.integers(-128, 128, size), rng.integers(-128, 128, (*kernel, size[2]))
    zero = -5
    a = windows(x, kernel, stride=stride, dilation=dilation, padding=around, pad_code=zero)
    spec = design(a_zero_point=True)
    given = operands(spec, {"a": a, "w": w.reshape(-1, size[2]), "a_zero_point": zero})
    expected = convolution(x, w, stride, dilation, around, zero)
    shape = len(expected), len(expected[0]), size[2]
    assert golden(spec, given).reshape(shape).tolist() == expected


def test_one_number_for_both_directions():
    x = np.arange(30).reshape(5, 6, 1)
    both = windows(x, (2, 2), stride=(2, 2), dilation=(1, 1), padding=((1, 1), (1, 1)))
    assert windows(x, 2, stride=2, padding=1).tolist() == windows(x, 2, stride=2, padding=(1, 1)).tolist()
    assert windows(x, 2, stride=2, padding=1).tolist() == both.tolist()
    assert windows(x.astype(np.int8), 2).dtype == np.int8


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (np.zeros((3, 3)), {}, "x must have shape [H, W, C], not [3, 3]"),
        (np.zeros((2, 3, 1)), {}, "x with its padding has 2 places where a window reaches over 3"),
        (np.zeros((3, 3, 1)), {"stride": 0}, "stride must be one or two integers of at least 1, not 0"),
        (
            np.zeros((3, 3, 1)),
            {"dilation": (1, 2, 3)},
            "dilation must be one or two integers of at least 1, not (1, 2, 3)",
        ),
        (np.zeros((3, 3, 1)), {"padding": -1}, "padding must be one or two integers of at least 0, not -1"),
        (np.zeros((3, 3, 1)), {"kernel": 1.5}, "kernel must be one or two integers of at least 1, not 1.5"),
    ],
)
def test_errors_of_windows(x, options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        windows(x, **{"kernel": 3, **options})


def columns(a, w, function):
    """One column at a time, as products of their own."""
    each = [function(a[:, :, n], w[:, n : n + 1]) for n in range(w.shape[1])]
    return [[row[0] for row in rows] for rows in zip(*each, strict=True)]


@pytest.mark.parametrize("bits", [4, 20, 31, 40])
def test_exact_sums_of_any_size(bits):
    rng = np.random.default_rng(bits)
    lo, hi = -(1 << bits - 1), (1 << bits - 1) - 1
    a, w = rng.integers(lo, hi, (3, 5, 4), endpoint=True), rng.integers(lo, hi, (5, 4), endpoint=True)
    a[0], w[:, 0] = lo, lo
    assert matmul(a, w).tolist() == columns(a, w, oracle.product)


@pytest.mark.parametrize("rule", ["wrap", "saturate"])
@pytest.mark.parametrize("lanes", [1, 3])
def test_narrow_accumulators(rule, lanes):
    spec = design(accumulator=16, accumulator_overflow=rule, lanes=lanes)
    rng = np.random.default_rng(lanes)
    a, w = rng.integers(-128, 128, (9, 14, 3)), rng.integers(-128, 128, (14, 3))
    a[0], w[:, 0] = -128, -128
    expected = columns(a, w, lambda a, w: oracle.accumulate(a, w, lanes, 16, rule))
    assert accumulate(a, w, spec).tolist() == expected
    assert expected != matmul(a, w).tolist()


def test_padding_keeps_the_outputs_and_adds_zeros():
    spec = design(a_zero_point=True, w_zero_point=True)
    rng = np.random.default_rng(7)
    a, w = rng.integers(-128, 128, (3, 5, 4)), rng.integers(-128, 128, (5, 4))
    given = operands(spec, {"a": a, "w": w, "a_zero_point": 3, "w_zero_point": -9})
    assert given.shape == (3, 5, 4)
    whole = padded(spec, given, 5, 6)
    assert whole.shape == (5, 5, 6)
    sums = accumulators(spec, whole)
    assert sums[:3, :4].tolist() == accumulators(spec, given).tolist()
    assert not sums[3:].any() and not sums[:, 4:].any()


ONE_OR_TWO = "a must be [M, K], or [M, K, N], with at least one element, not of shape"


@pytest.mark.parametrize(
    ("spec", "a", "message"),
    [
        (design(), np.zeros((2, 3, 5), int), "a has N = 5 channels and w has N = 4 columns; they must be equal"),
        (design(), np.zeros((2, 2, 4), int), "a has K = 2 columns and w has K = 3 rows; they must be equal"),
        (design(), np.full((2, 3, 4), 128), "a[0, 0, 0] is 128, outside int8 [-128, 127]"),
        (design(), np.zeros(3, int), f"{ONE_OR_TWO} [3]"),
        (design(), np.zeros((2, 3, 4, 1), int), f"{ONE_OR_TWO} [2, 3, 4, 1]"),
        (design(), np.zeros((0, 3, 4), int), f"{ONE_OR_TWO} [0, 3, 4]"),
        (
            design(array="output_stationary"),
            np.zeros((2, 3, 4), int),
            "a [M, K, N] needs array 'vector', not 'output_stationary'; it has shape [2, 3, 4]",
        ),
    ],
)
def test_errors_of_operands(spec, a, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        operands(spec, {"a": a, "w": np.zeros((3, 4), int)})
