"""bittrue formats: what it lists is what the formats do."""

import json
from fractions import Fraction

import numpy as np
import pytest
from commands import done

from bittrue.formats import ELEMENTS, LISTED, PAIRED_WEIGHTS, listing, pairing
from golden.formats import KNOWN, Codebook, parse
from golden.minifloat import MINIFLOATS

SPECIAL = {"": (0, 0, 1), "no zero": (0, 0, 0), "spare code -2": (0, 0, 1), "two zeros": (0, 0, 2)}
SPECIAL |= {
    "two zeros, 2 NaN": (2, 0, 2),
    "two zeros, 2 infinities, 6 NaN": (6, 2, 2),
    "1 NaN": (1, 0, 1),
    "16 run-time entries": (0, 0, 1),
}


def values(name):
    """What all codes stand for."""
    fmt = parse(name)
    if isinstance(fmt, Codebook):
        return np.arange(fmt.entry.code_range[0], fmt.entry.code_range[1] + 1)
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
    assert all(name in out for name in (*LISTED, *PAIRED_WEIGHTS, *ELEMENTS.values()))


def test_what_is_refused_has_a_reason():
    """Where there is no element, and only there."""
    elements = listing()["elements"]
    assert {row["activations"] for row in listing()["refused"]} == {"bipolar", "codebook4"}
    pairs = {(row["activations"], row["weights"]) for row in listing()["refused"]}
    assert all(((a, w) in pairs) == (kind == "-") for a, row in elements.items() for w, kind in row.items())
    lines = {row["why"] for row in listing()["refused"]}
    assert "activations take no codebook, which only weights can have, not codebook4" in lines
    assert pairing("int8", "codebook4") == ("multiply", "")
