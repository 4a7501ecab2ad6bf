"""Real activations to codes as they come: by the range of the batch itself, or of its blocks."""

from dataclasses import dataclass

import numpy as np

from golden.block_formats import NAMED_BLOCKS
from golden.calibrate import choose
from golden.formats import Integer, parse
from golden.group_scales import dequantize, quantize_nvfp4
from golden.microscaling import BLOCK_FORMATS, dequantize_blocks, quantize_blocks
from golden.minifloat import E8M0_BIAS, MiniFloat
from golden.quantize import quantize

from .scales import grid_scale


@dataclass(frozen=True, eq=False)
class Taken:
    """Activations in codes: `arrays` for golden.tensors.operands (a [M, K] or [M, K, N], and what belongs to it), the
    float32 scale that stands before all of them, and the real numbers that they stand for, float64, as a."""

    arrays: dict
    scale: np.float32
    values: np.ndarray


def spec_fields(name: str) -> dict:
    """The fields of a Spec for activations of a format. Raises ValueError for those that have no dynamic range."""
    if name in NAMED_BLOCKS:
        block = NAMED_BLOCKS[name]
        return {"activations": block.element, "block": block.block, "a_block_scale": block.scale}
    fmt = parse(name)
    if isinstance(fmt, MiniFloat):
        return {"activations": fmt}
    if isinstance(fmt, Integer) and not fmt.fraction and fmt.width > 1:
        return {"activations": fmt, "a_zero_point": not fmt.signed}
    raise ValueError(f"dynamic activations must be an integer, a small float or a named block, not {name}")


def taken(name: str, rows, lo, hi) -> Taken:
    """Codes of rows [M, K] or [M, K, N], float32, of a tensor whose values lie in lo..hi.

    Unsigned integers: ONNX's DynamicQuantizeLinear. Signed ones: symmetric, the larger magnitude on the largest code,
    as TFLite's (golden.calibrate). Small floats: the larger magnitude on the largest number. Blocks of a row: by
    golden.microscaling and golden.group_scales.
    """
    if name in NAMED_BLOCKS:
        return _nvfp4(rows, NAMED_BLOCKS[name]) if name not in BLOCK_FORMATS else _microscaling(rows, name)
    fmt = parse(name)
    if isinstance(fmt, MiniFloat):
        return _floats(rows, lo, hi, fmt)
    if isinstance(fmt, Integer):
        return _integers(rows, lo, hi, fmt)
    raise TypeError(f"{name} has no dynamic range")


def _floats(rows, lo, hi, fmt: MiniFloat) -> Taken:
    scale = np.float32(grid_scale(max(-lo, hi) / np.float32(fmt.largest)))
    codes = fmt.encode(rows / scale + 0)
    return Taken({"a": codes}, scale, fmt.value(codes) * np.float64(scale))


def _integers(rows, lo, hi, fmt: Integer) -> Taken:
    scale, zero_point = choose("tflite" if fmt.signed else "onnx-dynamic", lo, hi, str(fmt), symmetric=fmt.signed)
    codes = quantize(rows, np.float32(scale), zero_point, str(fmt))
    arrays = {"a": codes} if fmt.signed else {"a": codes, "a_zero_point": zero_point}
    return Taken(arrays, np.float32(scale), (codes - zero_point) * np.float64(scale))


def _microscaling(rows, name) -> Taken:
    codes, exponents = quantize_blocks(rows, name)
    arrays = {"a": codes, "a_block_scale": exponents + E8M0_BIAS}
    return Taken(arrays, np.float32(1), dequantize_blocks(codes, exponents, name))


def _nvfp4(rows, block) -> Taken:
    found = quantize_nvfp4(rows)
    arrays = {"a": found.codes, "a_block_scale": found.scales}
    return Taken(arrays, np.float32(found.tensor_scale), dequantize(found, block.element, block.scale, block.block))
