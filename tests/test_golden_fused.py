"""The fused multiply-add against fractions."""

from fractions import Fraction

import numpy as np

from golden.fused import fused_multiply_add


def nearest(value):
    """The float32 nearest to a fraction, ties to even, by looking at its neighbours."""
    close = np.float32(float(value))
    around = [np.nextafter(close, np.float32(-np.inf)), close, np.nextafter(close, np.float32(np.inf))]
    return min(around, key=lambda x: (abs(Fraction(float(x)) - value), int(x.view(np.int32)) & 1))


def test_fused_multiply_add():
    draw = np.random.default_rng(5)
    unfused = 0
    for _ in range(5000):
        a, b, c = np.float32(draw.normal(0, 1, 3) * 2.0 ** draw.integers(-14, 14, 3))
        exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
        assert fused_multiply_add(a, b, c) == nearest(exact)
        unfused += int(np.float32(a * b + c) != nearest(exact))
    assert unfused > 500


def test_rounding_twice_would_show():
    """2**-70 below a tie of float32: float64 gives the tie, which goes to even."""
    a, b, c = np.float32([1 + 2.0**-23, (1 - 2.0**-23) * 2.0**-24, 1 + 2.0**-23])
    for sign in (1, -1):
        assert np.float32(np.float64(a) * np.float64(b) * sign + np.float64(c) * sign) == sign * (1 + 2.0**-22)
        assert fused_multiply_add(a, b * np.float32(sign), c * np.float32(sign)) == sign * c
