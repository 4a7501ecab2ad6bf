"""Sums that lie just between two output codes: biases and shifts moved until the rounding rules differ."""

import numpy as np

from golden.formats import Bipolar
from golden.scale import wrap32

from .stimulus_scales import FEW, in_lowest_terms, near_tie

_CANDIDATES = 12
_SEARCHED = 16  # columns; further ones get the first tie that comes
_SCALES = 64
_ROWS = 64
_STEPS = (0, 1, -1, 2, -2)
_LONG = 25


def make_ties(rng, spec, sums, kinds, parameters):
    """Moves biases, where their format allows, so that sums (biased already) become ties; by a few output steps.

    Where the design takes no bias, moves shifts. Prefers ties whose sign and parity no column before has.
    """
    seen = set()
    for n, kind in enumerate(kinds):
        odd, halvings = in_lowest_terms(spec, parameters, n)
        bounds, offset = room(spec, parameters, n), _offset(spec, parameters, n)
        if isinstance(spec.code, Bipolar):
            _move_bias(spec, parameters, n, _to_zero(rng, sums[:, n]))
        elif spec.bias is not None and halvings > 0 and odd < FEW:
            moves = _to_ties(rng, spec, sums[:, n], halvings, int(parameters["bias"][n]))
            moves = moves if n < _SEARCHED else moves[:1]
            found = {move: _ties(sums[:, n] + move, odd, halvings, bounds, offset) for move in moves}
            _move_bias(spec, parameters, n, _best(found, seen))
        elif spec.bias is None and kind in ("tie", "small tie"):
            steps = _STEPS if n < _SEARCHED else _STEPS[:1]
            steps = [step for step in steps if _shifts(spec, parameters, n, step)]
            found = {step: _ties(sums[:, n], odd, halvings + step, bounds, offset) for step in steps}
            parameters |= _shifts(spec, parameters, n, _best(found, seen))


def _best(found, seen):
    """The move that makes most kinds of ties that have not been seen yet; they are now. None where there is no move."""
    if not found:
        return None
    best = max(found, key=lambda move: (len(found[move] - seen), len(found[move])))
    seen |= found[best]
    return best


def _ties(sums, odd, halvings, bounds, offset):
    """The signs and parities of the floor quotients of all ties whose results lie within bounds."""
    if halvings < 1:
        return set()
    quotient = sums * odd >> halvings
    tie = sums * odd - (quotient << halvings) == 1 << halvings - 1
    shown = quotient[(tie & (quotient >= bounds[0]) & (quotient < bounds[1])).astype(bool)] + offset
    return {(bool(value < 0), int(value & 1)) for value in shown}


def _to_zero(rng, column):
    """What brings one of the smaller sums to 0 or -1."""
    ordered = sorted(column, key=abs)
    return -int(ordered[rng.integers(len(column) // 2 + 1)]) - int(rng.integers(2))


def _to_ties(rng, spec, column, halvings, bias):
    """Moves of a bias, each of which makes one of the smaller sums a tie."""
    lo, hi = spec.bias.code_range
    ordered = sorted(column, key=abs)[: len(column) // 2 + 1]
    chosen = [int(ordered[index]) for index in rng.permutation(len(ordered))[:_CANDIDATES]]
    moves = [((1 << halvings - 1) - value) % (1 << halvings) for value in chosen]
    return [move - down for move in moves for down in (0, 1 << halvings) if lo <= bias + move - down <= hi]


def _move_bias(spec, parameters, n, move):
    if spec.bias is None or move is None:
        return
    lo, hi = spec.bias.code_range
    if lo <= int(parameters["bias"][n]) + move <= hi:
        parameters["bias"][n] += move


def _shifts(spec, parameters, n, step):
    """The parameters with the scale of a column halved `step` times more; none where there is no such scale."""
    name = "scale" if "scale" in parameters else "shift"
    moved = parameters[name].copy()
    if name == "scale":
        fmt = spec.rule.parameters["scale"]
        moved[n] -= step << fmt.precision - 1
        lo, hi = fmt.code_range
    else:
        moved[n] += step if spec.rule is None else -step
        lo, hi = spec.shift_range
    return {name: moved} if lo <= moved[n] <= hi else {}


def make_float_ties(rng, spec, sums, kinds, parameters):
    """For the kinds "near tie" and "long": scales that float32 rounds to a tie, of sums that it rounds if "long"."""
    for n, kind in enumerate(kinds):
        if kind == "long":
            _lengthen(rng, spec, sums[:, n], parameters, n)
        if kind in ("near tie", "long"):
            biased = wrap32(sums[:, n] + (parameters["bias"][n] if spec.bias is not None else 0)).astype(np.int64)
            bounds = room(spec, parameters, n)
            candidates = _SCALES if n < _SEARCHED else 1
            fmt = spec.rule.parameters["scale"]
            parameters["scale"][n] = near_tie(rng, fmt, biased[:_ROWS], bounds, candidates)


def _lengthen(rng, spec, column, parameters, n):
    """A bias that gives one of the sums more bits than float32 has, where the format of the bias can."""
    if spec.bias is not None:
        wanted = int(rng.integers(1 << _LONG - 1, 1 << _LONG)) | 1
        bias = int(rng.choice([-wanted, wanted])) - int(rng.choice(column))
        if spec.bias.code_range[0] <= bias <= spec.bias.code_range[1]:
            parameters["bias"][n] = bias


def room(spec, parameters, n):
    """Least and largest rounded value of a column that clip and activation leave as it is."""
    zero = int(parameters["y_zero_point"][n]) if spec.y_zero_point else 0
    lo, hi = spec.clip_range
    hi = min(hi, int(parameters["y_max"][n])) if spec.activation == "relu6" else hi
    return (lo if spec.activation == "none" else zero) - zero, hi - zero


def _offset(spec, parameters, n):
    """What is added before rounding."""
    return int(parameters["y_zero_point"][n]) if spec.zero_point_first else 0
