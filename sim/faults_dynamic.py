"""Faults of dynamic quantization: the range, the tile it is of, what becomes of its ends, the last rounding."""

from dataclasses import replace

import numpy as np

from golden.float_scale import round_real
from golden.rounding import ROUNDINGS

from .machine import Hypothesis

LEVELS = np.float32(255)


def dynamic_faults(machine):
    """Faults of requantize "dynamic"."""
    if machine.spec.requantize == "dynamic":
        for kind in (_tiles, _ranges, _zero_points, _roundings):
            yield from kind(machine)


def in_whole(fault):
    """A fault whose outputs are computed for the whole product, once: a part of a tile does not tell its range."""
    kept = []

    def y(window):
        if not kept:
            kept.append(fault.y(window.machine.window()))
        whole = window.machine.window()
        return kept[0][np.ix_(np.searchsorted(whole.rows, window.rows), np.searchsorted(whole.cols, window.cols))]

    return replace(fault, y=y)


def _tiles(machine):
    """The range of another tile."""
    spec, tiles = machine.spec, machine.tiling.tiles
    own = spec.dynamic_scale == "same_tile"
    named = {True: "its own sums", False: "the tile before"}
    cause = f"each tile is scaled by the range of {named[not own]}, not of {named[own]}"
    yield Hypothesis("range", cause, lambda window: _codes(window, own=not own))
    if tiles > 2:
        yield Hypothesis(
            "range", "all tiles are scaled by the range of the first", lambda window: _codes(window, first=True)
        )
        yield Hypothesis(
            "range", "the range is not cleared between tiles", lambda window: _codes(window, cleared=False)
        )


def _ranges(machine):
    """Another scale from the right sums."""
    cause = "zero is not included in the range"
    yield Hypothesis("range", cause, lambda window: _codes(window, with_zero=False))
    for steps in (256, 254):
        cause = f"the range is divided by {steps} instead of 255"
        yield Hypothesis("range", cause, lambda window, steps=steps: _codes(window, steps=np.float32(steps)))
    cause = "the range is symmetric: twice the larger magnitude"
    yield Hypothesis("range", cause, lambda window: _codes(window, symmetric=True))


def _zero_points(machine):
    cause = "the zero point is truncated instead of rounded"
    yield Hypothesis("zero point", cause, lambda window: _codes(window, zero_point="floor"))
    yield Hypothesis(
        "zero point", "the zero point is missing", lambda window: _codes(window, zero_points=np.zeros_like)
    )
    for offset, word in ((1, "high"), (-1, "low")):
        cause = f"the zero point is one too {word}"
        yield Hypothesis(
            "zero point", cause, lambda window, by=offset: _codes(window, zero_points=lambda zero: zero + by)
        )


def _roundings(machine):
    for rounding in ROUNDINGS:
        if rounding != "half_even":
            cause = f"rounds {rounding} where the design says half_even"
            yield Hypothesis("round", cause, lambda window, rounding=rounding: _codes(window, rounding=rounding))
    cause = "the zero point is added before rounding, not after"
    yield Hypothesis("round", cause, lambda window: _codes(window, offset_first=True))
    cause = "the quotient is not rounded to float32 before it is rounded to an integer"
    yield Hypothesis("round", cause, lambda window: _codes(window, quotient=np.float64))
    yield Hypothesis("clip", "outputs wrap where the design says saturate", lambda window: _codes(window, wraps=True))


def _codes(window, *, rounding="half_even", quotient: type = np.float32, offset_first=False, wraps=False, **scaling):
    """The codes of a whole product, with other rules than golden.dynamic has."""
    cut = window.machine.tiling
    x = cut.in_tiles(window.machine.accumulators).astype(np.float32)
    scale, zero_point = (each[:, None, None] for each in _parameters(x, window.spec, **scaling))
    ratio = x.astype(quotient) / scale.astype(quotient)
    codes = round_real(ratio + zero_point if offset_first else ratio, rounding)
    codes = codes if offset_first else codes + zero_point
    codes = np.mod(codes, 256) if wraps else np.clip(codes, 0, 255)
    return window.pick(cut.from_tiles(codes))


def _parameters(x, spec, *, own=None, first=False, zero_point="half_even", zero_points=lambda each: each, **ranges):
    """Scale and zero point of each tile of x [tiles, rows, cols]."""
    low, high = _ends(x, **{name: ranges.pop(name) for name in ("with_zero", "symmetric", "cleared") if name in ranges})
    scale = (high - low) / ranges.get("steps", LEVELS)
    empty = scale == 0
    scale = np.where(empty, np.float32(1), scale).astype(np.float32)
    zero = np.where(empty, 0, round_real(np.clip(np.float32(0) - low / scale, 0, 255), zero_point))
    if not (spec.dynamic_scale == "same_tile" if own is None else own):
        scale = np.concatenate([np.ones(1, np.float32), scale[:-1]])
        zero = np.concatenate([np.zeros(1, np.int64), zero[:-1]])
    if first:
        scale, zero = np.full_like(scale, scale[0]), np.full_like(zero, zero[0])
    return scale, zero_points(zero)


def _ends(x, with_zero=True, symmetric=False, cleared=True):
    flat = x.reshape(len(x), -1)
    low, high = flat.min(axis=1), flat.max(axis=1)
    if with_zero:
        low, high = np.minimum(low, np.float32(0)), np.maximum(high, np.float32(0))
    if symmetric:
        high = np.maximum(-low, high)
        low = -high
    if not cleared:
        low, high = np.minimum.accumulate(low), np.maximum.accumulate(high)
    return low, high
