"""bittrue formats: what it lists is what the formats do."""

import json
from fractions import Fraction

import numpy as np
import pytest
from commands import done

from bittrue.formats import ELEMENTS, LISTED, PAIRED_WEIGHTS, SCALES, listing, pairing
from golden.block_formats import NAMED_BLOCKS
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


@pytest.mark.parametrize("row", listing()["scales"], ids=lambda row: row["example"])
def test_each_scale(row):
    fmt = parse(row["example"])
    top = {"float8_e8m0fnu": 2.0**127, "float16": 65504, "bfloat16": 2.0**127 * (2 - 2**-7)}
    top["float32"] = float(np.finfo(np.float32).max)
    assert float(row["largest"]) == top[row["example"]]
    if row["example"] in ("float16", "float32"):
        assert float(row["step"]) == float(np.finfo(row["example"]).smallest_subnormal)
    if fmt.width == 16:
        numbers = fmt.value(np.arange(1 << 16))
        nan, infinite = np.isnan(numbers).sum(), np.isinf(numbers).sum()
        assert row["special"] == f"two zeros, {infinite} infinities, {nan} NaN"


def test_blocks():
    rows = {row["name"]: row for row in listing()["blocks"]}
    assert {name: row["bits_per_element"] for name, row in rows.items()} == {
        **{"mxint8": "8.25", "mxfp8_e4m3": "8.25", "mxfp8_e5m2": "8.25"},
        **{"mxfp6_e3m2": "6.25", "mxfp6_e2m3": "6.25", "mxfp4": "4.25", "nvfp4": "4.5"},
    }
    assert (rows["nvfp4"]["elements"], rows["nvfp4"]["block"], rows["nvfp4"]["scale"], rows["nvfp4"]["largest"]) == (
        "float4_e2m1fn",
        "16",
        "float8_e4m3fn",
        str(6 * 448),
    )


def test_every_known_format_is_listed():
    for name in KNOWN.replace(" and ", ", ").replace("(", ",").replace(")", ",").split(","):
        stem = name.strip().split("..")[0].rstrip("0123456789.")
        if stem and " " not in stem:
            assert any(each.startswith(stem) for each in LISTED), name


def test_the_command():
    assert json.loads(done("formats", "--json")) == listing()
    out = done("formats")
    assert all(name in out for name in (*SCALES, *NAMED_BLOCKS, *LISTED, *PAIRED_WEIGHTS, *ELEMENTS.values()))


def test_what_is_refused_has_a_reason():
    """Where there is no element, and only there."""
    elements = listing()["elements"]
    assert {row["activations"] for row in listing()["refused"]} == {"bipolar", "codebook4"}
    pairs = {(row["activations"], row["weights"]) for row in listing()["refused"]}
    assert all(((a, w) in pairs) == (kind == "-") for a, row in elements.items() for w, kind in row.items())
    lines = {row["why"] for row in listing()["refused"]}
    assert "activations take no codebook, which only weights can have, not codebook4" in lines
    assert pairing("int8", "codebook4") == ("multiply", "")
