"""Weights of a product as nodes of an ONNX model: codes, what they stand for, and their scales."""

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from golden.blocks import decoded_scales
from golden.formats import Codebook, Integer

from ..dynamic import DynamicProduct
from ..layers import Product
from .building import Building
from .types import FLOAT8, holding, is_numbers, stored


@dataclass(frozen=True)
class Arrangement:
    """How w [K, N] lies in an ONNX model: as it is, or as a kernel [N, C / group, KH, KW]."""

    kernel: tuple[int, int, int] | None = None

    @property
    def axis(self) -> int:
        """Where the columns are."""
        return 1 if self.kernel is None else 0

    def of(self, w) -> np.ndarray:
        """Numbers [K, N] as they lie there."""
        if self.kernel is None:
            return np.asarray(w)
        high, wide, channels = self.kernel
        return np.asarray(w).reshape(high, wide, channels, -1).transpose(3, 2, 0, 1)

    def nodes(self, building: Building, tensor: str, name: str) -> str:
        """The same for a tensor [K, N] of the model."""
        if self.kernel is None:
            return tensor
        shape = building.constant(np.array([*self.kernel, -1]), f"{name}_kernel")
        shaped = building.aside("Reshape", [tensor, shape], f"{name}_places")
        return building.aside("Transpose", [shaped], f"{name}_turned", perm=[3, 2, 0, 1])


def arrangement(layer: Product | DynamicProduct) -> Arrangement:
    """That of a layer: as many channels as fill K, one of a depthwise convolution."""
    if layer.window is None:
        return Arrangement()
    high, wide = layer.window.kernel
    return Arrangement((high, wide, len(layer.arrays["w"]) // (high * wide)))


def real_weights(building: Building, layer: Product) -> str:
    """A tensor of the real weights, arranged: DequantizeLinear of codes or of the integers they stand for.

    Codes of integer formats are stored as they are, in the next wider type; bipolar, ternary and sign-magnitude ones,
    and sums of two codes, as the integers that they stand for; float8 as such; all else points into a table of
    integers. Raises ValueError for integers of more than 32 bits.
    """
    placed = arrangement(layer)
    if layer.spec.block:
        return placed.nodes(building, _blocks(building, layer), layer.name)
    element, factor, point = _elements(building, layer, placed)
    scale = layer.w.scale.astype(np.float64) * factor
    given = [element, building.constant(scale, f"{layer.name}_w_scale"), *point]
    where = {"axis": placed.axis} if scale.ndim else {}
    return building.aside("DequantizeLinear", given, f"{layer.name}_w_real", **where)


def _blocks(building, layer):
    """[K, N], with a scale and, where there are such, a zero point for each block of each column."""
    element, factor, point = _elements(building, layer, Arrangement())
    scales = [decoded_scales(fmt, layer.arrays[name]) for name, fmt in layer.spec.scale_formats.items()]
    scale = np.asarray(scales[0], np.float64) * layer.w.scale * factor
    given = [element, building.constant(scale, f"{layer.name}_w_scale"), *point]
    where = {"axis": 0, "block_size": layer.spec.block}
    return building.aside("DequantizeLinear", given, f"{layer.name}_w_real", **where)


def _elements(building, layer, placed):
    """A tensor of elements, what a step of the grid is of a step of theirs, and their zero points, if any."""
    fmt, name, w = layer.spec.weights, f"{layer.name}_w", layer.arrays["w"]
    if isinstance(fmt, Integer) and not layer.spec.residual:
        return _integers(building, layer, placed)
    if layer.spec.residual or is_numbers(fmt):
        numbers = placed.of(_numbers(layer))
        return building.codes(numbers, holding(numbers)[1], name), 1, []
    if str(fmt) in FLOAT8:
        return building.raw(placed.of(w), FLOAT8[str(fmt)], name), 2.0**fmt.fraction, []
    return _pointed(building, layer, placed), 1, []


def _integers(building, layer, placed):
    fmt, kind = stored(layer.spec.weights.width, signed=layer.spec.weights.signed)
    element = building.codes(placed.of(layer.arrays["w"]), kind, f"{layer.name}_w")
    point = layer.arrays.get("w_block_zero_point", layer.arrays.get("w_zero_point", layer.w.zero_point))
    if fmt.width == 32 or not np.any(point):
        return element, 1, []
    per_channel = layer.w.scale.ndim and not layer.spec.block
    point = np.broadcast_to(point, layer.w.scale.shape) if per_channel else point
    return element, 1, [building.codes(point, kind, f"{layer.name}_w_zero_point")]


def _numbers(layer):
    """The integers [K, N] that codes, or two codes, stand for."""
    spec, decode = layer.spec, layer.spec.weights.decode
    numbers = np.asarray(decode(np.asarray(layer.arrays["w"], np.int64)))
    if spec.residual and spec.residual_of == "weights":
        numbers = (numbers << spec.residual) + decode(np.asarray(layer.arrays["w_residual"], np.int64))
    return numbers


def _pointed(building, layer, placed):
    """Codes that point into a table: of the format, or of the layer or each of its columns where it is a codebook."""
    fmt, name, w = layer.spec.weights, f"{layer.name}_w", np.asarray(layer.arrays["w"])
    table = np.asarray(layer.arrays["w_codebook"] if isinstance(fmt, Codebook) else _table(fmt))
    kind = holding(table)[1] if holding(table)[0].width > 4 else TensorProto.INT8
    codes = stored(fmt.width, signed=False)[1]
    if table.ndim == 1:
        index = building.codes(placed.of(w), codes, f"{name}_codes")
        values = building.codes(table, kind, f"{name}_table")
        return building.aside("Gather", [values, _index(building, index, name)], name)
    index = building.codes(w, codes, f"{name}_codes")
    values = building.codes(table.T, kind, f"{name}_table")
    found = building.aside("GatherElements", [values, _index(building, index, name)], name, axis=0)
    return placed.nodes(building, found, f"{name}_codebook")


def _index(building, codes, name):
    return building.aside("Cast", [codes], f"{name}_index", to=TensorProto.INT32)


def _table(fmt):
    """The integers that all codes stand for, 0 for those that stand for no number."""
    codes = np.arange(1 << fmt.width)
    numbers = fmt.is_number(codes) if hasattr(fmt, "is_number") else np.ones(len(codes), bool)
    return np.where(numbers, fmt.decode(np.where(numbers, codes, 0)), 0)
