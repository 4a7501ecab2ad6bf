"""golden.agreement: the chains of both sides give their bits; planted differences are named by their cause."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from designs import design

from golden import agreement as agreement_module
from golden import float_scale, platforms
from golden.agreement import agreement, agreements, their_sums, theirs
from golden.case import product_case, sums_case
from golden.chain import Chain, nearest, round_exact
from golden.formats import parse
from golden.platform_table import PLATFORMS
from golden.reasons import EXAMINED, OWN, UNKNOWN, chains, own_chain, reasons
from golden.rounding import ROUNDINGS
from golden.samples import KINDS, sample
from golden.tables import table
from sim.stimulus import random_arrays

INT4 = parse("int4")
INT8 = {"output": "int8", "bias": "int32", "y_zero_point": True}
THRESHOLDS = {"requantize": "thresholds", "output": "int8"}
TABLE = {
    "table": table("tanh", x_format=parse("int8"), x_scale=0.05, y_format=parse("uint8"), y_scale=0.01),
    "table_input": parse("int8"),
}


def made(activations="int8", weights="int8", **fields):
    return design(activations, weights, depth=512, **fields)


DESIGNS = {
    "multiplier": made(requantize="multiplier", **INT8),
    "before": made(requantize="multiplier", zero_point_order="before_rounding", rounding="half_away", **INT8),
    "floor": made(requantize="multiplier", rounding="floor", multiplier_bits=16, **INT8),
    "shift": made(requantize="shift", rounding="toward_zero", **INT8),
    "wrap": made(requantize="shift", overflow="wrap", activation="relu", **INT8),
    "none": made(output="int8"),
    "dpu": made(requantize="multiplier", rounding="dpu", clip=(-100, 50), **INT8),
    "relu": made("uint8", "int8", requantize="tflite", activation="relu", platform="tflite-micro", **INT8),
    "relu6": made("uint8", "int4", requantize="tflite", activation="relu6", **INT8),
    "ruy": made("uint8", "uint8", requantize="double_half_up", a_zero_point=True, w_zero_point=True, **INT8),
    "single": made(requantize="tflite_single", platform="tosa", **INT8),
    "mult16": made("int16", "int8", requantize="mult16", **INT8 | {"output": "int16"}),
    "float32": made("int16", "int8", requantize="float32", platform="onnxruntime", **INT8),
    "float64": made(requantize="float64_away", **INT8),
    "table": made(requantize="float32", **INT8).with_(output=parse("uint8"), **TABLE),
    "narrow": made(requantize="multiplier", accumulator=14, accumulator_overflow="wrap", **INT8),
    "saturating": made(requantize="multiplier", accumulator=14, accumulator_overflow="saturate", **INT8),
    "wide": made("int24", "int24", requantize="tflite", **INT8),
    "wider": made("int32", "int32", requantize="multiplier", **INT8),
    "qonnx thresholds": made(platform="qonnx", **THRESHOLDS),
    "litert thresholds": made(platform="litert-reference", activation="relu", **THRESHOLDS),
    "finn thresholds": made(platform="finn", **THRESHOLDS),
    "deeploy thresholds": made(platform="deeploy", **THRESHOLDS),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", DESIGNS)
def test_chains_give_the_bits_of_golden_and_of_every_platform(name, kind):
    """Every tenth output at least, not only those that differ."""
    case = sample(DESIGNS[name], kind, 160, seed=3)
    defined_somewhere = 0
    for p in PLATFORMS.values():
        codes, defined, _ = theirs(p, case)
        if not defined.any():
            continue
        defined_somewhere += 1
        sums = their_sums(p, case)
        for place in map(tuple, np.argwhere(defined)[::5].tolist()):
            there, here = chains(p, case, sums, place)
            assert (there.output(), here.output()) == (codes[place], case.own[place]), (p.name, place, there, here)
    assert defined_somewhere >= 9


@pytest.mark.parametrize("name", DESIGNS)
def test_every_difference_has_a_reason(name):
    found = [one for kind in KINDS for one in agreements(sample(DESIGNS[name], kind, 320, seed=5))]
    assert name == "none" or sum(one.differing for one in found) > 0
    for one in found:
        assert sum(reason.outputs for reason in one.reasons) == one.examined == min(one.differing, EXAMINED)
        assert not [reason for reason in one.reasons if reason.text in (UNKNOWN, OWN)]
        assert (one.first is None) == (one.differing == 0) == (one.largest == 0)
        assert one.compared or one.refusal


def sums_of(spec, sums, **arrays):
    return sums_case(spec, np.array(sums)[:, None], arrays)


def only_reason(p, case):
    found = agreement(p if not isinstance(p, str) else PLATFORMS[p], case)
    (reason,) = found.reasons
    return found, reason.text


SINGLE, TWICE = PLATFORMS["tosa"], PLATFORMS["tflite-micro"]
POWER = {"multiplier": np.array([1 << 30]), "shift": np.array([31])}  # a half


@pytest.mark.parametrize("here", [rule for rule in ROUNDINGS if rule not in ("floor", "ceil", "toward_zero")])
def test_planted_ties(here):
    """Halves are the only outputs that differ, and the tie rules are the only cause."""
    case = sums_of(made(requantize="multiplier", rounding=here, **INT8), range(-40, 41), **POWER)
    for p in (SINGLE, PLATFORMS["litert-reference"], PLATFORMS["litert-xnnpack"]):
        there = p.rounding or "half_up"
        found = agreement(p, case)
        assert {r.text for r in found.reasons} == ({f"ties: {here} here, {there} there"} if found.differing else set())
        assert bool(found.differing) == (there != here)


def test_planted_second_rounding():
    """2 * 2**-2 - 1/8: below a half, until it is rounded to halves first."""
    spec = made(requantize="tflite_single", **INT8)
    case = sums_of(spec, [1, 9, 17], multiplier=np.array([1 << 30]), shift=np.array([-2]))  # d = 1/8
    found = agreement(replace(TWICE, accumulator="int32"), case)
    assert found.differing == 0  # 1/8, 9/8, 17/8: the second bit decides
    case = sums_of(spec, [3, 11, 19], multiplier=np.array([1 << 30]), shift=np.array([-2]))
    found, text = only_reason(TWICE, case)
    assert (found.differing, text) == (3, "two roundings there, one here")
    assert found.first == ((0, 0), 0, 1)
    back = sums_of(made(requantize="tflite", **INT8), [3, 11, 19], multiplier=np.array([1 << 30]), shift=np.array([-2]))
    assert only_reason(SINGLE, back)[1] == "one rounding there, two here"


def test_planted_zero_point_before_rounding():
    spec = made(requantize="multiplier", **INT8)
    case = sums_of(spec, range(1, 40, 2), **POWER, y_zero_point=3)
    assert only_reason("onnx-reference", case)[1] == "zero point added before rounding there"
    even = sums_of(spec, range(1, 40, 2), **POWER, y_zero_point=4)
    assert agreement(PLATFORMS["onnx-reference"], even).differing == 0
    first = made(requantize="multiplier", zero_point_order="before_rounding", **INT8)
    case = sums_of(first, range(1, 40, 2), **POWER, y_zero_point=3)
    assert only_reason("onnxruntime", case)[1] == "zero point added before rounding here"


def test_planted_sum_that_float32_does_not_hold():
    spec = made("int16", "int16", requantize="multiplier", **INT8 | {"output": "int16"})
    power = {"multiplier": np.array([1 << 30]), "shift": np.array([41])}
    case = sums_of(spec, [(1 << 24) + 1025], **power)  # held as 2**24 + 1024, which is a tie
    found, text = only_reason("onnxruntime", case)
    assert found.first == ((0, 0), 8193, 8192)
    assert text == "sum above 2^24 loses bits in float32 there and so does its product"
    assert agreement(PLATFORMS["litert-reference"], case).differing == 0


def test_planted_multiplier_of_16_bits():
    here, there = Fraction(0x60006000, 1 << 46), Fraction(0x6000, 1 << 30)
    acc = next(s for s in range(1 << 20) if round_exact(s * here, "half_up") != round_exact(s * there, "half_up"))
    spec = made(requantize="tflite_single", **INT8 | {"output": "int16"})
    case = sums_of(spec, [acc], multiplier=np.array([0x60006000]), shift=np.array([-15]))
    found, text = only_reason("tosa-int16", case)
    assert found.largest == 1
    assert text == f"scale: {0x6000} * 2^-30 there, {0x60006000} * 2^-46 here (multiplier of 16 bits there, 31 here)"


def test_scales_formed_alike_are_no_cause():
    """The same with real scales, which both sides combine in float64."""
    scales = {"a_scale": np.float32(1), "w_scale": np.float32(0x60006 / (1 << 34)), "y_scale": np.float32(1)}
    here, there = Fraction(0x60006, 1 << 34), Fraction(0x6000, 1 << 30)
    acc = next(s for s in range(1 << 20) if round_exact(s * here, "half_up") != round_exact(s * there, "half_up"))
    spec = made(requantize="tflite_single", platform="tosa", **INT8 | {"output": "int16"})
    _, text = only_reason("tosa-int16", sums_of(spec, [acc], **scales))
    assert text == f"scale: {0x6000} * 2^-30 there, {0x60006000} * 2^-46 here (multiplier of 16 bits there, 31 here)"


def test_planted_scales_multiplied_in_float32():
    """A float32 product that is a power of two times y_scale, while the exact one is a little less."""
    a, w = np.float32(1.1), np.float32(0.9090909)
    scales = {"a_scale": a, "w_scale": w, "y_scale": np.float32(2)}
    multiplier, shift = (int(value) for value in platforms.derive("tflite-micro", **scales).values())
    assert a * w == 1 and multiplier * 2.0 ** (shift - 31) < 0.5
    case = sums_of(made(requantize="tflite_single", **INT8), range(-101, 102, 2), **scales)
    found, text = only_reason(replace(PLATFORMS["cmsis-nn"], scaling="tflite_single"), case)
    assert found.differing == 51  # the positive halves
    here = f"{multiplier} * 2^{shift - 31} here"
    assert text == f"scale: 2^30 * 2^-31 there, {here} (scales multiplied in float32 there)"


def test_planted_wrapping_sum():
    spec = made("int16", "int16", requantize="mult16", **INT8 | {"output": "int16"})
    case = sums_of(spec, [(1 << 31) + 12345, 5], multiplier=np.array([1 << 14]), shift=np.array([-20]))
    found, text = only_reason("tflite-micro", case)
    assert (found.differing, text) == (1, "sum wraps at 32 bits there")
    narrow = made("int16", "int16", requantize="multiplier", accumulator=20, accumulator_overflow="wrap", **INT8)
    case = sums_of(narrow, [1 << 20], multiplier=np.array([1 << 30]), shift=np.array([45]))
    assert only_reason("qonnx", case)[1] == "sum wraps at 20 bits here"
    case = sums_of(narrow.with_(accumulator_overflow="saturate"), [1 << 20], **case.numbers)
    assert only_reason("qonnx", case)[1] == "sum saturates at 20 bits here"


def test_planted_pairs_that_saturate():
    spec = made("uint8", "int8", requantize="float32", **INT8 | {"output": "int16"})
    arrays = {"a": np.full((2, 4), 255), "w": np.full((4, 1), 127), "scale": np.float32(0.125)}
    arrays["a"][1] = 3
    found, text = only_reason("onnxruntime-avx2-saturating", product_case(spec, arrays))
    assert (found.compared, found.differing, text) == (2, 1, "pairs of products saturate there")
    assert found.first == ((0, 0), round(255 * 127 * 4 / 8), round(32767 * 2 / 8))
    other = made(requantize="float32", **INT8)
    refused = agreement(PLATFORMS["onnxruntime-avx2-saturating"], product_case(other, arrays | {"a": arrays["a"] // 2}))
    assert (refused.compared, refused.refusal) == (
        0,
        "pairs saturate there in products of uint8 activations and int8 weights; these are others",
    )


def test_planted_outputs_that_wrap():
    case = sums_of(made(requantize="shift", overflow="wrap", **INT8), [300, 3], shift=np.array([0]))
    found, text = only_reason("litert-reference", case)
    assert (found.first, text) == (((0, 0), 44, 127), "outputs wrap here, saturate there")


def test_planted_halving_in_32_bits():
    spec = made("int16", "int16", requantize="mult16", **INT8 | {"output": "int16"})
    case = sums_of(spec, [(1 << 31) + 12345], multiplier=np.array([1 << 14]), shift=np.array([1]))
    assert only_reason("cmsis-nn-int16", case)[1] == "scaled sum wraps at 32 bits there"


def test_planted_left_shift_that_wraps():
    spec = made(requantize="tflite_single", **INT8)
    case = sums_of(spec, [1 << 23], multiplier=np.array([1 << 30]), shift=np.array([9]))
    found, text = only_reason("tflite-micro", case)
    assert text == "the sum shifted left wraps at 32 bits there"
    assert agreement(PLATFORMS["litert-reference"], case).differing == 0


def test_hardware_that_differs_from_its_own_model_is_said():
    spec = made(requantize="float32", platform="onnxruntime", **INT8)
    arrays = {"a": np.arange(6).reshape(2, 3), "w": np.arange(6).reshape(3, 2), "scale": np.float32(0.37)}
    y = product_case(spec, arrays).own.copy()
    y[1, 0] ^= 1
    found, text = only_reason("onnxruntime", product_case(spec, arrays, y))
    assert (found.differing, text) == (1, OWN)


def test_chains_that_do_not_give_the_bits_explain_nothing(monkeypatch):
    """A rule of ours that is not the one that made the outputs: no reason is made up."""
    case = sums_of(made(requantize="multiplier", **INT8), range(-40, 41), **POWER)
    p = replace(SINGLE, name="other", scaling="tflite_single")
    codes, _, _ = theirs(p, case)
    codes[30, 0] += 5
    assert [r.text for r in reasons(p, case, codes, case.sums, [(30, 0)])] == [UNKNOWN]


def test_what_a_platform_cannot_do_is_listed_with_the_reason():
    case = sums_of(made(requantize="multiplier", **INT8), range(9), **POWER, y_zero_point=3)
    refusals = {one.platform: one.refusal for one in agreements(case) if not one.compared}
    assert refusals == {
        "onnxruntime-avx2-saturating": "pairs of products saturate there, which sums alone do not show",
        "finn": "finn has thresholds for zero point 0 only",
        "tensorrt": "no rule: published only as clip(x / s), ties to even; the rest is unpublished",
    }
    real = {"a_scale": np.float32(1), "w_scale": np.float32(1), "y_scale": np.float32(2)}
    case = sums_of(made(requantize="multiplier", **INT8), range(9), **real)
    assert agreement(PLATFORMS["deeploy"], case).refusal == (
        "no rule from real scales to its integers: the model brings them along"
    )
    bits = product_case(
        made("bipolar", "bipolar", output="bipolar"), {"a": np.ones((1, 4), int), "w": np.ones((4, 1), int)}
    )
    assert {one.refusal for one in agreements(bits)} >= {"no rule for bipolar outputs"}
    assert not any(one.compared for one in agreements(bits))


def test_a_scale_too_small_for_a_multiplier_is_zero_here():
    scales = {"a_scale": np.float32(2**-20), "w_scale": np.float32(2**-20), "y_scale": np.float32(1)}
    spec = made("int32", "int32", requantize="tflite", **INT8)
    found = {one.platform: one for one in agreements(sums_of(spec, [1 << 46, -5, 3 << 44], **scales))}
    assert found["tflite-micro"].differing == 0
    assert [reason.text for reason in found["finn"].reasons] == ["sum wraps at 32 bits here"]


def test_outputs_that_a_platform_leaves_undefined_are_left_out():
    spec = made("int16", "int16", requantize="mult16", **INT8 | {"output": "int16"})
    sums = [5, (1 << 31) - 1, 1 << 31, -(1 << 31), -(1 << 31) - 1, 1 << 40]
    case = sums_of(spec, sums, multiplier=np.array([1 << 14]), shift=np.array([-20]))
    _, defined, refusal = theirs(PLATFORMS["tosa"], case)
    assert defined[:, 0].tolist() == [True, True, False, True, False, False]
    assert refusal == "a sum does not fit int32, which tosa leaves unpredictable"


def test_columns_whose_scale_a_platform_cannot_hold_are_left_out():
    spec = made("int16", "int16", requantize="mult16", **INT8 | {"output": "int16"})
    shifts = np.array([7, 8, -3])
    case = sums_case(spec, np.ones((2, 3), np.int64), {"multiplier": np.full(3, 1 << 14), "shift": shifts})
    found = agreement(PLATFORMS["tflite-micro-int16"], case)
    assert (found.compared, found.refusal) == (4, "shift must be -31 to 7 on tflite-micro-int16")


def test_a_case_is_checked():
    spec = made(**THRESHOLDS)
    rule = "the rule behind thresholds is not known; give a platform and a_scale, w_scale and y_scale"
    with pytest.raises(ValueError, match=rule):
        sums_of(spec, [1], thresholds=np.arange(255))
    with pytest.raises(ValueError, match=rule):
        sample(spec, "random", 10, 1)
    arrays = {"a": np.ones((2, 3), int), "w": np.ones((3, 1), int)}
    for y in (np.zeros((1, 2), int), np.zeros((2, 1))):
        with pytest.raises(ValueError, match=r"y must be integers of shape \[2, 1\]"):
            product_case(made(), arrays, y)


def test_the_comparison_would_notice_a_wrong_platform(monkeypatch):
    """Plant: a platform's codes one too high."""
    case = sample(DESIGNS["relu"], "random", 100, 1)
    assert agreement(TWICE, case).differing == 0
    genuine = agreement_module.platforms.requantize
    monkeypatch.setattr(agreement_module.platforms, "requantize", lambda *a, **k: genuine(*a, **k) + 1)
    assert agreement(TWICE, case).differing > 0


