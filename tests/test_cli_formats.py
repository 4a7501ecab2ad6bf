"""bittrue formats: what it lists is what the formats do."""

import json
from fractions import Fraction

import numpy as np
import pytest
from commands import done

from bittrue.formats import ELEMENTS, LISTED, PAIRED, listing
from golden.formats import KNOWN, parse
from golden.minifloat import MINIFLOATS

SPECIAL = {"": (0, 0, 1), "no zero": (0, 0, 0), "spare code -2": (0, 0, 1), "two zeros": (0, 0, 2)}
SPECIAL |= {"two zeros, 2 NaN": (2, 0, 2), "two zeros, 2 infinities, 6 NaN": (6, 2, 2), "1 NaN": (1, 0, 1)}


def values(name):
    """What all codes stand for."""
    fmt = parse(name)
    lo, hi = fmt.code_range
    codes = np.arange(lo, hi + 1)
    return fmt.value(codes) if name in MINIFLOATS else fmt.decode(codes) / 2.0**fmt.fraction


@pytest.mark.parametrize("row", listing()["formats"], ids=lambda row: row["example"])
def test_each_row(row):
    numbers = values(row["example"])
    finite = np.unique(numbers[np.isfinite(numbers)])
    assert (Fraction(row["smallest"]), Fraction(row["largest"])) == (Fraction(finite[0]), Fraction(finite[-1]))
    assert Fraction(row["step"]) == min(Fraction(b) - Fraction(a) for a, b in zip(finite, finite[1:], strict=False))
    counted = np.isnan(numbers).sum(), np.isinf(numbers).sum(), (numbers == 0).sum()
    assert counted == SPECIAL[row["special"]]
    assert int(row["bits"]) == parse(row["example"]).width


def test_every_known_format_is_listed():
    for name in KNOWN.replace(" and ", ", ").replace("(", ",").replace(")", ",").split(","):
        stem = name.strip().split("..")[0].rstrip("0123456789.")
        if stem and " " not in stem:
            assert any(each.startswith(stem) for each in LISTED), name


def test_the_command():
    assert json.loads(done("formats", "--json")) == listing()
    out = done("formats")
    assert all(name in out for name in (*LISTED, *PAIRED, *ELEMENTS.values()))
