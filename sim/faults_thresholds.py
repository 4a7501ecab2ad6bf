"""Faults of counting thresholds: the comparison, the first and the last of them, their order, the smallest code."""

import numpy as np

from golden.formats import Bipolar
from golden.ops import exact_dtype

from .machine import Hypothesis


def threshold_faults(machine):
    """Faults of requantize "thresholds"."""
    for kind in (_comparisons, _sets, _counts):
        yield from kind(machine)


def _comparisons(machine):
    cause = "a sum equal to a threshold does not count as reaching it: > instead of >="
    yield _recounted(cause, lambda window: (window.accumulators - 1, _thresholds(window)))
    if machine.spec.acc_range[0] < 0:
        yield _recounted("sums and thresholds are compared as unsigned", _both_unsigned)
        yield _recounted("thresholds are read as unsigned", lambda window: (window.accumulators, _unsigned(window)))


def _both_unsigned(window):
    return _without_sign(window.accumulators, window.spec.accumulator_width), _unsigned(window)


def _unsigned(window):
    return _without_sign(_thresholds(window), window.spec.threshold_format.width)


def _without_sign(values, width):
    values = values.astype(exact_dtype(0, 1 << width))
    return np.where(values < 0, values + (1 << width), values)


def _thresholds(window):
    return window.parameters["thresholds"]


def _sets(machine):
    """Another set of thresholds than the one that was loaded."""
    changes = {
        "the last threshold is ignored": lambda thresholds: thresholds[:, :-1],
        "the first threshold is ignored": lambda thresholds: thresholds[:, 1:],
    }
    if machine.spec.threshold_search == "binary" and machine.spec.threshold_count > 1:
        changes |= {
            "thresholds are searched in reverse order": lambda thresholds: thresholds[:, ::-1],
            "thresholds are searched one place late, the last one first": lambda thresholds: np.roll(thresholds, 1, 1),
        }
    for cause, change in changes.items():
        yield _recounted(cause, lambda window, change=change: (window.accumulators, change(_thresholds(window))))


def _counts(machine):
    """Another code for the right count."""
    spec = machine.spec
    lo = spec.clip_range[0]
    if isinstance(spec.y, Bipolar):
        yield Hypothesis("clip", "the output's sign bit is inverted", lambda window: 1 - window.golden)
        return
    if lo:
        yield _recoded(f"the smallest code, {lo}, is not added to the count", lambda count: count)
    if spec.threshold_search == "binary" and spec.threshold_count > 1:
        cause = "the search ends one comparison early: the count's lowest bit is missing"
        yield _recoded(cause, lambda count: (count & ~1) + lo)
    yield _recoded("the count is one too high", lambda count: count + 1 + lo)
    yield _recoded("the count is one too low", lambda count: count - 1 + lo)


def _recoded(cause, change):
    def y(window):
        return window.spec.y.wrap(change(window.golden - window.spec.clip_range[0]))

    return Hypothesis("threshold", cause, y)


def _recounted(cause, change):
    """`change`: window -> sums [rows, cols] and thresholds [cols, T], counted as the design counts."""
    return Hypothesis("threshold", cause, lambda window: window.spec.clip_range[0] + _count(window, *change(window)))


def _count(window, sums, thresholds):
    if window.spec.threshold_search == "parallel":
        return sum(((sums >= threshold).astype(np.int64) for threshold in thresholds.T), np.zeros(sums.shape, np.int64))
    count, column = np.zeros(sums.shape, np.int64), np.arange(len(window.cols))
    most = thresholds.shape[1]
    for bit in reversed(range(most.bit_length())):
        more = count + (1 << bit)
        reached = (more <= most) & (sums >= thresholds[column, np.minimum(more, most) - 1])
        count = np.where(reached, more, count)
    return count
