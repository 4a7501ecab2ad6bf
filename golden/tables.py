"""Functions of one code as tables: one output code for each input code (docs/arithmetic.md, equation 9.3)."""

import math

import numpy as np

from .float_scale import round_real
from .formats import Integer


def _sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _gelu(x):
    """The exact form, by the error function."""
    return x * (1 + math.erf(x / math.sqrt(2))) / 2


def _hard_swish(x):
    return x * min(max(x + 3, 0), 6) / 6


FUNCTIONS = {"sigmoid": _sigmoid, "tanh": math.tanh, "gelu": _gelu, "hard_swish": _hard_swish}
MOST_BITS = 16


def table(
    function, *, x_format, x_scale, y_format, y_scale, x_zero_point=0, y_zero_point=0, rounding="half_even"
) -> tuple[int, ...]:
    """Output codes for all codes of x_format, from the smallest on.

        y = saturate(round(function(x_scale * (x - x_zero_point)) / y_scale) + y_zero_point)

    in float64, `function` a name of FUNCTIONS or any function of a float. The table is the definition: whoever reads
    it gives the same codes, whatever the last bit of his exponential.

    Raises ValueError for an unknown name, a scale that is not positive, a format that is no integer or too wide, and a
    function that gives NaN.
    """
    if isinstance(function, str):
        if function not in FUNCTIONS:
            raise ValueError(f"function must be one of {', '.join(FUNCTIONS)}, not {function!r}")
        function = FUNCTIONS[function]
    for name, fmt in (("x_format", x_format), ("y_format", y_format)):
        if not isinstance(fmt, Integer) or fmt.width > MOST_BITS:
            raise ValueError(f"{name} must be an integer format of at most {MOST_BITS} bits, not {fmt}")
    for name, scale in (("x_scale", x_scale), ("y_scale", y_scale)):
        if not (math.isfinite(scale) and scale > 0):
            raise ValueError(f"{name} must be a positive number, not {scale}")
    for name, code, fmt in (("x_zero_point", x_zero_point, x_format), ("y_zero_point", y_zero_point, y_format)):
        lo, hi = fmt.code_range
        if not lo <= code <= hi:
            raise ValueError(f"{name} is {code}, outside {fmt} [{lo}, {hi}]")
    lo, hi = x_format.code_range
    values = np.array([function(float(x_scale) * (code - x_zero_point)) for code in range(lo, hi + 1)])
    if np.isnan(values).any():
        raise ValueError(f"the function gives NaN for code {lo + int(np.argmax(np.isnan(values)))}")
    with np.errstate(over="ignore"):
        codes = round_real(values / float(y_scale), rounding) + y_zero_point
    return tuple(int(code) for code in y_format.saturate(codes))
