"""Random parameters that suit the sums of given operands: useful scales, biases that make ties, zero points."""

import numpy as np

from golden.checks import MAX_SHIFT
from golden.formats import Bipolar
from golden.mac import matmul
from golden.scale import encode, reduce_multiplier

from .stimulus_operands import in_turns

_SCALES = ("any", "tie", "few bits", "small tie", "tie", "few bits")
_FEW = 16


def random_parameters(rng, spec, arrays):
    """Per-column parameters that suit the sums of these operands."""
    sums = _sums(spec, arrays)
    n = sums.shape[1]
    result = {}
    if spec.y_zero_point:
        result["y_zero_point"] = _y_zero_points(rng, spec, n)
    targets = _targets(rng, spec, result.get("y_zero_point", np.zeros(n, int)))
    kinds = in_turns(rng, _SCALES, n) if spec.requantize != "none" else ["exact"] * n
    if n > 2:
        kinds[int(np.argmax(np.abs(sums).max(axis=0)))] = "whole"
    if spec.bias is not None:
        result["bias"] = _biases(rng, spec.bias, sums, kinds, targets)
        sums = sums + result["bias"]
    if spec.requantize != "none":
        wanted = targets / _spread(sums)
        if "whole" in kinds:
            n = kinds.index("whole")
            wanted[n] = _whole(spec, sums[:, n], int(result["y_zero_point"][n]) if spec.y_zero_point else 0)
        scales = [_scale(rng, spec, kind, factor) for kind, factor in zip(kinds, wanted, strict=True)]
        multiplier, result["shift"] = np.array(scales, np.int64).T
        if "multiplier" in spec.parameters:
            result["multiplier"] = multiplier
    if spec.bias is not None:
        _make_ties(rng, spec, sums, result)
    return result


def _sums(spec, arrays):
    """Accumulators, or their bounds where they leave them."""
    a = spec.activations.decode(arrays["a"]) - arrays.get("a_zero_point", 0)
    w = spec.weights.decode(arrays["w"]) - arrays.get("w_zero_point", 0)
    return np.clip(matmul(a, w).astype(object), *spec.acc_range)


def _spread(sums):
    """The size of the larger sums of each column."""
    return np.maximum(np.percentile(np.abs(sums).astype(float), 75, axis=0), 1)


def _whole(spec, sums, zero_point):
    """The factor that just brings the largest sum into the output range."""
    largest = max(sums, key=abs)
    room = spec.clip_range[1] - zero_point if largest > 0 else zero_point - spec.clip_range[0]
    return 0.9 * max(room, 1) / max(abs(int(largest)), 1)


def _biases(rng, fmt, sums, kinds, targets):
    """Up to half of the larger sums; a few at the ends of the format; small where a small scale shows small sums."""
    lo, hi = fmt.code_range
    small, whole = (np.array(kinds) == kind for kind in ("small tie", "whole"))
    reach = np.where(small, 2 * targets, _spread(sums) / 2 + 4)
    biases = [int(rng.uniform(-size, size)) for size in reach]
    at_end = (rng.random(len(kinds)) < 0.1) & ~small & ~whole
    biases = [int(rng.choice([lo, hi])) if end else bias for bias, end in zip(biases, at_end, strict=True)]
    return np.array([min(max(bias, lo), hi) for bias in biases], np.int64)


def _y_zero_points(rng, spec, n):
    """From the middle half of the output range; with relu, which cuts off what is below, from its lower part."""
    lo, hi = spec.clip_range
    quarter = (hi - lo) // 4
    if spec.activation == "relu":
        codes = rng.integers(lo, lo + quarter, n, endpoint=True)
        codes[rng.integers(n)] = lo
    else:
        codes = rng.integers(lo + quarter, hi - quarter, n, endpoint=True)
    return np.where(codes == 0, min(1, hi) or lo, codes)


def _targets(rng, spec, zero_points):
    """How far from the zero point the larger outputs of each column should come."""
    lo, hi = spec.clip_range
    room = [max(hi - int(zero), int(zero) - lo, 1) for zero in zero_points]
    return np.array(room, float) * rng.uniform(0.3, 1.2, len(room))


def _scale(rng, spec, kind, factor):
    """(multiplier, shift) near a factor; a power of two below one for the kinds with ties."""
    halvings = 1 + int(rng.integers(3)) if kind == "small tie" else max(1, round(-np.log2(factor)))
    if spec.rule is not None:
        return _encoded(spec, 2.0**-halvings if "tie" in kind else float(factor))
    if spec.requantize == "shift":
        exact = max(0, round(-np.log2(factor)) if kind != "whole" else int(np.ceil(-np.log2(factor))))
        return 1, min(halvings if "tie" in kind else exact, MAX_SHIFT)
    top = 1 << spec.multiplier_bits - 1
    if "tie" in kind:
        return top, min(spec.multiplier_bits - 1 + halvings, MAX_SHIFT)
    shift = min(max(spec.multiplier_bits - 1 - int(np.floor(np.log2(factor))), 0), MAX_SHIFT)
    multiplier = min(max(round(factor * 2.0**shift), 1), 2 * top - 1)
    if kind == "few bits":
        multiplier &= -1 << max(multiplier.bit_length() - _FEW.bit_length() + 1, 0)
    return multiplier, shift


def _encoded(spec, factor):
    """(multiplier, shift) of a factor for a rule of golden.scale."""
    multiplier, shift = encode(min(factor, 2.0 ** (spec.shift_range[1] - 1)))
    return (multiplier if spec.rule.multiplier_bits > 16 else reduce_multiplier(multiplier)), shift


def _make_ties(rng, spec, sums, parameters):
    """Moves biases, where their format allows, so that some sum becomes a tie; by a few output steps at most."""
    lo, hi = spec.bias.code_range
    for n, bias in enumerate(parameters["bias"].tolist()):
        odd, halvings = _scale_in_lowest_terms(spec, parameters, n)
        column = sorted(sums[:, n], key=abs)
        chosen = int(column[rng.integers(len(column) // 2 + 1)])
        if isinstance(spec.y, Bipolar):
            move = -chosen - int(rng.integers(2))
        elif halvings > 0 and odd < _FEW:
            move = ((1 << halvings - 1) - chosen) % (1 << halvings) - (int(rng.integers(2)) << halvings)
        else:
            continue
        if lo <= bias + move <= hi:
            parameters["bias"][n] += move


def _scale_in_lowest_terms(spec, parameters, n):
    """The scale of a column as (odd number, how often it is halved)."""
    multiplier = int(parameters["multiplier"][n]) if "multiplier" in parameters else 1
    shift = int(parameters["shift"][n]) if "shift" in parameters else 0
    shift = shift if spec.rule is None else spec.rule.multiplier_bits - shift
    twos = (multiplier & -multiplier).bit_length() - 1
    return multiplier >> twos, shift - twos
