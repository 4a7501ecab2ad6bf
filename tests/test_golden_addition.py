"""Addition where platforms disagree, and what has no rule."""

import numpy as np
import pytest

from golden import platforms

ALL_PAIRS = np.stack(np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)), -1).reshape(-1, 2).T
ADDERS = [name for name, p in platforms.PLATFORMS.items() if p.add is not None]


def added(name, x1, x2, scales, z=(0, 0, 0), **how):
    return platforms.add(
        name, x1, x2, x_scales=scales[:2], y_scale=scales[2], x_zero_points=z[:2], y_zero_point=z[2], **how
    )


def test_xnnpack_adds_with_short_multipliers():
    """Both rules on all pairs of codes: outputs differ by one, at ties, where scales are powers of two."""
    shares = {}
    for scales in ((0.25, 0.125, 0.5), (0.031, 0.044, 0.057)):
        tflite, xnnpack = (added(name, *ALL_PAIRS, scales, (3, -4, 5)) for name in ("tflite-micro", "litert-xnnpack"))
        assert np.abs(tflite - xnnpack).max() <= 1
        shares[scales[0]] = float((tflite != xnnpack).mean())
    assert shares[0.031] < 0.001
    assert 0.1 < shares[0.25] < 0.2


def test_ties_by_platform():
    """x1 + x2 in halves of a step of y: by zero point 0 and 1."""
    x1, x2, scales = np.array([-3, -1, 1, 3, 5, 7]), np.zeros(6, int), (0.5, 0.5, 1.0)
    groups = {}
    for name in ADDERS:
        kind = {"y_format": "int16"} if name.endswith("int16") else {}
        codes = [tuple(added(name, x1, x2, scales, (0, 0, zy), **kind).tolist()) for zy in (0, 1)]
        groups.setdefault(tuple(codes), set()).add(name)
    away, up, even = (-2, -1, 1, 2, 3, 4), (-1, 0, 1, 2, 3, 4), (-2, 0, 0, 2, 2, 4)
    assert groups == {
        (away, tuple(y + 1 for y in away)): {
            *("tflite-micro", "tflite-micro-int16", "litert-reference", "litert-reference-conv", "litert-ruy-x86"),
            *("tosa-double", "cmsis-nn", "cmsis-nn-int16"),
        },
        (up, tuple(y + 1 for y in up)): {"litert-xnnpack", "tosa"},
        (even, (0, 0, 2, 2, 4, 4)): {"onnxruntime", "onnxruntime-avx2-saturating"},
    }


def test_ruy_wraps_in_groups_of_16():
    """300 * 2**7 steps do not fit 16 bits: the first 16 elements wrap, the last three saturate."""
    x = np.full(19, 100)
    y = added("litert-ruy-x86", x, 2 * x, (1.0, 1.0, 2.0**-7))
    wrapped = (300 * 128 + 2**15) % 2**16 - 2**15
    assert y.tolist() == [max(wrapped, -128)] * 16 + [127] * 3
    assert wrapped < 0


def test_ruy_rounds_operands_once():
    """Found by search: the only kind of difference from TFLite Micro's sums where nothing wraps."""
    scales = np.float32([0.0123, 0.0457, 0.0321])
    differing = 0
    for k in range(40):
        s = scales * np.float32([1 + k / 40, 1, 1 + k / 70])
        differing += int((added("litert-ruy-x86", *ALL_PAIRS, s) != added("tflite-micro", *ALL_PAIRS, s)).sum())
    assert 0 < differing < 40


def test_onnxruntime_fuses_and_orders():
    """A single element changes the order of the operands, and with it an output close to a tie."""
    draw = np.random.default_rng(4)
    differing = 0
    for _ in range(400):
        s = np.float32(draw.uniform(0.01, 0.1))
        scales = [s, s * np.float32(2.0 ** draw.integers(-1, 2)), s * np.float32(draw.integers(2, 9) / 2)]
        one, codes, z = draw.integers(-128, 128, 1), np.arange(-128, 128), draw.integers(-128, 128, 3).tolist()
        alone, repeated = (added("onnxruntime", x1, codes, scales, z) for x1 in (one, np.repeat(one, 256)))
        assert np.abs(alone - repeated).max() <= 1
        differing += int((alone != repeated).sum())
    assert differing > 0


REFUSED = [
    (
        lambda: added("litert-ruy-x86", [1, 2], [1], (1, 1, 1)),
        "litert-ruy-x86 has a rule for tensors of one shape, not for broadcasting",
    ),
    (
        lambda: added("onnxruntime", [[1, 2]], [[1], [2]], (1, 1, 1)),
        "onnxruntime has a rule for tensors of one shape, or one of one element",
    ),
    (
        lambda: added("onnxruntime", [1], [2], (1, 1, 1), y_format="int16"),
        "onnxruntime adds codes of 8 bits, not 16",
    ),
    (
        lambda: added("tflite-micro", [1], [2], (1, 1, 1), y_format="int4"),
        "tflite-micro adds codes of 8 or 16 bits, not 4",
    ),
    (
        lambda: added("tosa", [1], [2], (1, 1, 1), (1, 0, 0), y_format="int16"),
        "tosa has no zero points for codes of 16 bits",
    ),
    (
        lambda: added("tflite-micro", [1], [2], (1, 1, 2.0**-20)),
        "y_scale is too small: its quotient must be below one",
    ),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message[:40] for _, message in REFUSED])
def test_what_has_no_rule_is_refused(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == message
