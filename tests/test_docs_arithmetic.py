"""Every table in docs/arithmetic.md, recomputed; and the equations that source code cites exist."""

import math
import re
from fractions import Fraction
from itertools import product as every
from pathlib import Path

import numpy as np
import oracle
import pytest

from benchmarks import residual
from golden.block_formats import NAMED_BLOCKS
from golden.formats import parse
from golden.ieee import FLOAT32, float32
from golden.mac import accumulate
from golden.rounding import ROUNDINGS, round_shift
from golden.rules import RULES
from golden.spec import Spec
from golden.tensors import golden, operands

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "arithmetic.md").read_text(encoding="utf-8")


def tables():
    """Every table of the document: {header cells: rows of cells}."""
    found = {}
    for block in re.findall(r"(?:^\|.*\|\n)+", TEXT, re.MULTILINE):
        lines = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block.splitlines()]
        found[tuple(lines[0])] = lines[2:]
    return found


def table(*header):
    rows = tables()[header]
    assert rows
    return rows


def interval(text):
    lo, hi = text.split("..")
    return Fraction(lo), Fraction(hi)


def decoded(name):
    if name == "bipolar":
        return -1, 1
    return oracle_range(parse(name).width, not name.startswith("u"))


def oracle_range(width, signed):
    return (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if signed else (0, 2**width - 1)


def narrowest(lo, hi):
    return next(width for width in range(1, 200) if -(2 ** (width - 1)) <= lo and hi < 2 ** (width - 1))


HEADERS = {
    ("format", "bits", "codes", "decoded", "values"),
    ("activations", "weights", "depth", "product", "sum", "accumulator bits"),
    ("activations", "weights", "float32", "float64"),
    ("a in order", "lanes", "after each beat"),
    ("rounding", "-2.5", "-1.5", "-0.5", "0.5", "1.5", "2.5"),
    ("x", "tflite", "double_half_up", "tflite_single"),
    ("rounding", "increment"),
    ("scale", "multiplier", "shift"),
    ("step", "interval", "bits"),
    ("x", "scale", "float32", "exact"),
    ("sums in order", "per step", "float32"),
    ("elements", "decoded", "product bits", "sum bits", "equal to TOSA"),
    ("codes", "r", "bits of both", "passes", "SQNR, dB"),
}


def test_every_table_has_a_test():
    assert set(tables()) == HEADERS
    assert TEXT.count("\n|---") == len(HEADERS)


@pytest.mark.parametrize("row", table("format", "bits", "codes", "decoded", "values"))
def test_formats(row):
    name, bits, codes, numbers, values = row
    fmt = parse(name)
    assert fmt.width == int(bits)
    assert interval(codes) == fmt.code_range == oracle_range(int(bits), name[0] in "iq")
    assert interval(numbers) == fmt.decoded_range == decoded(name)
    assert interval(values) == tuple(Fraction(end, 2**fmt.fraction) for end in decoded(name))


@pytest.mark.parametrize("row", table("activations", "weights", "depth", "product", "sum", "accumulator bits"))
def test_accumulators(row):
    activations, weights, depth, product, total, bits = row
    corners = [x * y for x, y in every(decoded(activations), decoded(weights))]
    sums = (min(0, int(depth) * min(corners)), max(0, int(depth) * max(corners)))
    assert interval(product) == (min(corners), max(corners))
    assert interval(total) == sums
    assert int(bits) == narrowest(*sums)
    spec = Spec(activations=parse(activations), weights=parse(weights), depth=int(depth), output=parse("int8"))
    assert (spec.product_range, spec.sum_range, spec.exact_accumulator_width) == (
        (min(corners), max(corners)),
        sums,
        int(bits),
    )


@pytest.mark.parametrize("row", table("activations", "weights", "float32", "float64"))
def test_blas_bounds(row):
    activations, weights, single, double = row
    largest = max(map(abs, decoded(activations))) * max(map(abs, decoded(weights)))
    assert (int(single), int(double)) == (2**24 // largest, 2**53 // largest)


@pytest.mark.parametrize("row", table("a in order", "lanes", "after each beat"))
def test_saturation_by_beats(row):
    order, lanes, beats = (
        [int(item) for item in row[0].split(",")],
        int(row[1]),
        [int(item) for item in row[2].split(",")],
    )
    total, totals = 0, []
    for k in range(0, 3, lanes):
        total = oracle.clamp(total + 7 * sum(order[k : k + lanes]), -64, 63)
        totals.append(total)
    assert beats == totals
    int4 = parse("int4")
    spec = Spec(activations=int4, weights=int4, lanes=lanes, accumulator=7, accumulator_overflow="saturate")
    assert accumulate(np.array([order]), np.full((3, 1), 7), spec).item() == beats[-1]


TIES = ("-2.5", "-1.5", "-0.5", "0.5", "1.5", "2.5")


def test_ties():
    rows = table("rounding", *TIES)
    assert tuple(row[0] for row in rows) == ROUNDINGS
    for rounding, *cells in rows:
        results = [int(cell) for cell in cells]
        assert results == [oracle.ROUND[rounding](Fraction(tie)) for tie in TIES]
        assert results == round_shift(np.array([int(Fraction(tie) * 2) for tie in TIES]), 1, rounding).tolist()


def test_guard_and_sticky():
    rows = table("rounding", "increment")
    assert tuple(row[0] for row in rows) == ROUNDINGS
    for rounding, cell in rows:
        rule = compile(cell.strip("`").replace("\\|", "|"), "docs/arithmetic.md", "eval")
        for value, shift in every(range(-300, 301), range(7)):
            dropped = f"{value % 2**shift:0{shift}b}" if shift else "0"
            bits = {"g": int(dropped[0]), "t": int("1" in dropped[1:]), "n": int(value < 0), "b": (value >> shift) & 1}
            increment = eval(rule, {"__builtins__": {}}, bits) & 1
            assert (value >> shift) + increment == oracle.round_quotient(value, shift, rounding)


@pytest.mark.parametrize("row", table("scale", "multiplier", "shift"))
def test_scales(row):
    scale, multiplier, shift = Fraction(row[0]), int(row[1]), int(row[2])
    exponent = next(e for e in range(-40, 40) if Fraction(1, 2) <= scale / Fraction(2) ** e < 1)
    nearest = round(scale / Fraction(2) ** exponent * 2**31)
    expected = (2**30, 30 - exponent) if nearest == 2**31 else (nearest, 31 - exponent)
    assert (multiplier, shift) == expected
    assert 2**30 <= multiplier < 2**31
    assert abs(Fraction(multiplier, 2**shift) - scale) <= scale / 2**31


def test_a_scale_carries_into_the_next_power_of_two():
    assert any(
        Fraction(row[0]) < Fraction(int(row[1]), 2 ** int(row[2])) for row in table("scale", "multiplier", "shift")
    )


def test_intervals():
    acc = tuple(64 * 255 * end for end in (-128, 127))
    biased = (acc[0] - 2**19, acc[1] + 2**19 - 1)
    scaled = tuple(end * (2**16 - 1) for end in biased)
    rounded = tuple(oracle.round_quotient(end, 20, "half_even") for end in scaled)
    expected = {
        "acc": acc,
        "biased": biased,
        "scaled": scaled,
        "rounded": rounded,
        "offset": (rounded[0] - 128, rounded[1] + 127),
        "y": (-128, 127),
    }
    rows = table("step", "interval", "bits")
    assert {step: interval(ends) for step, ends, _ in rows} == expected
    assert [int(bits) for *_, bits in rows] == [narrowest(*ends) for ends in expected.values()]
    spec = Spec(
        activations=parse("uint8"),
        weights=parse("int8"),
        depth=64,
        bias=parse("int20"),
        requantize="multiplier",
        multiplier_bits=16,
        output=parse("int8"),
        y_zero_point=True,
    )
    assert (spec.acc_range, spec.biased_range, spec.scaled_range) == (acc, biased, scaled)


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_a_rounded_quotient_stays_in_the_interval_of_its_dividend(rounding):
    for end, shift in every(range(-40, 41), range(7)):
        rounded = oracle.round_quotient(end, shift, rounding)
        assert min(0, end) <= rounded <= max(0, end)


def test_cancelling_pairs_and_the_void_lane():
    for lanes in range(1, 6):
        for a, w in every(every((0, 1), repeat=lanes), repeat=2):
            for mark in (0, 1):
                pairs = list(zip(a, w, strict=True))[: lanes - mark]
                differing = sum(x != y for x, y in pairs)
                assert sum((2 * x - 1) * (2 * y - 1) for x, y in pairs) == (lanes - mark) - 2 * differing
    assert (+1) * (+1) + (+1) * (-1) == 0


def test_rules_at_a_quarter():
    for x, *expected in table("x", "tflite", "double_half_up", "tflite_single"):
        high = math.floor(Fraction(int(x) * 2**30, 2**31) + Fraction(1, 2))
        away = math.floor(abs(Fraction(high, 2)) + Fraction(1, 2)) * (1 if high >= 0 else -1)
        up = math.floor(Fraction(high, 2) + Fraction(1, 2))
        once = math.floor(Fraction(int(x), 4) + Fraction(1, 2))
        assert [away, up, once] == [int(cell) for cell in expected]
        assert [RULES[name].function(int(x), 1 << 30, -1) for name in list(RULES)[:3]] == [away, up, once]


@pytest.mark.parametrize("row", table("x", "scale", "float32", "exact"))
def test_float32_scales(row):
    x, scale = int(row[0]), np.float32(row[1])
    assert Fraction(row[3]) == x * Fraction(float(scale))
    assert int(row[2]) == int(np.rint(np.float32(x) * scale)) == float32(x, int(FLOAT32.encode(scale)))


@pytest.mark.parametrize("row", table("sums in order", "per step", "float32"))
def test_float32_sums(row):
    order, lanes = [int(item) for item in row[0].split(",")], int(row[1])
    total = np.float32(0)
    for k in range(0, 3, lanes):
        total = np.float32(total + np.float32(sum(order[k : k + lanes])))
    assert int(row[2]) == int(total)
    int32, float32_format = parse("int32"), parse("float32")
    spec = Spec(activations=int32, weights=int32, lanes=lanes, block_sum="float32", output=float32_format)
    given = operands(spec, {"a": np.array([order]), "w": np.ones((3, 1), int)})
    assert golden(spec, given).item() == total.view(np.uint32)


@pytest.mark.parametrize("row", table("elements", "decoded", "product bits", "sum bits", "equal to TOSA"))
def test_blocks(row):
    fmt = parse(row[0])
    lo, hi = interval(row[1])
    assert (lo, hi) == fmt.decoded_range
    corners = [x * y for x in (lo, hi) for y in (lo, hi)]
    assert int(row[2]) == narrowest(min(corners), max(corners))
    assert int(row[3]) == narrowest(32 * min(corners), 32 * max(corners))
    assert row[4] == ("yes" if int(row[3]) <= 25 else "not always")
    assert fmt in [named.element for named in NAMED_BLOCKS.values()]


@pytest.mark.parametrize("package", ["golden", "hdl"])
def test_cited_equations_exist(package):
    numbered = set(re.findall(r"   \((\d+\.\d+)\)$", TEXT, re.MULTILINE))
    sections = set(re.findall(r"^## (\d+)\.", TEXT, re.MULTILINE))
    source = "\n".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / package).glob("*.py")))
    cited = set(re.findall(r"(?:equation|eq\.) \(?(\d+\.\d+)", source))
    assert cited <= numbered
    assert set(re.findall(r"arithmetic\.md, section (\d+)", source)) <= sections
    assert cited or package != "golden"


def test_gain_of_residual_codes():
    header, _, *rows = residual.table()
    assert table(*header) == [list(row) for row in rows]
    told = {row[0]: float(row[-1]) for row in rows}
    assert told["bipolar"] == round(-10 * math.log10(1 - 2 / math.pi), 1), "one bit of a normal number"
    assert told["bipolar + bipolar"] == 9.2, "its best four equal steps (Max, 1960): 9.25"


def test_equations_are_numbered_once_and_in_order():
    numbered = [tuple(map(int, n.split("."))) for n in re.findall(r"   \((\d+\.\d+)\)$", TEXT, re.MULTILINE)]
    assert numbered == sorted(set(numbered))
    assert {section for section, _ in numbered} == set(range(1, 12))
