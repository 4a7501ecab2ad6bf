"""Activations quantized by their own range, as nodes of an ONNX model: network.dynamic_activations, operation by
operation, in float32."""

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto, helper

from golden.block_formats import NAMED_BLOCKS
from golden.formats import Integer, parse
from golden.minifloat import MiniFloat

from .building import Building
from .types import FLOAT8

MOST_BITS = 24
_TINY = np.finfo(np.float32).tiny


@dataclass(frozen=True)
class Ranged:
    """Tensors of a model: integers of some type, what is to be taken off them ("" for nothing), and their scale."""

    integers: str
    zero_point: str
    scale: str


def check_written(name: str):
    """Raises ValueError for a format of activations that has no such nodes."""
    if name in NAMED_BLOCKS:
        raise ValueError(f"blocks of activations, as of {name}, are not written: ONNX has no operator that makes them")
    fmt = parse(name)
    if isinstance(fmt, MiniFloat) and name not in FLOAT8:
        raise ValueError(f"activations must be of a type of ONNX's, not {name}")
    if not isinstance(fmt, MiniFloat) and fmt.width > MOST_BITS:
        raise ValueError(f"activations must have at most {MOST_BITS} bits, which float32 holds, not {name}")


def most(name: str) -> int:
    """The largest magnitude of the integers."""
    fmt = parse(name)
    return max(map(abs, fmt.decoded_range if isinstance(fmt, MiniFloat) else fmt.code_range))


def ranged(building: Building, name: str, activations: str, kind: int) -> Ranged:
    """Integers of an ONNX type for the chain's tensor, by the range of all of it; the chain stays where it is."""
    fmt = parse(activations)
    if activations == "uint8" and kind == TensorProto.INT8:
        return _dynamic_quantize_linear(building, name)
    if isinstance(fmt, Integer):
        made = _signed if fmt.signed else _unsigned
        numbers, scale = made(building, f"{name}_a", fmt)
    else:
        numbers, scale = _float8(building, f"{name}_a", fmt)
    if kind != TensorProto.FLOAT:
        numbers = building.aside("Cast", [numbers], f"{name}_a_integers", to=kind)
    return Ranged(numbers, "", scale)


def _dynamic_quantize_linear(building, name):
    node = f"{name}_a_quantize"
    outputs = [building.name(f"{node}_{one}") for one in ("codes", "scale", "zero_point")]
    building.nodes.append(
        helper.make_node("DynamicQuantizeLinear", [building.tensor], outputs, name=building.name(node))
    )
    return Ranged(outputs[0], outputs[2], outputs[1])


def _unsigned(building, name, fmt):
    """DynamicQuantizeLinear with another number of codes; the zero point is taken off."""
    top = building.constant(np.float32(fmt.code_range[1]), f"{name}_top")
    zero, one = _zero_and_one(building, name)
    lo, hi = (
        building.aside(
            operator,
            [building.aside(f"Reduce{operator}", [building.tensor], f"{name}_{end}", keepdims=0), zero],
            f"{name}_{end}_or_zero",
        )
        for operator, end in (("Min", "least"), ("Max", "largest"))
    )
    width = building.aside("Sub", [hi, lo], f"{name}_width")
    step = building.aside("Div", [width, top], f"{name}_step")
    scale = _unless(building, name, building.aside("Equal", [width, zero], f"{name}_empty"), one, step)
    below = building.aside("Sub", [zero, building.aside("Div", [lo, scale], f"{name}_lo")], f"{name}_below")
    point = building.aside("Round", [building.aside("Clip", [below, zero, top], f"{name}_held")], f"{name}_zero_point")
    ends = building.aside("Neg", [point], f"{name}_first"), building.aside("Sub", [top, point], f"{name}_last")
    return _rounded(building, name, scale, ends), scale


def _signed(building, name, fmt):
    """Symmetric: the largest magnitude on the largest code."""
    zero, one = _zero_and_one(building, name)
    largest, step = _step(building, name, fmt.code_range[1])
    scale = _unless(building, name, building.aside("Equal", [largest, zero], f"{name}_empty"), one, step)
    ends = [building.constant(np.float32(end), f"{name}_end") for end in fmt.code_range]
    return _rounded(building, name, scale, ends), scale


def _float8(building, name, fmt):
    """The largest magnitude on the largest number; numbers are in steps of the format's grid."""
    one, tiny = (
        building.constant(np.float32(value), f"{name}_{told}") for value, told in ((1, "one"), (_TINY, "tiny"))
    )
    step = _step(building, name, fmt.largest)[1]
    scale = _unless(building, name, building.aside("Less", [step, tiny], f"{name}_empty"), one, step)
    point = building.raw(0, FLOAT8[fmt.name], f"{name}_zero_point")
    codes = building.aside("QuantizeLinear", [building.tensor, scale, point], f"{name}_quantize")
    values = building.aside("Cast", [codes], f"{name}_values", to=TensorProto.FLOAT)
    places = building.constant(np.float32(2.0**fmt.fraction), f"{name}_places")
    return building.aside("Mul", [values, places], f"{name}_numbers"), scale


def _zero_and_one(building, name):
    return [building.constant(np.float32(value), f"{name}_{told}") for value, told in ((0, "zero"), (1, "one"))]


def _step(building, name, codes):
    """(the largest magnitude, the same divided by a number)"""
    sizes = building.aside("Abs", [building.tensor], f"{name}_sizes")
    largest = building.aside("ReduceMax", [sizes], f"{name}_largest", keepdims=0)
    return largest, building.aside(
        "Div", [largest, building.constant(np.float32(codes), f"{name}_top")], f"{name}_step"
    )


def _unless(building, name, condition, one, step):
    return building.aside("Where", [condition, one, step], f"{name}_scale")


def _rounded(building, name, scale, ends):
    steps = building.aside("Div", [building.tensor, scale], f"{name}_steps")
    rounded = building.aside("Round", [steps], f"{name}_rounded")
    return building.aside("Clip", [rounded, *ends], f"{name}_codes")
