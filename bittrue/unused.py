"""Options that say nothing about the design they are given for: one line, where they would be ignored."""

from dataclasses import fields

from golden.spec import Spec
from hdl.multiply import DspDot, PlaneDot, dot_product

from .errors import InputError

_DEFAULTS = {field.name: field.default for field in fields(Spec)}


def check_used(spec: Spec):
    """Raises InputError for the first field that has another value than its default and no effect on the design.

    A resolved design file, which holds all fields, passes: those that say nothing have their defaults there.
    """
    for field, needed, found in _unused(spec):
        if getattr(spec, field) != _DEFAULTS[field]:
            raise InputError(f"{field} needs {needed}, not {found}")


def _unused(spec):
    """(field, what it needs, what the design has instead) of each field without effect."""
    for field, kind in (("outputs", "matrix_vector"), ("pass_rows", "weight_stationary")):
        if spec.array != kind:
            yield field, f"array {kind!r}", repr(spec.array)
    for field, *rules in (
        ("rounding", "shift", "multiplier"),
        ("multiplier_bits", "multiplier"),
        ("threshold_search", "thresholds"),
        ("dynamic_scale", "dynamic"),
    ):
        if spec.requantize not in rules:
            yield field, f"requantize {' or '.join(map(repr, rules))}", repr(spec.requantize)
    if not spec.y_zero_point:
        yield "zero_point_order", "y_zero_point", "a design without"
    if spec.accumulator is None:
        yield "accumulator_overflow", "accumulator, a width", "a design with the exact one"
    if spec.multiplier_style != "auto" and type(dot_product(spec)) not in (PlaneDot, DspDot):
        yield "multiplier_style", "products of integers", f"{spec.activations} x {spec.weights}"
