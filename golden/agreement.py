"""A design's outputs beside those that every platform of golden.platforms gives for the same sums."""

from dataclasses import dataclass

import numpy as np

from . import platforms
from .case import Case
from .encoding import numbers
from .formats import Bipolar
from .platform_table import PLATFORMS, Platform
from .reasons import EXAMINED, Reason, reasons
from .scale import wrap32


@dataclass(frozen=True)
class Agreement:
    """How one platform's outputs compare with a design's.

    compared : outputs that the platform defines; among these differing, largest, first (index, here, there), reasons.
    refusal : why it gives nothing for the others, or "".
    """

    platform: str
    compared: int
    differing: int = 0
    largest: int = 0
    first: tuple[tuple[int, int], int, int] | None = None
    reasons: tuple[Reason, ...] = ()
    examined: int = 0
    refusal: str = ""


def agreements(case: Case) -> list[Agreement]:
    """The comparison with each platform of golden.platforms, in its order."""
    return [agreement(p, case) for p in PLATFORMS.values()]


def agreement(p: Platform, case: Case) -> Agreement:
    """The comparison with one platform; what it cannot do is in `refusal`, not an error."""
    codes, defined, refusal = theirs(p, case)
    differ = np.argwhere(defined & (codes != case.y))
    if not differ.size:
        return Agreement(p.name, int(defined.sum()), refusal=refusal)
    first = int(differ[0][0]), int(differ[0][1])
    chosen = np.unique(np.linspace(0, len(differ) - 1, min(len(differ), EXAMINED)).astype(int))
    return Agreement(
        platform=p.name,
        compared=int(defined.sum()),
        differing=len(differ),
        largest=int(np.abs(codes - case.y)[defined].max()),
        first=(first, int(case.y[first]), int(codes[first])),
        reasons=tuple(reasons(p, case, codes, their_sums(p, case), [(int(m), int(n)) for m, n in differ[chosen]])),
        examined=len(chosen),
        refusal=refusal,
    )


def theirs(p: Platform, case: Case):
    """A platform's codes [M, N], where they are defined (bool), and why they are not elsewhere, or ""."""
    codes, defined = np.zeros_like(case.y), np.zeros(case.y.shape, bool)
    refusals = []

    def fill(columns, rows):
        try:
            codes[np.ix_(rows, columns)] = _codes(p, case, sums, columns, rows)
            defined[np.ix_(rows, columns)] = True
        except ValueError as error:
            refusals.append(str(error))
            return False
        return True

    try:
        sums = their_sums(p, case)
    except ValueError as error:
        return codes, defined, str(error)
    columns, rows = np.arange(case.y.shape[1]), np.arange(case.y.shape[0])
    if not fill(columns, rows):
        refusals.clear()
        for column in columns:
            _fill_up(fill, np.array([column]), _by_size(case, column))
    return codes, defined, refusals[0] if refusals else ""


def _fill_up(fill, column, rows):
    """All outputs of a column, or those of the sums, from the smallest on, that the platform can take."""
    if fill(column, rows) or not fill(column, rows[:1]):
        return
    good, bad = 1, len(rows)
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if fill(column, rows[:middle]) else (good, middle)


def _by_size(case, column):
    """Rows by the size of their sum: a platform that takes no larger ones takes the first of these."""
    biased = case.sums[:, column] + int(case.parameters["bias"][column])
    return np.argsort(np.abs(2 * biased + 1), kind="stable")


def their_sums(p: Platform, case: Case):
    """Sums [M, N] before bias as the platform forms them. Raises ValueError where it cannot."""
    if p.accumulator == "pairs16":
        if case.operands is None:
            raise ValueError("pairs of products saturate there, which sums alone do not show")
        return _pairs(p, case)
    if case.sums.dtype != object:
        return case.sums
    if p.accumulator == "int32":
        return wrap32(case.sums).astype(np.int64)
    if np.abs(case.sums).max() >> 62:
        raise ValueError("a sum does not fit int64")
    return case.sums.astype(np.int64)


def _pairs(p, case):
    given, spec = case.operands, case.spec
    if (str(spec.activations), str(spec.weights)) != ("uint8", "int8"):
        raise ValueError("pairs saturate there in products of uint8 activations and int8 weights; these are others")
    if given.a.ndim == 3 or spec.residual:
        raise ValueError("pairs saturate there in matrix products of single codes; these are others")
    zero_points = {"a_zero_point": given.a_zero_point, "w_zero_point": given.w_zero_point}
    return platforms.accumulate(p, given.a, given.w, **zero_points)


def _codes(p, case, sums, columns, rows):
    """The platform's codes for some sums, through the design's bounds and table. Raises ValueError."""
    spec = case.spec
    if isinstance(spec.code, Bipolar):
        raise ValueError("no rule for bipolar outputs")
    low, high = (bound[columns] for bound in case.bounds)
    codes = platforms.requantize(
        p,
        sums[np.ix_(rows, columns)],
        numbers(p, case, columns),
        bias=case.parameters["bias"][columns],
        y_zero_point=case.parameters["y_zero_point"][columns],
        y_format=str(spec.code),
    )
    codes = np.clip(codes, low, high).astype(np.int64)
    return codes if spec.table is None else np.asarray(spec.table)[codes - spec.code.code_range[0]]
