"""Precision chosen at run time: which integers so many bits hold, and that given operands keep to it."""

from typing import NamedTuple

import numpy as np

from .ops import int_bits


class Mode(NamedTuple):
    """How a scalable element cuts its words: `bits` of A's codes and of W's, and how many products a lane forms."""

    bits: tuple[int, int]
    products: int

    @property
    def name(self):
        return "{}x{}".format(*self.bits)


MODES = (Mode((8, 8), 1), Mode((8, 4), 2), Mode((4, 4), 4), Mode((2, 2), 16))
"""The modes of a scalable array, by the number that a beat of A carries."""


def held_range(bits, signed):
    """Smallest and largest integer of so many bits."""
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)


def holds(values, bits, signed):
    """Which of these integers so many bits hold."""
    lo, hi = held_range(bits, signed)
    return (lo <= values) & (values <= hi)


def most_bits(interval):
    """Bits of an operand of this interval at its full precision; two's complement where it has negative values."""
    lo, hi = interval
    return int_bits(lo, hi) if lo < 0 else hi.bit_length()


def check_held(spec, a, w, given):
    """Refuses precisions that are too wide, or too narrow for decoded A and W less their zero points.

    Raises ValueError; the message names array, value, bounds, and the first integer beyond them.
    """
    if (mode := int(given.get("mode", -1))) >= 0:
        for side, (name, values, fmt) in enumerate((("a", a, spec.activations), ("w", w, spec.weights))):
            _check_holds(f"mode is {mode}", name, values, held_range(MODES[mode].bits[side], fmt.signed))
    for name, values, interval in (("a", a, spec.a_range), ("w", w, spec.w_range)):
        if bits := int(given.get(f"{name}_bits", 0)):
            less = " less its zero point" if getattr(spec, f"{name}_zero_point") else ""
            _check_bits(name, bits, values, interval, less)


def _check_bits(name, bits, values, interval, less):
    most = most_bits(interval)
    if bits > most:
        raise ValueError(f"{name}_bits must be at most {most}, what the widest {name} takes, not {bits}")
    _check_holds(f"{name}_bits is {bits}", name, values, held_range(bits, interval[0] < 0), less)


def _check_holds(given, name, values, held, less=""):
    lo, hi = held
    wrong = np.argwhere((values < lo) | (values > hi))
    if wrong.size:
        index = tuple(int(i) for i in wrong[0])
        raise ValueError(f"{given}, which holds [{lo}, {hi}], but {name}{list(index)}{less} is {int(values[index])}")
