"""What the inputs and attributes of QONNX's Quant (IntQuant) and BipolarQuant say.

Sources: fastmachinelearning/qonnx custom_op/general (intquant.py, bipolar_quant.py).
"""

from dataclasses import dataclass

import numpy as np

from golden.formats import Bipolar, Integer
from golden.quantize import QONNX_ROUNDINGS, code_range

from ..onnx.constants import exact, scalar
from ..onnx.graph import Graph, Node
from ..unsupported import printable
from .types import MOST_BITS

DOMAINS = ("onnx.brevitas", "qonnx.custom_op.general", "finn.custom_op.general", "")


@dataclass(frozen=True, eq=False)
class QuantNode:
    """scale is an array as the node has it; Quant of one signed bit is bipolar, whatever its other attributes say."""

    scale: np.ndarray
    fmt: Integer | Bipolar
    zero_point: int = 0
    narrow: bool = False
    rounding: str | tuple[str, str] = "half_even"

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and the largest code."""
        return self.fmt.code_range if isinstance(self.fmt, Bipolar) else code_range(self.fmt, self.narrow)


def is_quant(node: Node) -> bool:
    return node.domain in DOMAINS and node.operator in ("Quant", "IntQuant", "BipolarQuant")


def quant_node(graph: Graph, node: Node) -> QuantNode:
    """Raises Unsupported for scales that are not positive, and for bit widths, zero points and modes that are none."""
    if node.operator == "BipolarQuant":
        return QuantNode(_scale(graph, node), Bipolar())
    signed, narrow = (bool(node.attribute(name, 1, only=(0, 1))) for name in ("signed", "narrow"))
    bits = _bits(graph, node)
    fmt = Bipolar() if bits == 1 and signed else Integer(bits, signed)
    found = QuantNode(_scale(graph, node), fmt, _zero_point(graph, node, fmt), narrow, _rounding(node))
    if found.bounds[0] == found.bounds[1]:
        raise node.refused(f"a narrow quantizer to {fmt} has one code only")
    return found


def _scale(graph, node):
    scale = exact(node, graph, node.input(1), "scale")
    if not (scale > 0).all():
        raise node.refused(f"its scale must be positive, not {scale.min()!s}")
    return scale


def _bits(graph, node):
    bits = scalar(node, exact(node, graph, node.input(3), "bit width"), "bit width")
    if bits != np.rint(bits) or not 1 <= bits <= MOST_BITS:
        raise node.refused(f"its bit width must be an integer from 1 to {MOST_BITS}, not {bits!s}")
    return int(bits)


def _zero_point(graph, node, fmt):
    zero_point = scalar(node, exact(node, graph, node.input(2), "zero point"), "zero point")
    lo, hi = (0, 0) if isinstance(fmt, Bipolar) else fmt.code_range
    if zero_point != np.rint(zero_point) or not lo <= zero_point <= hi:
        raise node.refused(
            f"its zero point must be an integer in [{lo}, {hi}] for {fmt}, not {np.float32(zero_point)!s}"
        )
    return int(zero_point)


def _rounding(node):
    mode = str(node.attribute("rounding_mode", "ROUND")).upper()
    if mode not in QONNX_ROUNDINGS:
        wanted = ", ".join(QONNX_ROUNDINGS)
        raise node.refused(f"attribute rounding_mode must be one of {wanted}, not {printable(mode)}")
    return QONNX_ROUNDINGS[mode]
