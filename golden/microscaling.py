"""Blocks with a shared exponent: OCP Microscaling (MX) formats, and the ways to choose the exponent.

A block holds `block` elements P[i] of one format and one exponent X, a power of two:

    value[i] = 2**X * P[i]

The exponent is stored as an E8M0 code, X + 127. Source: OCP Microscaling Formats (MX) Specification 1.0; for the other
rules pytorch/ao: torchao/prototype/mx_formats, the TOSA specification 1.1 (CAST_TO_BLOCK_SCALED).
"""

from dataclasses import dataclass

import numpy as np

from .float_scale import round_real
from .formats import Integer
from .minifloat import E8M0_BIAS, MINIFLOATS, MiniFloat

BLOCK = 32
_LEAST, _MOST = -E8M0_BIAS, E8M0_BIAS


@dataclass(frozen=True)
class BlockFormat:
    """`element` codes; of integers, `fraction` bits are behind the binary point, and the least code is not used."""

    name: str
    element: MiniFloat | Integer

    @property
    def largest(self):
        """The largest element."""
        if isinstance(self.element, MiniFloat):
            return self.element.largest
        return self.element.code_range[1] / 2**self.element.fraction

    @property
    def top_exponent(self):
        """Exponent of the largest power of two among the elements."""
        return int(np.frexp(self.largest)[1]) - 1

    @property
    def last_step(self):
        """Distance of the two largest elements."""
        bits = self.element.mantissa_bits if isinstance(self.element, MiniFloat) else self.element.width - 2
        return 2.0 ** (self.top_exponent - bits)

    def value(self, codes) -> np.ndarray:
        """float64 elements, exact."""
        if isinstance(self.element, MiniFloat):
            return self.element.value(codes)
        return np.asarray(codes, np.float64) / 2**self.element.fraction

    def encode(self, values, rounding="half_even") -> np.ndarray:
        """Codes of the nearest elements, saturating."""
        if isinstance(self.element, MiniFloat):
            return self.element.encode(values, rounding=rounding)
        codes = round_real(np.asarray(values) * 2.0**self.element.fraction, rounding)
        top = self.element.code_range[1]
        return np.clip(codes, -top, top)


BLOCK_FORMATS = {
    fmt.name: fmt
    for fmt in (
        BlockFormat("mxint8", Integer(8, signed=True, fraction=6)),
        BlockFormat("mxfp8_e4m3", MINIFLOATS["float8_e4m3fn"]),
        BlockFormat("mxfp8_e5m2", MINIFLOATS["float8_e5m2"]),
        BlockFormat("mxfp6_e3m2", MINIFLOATS["float6_e3m2fn"]),
        BlockFormat("mxfp6_e2m3", MINIFLOATS["float6_e2m3fn"]),
        BlockFormat("mxfp4", MINIFLOATS["float4_e2m1fn"]),
    )
}


def _floor_log2(x):
    return np.frexp(x)[1] - 1


def _ceil_log2(x):
    fraction, exponent = np.frexp(x)
    return np.where(fraction == 0.5, exponent - 1, exponent)


def _floor(largest, fmt):
    return _floor_log2(largest) - fmt.top_exponent


def _ceil(largest, fmt):
    return _ceil_log2(largest) - fmt.top_exponent


def _even(largest, fmt):
    """The largest value is first rounded to the element's precision, ties up to the next power of two."""
    bits = fmt.element.mantissa_bits if isinstance(fmt.element, MiniFloat) else fmt.element.width - 2
    fraction, exponent = np.frexp(largest)
    carries = fraction * 2 >= 2 - 2.0 ** -(bits + 1)
    return exponent - 1 + carries - fmt.top_exponent


def _ceil_of_quotient(largest, fmt):
    return _ceil_log2(np.asarray(largest, np.float64) / fmt.largest)


def _no_saturation(largest, fmt):
    """The least exponent with which the largest value, rounded, is still an element."""
    limit = fmt.largest + fmt.last_step / 2
    tie_stays = (fmt.largest / fmt.last_step) % 2 == 0
    quotient = np.asarray(largest, np.float64) / limit
    return _ceil_log2(quotient) if tie_stays else _floor_log2(quotient) + 1


EXPONENT_RULES = {
    "floor": _floor,
    "ceil": _ceil,
    "even": _even,
    "ceil_of_quotient": _ceil_of_quotient,
    "no_saturation": _no_saturation,
}


def shared_exponents(x, fmt, rule="floor", block=BLOCK) -> np.ndarray:
    """Exponents [..., ceil(K / block)], int64, of float32 blocks along the last axis of x [..., K].

    `floor`: that of the largest magnitude less that of the largest element (OCP's conversion, gfloat, torchao FLOOR);
    `ceil`: the next one unless the magnitude is a power of two (torchao CEIL); `even`: of the magnitude rounded to the
    element's bits (torchao EVEN); `ceil_of_quotient`: ceil(log2(magnitude / largest element)) (torchao RCEIL);
    `no_saturation`: the least with which nothing saturates (TOSA). At least -127, also where all is zero; at most 127.

    Raises ValueError for NaN, infinities, and unknown names.
    """
    fmt = block_format(fmt)
    if rule not in EXPONENT_RULES:
        raise ValueError(f"unknown exponent rule {rule!r}; known are {', '.join(EXPONENT_RULES)}")
    x = np.asarray(x, np.float64)
    if not np.isfinite(x).all():
        raise ValueError("blocks must hold finite numbers")
    largest = np.abs(_in_blocks(x, block)).max(axis=-1)
    exponents = EXPONENT_RULES[rule](np.where(largest > 0, largest, 1), fmt)
    return np.where(largest > 0, np.clip(exponents, _LEAST, _MOST), _LEAST).astype(np.int64)


def quantize_blocks(x, fmt, rule="floor", block=BLOCK, rounding="half_even"):
    """(codes [..., K], exponents [..., ceil(K / block)]) of x [..., K]; elements saturate."""
    fmt = block_format(fmt)
    exponents = shared_exponents(x, fmt, rule, block)
    x = np.asarray(x, np.float64)
    return fmt.encode(np.ldexp(x, -_spread(exponents, x.shape[-1], block)), rounding), exponents


def dequantize_blocks(codes, exponents, fmt, block=BLOCK) -> np.ndarray:
    """float64 values [..., K], exact."""
    codes = np.asarray(codes)
    return np.ldexp(block_format(fmt).value(codes), _spread(exponents, codes.shape[-1], block))


def block_format(fmt) -> BlockFormat:
    """The block format of that name. Raises ValueError for a name that none has."""
    if isinstance(fmt, BlockFormat):
        return fmt
    if fmt not in BLOCK_FORMATS:
        raise ValueError(f"unknown block format {fmt!r}; known are {', '.join(BLOCK_FORMATS)}")
    return BLOCK_FORMATS[fmt]


def _in_blocks(x, block):
    missing = -x.shape[-1] % block
    return np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)]).reshape(*x.shape[:-1], -1, block)


def _spread(exponents, depth, block):
    return np.repeat(exponents, block, axis=-1)[..., :depth]
