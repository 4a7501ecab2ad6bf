"""Faults behind the rounding: activation, overflow, clip."""

import numpy as np

from golden.formats import Bipolar, Integer

from .faults_tables import before_table, looked_up
from .machine import Hypothesis


def clip_faults(machine):
    """Faults between the rounded value and the code."""
    kinds = (_signs,) if isinstance(machine.spec.code, Bipolar) else (_activation, _overflow, _bounds)
    for kind in kinds:
        yield from kind(machine)


def _signs(machine):
    yield Hypothesis("clip", "the output's sign bit is inverted", lambda window: 1 - window.golden)
    yield Hypothesis("clip", "zero gives -1 where the design gives +1", _zero_is_negative)


def _zero_is_negative(window):
    return (_finished(window, output=Integer(8, signed=True)) > 0).astype(np.int64)


def _activation(machine):
    spec = machine.spec
    if spec.activation == "none":
        if spec.y_zero_point or spec.clip_range[0] < 0:
            yield _reactivated("a relu that the design does not have", "relu")
        return
    yield _reactivated(f"{spec.activation} is missing", "none")
    if spec.y_zero_point:
        cause = f"{spec.activation} bounds the output at code 0 instead of at the zero point"
        yield Hypothesis("clip", cause, lambda window: _bounded(window, "none", 0, _most(window)))
    if spec.activation == "relu6":
        yield from _six(spec)


def _six(spec):
    """Faults of relu6 alone."""
    yield _reactivated("relu6's upper bound is missing", "relu")
    cause = "relu6's lower bound is missing"
    yield Hypothesis("clip", cause, lambda window: _bounded(window, "none", upper=_most(window)))
    faults = {"is one too high": lambda window: _most(window) + 1, "is one too low": lambda window: _most(window) - 1}
    if spec.y_zero_point:
        faults["bounds the value before the zero point is added"] = lambda window: _most(window) + _zero(window)
    for cause, upper in faults.items():
        yield Hypothesis(
            "clip",
            f"relu6's upper bound {cause}",
            lambda window, upper=upper: _bounded(window, "relu", upper=upper(window)),
        )


def _zero(window):
    return window.parameters["y_zero_point"]


def _most(window):
    return window.parameters.get("y_max")


def _reactivated(cause, activation):
    return Hypothesis("clip", cause, lambda window: looked_up(window.spec, _finished(window, activation=activation)))


def _bounded(window, activation, lower=None, upper=None):
    """Codes with another activation, then these bounds [cols], then the clip."""
    spec = window.spec
    codes = _finished(window, activation=activation)
    codes = codes if lower is None else np.maximum(codes, lower)
    codes = codes if upper is None else np.minimum(codes, upper)
    return looked_up(spec, np.clip(codes, *spec.clip_range))


def _finished(window, **changes):
    """Codes ahead of the table, with other rules for what comes after the rounding."""
    changes = before_table(window.spec) | changes
    if "scale" in window.spec.parameters:
        return window.finished(window.rounded, **changes)
    return window.codes(spec=window.spec.with_(**changes))


def _overflow(machine):
    spec = machine.spec
    if spec.overflow == "wrap":
        cause = "outputs saturate where the design says wrap"
        yield Hypothesis("clip", cause, lambda window: looked_up(spec, _finished(window, overflow="saturate")))
        return
    lo, hi = _values(spec)
    if lo < spec.code.code_range[0] or hi > spec.code.code_range[1]:
        yield Hypothesis("clip", "outputs wrap where the design says saturate", _wrapping)


def _wrapping(window):
    codes = _finished(window, overflow="wrap", clip=None)
    return looked_up(window.spec, np.clip(codes, *window.spec.clip_range))


def _values(spec):
    """Interval of what the clip gets."""
    lo, hi = spec.scaled_range
    if spec.activation != "none":
        lo, hi = max(lo, 0), max(hi, 0)
    zero_points = spec.code.code_range if spec.y_zero_point else (0, 0)
    hi += zero_points[1]
    return lo + zero_points[0], min(hi, spec.code.code_range[1]) if spec.activation == "relu6" else hi


def _bounds(machine):
    spec = machine.spec
    if spec.overflow == "wrap":
        return
    if spec.clip is not None:
        cause = f"the clip to {list(spec.clip)} is missing"
        yield Hypothesis("clip", cause, lambda window: looked_up(spec, _finished(window, clip=None)))
    for end, side in enumerate(("lower", "upper")):
        for offset, size in ((-1, "low"), (1, "high")):
            if (bounds := _moved(spec, end, offset)) is not None:
                cause = f"the {side} clip bound is one too {size}: {bounds[end]} instead of {spec.clip_range[end]}"
                yield Hypothesis("clip", cause, lambda window, bounds=bounds: _clipped_to(window, bounds))


def _moved(spec, end, offset):
    """The clip bounds, one of them moved; None where no value could tell."""
    bounds, (lo, hi) = list(spec.clip_range), _values(spec)
    tells = lo < max(bounds[0], bounds[0] + offset) if end == 0 else hi > min(bounds[1], bounds[1] + offset)
    bounds[end] += offset
    return tuple(bounds) if tells and bounds[0] <= bounds[1] and spec.code.width < 62 else None


def _clipped_to(window, bounds):
    """Bounds may leave the format of the code: then the code wraps into it."""
    wide = Integer(window.spec.code.width + 2, signed=True)
    return looked_up(window.spec, window.spec.code.wrap(_finished(window, output=wide, clip=bounds)))
