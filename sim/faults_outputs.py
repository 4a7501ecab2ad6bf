"""Faults from the accumulator to the output code: of any requantizer, and of one that takes integers to scale by."""

import numpy as np

from golden.checks import ZERO_POINT_ORDERS
from golden.rounding import ROUNDINGS
from golden.rules import RULES

from .faults_clip import clip_faults
from .faults_dynamic import dynamic_faults
from .faults_float import float_faults
from .faults_tables import table_faults
from .faults_thresholds import threshold_faults
from .machine import Hypothesis

SIGN_OR_PARITY = ("toward_zero", "half_away", "half_even", "dpu")  # roundings that an added integer can change


def output_faults(machine):
    """Faults of the requantizer; float32 sums have none."""
    if machine.spec.is_float_sum:
        return
    scaling = (_rounding, float_faults, clip_faults, table_faults, _scale, _bias, _zero_point)
    others = {"thresholds": (threshold_faults,), "dynamic": (dynamic_faults,)}
    for kind in others.get(machine.spec.requantize, scaling):
        yield from kind(machine)


def _respec(step, cause, **changes):
    return Hypothesis(step, cause, lambda window: window.codes(spec=window.spec.with_(**changes)))


def _reparameter(step, cause, name, change):
    return Hypothesis(step, cause, lambda window: window.codes(**{name: change(window.parameters[name])}))


def _rounding(machine):
    spec = machine.spec
    if spec.rule is not None:
        for name, rule in RULES.items():
            if name != spec.requantize and rule.parameters == spec.rule.parameters:
                yield _respec(
                    "round", f"rounds as {name} does where the design says {spec.requantize}", requantize=name
                )
        return
    if spec.requantize != "none":
        if spec.y_zero_point and spec.rounding in SIGN_OR_PARITY:
            order = next(order for order in ZERO_POINT_ORDERS if order != spec.zero_point_order)
            cause = f"the zero point is added {order.replace('_', ' ')}, not {spec.zero_point_order.replace('_', ' ')}"
            yield _respec("round", cause, zero_point_order=order)
        for rounding in ROUNDINGS:
            if rounding != spec.rounding:
                cause = f"rounds {rounding} where the design says {spec.rounding}"
                yield _respec("round", cause, rounding=rounding)


def _shift_moved(spec, shift, by):
    lo, hi = spec.shift_range
    return np.clip(shift + by, lo, hi + (spec.rule is None))


def _scale(machine):
    spec = machine.spec
    if "shift" in spec.parameters:
        right = 1 if spec.rule is None else -1
        yield _reparameter("scale", "shifts by one too many", "shift", lambda shift: _shift_moved(spec, shift, right))
        yield _reparameter("scale", "shifts by one too few", "shift", lambda shift: _shift_moved(spec, shift, -right))
        yield _reparameter("scale", "does not shift", "shift", np.zeros_like)
    if "multiplier" in spec.parameters:
        top = 1 << spec.parameter_formats["multiplier"].width - 1
        lost, negative = "the multiplier's top bit is lost", "the multiplier is read as signed"
        yield _reparameter("scale", lost, "multiplier", lambda value: value & (top - 1))
        yield _reparameter("scale", negative, "multiplier", lambda value: value - 2 * (value & top))
        yield _reparameter("scale", "does not multiply", "multiplier", np.ones_like)


def _bias(machine):
    if "bias" in machine.spec.parameters:
        yield _reparameter("bias", "bias is missing", "bias", np.zeros_like)
        yield _reparameter("bias", "bias is subtracted instead of added", "bias", np.negative)


def _zero_point(machine):
    if "y_zero_point" in machine.spec.parameters:
        for cause, change in (
            ("the output's zero point is missing", np.zeros_like),
            ("the output's zero point is one too high", lambda value: value + 1),
            ("the output's zero point is one too low", lambda value: value - 1),
            ("the output's zero point is subtracted instead of added", np.negative),
        ):
            yield _reparameter("zero point", cause, "y_zero_point", change)
