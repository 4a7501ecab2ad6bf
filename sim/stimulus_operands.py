"""Random codes of A and W: extremes, quiet vectors, and a promise about their sums that is kept."""

import numpy as np

from golden.checks_precision import RUN_TIME
from golden.folds import stored_arrays
from golden.formats import Bipolar, Codebook, Integer
from golden.minifloat import MiniFloat
from golden.residual import combined
from golden.sparsity import pruned

from .stimulus_codebook import random_tables, ranks, shuffled, zero_rank

CORNERS = 0.2
_KINDS = ("lowest", "mixed", "highest", "quiet", "mixed", "either", "mixed", "mixed")
_QUIET_KINDS = ("lowest", "quiet", "highest", "quiet", "mixed", "quiet", "quiet", "mixed")
_QUIET_PRODUCTS = 6


def random_matrices(rng, spec, m, k, n, *, ends):
    """a [m, k], for the vector unit [m, k, n]; w [k, n], and the zero points and codebooks that the spec takes.

    `ends` puts the zero points near an end of their range, where differences are widest.
    """
    zero_points = {
        f"{name}_zero_point": _zero_point(rng, fmt, ends)
        for name, fmt in (("a", spec.activations), ("w", spec.weights))
        if getattr(spec, f"{name}_zero_point")
    }
    narrow = spec.requantize == "none" and spec.biased_range[1] > 4 * spec.clip_range[1]
    kinds = _QUIET_KINDS if narrow else _KINDS
    loud = rng.choice(k, min(k, _QUIET_PRODUCTS), replace=False)
    vectors = m * n if spec.array == "vector" else m
    a = _vectors(rng, spec.activations, in_turns(rng, kinds, vectors), k, loud, zero_points.get("a_zero_point", 0))
    drawn = ranks(spec.weights) if isinstance(spec.weights, Codebook) else spec.weights
    w_zero = zero_rank(spec.weights) if isinstance(spec.weights, Codebook) else zero_points.get("w_zero_point", 0)
    w = _vectors(rng, drawn, in_turns(rng, kinds, n), k, loud, w_zero).T.copy()
    others = _residual_codes(rng, spec, a, w, kinds, loud)
    if isinstance(spec.weights, Codebook):
        w, others["w_codebook"] = shuffled(rng, w, random_tables(rng, spec.weights, n))
    if spec.array in RUN_TIME:
        a = _at_precisions(rng, spec, spec.activations, a, spec.rows, zero_points.get("a_zero_point", 0))
        w = _at_precisions(rng, spec, spec.weights, w.T, spec.cols, zero_points.get("w_zero_point", 0)).T.copy()
    w = _kept_pattern(rng, spec, w)
    if spec.accumulator_range is not None:
        w = _kept_promise(spec, w, zero_points.get("w_zero_point", 0), **others)
    if spec.array == "vector":
        a = a.reshape(m, n, k).transpose(0, 2, 1).copy()
    return {"a": a, "w": w, **others, **{name: np.array(value) for name, value in zero_points.items()}}


def _zero_point(rng, fmt, at_end):
    """Not zero where the format allows."""
    lo, hi = fmt.code_range
    other = hi or lo
    if at_end:
        lo = hi - (hi - lo) // 32 if lo == 0 or rng.random() < 1 / 2 else lo
        hi = hi if lo > 0 else lo + (hi - lo) // 32
    return int(rng.integers(lo, hi, endpoint=True)) or other


def in_turns(rng, kinds, count):
    """As many of the kinds as told, in turns, in random order."""
    start = rng.integers(len(kinds))
    return rng.permutation([kinds[(start + index) % len(kinds)] for index in range(count)]).tolist()


