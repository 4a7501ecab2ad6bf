"""golden.requantize against fractions: every rule on ties, extremes and random values."""

from itertools import product as every
from typing import NamedTuple

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.formats import parse
from golden.requantize import requantize, requantize_array
from golden.rounding import ROUNDINGS
from golden.spec import Spec

OUTPUTS = {"int8": (8, True), "uint4": (4, False), "bipolar": (None, False)}
CLIPS = {"int8": (-100, 90), "uint4": (1, 13)}
SHIFTS = {"none": [0], "shift": [0, 1, 3, 8, 62], "multiplier": [20, 22, 24, 31, 62]}
ZERO_POINTS = {"int8": [-128, -7, 0, 5, 127], "uint4": [0, 1, 7, 8, 15]}


class Rule(NamedTuple):
    """What a spec says of the requantizer, in the words of the oracle."""

    kind: str
    rounding: str = "half_even"
    overflow: str = "saturate"
    relu: bool = False
    output: str = "int8"
    clip: tuple | None = None

    def spec(self):
        return Spec(
            activations=parse("int8"),
            weights=parse("int8"),
            depth=64,
            bias=parse("int16"),
            requantize=self.kind,
            rounding=self.rounding,
            overflow=self.overflow,
            activation="relu" if self.relu else "none",
            output=parse(self.output),
            clip=self.clip,
            y_zero_point=self.output != "bipolar",
        )

    def expected(self, acc, columns):
        """Lines of output codes, one at a time."""
        width, signed = OUTPUTS[self.output]
        words = {"rounding": self.rounding, "overflow": self.overflow, "relu": self.relu, "clip": self.clip}
        for line in acc.tolist():
            cells = zip(line, columns, strict=True)
            yield [oracle.requantize(value, width=width, signed=signed, **words, **column) for value, column in cells]


def rules():
    """Every combination that a spec admits."""
    admitted = []
    for kind, rounding, overflow, relu, output, clipped in every(
        SHIFTS, ROUNDINGS, ("wrap", "saturate"), (False, True), OUTPUTS, (False, True)
    ):
        if (output == "bipolar" and (overflow == "wrap" or relu or clipped)) or (clipped and overflow == "wrap"):
            continue
        admitted.append(Rule(kind, rounding, overflow, relu, output, CLIPS[output] if clipped else None))
    return admitted


def stimulus(rule):
    """Accumulators [M, N] and N columns of parameters: ties of every shift, ends of every range, random values."""
    generator = np.random.default_rng(len(rule.kind))
    lo, hi = -64 * 127 * 128, 64 * 128 * 128
    small = np.arange(-14, 15)
    halves = [
        sign * ((2 * n + 1) << s - 1) + d
        for sign in (1, -1)
        for n in (0, 1, 15, 99)
        for s in (1, 3, 8)
        for d in (-1, 0, 1)
    ]
    values = [*small, *halves, lo, lo + 1, hi - 1, hi, *generator.integers(lo, hi + 1, 6)]
    pairs = list(zip([0, 2**15 - 1, -(2**15), 2, -3], ZERO_POINTS.get(rule.output, [0] * 5), strict=True))
    scales = list(every([0, 1, 1 << 21, 3 << 20, 2**31 - 1] if rule.kind == "multiplier" else [1], SHIFTS[rule.kind]))
    columns = [
        {"bias": bias, "multiplier": multiplier, "shift": shift, "zero_point": zero_point}
        for index, (multiplier, shift) in enumerate(scales)
        for bias, zero_point in (pairs[index % 3 :: 3] if rule.kind == "multiplier" else pairs)
    ]
    return np.array(values)[:, None] + np.zeros(len(columns), np.int64), columns


def arrays(columns):
    names = {"bias": "bias", "multiplier": "multiplier", "shift": "shift", "zero_point": "y_zero_point"}
    return {ours: np.array([column[theirs] for column in columns]) for theirs, ours in names.items()}