@pytest.mark.parametrize("kind", KINDS)
def test_samples_hold_what_they_promise(kind):
    spec = DESIGNS["multiplier"]
    case = sample(spec, kind, 1000, 1)
    assert case.sums.size >= 1000
    lo, hi = spec.sum_range
    assert lo <= case.sums.min() and case.sums.max() <= hi
    assert len(np.unique(case.own)) > (100 if kind == "random" else 20)
    if kind == "ties":
        places = [(m, n) for m in range(20) for n in range(case.sums.shape[1])]
        scaled = [own_chain(case, place) for place in places]
        ties = sum(2 * chain.acc * chain.factor % 2 == 1 for chain in scaled)
        assert ties > 0.9 * len(places)
    if kind == "extremes":
        assert {lo, hi, 0} <= set(case.sums.ravel().tolist())


def test_fractions_round_as_float_hardware_does():
    rng = np.random.default_rng(1)
    for value in rng.normal(0, 1, 300) * 2.0 ** rng.integers(-40, 40, 300):
        assert nearest(Fraction(value), 24) == Fraction(float(np.float32(value)))
        third = Fraction(value) / 3
        assert nearest(third, 53) == Fraction(value / 3)
        assert round_exact(third, "half_even") == round(third)
    assert [round_exact(Fraction(n, 2), "half_away") for n in (-3, -1, 0, 1, 3)] == [-2, -1, 0, 1, 2]
    assert round_exact(Fraction(-1, 3), "floor") == -1 and round_exact(Fraction(1, 3), "ceil") == 1


