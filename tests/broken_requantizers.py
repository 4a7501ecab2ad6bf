"""float32 scaling and thresholds in plain Python, with one fault to choose: parts of broken_array."""

from fractions import Fraction
from math import floor, frexp, trunc

from oracle import ROUND, wrap


def broken_float32(total, pattern, bug):
    """round(float32(float32(total) * scale)), ties to even, for a scale given as its IEEE bit pattern."""
    exponent, significand = pattern // 2**23, pattern % 2**23
    exponent += {"exponent high": 1, "exponent low": -1}.get(bug, 0)
    scale = Fraction(significand + (bug != "hidden bit missing") * 2**23) * Fraction(2) ** (exponent - 150)
    value = Fraction(wrap(total, 32, True))
    if bug not in ("sum not cut", "nothing cut"):
        value = _in_24_bits(value, trunc if bug == "sum truncated" else round)
    product = value * scale
    if bug not in ("float product not cut", "nothing cut"):
        product = _in_24_bits(product, trunc if bug == "float product truncated" else round)
    return ROUND[bug.removeprefix("rounds ") if bug.startswith("rounds ") else "half_even"](product)


def _in_24_bits(value, rounded):
    if not value:
        return value
    _, bits = frexp(abs(value))
    bits += abs(value) >= Fraction(2) ** bits  # frexp rounds
    bits -= abs(value) < Fraction(2) ** (bits - 1)
    unit = Fraction(2) ** (bits - 24)
    return rounded(value / unit) * unit


class BrokenThresholds:
    """y = smallest code + number of thresholds reached, found one comparison at a time or all at once."""

    def __init__(self, spec, bug):
        self.spec, self.bug = spec, bug

    def code(self, total, thresholds):
        lo = 0 if self.bug == "smallest code missing" else self.spec.clip_range[0]
        lo += {"count high": 1, "count low": -1}.get(self.bug, 0)
        count = self.count(total, self.changed(thresholds))
        if self.bug == "search one short":
            count -= count % 2
        return wrap(count + lo, self.spec.y.width, self.spec.y.signed)

    def changed(self, thresholds):
        match self.bug:
            case "last threshold ignored":
                return thresholds[:-1]
            case "first threshold ignored":
                return thresholds[1:]
            case "thresholds reversed":
                return thresholds[::-1]
            case "thresholds one late":
                return thresholds[-1:] + thresholds[:-1]
        return thresholds

    def reaches(self, total, threshold):
        if self.bug in ("unsigned comparison", "unsigned thresholds"):
            threshold = wrap(threshold, self.spec.threshold_format.width, False)
        if self.bug == "unsigned comparison":
            total = wrap(total, self.spec.accumulator_width, False)
        return total > threshold if self.bug == "passes" else total >= threshold

    def count(self, total, thresholds):
        if self.spec.threshold_search == "parallel":
            return sum(self.reaches(total, threshold) for threshold in thresholds)
        count, weight = 0, 2 ** floor(len(thresholds).bit_length())
        while weight := weight // 2:
            more = count + weight
            count = more if more <= len(thresholds) and self.reaches(total, thresholds[more - 1]) else count
        return count
