"""A multiplication and an addition with one rounding, as processors have them."""

import numpy as np


def fused_multiply_add(a, b, c) -> np.ndarray:
    """float32(a * b + c) for float32 numbers, rounded once, to nearest even.

    The product is exact in float64. The float64 sum is rounded to odd: where it is not exact and even, it moves by one
    in its last place towards the exact sum, so that rounding it to float32 cannot meet a tie that the exact sum is not.
    """
    product, c = np.float64(a) * np.float64(b), np.float64(c)
    total = product + c
    part = total - product
    error = (product - (total - part)) + (c - part)
    even = total.view(np.int64) & 1 == 0
    odd = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
    return np.where((error != 0) & even, odd, total).astype(np.float32)