def test_chains_round_products_and_quotients_as_float32_does():
    rng = np.random.default_rng(2)
    twice = 0
    for _ in range(400):
        acc = int(rng.integers(-(1 << 26), 1 << 26))
        product, y_scale = (np.float32(value) for value in rng.uniform(0.001, 2, 2))
        factor = Fraction(float(product)) / Fraction(float(y_scale))
        made = {"acc": acc, "sum_bits": 24, "zero_point": 0, "bounds": (-8, 7), "code": INT4, "rounding": "floor"}
        divided = Chain(factor=factor, divisor=Fraction(float(y_scale)), product="float32_division", **made)
        plain = Chain(factor=Fraction(float(product)), product="float32", **made)
        assert divided._product() == Fraction(float(float_scale.float32_division(acc, product, y_scale)))
        assert plain._product() == Fraction(float(float_scale.float32(acc, product)))
        twice += divided._product() != nearest(nearest(Fraction(acc), 24) * factor, 24)
    assert twice > 50


def test_a_chain_takes_ingredients_of_another():
    one = Chain(acc=3, factor=Fraction(1, 2), zero_point=0, bounds=(-8, 7), code=INT4, rounding="half_even")
    other = replace(one, rounding="half_down", acc=5)
    assert one.differing(other) == ("sum", "rounding")
    assert (one.output(), one.with_ingredients(("rounding",), other).output(), other.output()) == (2, 1, 2)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"block": 8, "w_block_scale": parse("uint4")}, "block is 8: no platform here scales the sums of blocks"),
        ({"block_sum": "float32", "output": "float32"}, "block_sum is float32: no platform here adds in float32"),
    ],
)
def test_sums_that_no_platform_forms_are_refused(fields, message):
    spec = design("int8", "int4", depth=16, **fields)
    for case in (
        lambda: product_case(spec, random_arrays(spec, m=2, k=16, n=3, seed=1)),
        lambda: sums_case(spec, np.zeros((2, 3), np.int64), {}),
    ):
        with pytest.raises(ValueError, match=f"^{message}$"):
            case()