def name_of(rule):
    return "-".join(
        [rule.kind, rule.rounding, rule.overflow, rule.output, *["relu"] * rule.relu, *["clip"] * bool(rule.clip)]
    )


@pytest.mark.parametrize("rule", rules(), ids=name_of)
def test_every_rule(rule):
    acc, columns = stimulus(rule)
    result = requantize_array(acc, rule.spec(), **arrays(columns))
    assert result.dtype == np.int64
    assert result.tolist() == list(rule.expected(acc, columns))


# Groups of roundings that a bipolar output or a relu cannot tell apart.
SAME_SIGN = [{"floor"}, {"ceil", "toward_zero"}, {"half_up", "half_even", "dpu"}, {"half_down", "half_away"}]
SAME_ABOVE_ZERO = [{"floor", "toward_zero"}, {"half_up", "half_away"}, {"half_even", "dpu"}]


def alike(rule, rounding):
    groups = SAME_SIGN * (rule.output == "bipolar") + SAME_ABOVE_ZERO * rule.relu
    return rounding == rule.rounding or any({rounding, rule.rounding} <= group for group in groups)


def wrong_rules(rule):
    """Each way to be wrong: a name, another rule, and changes of the parameters."""
    for rounding in ROUNDINGS:
        if rule.kind != "none" and not alike(rule, rounding):
            yield f"rounding {rounding}", rule._replace(rounding=rounding), {}
    if rule.kind != "none" and (rule.output, rule.rounding) != ("bipolar", "floor"):
        yield "shift one more", rule, {"shift": 1}
    yield "bias one more", rule, {"bias": 1}
    if rule.output == "bipolar":
        return
    yield "zero point one more", rule, {"zero_point": 1}
    yield "relu", rule._replace(relu=not rule.relu), {}
    if rule.clip:
        lo, hi = rule.clip
        yield "clip one short", rule._replace(clip=(lo, hi - 1)), {}
        yield "clip one late", rule._replace(clip=(lo + 1, hi)), {}
        yield "clip left out", rule._replace(clip=None), {}
    else:
        yield "overflow", rule._replace(overflow="saturate" if rule.overflow == "wrap" else "wrap"), {}


@pytest.mark.parametrize("rule", rules(), ids=name_of)
def test_the_stimulus_tells_wrong_rules(rule):
    acc, columns = stimulus(rule)
    right = requantize_array(acc, rule.spec(), **arrays(columns)).tolist()
    for name, wrong, changes in wrong_rules(rule):
        altered = [{key: value + changes.get(key, 0) for key, value in column.items()} for column in columns]
        assert any(line != good for line, good in zip(wrong.expected(acc, altered), right, strict=True)), name


@pytest.mark.parametrize("rule", [rule for rule in rules() if rule.kind == "shift"], ids=name_of)
def test_roundings_called_alike_are_alike(rule):
    acc, columns = stimulus(rule)
    right = requantize_array(acc, rule.spec(), **arrays(columns)).tolist()
    for rounding in ROUNDINGS:
        same = list(rule._replace(rounding=rounding).expected(acc, columns)) == right
        assert same == alike(rule, rounding), rounding


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_bipolar_output_is_the_sign_after_rounding(rounding):
    spec = Rule("shift", rounding, output="bipolar").spec()
    quarters = np.arange(-8, 9)
    expected = [int(oracle.round_quotient(value, 2, rounding) >= 0) for value in quarters.tolist()]
    assert requantize_array(quarters, spec, shift=2).tolist() == expected


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_python_integers_give_the_same(rounding):
    rule = Rule("multiplier", rounding, relu=True, clip=(-100, 90))
    acc, columns = stimulus(rule)
    line, spec = acc[5].tolist(), rule.spec()
    result = [
        requantize(
            value,
            spec,
            bias=column["bias"],
            multiplier=column["multiplier"],
            shift=column["shift"],
            y_zero_point=column["zero_point"],
        )
        for value, column in zip(line, columns, strict=True)
    ]
    assert [result] == list(rule.expected(acc[5:6], columns))


