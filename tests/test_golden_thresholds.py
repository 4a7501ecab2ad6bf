"""golden.thresholds: counting thresholds gives the codes of a rule for every sum, whatever chain the rule is."""

import numpy as np
import pytest

from golden import platforms, thresholds
from golden.float_scale import round_real
from golden.thresholds import thresholds_for

CODES = (-8, 7)
RANGE = (-3000, 2999)


def counted(levels, sums, lo):
    """Codes of sums [S, columns] by counting, one comparison at a time."""
    return lo + (sums[:, :, None] >= levels[None]).sum(axis=2)


def every_sum(columns, acc_range=RANGE):
    return np.broadcast_to(
        np.arange(acc_range[0], acc_range[1] + 1)[:, None], (acc_range[1] - acc_range[0] + 1, columns)
    )


def batch_norm(rng, columns):
    gamma, beta, mean, deviation = (
        rng.uniform(0.2, 3, columns),
        rng.normal(0, 1, columns),
        *rng.normal(0, 400, (2, columns)),
    )
    return lambda sums: gamma * (sums - mean) / (np.abs(deviation) + 50) + beta


ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky": lambda x: np.where(x < 0, x / 8, x),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "none": lambda x: x,
}


def quantizer(rng, codes):
    step, zero = rng.uniform(0.05, 0.5), int(rng.integers(codes[0], codes[1] + 1))
    rounding = rng.choice(["half_even", "half_up", "floor", "half_away"])
    return lambda x: np.clip(round_real(x / step, str(rounding)) + zero, *codes)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("codes", [(-8, 7), (0, 15), (0, 1), (-128, 127), (-3, 90)])
def test_batch_norm_activation_and_quantizer_in_one(activation, codes):
    differing = seen = 0
    for seed in range(5):
        rng = np.random.default_rng([seed, *map(abs, codes)])
        norm, quantize = batch_norm(rng, 4), quantizer(rng, codes)

        def rule(sums, norm=norm, quantize=quantize):
            return quantize(ACTIVATIONS[activation](norm(sums)))

        levels = thresholds_for(rule, columns=4, acc_range=RANGE, codes=codes)
        assert levels.shape == (4, codes[1] - codes[0]) and (np.diff(levels, axis=1) >= 0).all()
        sums = every_sum(4)
        differing += int((counted(levels, sums, codes[0]) != rule(sums)).sum())
        seen += len(np.unique(rule(sums)))
    assert differing == 0 and seen > 5


def test_random_steps_at_any_place():
    """A rule that is its own thresholds, equal ones and unreachable ones among them."""
    rng = np.random.default_rng(1)
    for _ in range(30):
        planted = np.sort(rng.integers(RANGE[0] - 50, RANGE[1] + 50, (3, 15)), axis=1)
        planted[:, 3] = planted[:, 2]
        levels = thresholds_for(
            lambda sums, planted=planted: counted(planted, sums, -8), columns=3, acc_range=RANGE, codes=CODES
        )
        np.testing.assert_array_equal(levels, np.clip(planted, RANGE[0], RANGE[1] + 1))


@pytest.mark.parametrize("name", ["tflite-micro", "qonnx", "onnxruntime", "litert-reference", "litert-ruy-x86"])
def test_platforms_on_every_sum(name):
    factors = platforms.derive(name, a_scale=0.25, w_scale=np.array([0.5, 0.3, 0.02]), y_scale=4.0)

    def rule(sums):
        return platforms.requantize(name, sums, factors, y_zero_point=3, y_format="int6")

    levels = thresholds_for(rule, columns=3, acc_range=RANGE, codes=(-32, 31))
    sums = every_sum(3)
    np.testing.assert_array_equal(counted(levels, sums, -32), rule(sums))


def test_sums_beyond_int64_are_python_integers():
    acc_range = (-(1 << 80), (1 << 80) - 1)
    with pytest.raises(OverflowError):  # the result itself is int64: a spec refuses such sums
        thresholds_for(lambda sums: sums // (1 << 77), columns=1, acc_range=acc_range, codes=CODES)
    acc_range = (-(1 << 62), (1 << 62) - 1)
    levels = thresholds_for(lambda sums: sums >> 59, columns=1, acc_range=acc_range, codes=CODES)
    assert levels[0].tolist() == [(code << 59) for code in range(-7, 8)]


def test_a_planted_fault_shows(monkeypatch):
    """Thresholds one too high give other codes for exactly one sum each."""
    levels = thresholds_for(lambda sums: sums // 400, columns=1, acc_range=(-3200, 3199), codes=CODES)
    sums = every_sum(1, (-3200, 3199))
    assert (counted(levels, sums, -8) == sums // 400).all()
    assert (counted(levels + 1, sums, -8) != sums // 400).sum() == 15


def test_rules_that_fall_are_refused():
    with pytest.raises(ValueError) as error:
        thresholds_for(lambda sums: -(sums // 400), columns=2, acc_range=(-2800, 2799), codes=CODES)
    assert str(error.value) == (
        "the rule falls in column 0: code 7 for sum -2401, 6 for -2400; "
        "where it falls throughout, negate the column's weights"
    )

    def dent(sums):
        return np.where(sums == 1234, 0, sums // 400)

    with pytest.raises(ValueError, match=r"^the rule falls in column 0: code 3 for sum 1233, 0 for 1234; "):
        thresholds_for(dent, columns=1, acc_range=(-3200, 3199), codes=CODES)


def test_a_dent_beyond_the_sums_that_are_all_tried_may_stay_unseen(monkeypatch):
    """Why the document says `seen`: what bisection never visits is not known."""
    monkeypatch.setattr(thresholds, "EXHAUSTIVE", 100)

    def rule(sums):
        return np.where(sums == 1234, 0, sums // 400)

    thresholds_for(rule, columns=1, acc_range=(-3200, 3199), codes=CODES)


def test_codes_and_shapes_are_checked():
    with pytest.raises(ValueError, match=r"^the rule gives codes -?\d+..-?\d+, outside \[-8, 7\]$"):
        thresholds_for(lambda sums: sums // 100, columns=1, acc_range=RANGE, codes=CODES)
    with pytest.raises(ValueError, match=r"^the rule gives codes of shape \[15, 1\] for sums of \[15, 2\]$"):
        thresholds_for(lambda sums: sums[:, :1] // 400, columns=2, acc_range=RANGE, codes=CODES)
