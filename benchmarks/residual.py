"""Signal to quantization noise in dB of normal numbers, as one code each and as two codes r bits apart.

16384 numbers of mean 0 and deviation 1, seed 0; the scale of least mean square error (golden.residual.best_scale).
Passes is how often the array takes K.
"""

import numpy as np

from golden.formats import parse
from golden.residual import sqnr

ALONE = ("int8", "int6", "int4", "int3", "int2", "bipolar")
TWO = (("int4", 4), ("int4", 3), ("int3", 3), ("int2", 2), ("bipolar", 1), ("pot4", 3))


def table():
    """Rows of cells, the header first."""
    x = np.random.default_rng(0).normal(0, 1, 1 << 14)
    yield "codes", "r", "bits of both", "passes", "SQNR, dB"
    yield "---", "---", "---", "---", "---"
    for name in ALONE:
        fmt = parse(name)
        yield name, "-", str(fmt.width), "1", f"{sqnr(x, fmt):.1f}"
    for name, r in TWO:
        fmt = parse(name)
        yield f"{name} + {name}", str(r), str(2 * fmt.width), "2", f"{sqnr(x, fmt, r):.1f}"
