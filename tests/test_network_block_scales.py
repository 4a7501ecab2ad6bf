"""Scales of blocks in their formats: what the largest of them becomes, and what is promised of exponents."""

import numpy as np
import pytest

from golden.formats import parse
from golden.minifloat import E8M0_BIAS
from network.quantizing.block_scales import block_scales, power_scales

WANTED = np.array([[0.3, 0.0, 5.0], [0.011, 0.7, 2.5]])
UNIT = {"float16": 2.0**-24, "bfloat16": 2.0**-133}  # the least number above zero


@pytest.mark.parametrize("name", UNIT)
@pytest.mark.parametrize("factor", [1.0, 0.8, 0.1, 1000.0])
@pytest.mark.parametrize("scales", ["real", "power_of_two"])
def test_the_largest_of_wide_floats_lies_above_a_half_and_at_one_at_most(name, factor, scales):
    """5 * 0.8 is a power of two itself: it becomes 1. The real number beside them is a power of two."""
    found = block_scales(WANTED * factor, parse(name), scales)
    shared = 2.0 ** np.ceil(np.log2(5 * factor))
    largest = found.fmt.value(found.codes).max()
    assert largest == pytest.approx(5 * factor / shared, rel=2.0**-8) and 0.5 < largest <= 1
    assert found.values == pytest.approx(WANTED * factor, rel=2.0**-8)
    assert float(found.unit) == shared * UNIT[name]
    assert found.spec_fields == {"w_block_scale": parse(name)}


@pytest.mark.parametrize("scales", ["real", "power_of_two"])
def test_the_largest_of_small_floats_becomes_the_largest_number(scales):
    """448 for float8_e4m3fn, whose numbers are multiples of 2**-9; or of powers of two the next one above."""
    found = block_scales(WANTED, parse("float8_e4m3fn"), scales)
    shared = np.float32(5 / 448) if scales == "real" else 2.0**-6
    assert found.fmt.value(found.codes).max() == (448 if scales == "real" else 320)
    assert float(found.unit) == float(shared) * 2.0**-9
    assert found.values == pytest.approx(WANTED, rel=2.0**-4, abs=float(shared) * 2.0**-9)


def test_powers_of_two_are_none_below_and_promise_what_occurs():
    found = block_scales(WANTED, parse("float8_e8m0fnu"))
    assert found.values.tolist() == [[0.5, 2.0**-6, 8.0], [2.0**-6, 1.0, 4.0]]
    assert found.spec_fields["scale_range"] == (E8M0_BIAS - 6, E8M0_BIAS + 3)
    assert float(found.unit) == 2.0**-6


def test_only_blocks_that_are_used_count():
    """Others take the least code of those that are; where none is used, the code of 1."""
    codes, used = np.array([[9, 130], [125, 250]]), np.array([[False, True], [True, False]])
    found = power_scales(codes, used)
    assert found.codes.tolist() == [[125, 130], [125, 125]]
    assert found.values.tolist() == [[0.25, 8.0], [0.25, 0.25]] and float(found.unit) == 0.25
    assert found.spec_fields["scale_range"] == (125, 130)
    nothing = power_scales(codes, np.zeros((2, 2), bool))
    assert nothing.codes.tolist() == [[E8M0_BIAS] * 2] * 2 and nothing.spec_fields["scale_range"] == (127, 127)
