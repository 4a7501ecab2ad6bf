"""Where platforms disagree: the smallest inputs that tell them apart, and which of them gives which value.

The expected values are what the platforms' own binaries or sources give; test_oracle_*.py compares with the binaries.
"""

import dataclasses
from fractions import Fraction

import numpy as np
import oracle
import pytest
from oracle_cases import products

from golden import float_scale, platforms, scale
from golden.platforms import PLATFORMS

INT_MIN, INT_MAX = -(2**31), 2**31 - 1
NAMES = [name for name, p in PLATFORMS.items() if p.effective is not None]
GEMMLOWP = {"tflite-micro", "litert-reference-conv", "cmsis-nn", "tosa-double"}
SINGLE = {"tosa", "litert-xnnpack-arm"}
HALF_UP_TWICE = {"litert-ruy-x86"}
MULT16 = {"tflite-micro-int16", "cmsis-nn-int16", "tosa-int16"}
AWAY = {"litert-reference", "litert-reference-int16"}
TO_EVEN = {"litert-xnnpack", "onnxruntime", "onnxruntime-avx2-saturating"}
TO_EVEN_AFTER = {"onnx-reference", "qonnx", "brevitas"}
THRESHOLDS = {"finn"}


def requantized(name, acc, d, y_zero_point=0):
    """Codes for sums scaled by d, which is a power of two and so the same in every encoding."""
    parameters = platforms.derive(name, a_scale=1, w_scale=d, y_scale=1)
    return platforms.requantize(name, np.array(acc)[:, None], parameters, y_zero_point=y_zero_point)[:, 0].tolist()


def grouped(acc, d, names, y_zero_point=0):
    """{codes: names of the platforms that give them}"""
    groups = {}
    for name in names:
        groups.setdefault(tuple(requantized(name, acc, d, y_zero_point)), set()).add(name)
    return groups


def test_the_groups_hold_every_platform():
    groups = [GEMMLOWP, SINGLE, HALF_UP_TWICE, MULT16, AWAY, TO_EVEN, TO_EVEN_AFTER, THRESHOLDS]
    assert sorted(name for group in groups for name in group) == sorted(NAMES)
    assert set(PLATFORMS) - set(NAMES) == {"deeploy", "tensorrt"}


def test_ties_of_one_half():
    """Scaled by 1/2, gemmlowp has no second rounding, so even it takes ties up."""
    assert grouped([-3, -1, 1, 3], 0.5, NAMES) == {
        (-1, 0, 1, 2): GEMMLOWP | SINGLE | HALF_UP_TWICE | MULT16 | THRESHOLDS,
        (-2, -1, 1, 2): AWAY,
        (-2, 0, 0, 2): TO_EVEN | TO_EVEN_AFTER,
    }


def test_double_and_single_rounding():
    assert grouped([1, -3, -6], 0.25, NAMES) == {
        (1, -1, -2): GEMMLOWP,
        (1, 0, -1): HALF_UP_TWICE,
        (0, -1, -1): SINGLE | MULT16 | THRESHOLDS,
        (0, -1, -2): AWAY | TO_EVEN | TO_EVEN_AFTER,
    }


def test_zero_point_before_or_after_rounding():
    names = TO_EVEN | TO_EVEN_AFTER
    assert grouped([1, 3, 5, 7], 0.5, names, y_zero_point=1) == {(1, 3, 3, 5): TO_EVEN, (2, 2, 4, 4): TO_EVEN_AFTER}


def test_float32_loses_the_low_bits_of_a_large_sum():
    """2**24 + 1 is no float32; times 2**-18 with half a step to go, that decides."""
    acc = [2**24 + 1, 2**24 + 2**17 + 1]
    d = 2.0**-18
    exact = [oracle.ROUND["half_even"](Fraction(x) * Fraction(d)) for x in acc]
    assert exact == [64, 65]
    assert requantized("onnx-reference", acc, d) == exact
    assert requantized("onnxruntime", acc, d) == [64, 64]


