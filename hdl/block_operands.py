"""What travels beside the operands of designs with block scales or float32 sums: scales, and marks of no numbers."""

from amaranth.hdl import Cat, Const, Module, Value
from amaranth.lib import data

from golden.spec import Spec

from .skew import delay
from .specials import is_infinite, is_nan, may_be_infinite, may_be_nan


def operand_of(spec: Spec, which):
    """(format of the operands, format of their scales or None) for "a" or "w"."""
    return (spec.activations, spec.a_block_scale) if which == "a" else (spec.weights, spec.w_block_scale)


def beside(spec: Spec, which):
    """What one row ("a") or column ("w") passes on behind its operands.

    `nan`: an operand of the beat, or at the end of a block its scale, is NaN; `infinite`: which operands are; `scale`:
    the code of the block's scale. The element wants `nan` as late as the sums of its beats and `scale` later still,
    so they leave the entry so much later.
    """
    fmt, scale = operand_of(spec, which)
    members = {}
    if spec.is_float_sum and (may_be_nan(fmt) or may_be_nan(scale)):
        members["nan"] = 1
    if spec.is_float_sum and may_be_infinite(fmt):
        members["infinite"] = spec.lanes
    if scale is not None:
        members["scale"] = scale.width
    return data.StructLayout(members)


def marked(m: Module, spec: Spec, which, codes: Value, scale: Value | None, ends: Value, late, name):
    """The fields of `beside` for one row or column: from its codes, its scale, and whether the beat ends a block.

    Each is delayed by the cycles that `late` has under its name.
    """
    fmt, scale_fmt = operand_of(spec, which)
    lanes = [codes.word_select(lane, fmt.width) for lane in range(spec.lanes)]
    fields, layout = {}, beside(spec, which).members
    if "nan" in layout:
        found = Cat(is_nan(code, fmt) for code in lanes).any() if may_be_nan(fmt) else Const(0, 1)
        fields["nan"] = found | (ends & is_nan(scale, scale_fmt)) if may_be_nan(scale_fmt) else found
    if "infinite" in layout:
        fields["infinite"] = Cat(is_infinite(code, fmt) for code in lanes)
    if scale is not None:
        fields["scale"] = scale
    return Cat(delay(m, fields[key], late.get(key, 0), f"{name}_{key}_late") for key in layout)


def fields_of(spec: Spec, which, bundle: Value) -> dict[str, Value]:
    """The fields of `beside` at the end of what a row or column passes on."""
    layout = beside(spec, which)
    first = len(bundle) - layout.size
    return {key: bundle[first + field.offset :][: field.width] for key, field in layout}
