"""Faults of block scales and zero points: another block's, none at all, misread."""

import numpy as np

from golden.blocks import spread
from golden.formats import Integer
from golden.minifloat import MiniFloat
from golden.scale_formats import PowerScale

from .machine import Hypothesis

_WORDS = {"a_block_scale": "scales of activations", "w_block_scale": "scales of weights"}


def block_faults(machine):
    """Faults that change scales, or zero points, of blocks."""
    spec = machine.spec
    for name, fmt in spec.scale_formats.items():
        axis = 1 if name == "a_block_scale" else 0
        for cause, change in (*_moves(machine, axis), *_misread(fmt)):
            yield _rescaled(name, f"{_WORDS[name]}: {cause}", change)
        yield from _counted_one(spec, name, fmt)
    if spec.w_block_zero_point:
        for cause, change in _moves(machine, 0):
            yield _rezeroed(f"zero points of blocks: {cause}", change)


def _moves(machine, axis):
    """Codes of other blocks: (cause, change)."""
    count = machine.spec.blocks(machine.tiling.k)
    if count < 2:
        return
    block = np.arange(count)
    sources = {
        "each block takes that of the block before": np.maximum(block - 1, 0),
        "each block takes that of the next block": np.minimum(block + 1, count - 1),
        "all blocks take that of the first": np.zeros_like(block),
        "all blocks take that of the last": np.full_like(block, count - 1),
        "blocks take them in reverse order": block[::-1],
    }
    for cause, source in sources.items():
        yield cause, lambda codes, source=source: codes.take(source, axis=axis)


def _misread(fmt):
    """Codes misread: (cause, change); the changed codes are decoded as ever."""
    if isinstance(fmt, PowerScale):
        lo, hi = fmt.code_range
        for word, step in (("large", 1), ("small", -1)):
            yield f"exponents are one too {word}", lambda codes, step=step: _stepped(fmt, codes, step, lo, hi)
    if isinstance(fmt, MiniFloat):
        yield "the sign is lost", lambda codes: codes & (1 << fmt.width - 1) - 1
        one = 1 << fmt.mantissa_bits
        for word, step in (("large", one), ("small", -one)):
            yield f"exponents are one too {word}", lambda codes, step=step: _exponents(fmt, codes, step)
        yield (
            "subnormal numbers count as zero",
            lambda codes: np.where((codes & (1 << fmt.width - 1) - 1) < one, codes & 1 << fmt.width - 1, codes),
        )
    if isinstance(fmt, Integer):
        yield "the top bit is lost", lambda codes: codes & (1 << fmt.width - 1) - 1


def _stepped(fmt, codes, step, lo, hi):
    return np.where(fmt.is_number(codes), np.clip(codes + step, lo, hi), codes)


def _exponents(fmt, codes, step):
    """The codes with another exponent field, where that is a number too and the field is not 0."""
    magnitude = codes & (1 << fmt.width - 1) - 1
    moved = magnitude + step
    normal = (magnitude >> fmt.mantissa_bits > 0) & (moved >> fmt.mantissa_bits > 0) & (moved <= fmt.largest_code)
    return np.where(normal & fmt.is_number(codes), codes + step, codes)


def _rescaled(name, cause, change):
    def y(window):
        return window.codes(window.accumulate(window.a, window.w, **{name: change(window.extras[name])}))

    return Hypothesis("scale", cause, y)


def _counted_one(spec, name, fmt):
    """Scales that are ignored: each counts as one, or as one step of its grid where sums are exact."""
    if isinstance(fmt, PowerScale):
        code = 127 if spec.is_float_sum else fmt.least
    else:
        code = fmt.bias << fmt.mantissa_bits if isinstance(fmt, MiniFloat) else 1 << fmt.fraction
    yield _rescaled(name, f"{_WORDS[name]}: they are ignored", lambda codes: np.full_like(codes, code))


def _rezeroed(cause, change):
    def y(window):
        moved = change(window.extras["w_block_zero_point"])
        w = window.w + window.w_zero_points - spread(moved, window.spec.block, len(window.w))
        return window.codes(window.accumulate(window.a, w))

    return Hypothesis("zero point", cause, y)
