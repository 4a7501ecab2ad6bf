"""Faults of a float32 multiplication: roundings left out or done otherwise, a scale read wrongly."""

import numpy as np

from golden.ieee import FLOAT32, excess_bits
from golden.rounding import ROUNDINGS, round_shift
from golden.scale import wrap32

from .machine import Hypothesis

HIDDEN_BIT = 1 << FLOAT32.precision - 1
_LONGEST = 60
_LEFT = 4  # further left, every output has saturated


def float_faults(machine):
    """Faults of requantize "float32"."""
    if machine.spec.requantize == "float32":
        for kind in (_roundings, _products, _scales):
            yield from kind(machine)


def _roundings(machine):
    for rounding in ROUNDINGS:
        if rounding != "half_even":
            yield _rescaled("round", f"rounds {rounding} where the design says half_even", rounding=rounding)


def _products(machine):
    lo, hi = machine.spec.biased_range
    if max(-lo, hi) > 1 << FLOAT32.precision:
        yield _rescaled("scale", "the sum is not rounded to 24 bits before the multiplication", cut_sum=None)
        yield _rescaled("scale", "the sum is truncated to 24 bits instead of rounded", cut_sum="toward_zero")
        cause = "neither sum nor product is rounded to float32: the exact product is rounded once"
        yield _rescaled("scale", cause, cut_sum=None, cut_product=None)
    cause = "the product is not rounded to float32 before it is rounded to an integer"
    yield _rescaled("scale", cause, cut_product=None)
    yield _rescaled("scale", "the product is truncated to 24 bits instead of rounded", cut_product="toward_zero")


def _rescaled(step, cause, **roundings):
    return Hypothesis(step, cause, lambda window: window.finished(_scaled(window, **roundings)))


def _scaled(window, scale=None, **roundings):
    given = window.parameters
    value = wrap32(window.accumulators + given.get("bias", 0))
    return float_scaled(value, FLOAT32.parts(given["scale"]) if scale is None else scale, **roundings)


def float_scaled(
    value,
    scale,
    *,
    cut_sum: str | None = "half_even",
    cut_product: str | None = "half_even",
    rounding: str = "half_even",
):
    """`golden.ieee.multiply` of int32 values and scales (significand, exponent), with other roundings; None is none.

    Results beyond 2**23 are only known to be that large.
    """
    significand, exponent = scale
    value, first = _cut(value, 32, cut_sum)
    product, second = _cut(value * significand, 32 + FLOAT32.precision, cut_product)
    right = -(exponent + first + second)
    return round_shift(product << np.clip(-right, 0, _LEFT), np.clip(right, 0, _LONGEST), rounding)


def _cut(value, widest, rounding):
    """The value in 24 significant bits, and how many bits were cut; itself and none where the rounding is None."""
    if rounding is None:
        return value, 0
    excess = excess_bits(value, FLOAT32.precision, widest)
    return round_shift(value, excess, rounding), excess


def _scales(machine):
    for cause, offset in (("one too high", HIDDEN_BIT), ("one too low", -HIDDEN_BIT)):
        yield Hypothesis("scale", f"the scale's exponent is {cause}", lambda window, by=offset: _moved(window, by))
    yield Hypothesis("scale", "the leading one of the scale's significand is missing", _without_hidden_bit)


def _moved(window, offset):
    return window.codes(scale=np.clip(window.parameters["scale"] + offset, *FLOAT32.code_range))


def _without_hidden_bit(window):
    significand, exponent = FLOAT32.parts(window.parameters["scale"])
    return window.finished(_scaled(window, (significand - HIDDEN_BIT, exponent)))
