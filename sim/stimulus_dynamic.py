"""Operands whose first tiles have ranges that show every fault of dynamic quantization: ties, and no range at all."""

import numpy as np

from golden.formats import Integer

SPAN = 255


def make_dynamic_ties(rng, spec, arrays):
    """Changes the operands of the first tiles: scale 2 and odd sums, then zeros only; beside them, only positive sums.

    All products of a row are alike, so that a sum is a multiple of the sum of a column of weights. Formats and depths
    that do not reach such sums stay as they are.
    """
    rows, cols, zero = spec.rows, spec.cols, int(arrays.get("a_zero_point", 0))
    arrays["a"][2 * rows : 3 * rows] = zero
    factors = (2, *[1] * (rows - 1)) if rows > 1 else (1,)
    targets = _targets(rng, spec, arrays, SPAN if rows > 1 else 2 * SPAN)
    lo, hi = spec.activations.code_range
    if targets is None or not isinstance(spec.activations, Integer) or not lo <= zero + max(factors) <= hi:
        return
    for row, factor in enumerate((factors * 2)[: len(arrays["a"])]):
        arrays["a"][row] = zero + factor
    for column, target in enumerate(targets):
        arrays["w"][:, column] = _summing_to(target, arrays)
    arrays["w"][:, cols : 2 * cols] = np.maximum(arrays["w"][:, cols : 2 * cols], arrays.get("w_zero_point", 0) + 1)


def _targets(rng, spec, arrays, span):
    """Sums of the columns of weights of one tile, `span` wide; None where the weights do not reach so far.

    They are 1 modulo 4 where they can be: half of that ends in .5 above an even number, where most roundings differ.
    """
    if not isinstance(spec.weights, Integer) or not spec.accumulator_is_exact or spec.accumulator_range is not None:
        return None
    k, n = arrays["w"].shape
    lo, hi = (k * (end - int(arrays.get("w_zero_point", 0))) for end in spec.weights.code_range)
    lows = [low for low in range(-span, 1) if lo <= low and low + span <= hi]
    if not lows:
        return None
    if min(n, spec.cols) == 1:
        return [span] if 0 in lows else None
    low = min(lows, key=lambda low: ((low + span) % 4 != 1, abs(low + span // 2)))
    others = rng.choice([one for one in range(low, low + span) if one % 4 == 1], min(n, spec.cols) - 2)
    return [low + span, low, *others.tolist()]


def _summing_to(target, arrays):
    """Codes [K] of weights that sum to a target, as even as they can be."""
    k, zero = len(arrays["w"]), int(arrays.get("w_zero_point", 0))
    each, more = divmod(target, k)
    return zero + each + (np.arange(k) < more)
