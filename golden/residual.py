"""Values as the sum of two codes of one narrow format, the second one finer: x ~ scale * (q1 * 2**r + q2).

The second code holds the error of the first. Two codes of n bits come near one of 2 n, on hardware for n bits.
"""

import numpy as np

from .nearest import levels_of, nearest, nearest_level

MOST_BITS = 8


def combined(spec, name, values, residual_codes):
    """The integers that codes and residual codes stand for together (equation 2.8).

    `name` is "a" or "w", `values` the decoded codes. Those of an operand without residual codes stay as they are.
    """
    if not has_residual(spec, name):
        return values
    fmt = spec.activations if name == "a" else spec.weights
    return (values << spec.residual) + fmt.decode(residual_codes)


def has_residual(spec, name):
    """Whether this operand, "a" or "w", comes as two codes."""
    return bool(spec.residual) and spec.residual_of[0] == name


def quantize_residual(x, fmt, r, *, scale=None):
    """(codes, residual codes, scale) of real numbers x [...]: x ~ scale * (decode(codes) * 2**r + decode(residual)).

    The sum of both codes is the nearest to x that there is; halfway the one nearer to zero; of pairs of the same sum
    the one with the smallest residual code. scale: a positive number, or an array that broadcasts to x; by default the
    one of `best_scale`.

    Raises ValueError for numbers that are not finite, a scale that is not positive, and formats beyond 8 bits.
    """
    x = np.asarray(x, np.float64)
    scale = best_scale(x, fmt, r) if scale is None else np.asarray(scale, np.float64)
    if not (np.isfinite(scale) & (scale > 0)).all():
        raise ValueError(f"scale must be positive, not {scale}")
    levels, codes, residual = _pairs(fmt, r)
    index = nearest_level(levels, x / scale)
    return codes[index], residual[index], scale


def _pairs(fmt, r):
    """The sums that two codes can have, in rising order, and for each the two codes."""
    if fmt.width > MOST_BITS:
        raise ValueError(f"residual codes are found for formats of at most {MOST_BITS} bits, not {fmt}")
    levels, codes = levels_of(fmt)
    first, second = (part.reshape(-1) for part in np.meshgrid(np.arange(len(levels)), np.arange(len(levels))))
    sums = levels[first] * (1 << r) + levels[second]
    order = np.lexsort((levels[second], np.abs(levels[second]), sums))
    found, place = np.unique(sums[order], return_index=True)
    chosen = order[place]
    return found, codes[first[chosen]], codes[second[chosen]]


def restored(codes, residual, fmt, r, scale):
    """The real numbers that two codes stand for; with residual None those of one code alone."""
    values = fmt.decode(codes) if residual is None else (fmt.decode(codes) << r) + fmt.decode(residual)
    return values * scale


def best_scale(x, fmt, r=None, *, candidates=64):
    """The scale of least mean square error among `candidates`, from the one that just reaches the largest |x| down to
    an eighth of it, in equal ratios; of two codes with r, or with r None of one code."""
    x = np.asarray(x, np.float64)
    lo, hi = fmt.decoded_range
    reach = max(-lo, hi) * (1 if r is None else (1 << r) + 1)
    largest = float(np.abs(x).max()) or 1.0
    scales = largest / reach * 8.0 ** (-np.arange(candidates) / (candidates - 1))
    return float(min(scales, key=lambda scale: float(np.square(x - _approximation(x, fmt, r, scale)).mean())))


def _approximation(x, fmt, r, scale):
    if r is None:
        return restored(nearest(fmt, x / scale), None, fmt, r, scale)
    codes, residual, _ = quantize_residual(x, fmt, r, scale=scale)
    return restored(codes, residual, fmt, r, scale)


def sqnr(x, fmt, r=None, *, scale=None):
    """Signal to quantization noise in dB of x as two codes with r, or with r None as one: 10 log10(sum x^2 / sum e^2).

    Infinite where nothing is lost.
    """
    x = np.asarray(x, np.float64)
    scale = best_scale(x, fmt, r) if scale is None else scale
    noise = np.square(x - _approximation(x, fmt, r, scale)).sum()
    return float(10 * np.log10(np.square(x).sum() / noise)) if noise else float("inf")
