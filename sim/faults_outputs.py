"""Faults from the accumulator to the output code: bias, scale, rounding, zero point, clip."""

import numpy as np

from golden.checks import ZERO_POINT_ORDERS
from golden.formats import Bipolar, Integer
from golden.rounding import ROUNDINGS
from golden.rules import RULES

from .machine import Hypothesis

SIGN_OR_PARITY = ("toward_zero", "half_away", "half_even")  # roundings that an added integer can change


def output_faults(machine):
    """Faults of the requantizer."""
    for kind in (_rounding, _output, _scale, _bias, _zero_point):
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


def _output(machine):
    spec = machine.spec
    if isinstance(spec.y, Bipolar):
        yield Hypothesis("clip", "the output's sign bit is inverted", lambda window: 1 - window.golden)
        yield Hypothesis("clip", "zero gives -1 where the design gives +1", _zero_is_negative)
        return
    if spec.activation == "relu":
        yield _respec("clip", "relu is missing", activation="none")
        yield Hypothesis(
            "clip", "relu bounds the output at code 0 instead of at the zero point", _relu_after_zero_point
        )
    else:
        yield _respec("clip", "a relu that the design does not have", activation="relu")
    if spec.overflow == "wrap":
        yield _respec("clip", "outputs saturate where the design says wrap", overflow="saturate")
        return
    lo, hi = _values(spec)
    if lo < spec.y.code_range[0] or hi > spec.y.code_range[1]:
        yield Hypothesis("clip", "outputs wrap where the design says saturate", _wrapping)
    if spec.clip is not None:
        yield _respec("clip", f"the clip to {list(spec.clip)} is missing", clip=None)
    for end, side in enumerate(("lower", "upper")):
        for offset, size in ((-1, "low"), (1, "high")):
            if (bounds := _moved(spec, end, offset)) is not None:
                cause = f"the {side} clip bound is one too {size}: {bounds[end]} instead of {spec.clip_range[end]}"
                yield Hypothesis("clip", cause, lambda window, bounds=bounds: _clipped_to(window, bounds))


def _values(spec):
    """Interval of what the clip gets."""
    lo, hi = spec.scaled_range
    if spec.activation == "relu":
        lo, hi = max(lo, 0), max(hi, 0)
    zero_points = spec.y.code_range if spec.y_zero_point else (0, 0)
    return lo + zero_points[0], hi + zero_points[1]


def _moved(spec, end, offset):
    """The clip bounds, one of them moved; None where no value could tell."""
    bounds, (lo, hi) = list(spec.clip_range), _values(spec)
    tells = lo < max(bounds[0], bounds[0] + offset) if end == 0 else hi > min(bounds[1], bounds[1] + offset)
    bounds[end] += offset
    return tuple(bounds) if tells and bounds[0] <= bounds[1] and spec.y.width < 62 else None


def _clipped_to(window, bounds):
    """Bounds may leave the output format: then the code wraps into it."""
    wide = window.spec.with_(output=Integer(window.spec.y.width + 2, signed=True), clip=bounds)
    return window.spec.y.wrap(window.codes(spec=wide))


def _wrapping(window):
    codes = window.codes(spec=window.spec.with_(overflow="wrap", clip=None))
    return codes if window.spec.clip is None else np.clip(codes, *window.spec.clip)


def _zero_is_negative(window):
    wide = window.spec.with_(output=Integer(8, signed=True))
    return (window.codes(spec=wide) > 0).astype(np.int64)


def _relu_after_zero_point(window):
    return np.maximum(window.codes(spec=window.spec.with_(activation="none")), max(0, window.spec.clip_range[0]))


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
