"""Why a platform's output differs: the fewest ingredients of its rule whose replacement by ours removes the difference.

Both sides are recomputed in exact fractions (golden.chain) and must come out as they were; then ingredients are
exchanged, one, two and more at a time, until the difference is gone.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import combinations

from .chain import FLOAT_BITS, INGREDIENTS, Chain
from .encoding import column_factor
from .platform_table import PLATFORMS, Platform
from .scale import wrap32
from .words import words

EXAMINED = 64
UNKNOWN = "no ingredient of the two rules explains it"
OWN = "this hardware differs from its own model here; bittrue compare says why"
_FIXED_RULES = {
    "tflite": {"twice": True, "rounding": "half_away", "wraps_left": True},
    "double_half_up": {"twice": True, "rounding": "half_up", "wraps_left": True},
    "tflite_single": {"rounding": "half_up"},
    "mult16": {"rounding": "half_up"},
    "shift_add": {"rounding": "half_up"},
    "rndnu": {"rounding": "half_up"},
    "thresholds": {"rounding": "half_up", "product": "thresholds"},
}
_FLOAT_RULES = {"float32": ("float32", "half_even"), "float64_away": ("float64", "half_away")}


@dataclass(frozen=True)
class Reason:
    """A reason in words, and how many of the examined outputs it explains."""

    text: str
    outputs: int


def reasons(p: Platform, case, codes, sums, places) -> list[Reason]:
    """Reasons for the differences at some places (m, n), those that explain most of them first."""
    found = {place: _explanations(p, case, int(codes[place]), sums, place) for place in places}
    left, result = dict(found), []
    while left:
        counted = Counter(option for options in left.values() for option in options)
        best = min(counted, key=lambda option: (-counted[option], _rank(option)))
        explained = [place for place, options in left.items() if best in options]
        result.append(Reason(_text(p, case, sums, explained[0], best), len(explained)))
        left = {place: options for place, options in left.items() if best not in options}
    return result


def _rank(option):
    return (len(option), [list(INGREDIENTS).index(name) for name in option]) if isinstance(option, tuple) else (99, [])


def _explanations(p, case, code, sums, place):
    """All smallest sets of ingredients that explain one difference, or one sentence where there is none."""
    if case.y[place] != case.own[place]:
        return [OWN]
    there, here = chains(p, case, sums, place)
    if there.output() != code or here.output() != case.own[place]:
        return [UNKNOWN]
    names = there.differing(here)
    for size in range(1, len(names) + 1):
        sets = [some for some in combinations(names, size) if there.with_ingredients(some, here).output() != code]
        sets = [some for some in sets if there.with_ingredients(some, here).output() == here.output()]
        if sets:
            return sets
    return [UNKNOWN]


def _text(p, case, sums, place, option):
    if isinstance(option, str):
        return option
    there, here = chains(p, case, sums, place)
    texts = {name: words(p, case, there, here, name, place) for name in option}
    if {"sum's bits", "product"} <= texts.keys():
        texts["product"] = "so does its product"
    return " and ".join(texts.values())


def chains(p, case, sums, place) -> tuple[Chain, Chain]:
    """The platform's chain and the design's for one output."""
    return platform_chain(p, case, sums, place), own_chain(case, place)


def platform_chain(p: Platform, case, sums, place) -> Chain:
    """What a platform does to one sum."""
    column = column_factor(p, case, place[1])
    return _chain(case, place[1], column, **_platform_rule(p, case, _biased(case, sums, place)))


def own_chain(case, place) -> Chain:
    """What the design does to one sum."""
    spec, acc = case.spec, _biased(case, case.held, place)
    if spec.requantize == "thresholds":
        rule = _platform_rule(PLATFORMS[spec.platform], case, acc)
    elif spec.rule is None:
        rule = {"acc": acc, "rounding": spec.rounding, "before": spec.zero_point_first}
    else:
        rule = {"acc": wrap32(acc) if spec.rule.wraps else acc, **_own_rule(spec.requantize)}
    return _chain(case, place[1], case.factors[place[1]], **rule, overflow=spec.overflow)


def _biased(case, sums, place):
    return int(sums[place]) + int(case.parameters["bias"][place[1]])


def _platform_rule(p, case, acc):
    rule = {"acc": wrap32(acc) if p.accumulator in ("int32", "pairs16") else acc, "before": p.zero_point == "before"}
    scaling = (p.scaling_per_channel if case.per_channel else None) or p.scaling
    if scaling in FLOAT_BITS:
        return rule | _float_rule(scaling, p.rounding)
    return rule | _FIXED_RULES[scaling] | ({"halved": True} if p.halves_int32 else {})


def _own_rule(requantize):
    return _FIXED_RULES.get(requantize) or _float_rule(*_FLOAT_RULES[requantize])


def _float_rule(scaling, rounding):
    return {"rounding": rounding, "product": scaling, "sum_bits": FLOAT_BITS[scaling]}


def _chain(case, n, column, **rule):
    return Chain(
        factor=column.value,
        shift=column.shift,
        divisor=column.divisor,
        addend=column.addend,
        zero_point=int(case.parameters["y_zero_point"][n]),
        bounds=(case.spec.clip_range[0], int(case.bounds[1][n])),
        code=case.spec.code,
        relu=case.spec.activation != "none",
        table=case.spec.table,
        **rule,
    )
