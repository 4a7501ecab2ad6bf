"""Dynamic quantization: each tile of sums to uint8 with a scale and a zero point of its own range.

The definition is ONNX's DynamicQuantizeLinear (opset 11) on x = float32(acc), as ONNX Runtime computes it:
docs/arithmetic.md, section 11.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .calibrate import choose
from .quantize import quantize
from .tiles import Tiles

SCALES = ("same_tile", "next_tile")
SUM_BITS = 63
FROM_RESET = (1.0, 0)


@dataclass(frozen=True)
class Dynamic:
    """What becomes of the sums of one product.

    y : codes [M, N], int64. y_scale : float32 [tiles], in units of the accumulator. y_zero_point : int64 [tiles]. Both
    are those that each tile was quantized with, tiles in the order of golden.tiles. `after` : the scale and zero point
    of the last tile's own range, with which "next_tile" goes on.
    """

    y: np.ndarray
    y_scale: np.ndarray
    y_zero_point: np.ndarray
    after: tuple[float, int]


def dynamic(acc, spec, before: tuple[float, int] = FROM_RESET) -> Dynamic:
    """Sums [M, N] quantized tile by tile (equations 11.1 to 11.4).

    With spec.dynamic_scale "same_tile", by the range of the tile itself; with "next_tile" by that of the tile before
    it, the first by `before`: the scale and zero point that the product before left, after reset 1 and 0.
    """
    tiles = Tiles(spec.rows, spec.cols, *acc.shape)
    x = tiles.split(acc).astype(np.float32)  # pads are zero, which every range holds
    chosen = [choose("onnx-dynamic", tile.min(), tile.max(), "uint8") for tile in x]
    used = chosen if spec.dynamic_scale == "same_tile" else [before, *chosen[:-1]]
    scales, zero_points = _columns(used)
    y = tiles.join(quantize(x, scales, zero_points, "uint8", axis=0))
    return Dynamic(y[: tiles.m, : tiles.n], scales, zero_points, after=chosen[-1])


def _columns(parameters: Sequence[tuple[float, int]]):
    scales, zero_points = zip(*parameters, strict=True)
    return np.array(scales, np.float32), np.array(zero_points, np.int64)
