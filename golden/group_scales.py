"""Real values to codes whose blocks share scales: groups of integers with zero points, two levels of scales, nvfp4.

All take x [..., K] with blocks along the last axis, the last one may be short, and compute in float32, each operation
rounded, as the sources do. Codes are int64; the arrays that a design takes for W are the transposes.
"""

from dataclasses import dataclass

import numpy as np

from .float_scale import round_real
from .formats import Format, Integer, parse
from .minifloat import MINIFLOATS, MiniFloat
from .scale_formats import SCALE_FLOATS

NVFP4_BLOCK = 16
_E2M1, _E4M3 = MINIFLOATS["float4_e2m1fn"], MINIFLOATS["float8_e4m3fn"]
_LEAST_E4M3 = 2.0**-6  # its smallest normal number
_LEAST_RANGE = np.float32(1e-5)


@dataclass(frozen=True)
class Groups:
    """codes [..., K]; per block, [..., ceil(K / block)], the codes of its scale and its zero point.

    `tensor_scale` is one float32 for all, or one for each channel [...]; 1 where there is none.
    """

    codes: np.ndarray
    scales: np.ndarray
    zero_points: np.ndarray
    tensor_scale: np.ndarray


def quantize_groups(x, fmt="int4", block=128, rule="gptq", scale="float16") -> Groups:
    """Integers with a scale and a zero point for each group, the layout of 4-bit weights of language models.

        s = (hi - lo) / (2**n - 1),    z = least + round(-lo / s),    code = clamp(round(x / s) + z)

    round is half_even and the code lies in the n-bit format, whose smallest code is `least`. By rule: "gptq": lo and hi
    are the extremes of the group and zero, -1 and 1 where all is zero; "awq": the extremes of the group alone, hi - lo
    at least 1e-5, and z is clamped to the format; "symmetric": lo = -hi, s = hi / (2**(n-1) - 1) and z = 0, signed
    formats only. s is then rounded to the format `scale`; codes are those of the scale before, as the sources have it.

    Sources: IST-DASLab/gptq: quant.py; mit-han-lab/llm-awq: quantize/quantizer.py (pseudo_quantize_tensor).

    Raises ValueError for unknown names, formats that do not fit, and scales that `scale` cannot hold.
    """
    fmt = parse(fmt)
    if rule not in _RANGES:
        raise ValueError(f"unknown rule {rule!r}; known are {', '.join(_RANGES)}")
    if not isinstance(fmt, Integer) or (rule == "symmetric" and not fmt.signed):
        kind = "a signed" if rule == "symmetric" else "an"
        raise ValueError(f"groups of rule {rule!r} need {kind} integer format, not {fmt}")
    blocks = _in_blocks(_checked(x), block, last_value=True)
    step, zero = _RANGES[rule](blocks.min(axis=-1), blocks.max(axis=-1), fmt)
    codes = np.clip(round_real(blocks / step[..., None], "half_even") + zero[..., None], *fmt.code_range)
    return Groups(_flat(codes, np.shape(x)), scale_codes(step, scale), zero, np.asarray(1, np.float32))


def _checked(x):
    x = np.asarray(x, np.float32)
    if not np.isfinite(x).all():
        raise ValueError("blocks must hold finite numbers")
    return x


def _gptq(lo, hi, fmt):
    lo, hi = np.minimum(lo, 0), np.maximum(hi, 0)
    nothing = (lo == 0) & (hi == 0)
    return _asymmetric(np.where(nothing, np.float32(-1), lo), np.where(nothing, np.float32(2), hi - lo), fmt)


def _awq(lo, hi, fmt):
    step, zero = _asymmetric(lo, np.maximum(hi - lo, _LEAST_RANGE), fmt)
    return step, np.clip(zero, *fmt.code_range)


def _asymmetric(lo, width, fmt):
    """Step and zero point of the interval from lo on, of some width."""
    least, most = fmt.code_range
    step = width / np.float32(most - least)
    return step, least + round_real(-lo / step, "half_even")


def _symmetric(lo, hi, fmt):
    step = np.maximum(np.abs(lo), np.abs(hi)) / np.float32(fmt.code_range[1])
    return np.where(step > 0, step, np.float32(1)), np.zeros(np.shape(step), np.int64)


_RANGES = {"gptq": _gptq, "awq": _awq, "symmetric": _symmetric}


