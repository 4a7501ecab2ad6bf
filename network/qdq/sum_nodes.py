"""Exact sums of products of integers as nodes of an ONNX model, by whichever of its operators forms them exactly."""

import numpy as np
from onnx import TensorProto

from golden.formats import Integer

from ..dynamic import DynamicProduct
from .laid_out import LaidOut, window_attributes
from .range_nodes import Ranged, most
from .types import stored
from .weight_nodes import arrangement

_MOST_INT32, _MOST_FLOAT = (1 << 31) - 1, 1 << 24
_WIDTHS, _MIDDLE = (8, 16, 32, 64), 128


def sum_kind(layer: DynamicProduct) -> int:
    """The ONNX type of the integers that are multiplied, so that no partial sum in any order leaves what holds it.

    INT8 for operators of 8-bit integers, whose sums are int32; FLOAT where each sum is an integer of float32; else
    INT64, for layers without a window. Raises ValueError for the others.
    """
    magnitudes = np.abs(layer.weights.integers.astype(object)).sum(axis=0)
    largest, fmt = most(layer.activations) * int(magnitudes.max()), layer.spec.activations
    if isinstance(fmt, Integer) and fmt.width <= 8 and largest <= _MOST_INT32 and _has_bytes(layer):
        return TensorProto.INT8
    if largest <= _MOST_FLOAT:
        return TensorProto.FLOAT
    if layer.window is not None:
        operators = "ConvInteger takes 8-bit integers and Conv float32"
        raise ValueError(f"sums of up to {largest} are convolved exactly by no operator of ONNX: {operators}")
    return TensorProto.INT64


def add_sums(laid: LaidOut, layer: DynamicProduct, a: Ranged, kind: int):
    """The sums [B, ..., N] as float32, each rounded once; the chain's tensor lies as the layer takes it."""
    building, integer = laid.building, kind == TensorProto.INT8
    weights, point = _bytes(building, layer) if integer else (_numbers(building, layer, kind), "")
    building.tensor = a.integers
    operands = [weights, a.zero_point, point] if point else [weights, a.zero_point] if a.zero_point else [weights]
    if layer.window is None:
        building.add("MatMulInteger" if integer else "MatMul", *operands, name=layer.name)
    else:
        placed = window_attributes(layer.window)
        group = laid.shape[2] if layer.spec.array == "vector" else 1
        building.add("ConvInteger" if integer else "Conv", *operands, name=layer.name, group=group, **placed)
    if kind != TensorProto.FLOAT:
        building.add("Cast", name=f"{layer.name}_sums", to=TensorProto.FLOAT)


def _has_bytes(layer):
    """Whether int8 holds the weights, or all of their codes."""
    fmt = layer.spec.weights
    is_coded = isinstance(fmt, Integer) and fmt.width <= 8 and layer.weights.scale_fmt is None
    return is_coded or _bits(layer.weights.integers) <= 8


def _bits(integers):
    lo, hi = int(integers.min()), int(integers.max())
    return 1 + max(hi.bit_length(), (~lo).bit_length() if lo < 0 else 0)


def _bytes(building, layer):
    """(weights as int8, their zero point or ""): onnxruntime has no fused product of int8 and uint8."""
    name, numbers, point = f"{layer.name}_w", layer.weights.integers, 0
    if _bits(numbers) > 8:
        point = layer.weights.grid.zero_point - (0 if layer.spec.weights.signed else _MIDDLE)
    codes = building.codes(arrangement(layer).of(numbers + point), TensorProto.INT8, name)
    return codes, building.codes(point, TensorProto.INT8, f"{name}_zero_point") if point else ""


def _numbers(building, layer, kind):
    """Weights as the narrowest integers that hold them, cast to the type that is multiplied."""
    numbers = layer.weights.integers
    narrow = stored(_bits(numbers), signed=True, widths=_WIDTHS)[1]
    codes = building.codes(arrangement(layer).of(numbers), narrow, f"{layer.name}_w")
    return codes if narrow == kind else building.aside("Cast", [codes], f"{layer.name}_w_cast", to=kind)
