"""golden.nearest against a search through all codes, by exact fractions."""

from fractions import Fraction
from random import Random

import numpy as np
import pytest

from golden.formats import parse
from golden.minifloat import MINIFLOATS
from golden.nearest import nearest

NAMES = ["pot2", "pot4", "pot6", "apot3", "apot5", "apot7", "sm4", "ternary", "int5", "uint3"]


def numbers(fmt):
    lo, hi = fmt.code_range
    return {code: int(fmt.decode(code)) for code in range(lo, hi + 1)}


def closest(fmt, value):
    """The code by search: the nearest number, of two the one nearer to zero, of two codes the lower one."""
    return min(numbers(fmt).items(), key=lambda item: (abs(item[1] - Fraction(value)), abs(item[1]), item[0]))[0]


@pytest.mark.parametrize("name", NAMES)
def test_nearest_by_search(name):
    fmt, random = parse(name), Random(name)
    levels = sorted(set(numbers(fmt).values()))
    values = [(x + y) / 2 for x, y in zip(levels, levels[1:], strict=False)]
    values += [np.nextafter(value, end) for value in values for end in (-1e9, 1e9)]
    values += [*levels, 2.0 * levels[0] - 1, 2.0 * levels[-1] + 1, 1e300, -1e300, -0.0, 5e-324, -5e-324]
    values += [random.uniform(1.2 * levels[0] - 1, 1.2 * levels[-1] + 1) for _ in range(200)]
    assert nearest(fmt, values).tolist() == [closest(fmt, value) for value in values]


@pytest.mark.parametrize("name", NAMES)
def test_numbers_keep_their_value(name):
    fmt = parse(name)
    codes = np.array(list(numbers(fmt)))
    assert (fmt.decode(nearest(fmt, fmt.decode(codes))) == fmt.decode(codes)).all()


@pytest.mark.parametrize("name", [name for name, fmt in MINIFLOATS.items() if fmt.width < 8])
def test_minifloats_but_for_ties(name):
    """Half a step from a tie, where rounding to even and to zero agree."""
    fmt = MINIFLOATS[name]
    codes = np.arange(1 << fmt.width)
    codes = codes[fmt.is_number(codes)]
    grid = np.concatenate([fmt.decode(codes) + part for part in (-0.25, 0.0, 0.25)]).astype(float)
    unit = fmt.value(codes)[fmt.decode(codes) == 1][0]
    got, wanted = (np.asarray(fmt.decode(each)) for each in (nearest(fmt, grid), fmt.encode(grid * unit)))
    assert (got == wanted).all()


def test_shapes_are_kept_and_signs_are_free():
    assert nearest(parse("pot4"), np.zeros((2, 0, 3))).shape == (2, 0, 3)
    assert int(nearest(parse("bipolar"), 0.0)) == 1
    assert nearest(parse("bipolar"), [-0.1, 0.1]).tolist() == [0, 1]


def test_refusals():
    with pytest.raises(ValueError) as error:
        nearest(parse("int17"), 0.0)
    assert str(error.value) == "nearest takes formats of at most 16 bits, not int17"
    with pytest.raises(ValueError) as error:
        nearest(parse("pot4"), [0.0, np.inf])
    assert str(error.value) == "nearest takes finite values only"
