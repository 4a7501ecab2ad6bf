"""Random operands that can fail: extremes, ties, useful scales, and a check of which faults they would show."""

import numpy as np

from golden.checks import MAX_SHIFT
from golden.formats import Bipolar
from golden.mac import matmul
from golden.scale import encode, reduce_multiplier
from golden.tensors import operands

from .hypotheses import hypotheses
from .machine import Machine

ATTEMPTS = 6
CORNERS = 0.2
_KINDS = ("lowest", "mixed", "highest", "quiet", "mixed", "either", "mixed", "mixed")
_QUIET_KINDS = ("lowest", "quiet", "highest", "quiet", "mixed", "quiet", "quiet", "mixed")
_SCALES = ("any", "tie", "few bits", "small tie", "tie", "few bits")
_JUDGED = 24
_QUIET_PRODUCTS = 6
_FEW = 16


def random_arrays(spec, *, m, k, n, seed) -> dict:
    """Arrays for golden.tensors.operands: a [m, k], w [k, n] and all parameters that the spec takes.

    A fifth of the codes are corners (lowest, highest, -1, 0, 1); some rows of A and columns of W hold nothing but
    extremes, so that accumulators reach theirs, and some hold little but zeros. Each column has parameters of its own:
    scales that spread the outputs over their range, powers of two among them, and a bias that makes ties exact.
    Of a few draws, the one that leaves the fewest faults unseen (`separates`, on part of the outputs) is taken.

    The same seed gives the same arrays. Raises ValueError where no weights can keep `spec.accumulator_range`.
    """
    best, fewest = {}, None
    for attempt in range(ATTEMPTS):
        arrays = _draw(spec, m, k, n, np.random.default_rng([seed, attempt]), ends=attempt % 2 == 1)
        machine = Machine(spec, operands(spec, arrays))
        unseen = len(_unseen(machine, [_part(machine)]))
        if fewest is None or unseen < fewest:
            best, fewest = arrays, unseen
        if not fewest:
            break
    return best


def separates(spec, arrays):
    """The faults that these arrays would not show: sentences of sim.hypotheses whose outputs are golden's.

    Empty for a good stimulus. Some faults cannot show at all: no tie is rounded differently by half_up and half_away
    where nothing is negative. Of narrow accumulators only the widest counts.
    """
    machine = Machine(spec, operands(spec, arrays))
    return _unseen(machine, [_part(machine), machine.window()])


def _unseen(machine, windows):
    left = [hypothesis for hypothesis in hypotheses(machine) if hypothesis.severity == 1]
    for window in windows:
        left = [hypothesis for hypothesis in left if np.array_equal(hypothesis.y(window), window.golden)]
    return list(dict.fromkeys(hypothesis.cause for hypothesis in left))


def _part(machine):
    """The first outputs, where one tile meets the next, and others spread over the whole."""
    cut, spec = machine.tiling, machine.spec

    def some(count, tile):
        near = np.arange(min(count, max(_JUDGED, tile + 1)))
        return np.union1d(near, np.linspace(0, count - 1, min(count, _JUDGED)).astype(int))

    return machine.window(some(cut.m, spec.rows), some(cut.n, spec.cols))


def _draw(spec, m, k, n, rng, *, ends):
    """One draw; `ends` puts the zero points of A and W near an end of their range, where differences are widest."""
    zero_points = {
        f"{name}_zero_point": _zero_point(rng, fmt, ends)
        for name, fmt in (("a", spec.activations), ("w", spec.weights))
        if getattr(spec, f"{name}_zero_point")
    }
    narrow = spec.requantize == "none" and spec.biased_range[1] > 4 * spec.clip_range[1]
    kinds = _QUIET_KINDS if narrow else _KINDS
    loud = rng.choice(k, min(k, _QUIET_PRODUCTS), replace=False)
    a = _vectors(rng, spec.activations, _shuffled(rng, kinds, m), k, loud, zero_points.get("a_zero_point", 0))
    w = _vectors(rng, spec.weights, _shuffled(rng, kinds, n), k, loud, zero_points.get("w_zero_point", 0)).T.copy()
    if spec.accumulator_range is not None:
        w = _kept_promise(spec, w, zero_points.get("w_zero_point", 0))
    arrays = {"a": a, "w": w, **{name: np.array(value) for name, value in zero_points.items()}}
    return arrays | _parameters(rng, spec, arrays)


def _zero_point(rng, fmt, at_end):
    """Not zero where the format allows."""
    lo, hi = fmt.code_range
    other = hi or lo
    if at_end:
        lo = hi - (hi - lo) // 32 if lo == 0 or rng.random() < 1 / 2 else lo
        hi = hi if lo > 0 else lo + (hi - lo) // 32
    return int(rng.integers(lo, hi, endpoint=True)) or other


def _shuffled(rng, kinds, count):
    """As many of the kinds as told, in turns, in random order."""
    start = rng.integers(len(kinds))
    return rng.permutation([kinds[(start + index) % len(kinds)] for index in range(count)]).tolist()


def _vectors(rng, fmt, kinds, k, loud, zero):
    """Codes [kinds, k]: one kind of vector per row; quiet ones are zero but for the `loud` places."""
    lo, hi = fmt.code_range
    count = len(kinds)
    corners = [code for code in (lo, hi, 0, -1, 1) if lo <= code <= hi]
    codes = rng.integers(lo, hi, (count, k), endpoint=True)
    codes = np.where(rng.random((count, k)) < CORNERS, rng.choice(corners, (count, k)), codes)
    for index, kind in enumerate(kinds):
        if kind == "lowest":
            codes[index] = lo
        elif kind == "highest":
            codes[index] = hi
        elif kind == "either":
            codes[index] = rng.choice([lo, hi], k)
        elif kind == "quiet":
            codes[index] = zero
            codes[index, loud] = np.clip(zero + rng.integers(-3, 4, len(loud)), lo, hi)
    return codes


def _kept_promise(spec, w, zero):
    """Weights replaced, in order of k, by the harmless one wherever they would break `spec.accumulator_range`."""
    lo, hi = np.zeros(w.shape[1], object), np.zeros(w.shape[1], object)
    for k in range(len(w)):
        opposite = 1 - w[k] if isinstance(spec.weights, Bipolar) else np.full_like(w[k], zero)
        low, high = _reach(spec, w[k], zero)
        breaks = (lo + low < spec.accumulator_range[0]) | (hi + high > spec.accumulator_range[1])
        w[k] = np.where(breaks.astype(bool), opposite, w[k])
        low, high = _reach(spec, w[k], zero)
        lo, hi = lo + low, hi + high
    return w


def _reach(spec, codes, zero):
    """What one weight can add to a sum, at least and at most."""
    w = (spec.weights.decode(codes) - zero).astype(object)
    ends = w * spec.a_range[0], w * spec.a_range[1]
    return np.minimum(np.minimum(*ends), 0), np.maximum(np.maximum(*ends), 0)


def _parameters(rng, spec, arrays):
    """Per-column parameters that suit the sums of these operands."""
    sums = _sums(spec, arrays)
    n = sums.shape[1]
    result = {}
    if spec.y_zero_point:
        result["y_zero_point"] = _y_zero_points(rng, spec, n)
    targets = _targets(rng, spec, result.get("y_zero_point", np.zeros(n, int)))
    kinds = _shuffled(rng, _SCALES, n) if spec.requantize != "none" else ["exact"] * n
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