def scale_codes(values, name) -> np.ndarray:
    """Codes of scales in a format of floats, rounded to nearest, ties to even. Raises ValueError beyond it."""
    formats = {**SCALE_FLOATS, **MINIFLOATS}
    if name not in formats:
        raise ValueError(f"scale must be one of {', '.join(formats)}, not {name!r}")
    fmt = formats[name]
    if (values > fmt.largest).any():
        raise ValueError(f"scale {values.max()} is beyond {name}, whose largest number is {fmt.largest}")
    return fmt.encode(values)


def quantize_two_level(x, bits=4, scale_bits=6, block=16) -> Groups:
    """VS-Quant: signed integers, an unsigned integer scale for each block, and one float32 scale for each channel.

        s = max|x| / (2**(bits - 1) - 1)       of each block
        g = max s / (2**scale_bits - 1)        of each channel, a vector along the last axis
        scale = round(s / g)                   code of an unsigned integer of scale_bits
        code = clamp(round(x / s))             to +-(2**(bits - 1) - 1)

    so that x is about g * scale * code. The codes of a block whose scale is zero, or rounds to zero, count nothing.
    Rounding is half_even. Source: Dai et al. 2021, VS-Quant, arXiv 2102.04503.
    """
    blocks = _in_blocks(_checked(x), block)
    top, most = np.float32((1 << bits - 1) - 1), np.float32((1 << scale_bits) - 1)
    step = np.abs(blocks).max(axis=-1) / top
    channel = step.max(axis=-1) / most
    channel = np.where(channel > 0, channel, np.float32(1))
    scales = round_real(step / channel[..., None], "half_even")
    codes = round_real(blocks / np.where(step > 0, step, np.float32(1))[..., None], "half_even")
    codes = np.clip(codes, -int(top), int(top))
    return Groups(_flat(codes, np.shape(x)), np.minimum(scales, int(most)), np.zeros_like(scales), channel)


def quantize_nvfp4(x, tensor_scale=None) -> Groups:
    """float4_e2m1fn in blocks of 16 with a float8_e4m3fn scale each, and one float32 scale for the tensor.

        t = max|x| / (448 * 6)                             of the whole tensor, unless given; 1 where all is zero
        s = e4m3(clamp(max|x| / 6 / t, 2**-6, 448))        of each block
        code = e2m1(clamp(x / (t * s), -6, 6))

    so that x is about t * s * code. Source: pytorch/ao: torchao/prototype/mx_formats/nvfp4_tensor.py. NVIDIA's own
    recipe (arXiv 2509.25149) multiplies by reciprocals where this divides, and may differ in the last place.
    """
    x = _checked(x)
    blocks = _in_blocks(x, NVFP4_BLOCK)
    whole = np.abs(x).max(initial=0) / np.float32(448 * 6) if tensor_scale is None else np.float32(tensor_scale)
    whole = np.float32(whole if whole > 0 else 1)
    wanted = np.abs(blocks).max(axis=-1) / np.float32(6) / whole
    scales = _E4M3.encode(np.clip(wanted, _LEAST_E4M3, 448))
    step = whole * _E4M3.value(scales).astype(np.float32)
    codes = _E2M1.encode(blocks / step[..., None])
    return Groups(_flat(codes, x.shape), scales, np.zeros_like(scales), np.asarray(whole))


def dequantize(groups: Groups, fmt: Format | str, scale: Format | str, block) -> np.ndarray:
    """float64 values [..., K]: tensor scale * scale * (code - zero point), exact but for the tensor scale's product."""
    fmt, scale = (parse(one) if isinstance(one, str) else one for one in (fmt, scale))
    depth = groups.codes.shape[-1]
    scales, zeros = (np.repeat(one, block, axis=-1)[..., :depth] for one in (groups.scales, groups.zero_points))
    channel = np.asarray(groups.tensor_scale, np.float64)
    channel = channel[..., None] if channel.ndim else channel
    return channel * _real(scale, scales) * (_real(fmt, groups.codes) - zeros * 2.0**-fmt.fraction)


def _real(fmt, codes):
    return fmt.value(codes) if isinstance(fmt, MiniFloat) else fmt.decode(codes) * 2.0**-fmt.fraction


def _in_blocks(x, block, *, last_value=False):
    """[..., blocks, block]; a short block is filled with zeros, or with its last value."""
    missing = -x.shape[-1] % block
    padding = [(0, 0)] * (x.ndim - 1) + [(0, missing)]
    padded = np.pad(x, padding, mode="edge") if last_value else np.pad(x, padding)
    return padded.reshape(*x.shape[:-1], -1, block)


def _flat(blocks, shape):
    return blocks.reshape(*blocks.shape[:-2], -1)[..., : shape[-1]]