def test_the_steps_in_order():
    spec = Rule("multiplier", "half_even", relu=True, clip=(-100, 90)).spec()
    given = {
        "bias": np.array([3]),
        "multiplier": np.array([5]),
        "shift": np.array([1]),
        "y_zero_point": np.array([-10]),
    }
    acc = np.array([[-6], [-4], [-2], [0], [98]])
    assert requantize_array(acc, spec, **given).tolist() == [[-10], [-10], [-8], [-2], [90]]


def test_defaults_leave_the_accumulator_as_it_is():
    spec = Spec(activations=parse("int4"), weights=parse("int4"))
    acc = np.array([[-5, 0, 32767]])
    assert requantize_array(acc, spec).tolist() == [[-5, 0, 32767]]


@pytest.mark.parametrize("overflow", ["wrap", "saturate"])
@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("output", ["int16", "int61", "int62", "uint62", "int63", "uint63", "int64"])
@pytest.mark.parametrize("multiplier_bits", [8, 27, 28, 29, 30, 31, 32])
def test_outputs_and_scales_around_the_width_of_int64(multiplier_bits, output, rounding, overflow):
    fmt = parse(output)
    spec = Spec(
        activations=parse("int16"),
        weights=parse("int16"),
        depth=1,
        bias=parse("int16"),
        requantize="multiplier",
        multiplier_bits=multiplier_bits,
        rounding=rounding,
        overflow=overflow,
        output=fmt,
        y_zero_point=True,
    )
    acc = np.array([*spec.acc_range, -1, 0])[:, None]
    columns = [
        {"bias": bias, "multiplier": multiplier, "shift": shift, "zero_point": zero_point}
        for bias in (-(2**15), 2**15 - 1)
        for multiplier in (1, 2**multiplier_bits - 1)
        for shift in (0, 1, 62)
        for zero_point in fmt.code_range
    ]
    words = {"rounding": rounding, "overflow": overflow, "width": fmt.width, "signed": fmt.signed}
    expected = [[oracle.requantize(value, **words, **column) for column in columns] for (value,) in acc.tolist()]
    assert requantize_array(acc, spec, **arrays(columns)).tolist() == expected


@pytest.mark.parametrize("activations", ["int32", "uint32"])
def test_accumulators_beyond_int64(activations):
    spec = Spec(
        activations=parse(activations),
        weights=parse("int32"),
        depth=512,
        requantize="multiplier",
        rounding="half_away",
        output=parse("int8"),
    )
    lo, hi = spec.acc_range
    acc = np.array([[lo], [lo // 2**60 * 2**59], [-1], [0], [hi // 3], [hi]], dtype=object)
    for multiplier, shift in ((2**31 - 1, 62), (2**30, 62), (1, 62), (3, 0)):
        expected = [
            [
                oracle.requantize(
                    value,
                    rounding="half_away",
                    overflow="saturate",
                    width=8,
                    signed=True,
                    multiplier=multiplier,
                    shift=shift,
                )
            ]
            for (value,) in acc.tolist()
        ]
        assert requantize_array(acc, spec, multiplier=multiplier, shift=shift).tolist() == expected
    assert max(map(abs, spec.acc_range)) > 2**63


@settings(derandomize=True, deadline=None, max_examples=300, database=None)
@given(
    st.sampled_from([rule for rule in rules() if rule.kind == "multiplier"]),
    st.integers(-(2**20), 2**20),
    st.integers(-(2**15), 2**15 - 1),
    st.integers(0, 2**31 - 1),
    st.integers(0, 62),
    st.integers(0, 15),
)
def test_any_parameters(rule, acc, bias, multiplier, shift, zero_point):
    column = {"bias": bias, "multiplier": multiplier, "shift": shift}
    column["zero_point"] = 0 if rule.output == "bipolar" else zero_point
    result = requantize_array(np.array([[acc]]), rule.spec(), **arrays([column]))
    assert result.tolist() == list(rule.expected(np.array([[acc]]), [column]))
