"""Scales of weights where they do not follow from the largest weight alone: least ones, zero points, signs of zero."""

import numpy as np
import pytest

from golden.calibrate import choose
from network.quantizing.recipe import Recipe
from network.quantizing.weights import quantized_weights
from network.quantizing.weights_integer import affine

W = np.random.default_rng(1).normal(0.05, 0.1, (37, 5)).astype(np.float32)


def test_the_least_scale_of_a_tensor_is_the_largest_of_its_columns():
    least = np.array([0.0, 0.25, 0.125, 0, 0])
    for name in ("uint4", "int4", "sm4", "float4_e2m1fn"):
        found = quantized_weights(W, name, Recipe(granularity="tensor"), least_scale=least)
        assert float(found.grid.scale) == 0.25
        reach = 0.5 if name == "float4_e2m1fn" else 0.125
        assert np.abs(found.real - W).max() <= reach


@pytest.mark.parametrize("scheme", ["tflite", "onnxruntime", "torch", None])
def test_unsigned_weights_of_a_tensor_have_the_scheme_of_the_recipe(scheme):
    w = np.float32([[-1.0285249948501587, 0.3], [1.9014227390289307, 0]])  # of another scale in PyTorch
    found = quantized_weights(w, "uint4", Recipe(granularity="tensor", scheme=scheme))
    scale, zero_point = choose(scheme or "onnxruntime", float(w.min()), float(w.max()), "uint4")
    assert (found.grid.scale, found.grid.zero_point) == (np.float32(scale), zero_point)


def test_another_scale_has_another_zero_point():
    """Powers of two above, and least scales: the least weight is on the least code again."""
    for fields, least in (({"scales": "power_of_two"}, 0), ({}, 0.09)):
        for w in (W, W + np.float32(0.5), W - np.float32(0.5)):
            found = quantized_weights(w, "uint4", Recipe(granularity="tensor", **fields), least_scale=least)
            scale, low = float(found.grid.scale), min(float(w.min()), 0.0)
            assert found.grid.zero_point == round(-low / scale)
            assert np.abs(found.real - w).max() <= scale / 2 * (1 + 1e-6) + scale / 2 * (low < 0)


@pytest.mark.parametrize(("lo", "hi"), [(-0.7, 1.9), (0.5, 2.0), (-3.0, -1.0), (0.0, 0.0), (-1e-39, 1e-39)])
def test_numbers_on_the_grid_of_a_range(lo, hi):
    """By golden's scale and zero point of ONNX Runtime, code by code; ranges hold zero."""
    values = np.linspace(-4, 4, 101).astype(np.float32)
    rounded = affine(0, 15)(values[None], np.float32([[lo]]), np.float32([[hi]]))[0]
    scale, zero_point = choose("onnxruntime", float(np.float32(lo)), float(np.float32(hi)), "uint4")
    for value, found in zip(values.tolist(), rounded.tolist(), strict=True):
        code = min(max(round(value / float(np.float32(scale))) + zero_point, 0), 15)
        assert found == (code - zero_point) * float(np.float32(scale))


def test_signs_have_their_mean_as_the_scale_whatever_the_least_one_is():
    """Columns of zeros, which have no code, get 2**-20 of the largest mean, or the least scale above it."""
    w = W.copy()
    w[:, 2], w[:, 4] = 0, 0
    least = np.array([100.0, 0, 0, 100, 0.5])
    found = quantized_weights(w, "bipolar", Recipe(), least_scale=least).grid.scale
    means = [np.float32(sum(abs(float(x)) for x in w[:, n]) / 37) for n in (0, 1, 3)]
    assert found[[0, 1, 3]].tolist() == pytest.approx(means, rel=1e-6)
    assert found[2] == pytest.approx(max(means) * 2.0**-20, rel=1e-6) and found[4] == 0.5
    small = quantized_weights(w * np.float32(2.0**-30), "bipolar", Recipe()).grid.scale
    assert small[4] == pytest.approx(max(means) * 2.0**-50, rel=1e-6)
    assert quantized_weights(np.zeros((3, 2)), "bipolar", Recipe()).grid.scale.tolist() == [2.0**-20] * 2


@pytest.mark.parametrize("name", ["float4_e2m1fn", "float8_e4m3fn", "sm4"])
def test_zero_has_no_sign(name):
    found = quantized_weights(np.array([[-0.0], [0.0], [1.0], [-1.0]]), name, Recipe())
    codes = found.arrays["w"][:, 0].tolist()
    assert codes[:2] == [0, 0] and codes[2] < codes[3]
