"""What the products of a network cost in hardware: cycles by closed form, LUTs by synthesis of one element each."""

from dataclasses import dataclass, field

import numpy as np

from golden.precision import MODES, most_bits
from golden.spec import Spec
from hdl.cells import WITH_DSP, WITHOUT_DSP, cells, report_of
from hdl.verilog import YosysError, to_verilog
from network.costs import Charge
from network.dynamic import DynamicProduct
from network.example_shapes import example_shapes, rows
from network.layers import Product
from network.network import Network
from sim.bit_serial import BitSerial, Planes
from sim.scalable import Scalable
from sim.streams import TILINGS
from sim.tiling import Tiling

from .errors import as_input_error

TARGETS = tuple(WITH_DSP)
ELEMENTS = {"output_stationary": "pe", "vector": "channel"}


def placed(spec: Spec, m: int, k: int, n: int) -> Tiling:
    """How a product of this shape lies on an array, whatever its operands: run-time precision is that of the formats.

    Raises ValueError for formats that no mode of a scalable array holds.
    """
    down, across = -(-m // spec.rows), -(-n // spec.cols)
    match spec.array:
        case "bit_serial":
            a, w = (Planes(most_bits(interval), interval[0] < 0) for interval in (spec.a_range, spec.w_range))
            return BitSerial(spec, m, k, n, a_planes=(a,) * down, w_planes=(w,) * across)
        case "scalable":
            return Scalable(spec, m, k, n, ((_mode(spec),) * across,) * down)
    return TILINGS[spec.array](spec, m, k, n)


def _mode(spec):
    """Of most products that holds both formats; modes come in rising order of products."""
    widths = spec.activations.width, spec.weights.width
    fits = (widths[0] <= mode.bits[0] and widths[1] <= mode.bits[1] for mode in MODES)
    return max(number for number, held in enumerate(fits) if held)


@dataclass(frozen=True)
class Cycles:
    """Cycles that the products of a network take for some examples, one after the other, where no stream stalls."""

    examples: int

    def of(self, layer: Product | DynamicProduct, shape) -> int:
        """Of one product, for activations of this shape, the batch left out. Raises InputError, as `charges` does."""
        with as_input_error(ValueError, prefix=f"layer {layer.name}"):
            return placed(layer.spec, self.examples * rows(layer, shape), *np.shape(layer.arrays["w"])).cycles

    def charges(self, network: Network) -> tuple[Charge, ...]:
        """Of each product. Raises InputError for formats that no mode of a scalable array holds."""
        names = [layer.name for layer in network.layers]
        read = dict(zip(names, example_shapes(network).values(), strict=False))
        return tuple(Charge(self.of(layer, read[layer.name])) for layer in network.on_arrays)


@dataclass(frozen=True)
class Luts:
    """LUTs of arrays by Yosys, one array for each product: those of one element and of one column's requantizer.

        LUTs = elements of the array * LUTs of an element + cols * LUTs of a requantizer

    Elements have no DSP blocks; a requantizer multiplies in DSP blocks, which are not counted. What the array has once
    (schedule, buffers of parameters, streams) is not counted either. Each design is synthesized once and remembered:
    depths whose exact sums have the same width count as one.
    """

    target: str = "ice40"
    _known: dict = field(default_factory=dict, repr=False, compare=False)

    def of(self, spec: Spec) -> int:
        """Of one array. Raises InputError for kinds of arrays beside ELEMENTS."""
        with as_input_error(ValueError, YosysError):
            if spec.array not in ELEMENTS:
                raise ValueError(f"LUTs are counted of arrays {', '.join(ELEMENTS)}, not {spec.array!r}")
            element, requantizer = self._counted(_representative(spec))
        return spec.rows * spec.cols * element + spec.cols * requantizer

    def _counted(self, spec):
        if spec not in self._known:
            verilog = to_verilog(spec)
            tops = {ELEMENTS[spec.array]: WITHOUT_DSP, "requantize": WITH_DSP}
            flows = [flow[self.target].format(top=f"{spec.name}_{top}") for top, flow in tops.items()]
            self._known[spec] = tuple(cells(report_of(verilog, flow)).lut for flow in flows)
        return self._known[spec]

    def charges(self, network: Network) -> tuple[Charge, ...]:
        """Of each product's array."""
        return tuple(Charge(self.of(layer.spec)) for layer in network.on_arrays)


def _representative(spec):
    """The array of one element for this one's, of the least depth whose exact sums have the same width."""
    spec = spec.with_(rows=1, cols=1, name="mac_array")
    if spec.accumulator is not None or spec.accumulator_range is not None or spec.block:
        return spec
    below, depth = 0, spec.depth
    while depth - below > 1:
        middle = (below + depth) // 2
        enough = spec.with_(depth=middle).accumulator_width == spec.accumulator_width
        below, depth = (below, middle) if enough else (middle, depth)
    return spec.with_(depth=depth)
