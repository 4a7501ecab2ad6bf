"""Weights of QONNX and FINN networks as matrices of codes: quantized, or integers in the file."""

from dataclasses import dataclass, field, replace

import numpy as np

from golden.formats import Bipolar, Integer, Ternary

from ..onnx.constants import exact
from ..onnx.graph import Graph, Node
from ..onnx.grids import code_format
from .coded import CodedConstant, coded_constant
from .types import MOST_BITS


@dataclass(frozen=True, eq=False)
class Weights:
    """Codes [K, N] of a format, and their scale, a scalar or [N]."""

    codes: np.ndarray = field(repr=False)
    scale: np.ndarray = field(repr=False)
    fmt: Integer | Bipolar | Ternary

    @property
    def decoded(self) -> np.ndarray:
        """The integers that the codes stand for."""
        return np.asarray(self.fmt.decode(self.codes))

    def negated(self, columns) -> "Weights":
        """Some columns (bool [N]) times -1, the format one bit wider where it does not hold them."""
        if isinstance(self.fmt, Bipolar):
            return replace(self, codes=np.where(columns, 1 - self.codes, self.codes))
        codes, (lo, hi) = np.where(columns, -self.codes, self.codes), self.fmt.code_range
        held = lo <= codes.min() and codes.max() <= hi
        return replace(self, codes=codes, fmt=self.fmt if held else Integer(self.fmt.width + 1, signed=True))


def coded_weights(graph: Graph, node: Node, position: int) -> CodedConstant:
    """The weights of a node. Raises Unsupported for real ones that pass no quantizer, and for zero points."""
    coded = coded_constant(graph, node, position, "weights")
    if coded is None:
        return _integers(node, exact(node, graph, node.input(position), "weights"))
    if coded.zero_point:
        raise node.refused(f"its weights must have zero point 0, not {coded.zero_point}")
    return coded


def columns(node: Node, coded: CodedConstant, w: np.ndarray, axis: int) -> Weights:
    """Codes as a matrix w [K, N], whose columns lie along an axis of the constant and have one scale each.

    Raises Unsupported for others.
    """
    scales = np.moveaxis(coded.scale, axis, -1).reshape(-1, w.shape[1])
    if not (scales == scales[:1]).all():
        raise node.refused("its weights have several scales in one sum")
    scale = scales[0]
    return Weights(w, scale[0] if (scale == scale[0]).all() else scale, coded.fmt)


def _integers(node, values):
    if (values != np.rint(values)).any() or np.abs(values).max() > 1 << MOST_BITS - 1:
        raise node.refused("its weights pass no quantizer and are no integers")
    codes, scale = values.astype(np.int64), np.ones_like(values)
    if (np.abs(codes) == 1).all():
        return CodedConstant((codes + 1) // 2, scale, Bipolar())
    lo, hi = int(codes.min()), int(codes.max())
    return CodedConstant(codes, scale, Ternary() if lo == -1 and hi <= 1 else code_format(lo, hi))