def _vectors(rng, fmt, kinds, k, loud, zero):
    """Codes [kinds, k]: one kind of vector per row; quiet ones are zero but for the `loud` places."""
    (lo, hi), (lowest, highest) = fmt.code_range, fmt.extreme_codes
    count = len(kinds)
    corners = [code for code in (lowest, highest, 0, -1, 1) if lo <= code <= hi]
    codes = rng.integers(lo, hi, (count, k), endpoint=True)
    if isinstance(fmt, MiniFloat):
        codes = np.where(fmt.is_number(codes), codes, 0)
    codes = np.where(rng.random((count, k)) < CORNERS, rng.choice(corners, (count, k)), codes)
    for index, kind in enumerate(kinds):
        if kind == "lowest":
            codes[index] = lowest
        elif kind == "highest":
            codes[index] = highest
        elif kind == "either":
            codes[index] = rng.choice([lowest, highest], k)
        elif kind == "quiet":
            codes[index] = zero
            codes[index, loud] = np.clip(zero + rng.integers(-3, 4, len(loud)), lo, hi)
    return codes


def _residual_codes(rng, spec, a, w, kinds, loud):
    """Second codes of the operand that has such, drawn like the first, in rows of A or columns of W of another kind."""
    if not spec.residual:
        return {}
    if spec.residual_of == "weights":
        k, n = w.shape
        return {"w_residual": _vectors(rng, spec.weights, in_turns(rng, kinds, n), k, loud, 0).T.copy()}
    return {"a_residual": _vectors(rng, spec.activations, in_turns(rng, kinds, len(a)), a.shape[1], loud, 0)}


def _at_precisions(rng, spec, fmt, codes, tile, zero):
    """Codes [vectors, K], those of some tiles of so many vectors within fewer bits of the zero point: of about every
    third one, or of two in three where both operands must be narrow to make a difference."""
    lo, hi = fmt.code_range
    scalable = spec.array == "scalable"
    for first in range(0, len(codes), tile):
        if rng.random() < (2 / 3 if scalable else 1 / 3) and fmt.width > 1:
            part = codes[first : first + tile]
            bits = int(rng.choice([2, 4]) if scalable else rng.integers(1, fmt.width))
            narrow = Integer(min(bits, fmt.width), signed=fmt.signed or zero > 0)
            part[:] = np.clip(narrow.wrap(part - zero) + zero, lo, hi)
    return codes


def _kept_pattern(rng, spec, w):
    """Weights with zeros where sparsity wants them; or those that the design has stored."""
    if spec.stored_weights is not None:
        return stored_arrays(spec)["w"]
    return w if spec.sparsity == "none" else pruned(w, rng.random(w.shape))


def _kept_promise(spec, w, zero, w_codebook=None, w_residual=None, a_residual=None):
    """Weights replaced, in order of k, by the harmless one wherever they would break `spec.accumulator_range`.

    Residual codes of weights are replaced with them, in place.
    """
    both = [w] if w_residual is None else [w, w_residual]
    lo, hi = np.zeros(w.shape[1], object), np.zeros(w.shape[1], object)
    for k in range(len(w)):
        low, high = _reach(spec, [codes[k] for codes in both], zero, w_codebook)
        breaks = ((lo + low < spec.accumulator_range[0]) | (hi + high > spec.accumulator_range[1])).astype(bool)
        for codes in both:
            opposite = 1 - codes[k] if isinstance(spec.weights, Bipolar) else np.full_like(codes[k], zero)
            if w_codebook is not None:
                opposite = np.abs(w_codebook).argmin(axis=1)
            codes[k] = np.where(breaks, opposite, codes[k])
        low, high = _reach(spec, [codes[k] for codes in both], zero, w_codebook)
        lo, hi = lo + low, hi + high
    return w


def _reach(spec, both, zero, w_codebook):
    """What one weight of each column, of a code or two, can add to its sum, at least and at most."""
    if w_codebook is None:
        w = combined(spec, "w", spec.weights.decode(both[0]) - zero, both[-1]).astype(object)
    else:
        w = spec.weights.lookup(w_codebook, both[0][None])[0].astype(object)
    ends = w * spec.a_value_range[0], w * spec.a_value_range[1]
    return np.minimum(np.minimum(*ends), 0), np.maximum(np.maximum(*ends), 0)
