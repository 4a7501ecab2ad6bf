"""Quantizers of activations in QONNX and FINN: Quant (IntQuant), BipolarQuant and MultiThreshold.

Sources: fastmachinelearning/qonnx custom_op/general (intquant.py, bipolar_quant.py, multithreshold.py).
"""

from dataclasses import dataclass, field

import numpy as np

from golden.formats import Bipolar

from ..elementwise import ROUNDING_STEPS, Step
from ..grid import Grid
from ..onnx.constants import exact, scalar
from ..onnx.graph import Graph, Node
from ..onnx.grids import code_format
from ..onnx.path import Path, told
from ..onnx.scaling import place
from .quant_node import DOMAINS, is_quant, quant_node
from .types import data_type

MOST_THRESHOLDS = 255
_OFF_GRID = 1e-4
_FARTHEST = 1 << 16
_LAYOUTS = {1: "NC", 2: "NWC", 3: "NCHW"}


@dataclass(frozen=True, eq=False)
class Quantizer:
    """A quantizer of activations.

    y : the grid of its values.
    bounds : the least and the largest code that it gives.
    fake : float32 steps from any value to that of its code.
    before : float32 steps after which `y.codes` by "qonnx", narrow or not, gives its codes.
    """

    node: Node
    y: Grid
    bounds: tuple[int, int]
    fake: tuple[Step, ...] = field(repr=False)
    before: tuple[Step, ...] = field(repr=False)
    narrow: bool = False


def is_quantizer(node: Node) -> bool:
    return is_quant(node) or (node.domain in DOMAINS and node.operator == "MultiThreshold")


def quantizer(graph: Graph, node: Node, path: Path) -> Quantizer:
    """A quantizer of the tensor that a path has come to. Raises Unsupported."""
    return _quant(graph, node) if is_quant(node) else _multi_threshold(graph, node, path)


def _quant(graph, node):
    """scale * (round(clip(x / scale + zero_point)) - zero_point), or the sign times scale."""
    given = quant_node(graph, node)
    scale = scalar(node, given.scale, "scale")
    if isinstance(given.fmt, Bipolar):
        return _sign(node, scale)
    rounding = next(name for name, rule in ROUNDING_STEPS.items() if rule == given.rounding)
    to_codes = (Step("div", (scale,)), Step("add", (given.zero_point,)), Step("clip", given.bounds), Step(rounding))
    fake = (*to_codes, Step("sub", (given.zero_point,)), Step("mul", (scale,)))
    before = () if given.rounding == "half_even" else fake
    return Quantizer(node, Grid(given.fmt, scale, given.zero_point), given.bounds, fake, before, given.narrow)


def _sign(node, scale):
    """scale where x >= 0, else -scale; Quant divides by its scale first, which can make a zero of a small number."""
    before = () if node.operator == "BipolarQuant" else (Step("div", (scale,)),)
    fake = (*before, Step("reached", ([[0]],)), Step("mul", (2,)), Step("sub", (1,)), Step("mul", (scale,)))
    return Quantizer(node, Grid(Bipolar(), scale), (0, 1), fake, before)


def _multi_threshold(graph, node, path):
    """out_scale * (number of thresholds at or below x) + out_bias"""
    levels = _levels(graph, node, path)
    given = (node.number(name, default) for name, default in (("out_scale", 1.0), ("out_bias", 0.0)))
    factor, offset = (np.asarray(one, np.float32) for one in given)
    if not 0 < factor < np.inf:
        raise node.refused(f"attribute out_scale must be positive, not {factor!s}")
    y, bounds = _counted(node, levels.shape[1], factor, offset)
    _check_type(node, y, bounds)
    fake = (Step("reached", (levels,)), Step("mul", (factor,)), Step("add", (offset,)))
    return Quantizer(node, y, bounds, fake, fake)


def _levels(graph, node, path):
    """Thresholds [C, T] or [1, T]."""
    levels = exact(node, graph, node.input(1), "thresholds", finite=False)
    if levels.ndim != 2 or levels.shape[1] > MOST_THRESHOLDS:
        raise node.refused(
            f"its thresholds must have shape [C, T] with T at most {MOST_THRESHOLDS}, not {list(levels.shape)}"
        )
    falls = np.argwhere(levels[:, 1:] < levels[:, :-1])
    if falls.size:
        row, place = (int(one) for one in falls[0])
        before, after = levels[row, place : place + 2]
        raise node.refused(f"its thresholds must ascend; [{row}, {place + 1}] is {after!s} after {before!s}")
    if len(levels) > 1:
        _check_channels(node, path, len(levels))
    return levels


def _check_channels(node, path, count):
    layout = str(node.attribute("data_layout", "") or _LAYOUTS.get(len(path.shape), ""))
    axis = layout.index("C") - 1 if "C" in layout else 0
    if axis != path.columns or path.shape[axis] != count:
        given = f"has thresholds for {count} channels on axis {axis + 1}"
        raise node.refused(f"{given}; channels lie {place(path.columns)} of {told(path.shape)}")


def _counted(node, count, factor, offset):
    """Grid and bounds of factor * n + offset for n = 0 .. count: in steps of the factor, or of half of it."""
    halves = 2 * float(offset) / float(factor)
    if abs(halves) > _FARTHEST or abs(halves - round(halves)) > _OFF_GRID:
        raise node.refused(f"attribute out_bias must be a multiple of half of out_scale, {factor!s}, not {offset!s}")
    halves = round(halves)
    if count == 1 and halves == -1:
        return Grid(Bipolar(), factor / 2), (0, 1)
    twice = 1 + halves % 2  # codes for each threshold
    lo = halves * twice // 2
    hi = lo + count * twice
    return Grid(code_format(lo, hi), factor / twice), (lo, hi)


def _check_type(node, y, bounds):
    """Raises Unsupported where out_dtype is an integer type that does not hold the codes."""
    declared = data_type(str(node.attribute("out_dtype", "")))
    if declared is None:
        return
    lo, hi = declared.code_range
    fits = declared == y.fmt if Bipolar() in (declared, y.fmt) else lo <= bounds[0] and bounds[1] <= hi
    if not fits:
        raise node.refused(f"attribute out_dtype {declared} does not hold its codes {list(bounds)} of {y.fmt}")
