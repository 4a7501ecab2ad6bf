"""Constant codes added to codes, as a platform adds two quantized tensors: a function of the codes of each channel."""

import numpy as np

from golden import platforms
from golden.formats import Integer
from golden.platform_table import PLATFORMS

from ..elementwise import Step
from ..grid import Grid
from .coded import Coded
from .codes import Codes
from .node import Node
from .scaling import along_channels
from .waiting import Function


def adding(node: Node, codes: Codes, x: Grid, held: Coded) -> tuple[Function, list[Step]]:
    """What makes codes [..., N] of codes on grid x and of the grid of the sum; and the same on real numbers.

    Raises Unsupported where the constant is not one number per channel, or the platform has no such rule.
    """
    if held.scale.ndim:
        raise node.refused("adds a constant with a scale for each channel")
    if PLATFORMS[codes.platform].add is None:
        raise node.refused(f"platform {codes.platform!r} has no rule for addition")
    constant = along_channels(node, codes.path, held.codes)
    swapped = codes.graph.is_constant(node.inputs[0]) and not _is_repeated(codes, held.codes)

    def function(given, y):
        pair = (given, np.broadcast_to(constant, given.shape))
        grids = (x, held.grid)
        return platforms.add(
            codes.platform,
            *_ordered(pair, swapped),
            x_scales=tuple(float(one.scale) for one in _ordered(grids, swapped)),
            x_zero_points=tuple(one.zero_point for one in _ordered(grids, swapped)),
            y_scale=float(y.scale),
            y_zero_point=y.zero_point,
            y_format=str(Integer(8, y.fmt.signed)),
        )

    return function, [Step("add", (held.grid.values(constant),))]


def _is_repeated(codes, constant):
    """Whether each number of the constant is added to a row of codes: onnxruntime then takes the codes first."""
    return constant.size == 1 or (codes.path.behind > 0 and constant.shape[-1] == 1)


def _ordered(pair, swapped):
    return pair[::-1] if swapped else pair
