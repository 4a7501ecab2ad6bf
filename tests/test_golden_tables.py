"""golden.tables: each entry against the definition, in more digits than float64 has."""

from decimal import Decimal, getcontext
from fractions import Fraction

import numpy as np
import pytest
from designs import design

from golden.chain import round_exact
from golden.formats import parse
from golden.rounding import ROUNDINGS
from golden.tables import FUNCTIONS, table
from golden.tensors import golden, operands

INT8, UINT8 = parse("int8"), parse("uint8")
SCALES = {"x_format": INT8, "x_scale": 0.05, "y_format": INT8, "y_scale": 0.01}
getcontext().prec = 60


def erf(x):
    """The series of the error function: 2 / sqrt(pi) * sum of (-1)**k x**(2k+1) / (k! (2k+1))."""
    pi = Decimal("3.14159265358979323846264338327950288419716939937510582097494")
    term = total = x
    k = 0
    while abs(term) > Decimal(10) ** -50:
        k += 1
        term = -term * x * x / k
        total += term / (2 * k + 1)
    return 2 / pi.sqrt() * total


def sigmoid(x):
    return 1 / (1 + (-x).exp())


EXACT = {
    "sigmoid": sigmoid,
    "tanh": lambda x: 2 * sigmoid(2 * x) - 1,
    "gelu": lambda x: x * (1 + erf(x / Decimal(2).sqrt())) / 2,
    "hard_swish": lambda x: x * min(max(x + 3, Decimal(0)), Decimal(6)) / 6,
}


def entry(function, code, *, x_scale, y_scale, x_zero_point, y_zero_point, y_format, rounding):
    value = EXACT[function](Decimal(x_scale) * (code - x_zero_point)) / Decimal(y_scale)
    lo, hi = y_format.code_range
    return min(max(round_exact(Fraction(value), rounding) + y_zero_point, lo), hi)


def test_every_function_has_an_exact_twin():
    assert EXACT.keys() == FUNCTIONS.keys()


@pytest.mark.parametrize("rounding", ["half_even", "floor", "half_away"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_entries_are_the_definition(function, rounding):
    rng = np.random.default_rng(len(function))
    differing = total = 0
    for x_format, y_format in ((INT8, INT8), (UINT8, INT8), (INT8, UINT8), (parse("int10"), parse("int16"))):
        step = 64 / (x_format.code_range[1] - x_format.code_range[0])
        small = 2.0**-y_format.width
        numbers = {"x_scale": step * rng.uniform(0.1, 0.2), "y_scale": small * rng.uniform(2, 5), "rounding": rounding}
        points = {"x_zero_point": int(rng.integers(0, 8)), "y_zero_point": int(rng.integers(0, 99))}
        made = table(function, x_format=x_format, y_format=y_format, **numbers, **points)
        lo, hi = x_format.code_range
        exact = [entry(function, code, y_format=y_format, **numbers, **points) for code in range(lo, hi + 1)]
        differing += sum(one != other for one, other in zip(made, exact, strict=True))
        total += len(made)
    assert (differing, total) == (0, 1792)


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_ties_follow_the_rounding(rounding):
    made = table(lambda x: x, **SCALES | {"x_scale": 0.5, "y_scale": 1.0}, rounding=rounding)
    assert list(made) == [round_exact(Fraction(code, 2), rounding) for code in range(-128, 128)]


def test_zero_points_are_taken_off_and_added_after_rounding():
    made = table(lambda x: x, **SCALES | {"x_scale": 0.5, "y_scale": 1.0}, x_zero_point=5, y_zero_point=-3)
    assert made[5 + 128] == -3
    assert made[6 + 128] == -3 and made[8 + 128] == -1  # 1/2 to 0, 3/2 to 2, then the zero point
    assert min(made) == -69 and max(made) == 58
    assert set(table(lambda x: 1e30 * x, **SCALES)) == {-128, 0, 127}
    assert set(table(lambda x: float("inf"), **SCALES)) == {127}


WRONG = {
    "function": ({"function": "gel"}, "function must be one of sigmoid, tanh, gelu, hard_swish, not 'gel'"),
    "x_scale": ({"x_scale": 0.0}, "x_scale must be a positive number, not 0.0"),
    "negative": ({"x_scale": -1.0}, "x_scale must be a positive number, not -1.0"),
    "y_scale": ({"y_scale": float("nan")}, "y_scale must be a positive number, not nan"),
    "infinite": ({"y_scale": float("inf")}, "y_scale must be a positive number, not inf"),
    "format": ({"x_format": parse("bipolar")}, "x_format must be an integer format of at most 16 bits, not bipolar"),
    "wide": ({"y_format": parse("int17")}, "y_format must be an integer format of at most 16 bits, not int17"),
    "x_zero_point": ({"x_zero_point": 128}, "x_zero_point is 128, outside int8 [-128, 127]"),
    "y_zero_point": ({"y_zero_point": -129}, "y_zero_point is -129, outside int8 [-128, 127]"),
    "nan": ({"function": lambda x: float("nan") if x > 0.12 else x}, "the function gives NaN for code 3"),
    "rounding": (
        {"rounding": "up"},
        f"unknown rounding 'up'; known are {', '.join(ROUNDINGS)}",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_tables(name):
    changes, message = WRONG[name]
    fields = {"function": "tanh", **SCALES, **changes}
    with pytest.raises(ValueError) as error:
        table(fields.pop("function"), **fields)
    assert str(error.value) == message


def test_a_design_looks_its_codes_up():
    entries = table("hard_swish", x_format=INT8, x_scale=0.05, y_format=UINT8, y_scale=0.02, y_zero_point=19)
    plain = design("int8", "int8", requantize="shift", bias="int8", output="int8")
    spec = plain.with_(output=UINT8, table=entries, table_input=INT8)
    rng = np.random.default_rng(1)
    arrays = {"a": rng.integers(-128, 128, (20, 9)), "w": rng.integers(-128, 128, (9, 5)), "shift": 8}
    codes = golden(plain, operands(plain, arrays))
    y = golden(spec, operands(spec, arrays))
    assert len(np.unique(codes)) > 50
    assert y.tolist() == [[entries[code + 128] for code in row] for row in codes.tolist()]
