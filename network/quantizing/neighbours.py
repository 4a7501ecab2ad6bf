"""The codes of a format's next number below and above."""

import numpy as np

from golden.formats import Bipolar, Codebook, Integer, Ternary
from golden.nearest import levels_of
from golden.signed_formats import SignMagnitude

from ..quantized_weights import QuantizedWeights


def next_codes(weights: QuantizedWeights, direction: int) -> np.ndarray:
    """Codes [K, N] of the numbers next to the weights' own: above for direction 1, below for -1; the same at the end.

    Signed integers do not take the least code, as symmetric grids do not.
    """
    fmt, codes = weights.grid.fmt, weights.arrays["w"]
    if isinstance(fmt, Integer | Ternary | Bipolar | Codebook):
        lo, hi = fmt.code_range
        least = -hi if isinstance(fmt, Integer) and fmt.signed else lo
        return np.clip(codes + direction, np.minimum(least, codes), hi)
    if isinstance(fmt, SignMagnitude):
        top = fmt.decoded_range[1]
        values = np.clip(fmt.decode(codes) + direction, -top, top)
        return np.where(values < 0, -values | 1 << fmt.width - 1, values)
    levels, first = levels_of(fmt)
    place = np.searchsorted(levels, np.asarray(fmt.decode(codes), np.float64)) + direction
    return first[np.clip(place, 0, len(levels) - 1)]