def test_the_effective_scale():
    """0.02 * 0.01 / 0.0008 is 1/4 in float32 steps, just below in float64."""
    a, w = np.float32(0.02), np.float32(0.01)
    y = np.float32(np.float32(a * w) * 4)
    scales = {"a_scale": a, "w_scale": w, "y_scale": y}
    assert {key: int(v) for key, v in platforms.derive("cmsis-nn", **scales).items()} == {
        "multiplier": 2**30,
        "shift": -1,
    }
    micro = {key: int(v) for key, v in platforms.derive("tflite-micro", **scales).items()}
    exact = Fraction(float(a)) * Fraction(float(w)) / Fraction(float(y))
    assert micro["shift"] == -2 and exact < Fraction(1, 4)
    assert abs(Fraction(micro["multiplier"], 2**33) - exact) <= Fraction(1, 2**34)
    assert platforms.derive("onnxruntime", **scales)["scale"] == np.float32(0.25)
    per_channel = platforms.derive("cmsis-nn", a_scale=a, w_scale=np.array([w]), y_scale=y)
    assert per_channel["multiplier"].tolist() == [micro["multiplier"]]


def test_float32_chain_is_not_the_rounded_quotient():
    draw = np.random.default_rng(1)
    a, w, y = draw.uniform(0.001, 0.1, (3, 10000)).astype(np.float32)
    chain = a * w / y
    exact = (a.astype(np.float64) * w / y).astype(np.float32)
    share = float((chain != exact).mean())
    assert 0.2 < share < 0.35
    for k in range(100):
        scales = {"a_scale": a[k], "w_scale": w[k], "y_scale": y[k]}
        assert platforms.derive("litert-xnnpack", **scales)["scale"] == chain[k]
        assert platforms.derive("litert-reference", **scales)["scale"] == float(a[k]) * float(w[k]) / float(y[k])


def test_pairs_of_products_saturate():
    a, w = np.full((1, 2), 255), np.full((2, 1), 127)
    assert platforms.accumulate("onnxruntime", a, w).item() == 64770
    assert platforms.accumulate("onnxruntime-avx2-saturating", a, w).item() == 32767
    assert platforms.accumulate(
        "onnxruntime-avx2-saturating", np.full((1, 128), 255), np.full((128, 1), 127)
    ).item() == (64 * 32767)


def test_which_products_make_a_pair_matters():
    a, w = np.full((1, 4), 255), np.array([[127], [127], [-127], [-127]])
    order = [0, 2, 1, 3]
    assert platforms.accumulate("onnxruntime-avx2-saturating", a, w).item() == 32767 - 32768
    assert platforms.accumulate("onnxruntime-avx2-saturating", a[:, order], w[order]).item() == 0


def test_an_odd_depth_and_zero_points_under_saturation():
    draw = np.random.default_rng(2)
    a, w = draw.integers(0, 256, (3, 7)), draw.integers(-128, 128, (7, 4))
    expected = np.zeros((3, 4), int)
    for i, j in np.ndindex(3, 4):
        pairs = [sum(int(a[i, k] * w[k, j]) for k in (p, p + 1) if k < 7) for p in range(0, 7, 2)]
        saturated = sum(oracle.clamp(p, -(2**15), 2**15 - 1) for p in pairs)
        expected[i, j] = saturated - 3 * w[:, j].sum() - 5 * a[i].sum() + 7 * 3 * 5
    given = platforms.accumulate("onnxruntime-avx2-saturating", a, w, a_zero_point=3, w_zero_point=5)
    assert given.tolist() == expected.tolist()


def test_int_min():
    assert scale.doubling_high_multiply(INT_MIN, INT_MIN) == INT_MAX
    parameters = {"multiplier": 2**30, "shift": 2}
    acc = np.array([[2**29]])  # shifted left by two: wraps to INT_MIN
    assert platforms.requantize("tflite-micro", acc, parameters, y_format="int32").item() == -(2**30)
    assert platforms.requantize("litert-reference", acc, {"scale": 2.0}, y_format="int32").item() == 2**30


def test_accumulators():
    """K = 140000 products of -128 by -128: 2293760000 wraps in int32."""
    a, w = np.full((1, 140000), -128), np.full((140000, 1), -128)
    assert platforms.accumulate("onnxruntime", a, w).item() == -2001207296
    assert platforms.accumulate("onnx-reference", a, w).item() == -2001207296
    assert platforms.accumulate("qonnx", a, w).item() == 2293760000
    with pytest.raises(ValueError) as error:
        platforms.accumulate("tosa", a, w)
    assert str(error.value) == "a sum does not fit int32, which tosa leaves unpredictable"


