"""Networks whose activations are quantized as they come as ONNX models, which other programs load and run.

Each product is what its layer computes, operation by operation: activations quantized by their range, exact sums of
integers, scales and bias in float32. With uint8 these are DynamicQuantizeLinear, MatMulInteger and ConvInteger.
docs/imports.md says what becomes of other formats.
"""

import numpy as np
import onnx

from ..dynamic import DynamicProduct, RealEntry
from ..float_network import FloatAveragePool
from ..network import Network
from ..shapes import MaxPool, Reshape, Transpose
from .building import Building
from .designs import designs
from .laid_out import MAPS, LaidOut
from .range_nodes import check_written, ranged
from .step_nodes import add_steps
from .sum_nodes import add_sums, sum_kind

_SIX = 6


def dynamic_onnx(network: Network) -> onnx.ModelProto:
    """The network as an ONNX model: input "x" [batch, *shape] and output "y", float32, opset 21.

    Raises ValueError, naming the layer, for networks of codes and for what ONNX has no operator or type for: blocks of
    activations, sums in float32, convolutions of wide integers.
    """
    entry, exit, laid = network.entry, network.exit, LaidOut(Building("x"), network.shape)
    if not isinstance(entry, RealEntry):
        raise ValueError(f"layer {entry.name}: it gives codes; network.qdq.write writes networks of codes")
    add_steps(laid.building, entry.before, entry.name)
    for layer in network.layers:
        try:
            _add(laid, layer)
        except ValueError as error:
            raise ValueError(f"layer {layer.name}: {error}") from None
    laid.lie(laid.plain, exit.name)
    add_steps(laid.building, exit.after, exit.name)
    products = [layer for layer in network.layers if isinstance(layer, DynamicProduct)]
    ends = ("x", network.shape), ("y", laid.shape)
    return laid.building.model(network.name, *ends, {"activation_range": "dynamic", **designs(products)})


def _add(laid: LaidOut, layer):
    match layer:
        case DynamicProduct():
            _product(laid, layer)
        case FloatAveragePool():
            laid.lie(MAPS, layer.name)
            laid.pooled(layer, "AveragePool", count_include_pad=0)
        case MaxPool():
            laid.lie(MAPS, layer.name)
            laid.pooled(layer, "MaxPool")
        case Transpose():
            laid.transposed(layer)
        case Reshape():
            laid.lie(laid.plain, layer.name)
            laid.reshaped(layer)
        case _:
            raise ValueError(f"{type(layer).__name__} of codes is not written as ONNX")


def _product(laid, layer):
    check_written(layer.activations)
    if layer.spec.is_float_sum:
        raise ValueError("sums in float32 are not written: ONNX does not say in which order they are added up")
    kind, columns = sum_kind(layer), len(layer.bias)
    laid.lie(laid.plain if layer.window is None else MAPS, layer.name)
    a = ranged(laid.building, layer.name, layer.activations, kind)
    add_sums(laid, layer, a, kind)
    if layer.window is None:
        laid.shape = (*laid.shape[:-1], columns)
    else:
        laid.windowed(layer.window, columns)
    _finish(laid, layer, a.scale)


def _finish(laid, layer, a_scale):
    """activation(sums * (a_scale * w_scale) + bias)"""
    building, name = laid.building, layer.name
    if places := layer.spec.activations.fraction:
        a_scale = building.aside("Mul", [a_scale, building.constant(2.0**-places, f"{name}_step")], f"{name}_a_step")
    w_scale = building.constant(_per_channel(laid, layer.w_scale), f"{name}_w_scale")
    building.add("Mul", building.aside("Mul", [a_scale, w_scale], f"{name}_scale"), name=f"{name}_scaled")
    if layer.bias.any():
        building.add("Add", building.constant(_per_channel(laid, layer.bias), f"{name}_bias"), name=f"{name}_biased")
    if layer.activation == "relu":
        building.add("Relu", name=f"{name}_relu")
    elif layer.activation == "relu6":
        ends = [building.constant(np.float32(end), f"{name}_end") for end in (0, _SIX)]
        building.add("Clip", *ends, name=f"{name}_clip")


def _per_channel(laid, values):
    return values.reshape(-1, *(1,) * laid.behind) if values.ndim else values
