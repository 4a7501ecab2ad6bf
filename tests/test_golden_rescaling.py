"""Rescaling of codes where platforms disagree."""

import numpy as np
import pytest

from golden import platforms

NAMES = ("tflite-micro", "litert-ruy-x86", "litert-xnnpack", "tosa", "tosa-double", "tosa-int16")


def rescaled(codes, **how):
    return {name: platforms.rescale(name, codes, **how) for name in NAMES}


def test_rescaling_with_short_factors():
    """int8 to int8: XNNPACK keeps 8 bits of the quotient of the scales, TOSA's scale16 15, the others 31."""
    codes = np.arange(-128, 128)
    of = rescaled(codes, x_scale=0.021, y_scale=0.037, x_zero_point=-3, y_zero_point=2)
    assert 0 < (of["tflite-micro"] != of["litert-xnnpack"]).sum() < 30
    assert all(np.array_equal(of["tflite-micro"], of[name]) for name in ("litert-ruy-x86", "tosa", "tosa-double"))
    wide = {"x_scale": 0.021, "y_scale": 0.0000037, "y_format": "int32"}
    short, long = (platforms.rescale(name, codes, **wide) for name in ("tosa-int16", "tosa"))
    assert (short != long).sum() > 200 and np.abs(short - long).max() < 16


def test_ties():
    of = {name: codes.tolist() for name, codes in rescaled([-6, -2, 2, 6], x_scale=0.25, y_scale=1.0).items()}
    up, away = [-1, 0, 1, 2], [-2, -1, 1, 2]
    assert of == {
        "tflite-micro": away,
        "litert-ruy-x86": up,
        "litert-xnnpack": up,
        "tosa": up,
        "tosa-double": away,
        "tosa-int16": up,
    }


def test_tosa_leaves_large_factors_unpredictable():
    with pytest.raises(ValueError) as error:
        platforms.rescale("tosa", [100], x_scale=2.0**24, y_scale=1.0, y_format="int32")
    assert str(error.value) == "a sum is outside 2**(30 - shift), which tosa leaves unpredictable"