@pytest.mark.parametrize("fmt", ["int4", "uint4", "int8", "uint8"])
def test_thresholds_take_ties_up(fmt):
    lo, hi = platforms.parse(fmt).code_range
    acc = np.arange(4 * lo - 9, 4 * hi + 10)
    expected = [oracle.clamp(oracle.ROUND["half_up"](Fraction(x, 4)), lo, hi) for x in acc.tolist()]
    codes = platforms.requantize(
        "finn", acc[:, None], platforms.derive("finn", a_scale=1, w_scale=1, y_scale=4), y_format=fmt
    )
    assert codes[:, 0].tolist() == expected
    assert len(float_scale.thresholds(4, (lo, hi))) == hi - lo


def test_deeploy_shifts_with_one_half_added():
    parameters = {"multiplier": np.array([3, 5]), "shift": 2, "add": np.array([1, -2])}
    acc = np.arange(-20, 21)[:, None] + np.zeros(2, int)
    expected = [
        [(x * m + add + 2) >> 2 for x, m, add in zip(row, (3, 5), (1, -2), strict=True)] for row in acc.tolist()
    ]
    assert platforms.requantize("deeploy", acc, parameters).tolist() == expected


@pytest.mark.parametrize("name", sorted(GEMMLOWP | SINGLE | HALF_UP_TWICE | AWAY | TO_EVEN))
def test_a_product_by_its_definition(name):
    """Against Fractions, element by element, where no rounding is in doubt: rounding twice can move a result by 1/8
    before its tie is decided."""
    compared = 0
    for case in products(3, a="uint8" if "saturating" in name else "int8", shape=(16, 5, 8)):
        case = {**case, "a": case["a"] // 4, "a_zero_point": 3}
        codes = platforms.matmul(name, **case)
        d = Fraction(float(case["a_scale"])) * Fraction(float(case["w_scale"])) / Fraction(float(case["y_scale"]))
        sums = np.array(oracle.product(case["a"] - 3, case["w"])) + case["bias"]
        for acc, code in zip(sums.reshape(-1).tolist(), codes.reshape(-1).tolist(), strict=True):
            real = acc * d
            if abs(real - round(real)) < Fraction(3, 8) - Fraction(1, 1000):
                compared += 1
                assert code == oracle.clamp(round(real) + case["y_zero_point"], -128, 127)
    assert compared > 800


ALIKE = [
    {"tflite-micro", "litert-reference-conv", "tosa-double"},
    {"cmsis-nn-int16", "tosa-int16"},  # multipliers of 16 bits from unlike scales
    {"litert-reference", "litert-reference-int16"},
    {"litert-xnnpack", "onnxruntime"},
    {"qonnx", "brevitas"},
]


def test_the_cases_of_the_oracle_tests_tell_platforms_apart():
    """Each oracle test could fail: on its cases every platform of another rule differs in some output."""
    cases = [
        {**case, "y_zero_point": 0 if k % 4 == 3 else 7}
        for k, case in enumerate(products(11, a="uint8", shape=(64, 16, 32)))
    ]
    results = {
        name: [platforms.matmul(name, **case) for case in cases if name != "finn" or not case["y_zero_point"]]
        for name in NAMES
    }
    for one in NAMES:
        same = {
            other
            for other in NAMES
            if len(results[other]) == len(results[one])
            and all(np.array_equal(x, y) for x, y in zip(results[one], results[other], strict=True))
        }
        assert same == next((group for group in ALIKE if one in group), {one})


def test_activations():
    for name, bounds in {"relu": (-20, 127), "relu6": (-20, 40), "relu_n1_to_1": (-30, -10)}.items():
        y = platforms.requantize(
            "tflite-micro",
            np.array([[-1000], [1000]]),
            {"multiplier": 2**30, "shift": 0},
            y_zero_point=-20,
            activation=name,
            y_scale=np.float32(0.1),
        )
        assert tuple(y[:, 0].tolist()) == bounds


def test_every_platform_names_its_source():
    for name, p in PLATFORMS.items():
        assert name == p.name
        assert len(p.source) > 20
    with pytest.raises(dataclasses.FrozenInstanceError):
        PLATFORMS["tosa"].name = "x"
