"""Networks of codes as ONNX models in QDQ format, which other programs load and run.

Each quantized tensor is QuantizeLinear and DequantizeLinear, each weight DequantizeLinear of integers; what stands
between them are the real operators. Formats narrower than ONNX's are kept by Clip. docs/networks.md says what is lost.
"""

import numpy as np
import onnx

from golden.formats import Bipolar, Integer

from ..grid import Grid
from ..layers import AveragePool, Product, Quantize
from ..network import Network
from ..shapes import MaxPool, Reshape, Transpose
from .building import Building
from .designs import designs
from .laid_out import MAPS, LaidOut, window_attributes
from .step_nodes import add_steps
from .types import FLOAT8, stored
from .weight_nodes import real_weights

_ACTIVATIONS = (8, 16)
_BIAS = (-(1 << 31), (1 << 31) - 1)


def qdq(network: Network) -> onnx.ModelProto:
    """The network as an ONNX model: input "x" [batch, *shape] and output "y", float32, opset 21.

    Raises ValueError, naming the layer, for what ONNX has no operator or type for: tables, rescaled codes, activations
    that are quantized as they come, formats of activations beyond 16 bits.
    """
    return _Writer(network).model()


class _Writer:
    def __init__(self, network: Network):
        self.network = network
        self.building = Building("x")
        self.laid = LaidOut(self.building, network.shape)
        self.grid: Grid | None = None

    def model(self) -> onnx.ModelProto:
        entry, exit = self.network.entry, self.network.exit
        if not isinstance(entry, Quantize):
            raise ValueError(f"layer {entry.name}: it has no codes; network.qdq.write_dynamic writes dynamic networks")
        add_steps(self.building, entry.before, entry.name)
        self.quantize(entry.name, entry.y, entry.bounds)
        for layer in self.network.layers:
            try:
                self._layer(layer)
            except ValueError as error:
                raise ValueError(f"layer {layer.name}: {error}") from None
        self.lie(self.laid.plain, exit.name)
        add_steps(self.building, exit.after, exit.name)
        ends = ("x", self.network.shape), ("y", self.laid.shape)
        return self.building.model(self.network.name, *ends, _metadata(self.network))

    def _layer(self, layer):
        match layer:
            case Product():
                self._product(layer)
            case AveragePool():
                self._pool(layer, "AveragePool", count_include_pad=0)
                self._averaged(layer)
            case MaxPool():
                self._pool(layer, "MaxPool")
                self._again(layer.name)
            case Transpose():
                self.laid.transposed(layer)
            case Reshape():
                self.lie(self.laid.plain, layer.name)
                self.laid.reshaped(layer)
                self._again(layer.name)
            case _:
                raise ValueError(f"{type(layer).__name__} of codes is not written as ONNX")

    # quantizers

    def quantize(self, name: str, grid: Grid, bounds: tuple[int, int]):
        """Codes on a grid, within bounds, and what they stand for."""
        self.grid = grid
        if isinstance(grid.fmt, Bipolar):
            self._signs(name, grid)
            return
        if not isinstance(grid.fmt, Integer) or grid.scale.ndim:
            raise ValueError(f"ONNX has no quantizer for {grid.fmt} with {grid.scale.size} scales")
        fmt, kind = stored(grid.fmt.width, signed=grid.fmt.signed, widths=_ACTIVATIONS)
        point = self.building.codes(grid.zero_point, kind, f"{name}_zero_point")
        given = [self.building.constant(grid.scale, f"{name}_scale"), point]
        if bounds != fmt.code_range and fmt.width > 8:
            self._real_clip(name, grid, bounds, fmt.code_range)
        self.building.add("QuantizeLinear", *given, name=f"{name}_quantize")
        if bounds != fmt.code_range and fmt.width <= 8:
            self._clip([self.building.codes(one, kind, f"{name}_bound") for one in bounds], name)
        self.building.add("DequantizeLinear", *given, name=f"{name}_dequantize")

    def _real_clip(self, name, grid, bounds, whole):
        """Bounds on codes as bounds on real numbers, none where they are `whole`; Relu where zero alone bounds."""
        if bounds == (grid.zero_point, whole[1]):
            self.building.add("Relu", name=f"{name}_relu")
            return
        ends = [
            "" if one == end else self._bound(name, (one - grid.zero_point) * np.float64(grid.scale))
            for one, end in zip(bounds, whole, strict=True)
        ]
        self._clip(ends, name)

    def _bound(self, name, value):
        return self.building.constant(np.float32(value), f"{name}_bound")

    def _clip(self, bounds, name):
        self.building.add("Clip", *bounds, name=f"{name}_clip")

    def _signs(self, name, grid):
        """+scale where a number is zero or more, else -scale."""
        zero = self.building.constant(np.zeros((), np.float32), f"{name}_zero")
        signs = self.building.aside("GreaterOrEqual", [self.building.tensor, zero], f"{name}_signs")
        both = [self.building.constant(one, f"{name}_scale") for one in (grid.scale, -grid.scale)]
        self.building.tensor = self.building.aside("Where", [signs, *both], f"{name}_real")

    # layout

    def lie(self, axes, name: str):
        """Makes the model's tensor lie so, axes of the network's tensor."""
        if self.laid.lie(axes, name):
            self._again(f"{name}_transpose")

    def _again(self, name):
        """Codes behind what moves elements are quantized once more, on the same grid: so runtimes move codes."""
        if self.grid is not None and not isinstance(self.grid.fmt, Bipolar):
            fmt = stored(self.grid.fmt.width, signed=self.grid.fmt.signed, widths=_ACTIVATIONS)[0]
            self.quantize(name, self.grid, fmt.code_range)

    # layers

    def _pool(self, layer, operator, **attributes):
        self.lie(MAPS, layer.name)
        self.laid.pooled(layer, operator, **attributes)

    def _averaged(self, layer):
        """A mean does not leave the codes of its own grid."""
        if layer.y.equals(layer.x):
            self._again(layer.name)
        else:
            self.quantize(layer.name, layer.y, layer.y.fmt.code_range)

    def _product(self, layer):
        spec = layer.spec
        if spec.table is not None or spec.a_block_scale is not None:
            raise ValueError("tables and blocks of activations are not written")
        if spec.residual and spec.residual_of == "activations":
            raise ValueError("activations of two codes are not written")
        self._sums(layer)
        if layer.real is not None:
            add_steps(self.building, layer.real.before, layer.name, self.laid.behind)
        elif spec.activation != "none":
            self._activation(layer.name, spec.activation)
        if spec.requantize == "none":
            self.grid = None
            return
        if spec.clip is not None and spec.clip != spec.y.code_range:
            self._real_clip(layer.name, layer.y, spec.clip, spec.y.code_range)
        self.quantize(layer.name, layer.y, layer.y.fmt.code_range)

    def _activation(self, name, activation):
        if activation == "relu":
            self.building.add("Relu", name=f"{name}_relu")
        else:
            self._clip([self._bound(name, one) for one in (0, 6)], name)

    def _sums(self, layer):
        weights, name = real_weights(self.building, layer), layer.name
        if layer.window is not None:
            self.lie(MAPS, name)
            placed = window_attributes(layer.window)
            group = self.laid.shape[2] if layer.spec.array == "vector" else 1
            self.building.add("Conv", weights, *self._bias(layer), name=name, group=group, **placed)
            self.laid.windowed(layer.window, layer.columns)
            return
        self.lie(self.laid.plain, name)
        if len(self.laid.shape) == 1:
            self.building.add("Gemm", weights, *self._bias(layer), name=name)
        elif layer.spec.block or str(layer.spec.weights) in FLOAT8:
            self._flat_gemm(layer, weights)
        else:
            self.building.add("MatMul", weights, name=name)
            for bias in self._bias(layer):
                self.building.add("Add", bias, name=f"{name}_bias_add")
        self.laid.shape = (*self.laid.shape[:-1], layer.columns)

    def _flat_gemm(self, layer, weights):
        """All rows of [B, ..., K] at once: a MatMul of such weights onnxruntime takes for one of codes, and fails."""
        shapes = [-1, self.laid.shape[-1]], [-1, *self.laid.shape[:-1], layer.columns]
        flat, back = (self.building.constant(np.array(one), f"{layer.name}_shape") for one in shapes)
        self.building.add("Reshape", flat, name=f"{layer.name}_rows")
        self.building.add("Gemm", weights, *self._bias(layer), name=layer.name)
        self.building.add("Reshape", back, name=f"{layer.name}_back")

    def _bias(self, layer) -> list[str]:
        """Nothing, or a tensor [N]: DequantizeLinear of int32; real numbers where that does not hold them."""
        codes = np.broadcast_to(np.asarray(layer.arrays.get("bias", 0), np.int64), (layer.columns,))
        if not codes.any():
            return []
        name, units = f"{layer.name}_bias", layer.x.scale * layer.w.scale
        if codes.min() < _BIAS[0] or codes.max() > _BIAS[1]:
            return [self.building.constant(layer.real_bias, name)]
        given = [
            self.building.codes(codes, onnx.TensorProto.INT32, name),
            self.building.constant(units, f"{name}_scale"),
        ]
        where = {"axis": 0} if units.ndim else {}
        return [self.building.aside("DequantizeLinear", given, f"{name}_real", **where)]


def _metadata(network):
    """The platforms of the products, and of each product its design."""
    platforms = sorted({layer.spec.platform for layer in network.products if layer.spec.platform is not None})
    return {"platform": ", ".join(platforms), "quantizer": network.entry.quantizer, **designs(network.products)}
