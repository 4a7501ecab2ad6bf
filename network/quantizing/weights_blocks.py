"""Weights in the formats of blocks that have names: microscaling and nvfp4."""

import numpy as np

from golden.block_formats import NamedBlock
from golden.group_scales import quantize_nvfp4
from golden.microscaling import BLOCK_FORMATS, quantize_blocks
from golden.minifloat import E8M0_BIAS

from ..grid import Grid
from ..quantized_weights import QuantizedWeights
from ..scales import grid_scale
from .block_scales import power_scales
from .recipe import Recipe


def named_blocks(w, block: NamedBlock, recipe: Recipe) -> QuantizedWeights:
    """Blocks along K in each column, by golden.microscaling or golden.group_scales; their own size and scales.

    Shared exponents are promised to be those that occur in blocks with a weight other than zero; blocks of zeros take
    the least of them.
    """
    codes, scales, unit, fields = (_microscaling if block.name in BLOCK_FORMATS else _nvfp4)(w, block, recipe)
    fields |= {"weights": block.element, "block": block.block}
    grid = Grid(block.element, unit * np.float64(2.0**-block.element.fraction))
    return QuantizedWeights(fields, {"w": codes.T, "w_block_scale": scales}, grid)


def _microscaling(w, block, recipe):
    codes, exponents = quantize_blocks(w.T, block.name, block=block.block)
    used = np.add.reduceat(np.abs(w), np.arange(0, len(w), block.block), axis=0) > 0
    scales = power_scales(exponents.T + E8M0_BIAS, used)
    return codes, scales.codes, scales.unit, scales.spec_fields


def _nvfp4(w, block, recipe):
    """Its tensor scale is in the grid."""
    own = np.abs(w).max() / np.float32(block.scale.largest * block.element.largest)
    found = quantize_nvfp4(w.T, grid_scale(own, recipe.scales))
    unit = np.float64(found.tensor_scale) * block.scale.smallest
    return found.codes, found.scales.T, unit, {"w_block_scale": block.scale}
