"""Random scales: near a wanted factor, powers of two among them, and those that show what float32 rounds off."""

import numpy as np

from golden.checks import MAX_SHIFT
from golden.scale import encode, reduce_multiplier

from .faults_float import float_scaled

INTEGER_KINDS = ("any", "tie", "few bits", "small tie", "tie", "few bits")
FLOAT_KINDS = ("any", "tie", "near tie", "long", "few bits", "small tie", "near tie")
FEW = 16
_CUTS = (  # of sum and product; the first are float32's
    ("half_even", "half_even"),
    ("half_even", None),
    ("half_even", "toward_zero"),
    (None, "half_even"),
    ("toward_zero", "half_even"),
    (None, None),
)


def random_scale(rng, spec, kind, factor):
    """The parameters of a column, by name, for a scale near a factor; a power of two below one for kinds with ties."""
    halvings = 1 + int(rng.integers(3)) if kind == "small tie" else max(1, round(-np.log2(factor)))
    if "scale" in spec.parameters:
        return {"scale": _float(spec, kind, 2.0**-halvings if "tie" in kind else float(factor))}
    multiplier, shift = _integers(spec, kind, factor, halvings)
    return {"multiplier": multiplier, "shift": shift} if "multiplier" in spec.parameters else {"shift": shift}


def _integers(spec, kind, factor, halvings):
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
        multiplier &= -1 << max(multiplier.bit_length() - FEW.bit_length() + 1, 0)
    return multiplier, shift


def _encoded(spec, factor):
    """(multiplier, shift) of a factor for a rule of golden.scale."""
    multiplier, shift = encode(min(factor, 2.0 ** (spec.shift_range[1] - 1)))
    return (multiplier if spec.rule.multiplier_bits > 16 else reduce_multiplier(multiplier)), shift


def _float(spec, kind, factor):
    fmt = spec.rule.parameters["scale"]
    tiny, most = (float(fmt.decode(end)) for end in fmt.code_range)
    pattern = int(np.array(min(max(factor, tiny), most), fmt.dtype).view(f"i{fmt.width // 8}"))
    return pattern & -(1 << fmt.precision - FEW.bit_length()) if kind == "few bits" else pattern


def near_tie(rng, fmt, sums, bounds, candidates):
    """The pattern of a scale that brings one of these sums (int32) so near a tie that float32 makes it one.

    Of so many candidates the one that shows most of what float32 rounds off, and tells these apart, for results within
    bounds.
    """
    chosen = rng.choice(sums[sums != 0], candidates) if sums.any() else np.ones(candidates, np.int64)
    room = np.where(chosen < 0, -bounds[0], bounds[1])
    ties = np.floor(rng.random(candidates) * np.maximum(room, 1)) + 0.5
    patterns = fmt.encode((ties / np.abs(chosen)).astype(fmt.dtype)) + rng.integers(-1, 2, candidates)
    given = sums[:, None], fmt.parts(patterns)
    results = [float_scaled(*given, cut_sum=first, cut_product=second) for first, second in _CUTS]
    shown = np.clip(results, *bounds).astype(np.int64)
    told_apart = len(_CUTS) * (shown != shown[0]).any(axis=1).sum(axis=0)
    told_apart += [len({row.tobytes() for row in shown[:, :, candidate]}) for candidate in range(candidates)]
    return int(patterns[np.argmax(told_apart)])


def in_lowest_terms(spec, parameters, n):
    """The scale of a column as (odd number, how often it is halved)."""
    if "scale" in parameters:
        multiplier, exponent = spec.rule.parameters["scale"].parts(int(parameters["scale"][n]))
        shift = -exponent
    else:
        multiplier = int(parameters["multiplier"][n]) if "multiplier" in parameters else 1
        shift = int(parameters["shift"][n]) if "shift" in parameters else 0
        shift = shift if spec.rule is None else spec.rule.multiplier_bits - shift
    twos = (multiplier & -multiplier).bit_length() - 1
    return multiplier >> twos, shift - twos
