"""Average pooling, addition and rescaling where platforms disagree."""

import numpy as np

from golden import platforms
from golden.pool_add import mean


def test_average_pool_of_ties():
    """Codes with zero point -7; each window's mean is a tie."""
    windows = np.array([[-7, -6], [-8, -7], [0, 1], [3, 4], [-2, -1]])
    where = {"x_zero_point": -7, "y_zero_point": -7}
    of = {
        name: platforms.average_pool(name, windows, **where).tolist()
        for name in ("tflite-micro", "tosa", "onnxruntime")
    }
    assert of == {
        "tflite-micro": [-7, -8, 1, 4, -2],  # the code away from zero
        "tosa": [-6, -8, 1, 4, -1],  # code + 7 away from zero
        "onnxruntime": [-6, -8, 0, 4, -2],  # the code to even
    }


def test_mean_is_c_division_with_half_the_count_added():
    for count in range(1, 65):
        totals = np.arange(-128 * count, 127 * count + 1)
        c = [(t + count // 2) // count if t > 0 else -((count // 2 - t) // count) for t in totals.tolist()]
        assert mean(totals, count, "half_away").tolist() == c


def test_tosa_reciprocal_is_half_away():
    """TOSA divides by a multiplication with a biased reciprocal of 31 bits."""
    for count in range(1, 257):
        totals = np.arange(-255 * count, 255 * count + 1, max(1, count // 7))
        k = (count - 1).bit_length()
        multiplier = ((2**30 + 1) << k) // count
        assert mean(totals, count, "half_away").tolist() == ((totals * multiplier + (1 << 29 + k)) >> 30 + k).tolist()


def test_xnnpack_adds_with_short_multipliers():
    """Both rules on all pairs of codes: outputs differ by one, at ties, where scales are powers of two."""
    x = np.stack(np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)), -1).reshape(-1, 2)
    shares = {}
    for scales in ((0.25, 0.125, 0.5), (0.031, 0.044, 0.057)):
        how = {"x_scales": scales[:2], "y_scale": scales[2], "x_zero_points": (3, -4), "y_zero_point": 5}
        tflite, xnnpack = (platforms.add(name, x[:, 0], x[:, 1], **how) for name in ("tflite-micro", "litert-xnnpack"))
        assert np.abs(tflite - xnnpack).max() <= 1
        shares[scales[0]] = float((tflite != xnnpack).mean())
    assert shares[0.031] < 0.001
    assert 0.1 < shares[0.25] < 0.2


def test_rescaling_with_an_8_bit_factor():
    """int8 to int8: XNNPACK keeps 8 bits of the quotient of the scales, the others 31; ruy takes ties up."""
    codes = np.arange(-128, 128)
    where = {"x_zero_point": -3, "y_zero_point": 2}
    generic = {
        name: platforms.rescale(name, codes, x_scale=0.021, y_scale=0.037, **where)
        for name in ("tflite-micro", "litert-ruy-x86", "litert-xnnpack")
    }
    assert 0 < (generic["tflite-micro"] != generic["litert-xnnpack"]).sum() < 30
    assert np.array_equal(generic["tflite-micro"], generic["litert-ruy-x86"])
    quarter = {
        name: platforms.rescale(name, [-6, -2, 2, 6], x_scale=0.25, y_scale=1.0).tolist()
        for name in ("tflite-micro", "litert-ruy-x86", "litert-xnnpack")
    }
    assert quarter == {
        "tflite-micro": [-2, -1, 1, 2],
        "litert-ruy-x86": [-1, 0, 1, 2],
        "litert-xnnpack": [-1, 0, 1, 2],
    }
