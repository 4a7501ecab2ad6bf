"""Weights in codes, with all that a design and a product need to read them."""

from dataclasses import dataclass, field, replace

import numpy as np

from golden.blocks import decoded_scales, spread
from golden.formats import Codebook
from golden.scale_formats import PowerScale

from .grid import Grid


@dataclass(frozen=True, eq=False)
class QuantizedWeights:
    """spec_fields : of a golden.spec.Spec: weights, block, w_block_scale and so on. arrays : of a Product: w [K, N] and
    what belongs to it. grid : of the weights, whose scale holds what no array does."""

    spec_fields: dict
    arrays: dict = field(repr=False)
    grid: Grid = field(repr=False)

    @property
    def scale_fmt(self):
        """The format of the scales of blocks, or None."""
        fmt = self.spec_fields.get("w_block_scale")
        return PowerScale(*self.spec_fields["scale_range"]) if isinstance(fmt, PowerScale) else fmt

    @property
    def real(self) -> np.ndarray:
        """The real numbers [K, N], float64, that the codes stand for."""
        codes, fmt, block = self.arrays["w"], self.grid.fmt, self.spec_fields.get("block", 0)
        if isinstance(fmt, Codebook):
            tables = np.broadcast_to(self.arrays["w_codebook"], (codes.shape[1], fmt.entries))
            decoded = fmt.lookup(tables, codes)
        else:
            decoded = fmt.decode(codes)
        zero = self.grid.zero_point
        if "w_block_zero_point" in self.arrays:
            zero = spread(self.arrays["w_block_zero_point"], block, len(codes))
        values = (decoded - zero).astype(np.float64)
        if self.scale_fmt is not None:
            scales = decoded_scales(self.scale_fmt, self.arrays["w_block_scale"]).astype(np.float64)
            values = values * spread(scales, block, len(codes))
        return values * self.grid.scale.astype(np.float64)

    def with_codes(self, w) -> "QuantizedWeights":
        """The same scales and tables with other codes [K, N]."""
        return replace(self, arrays={**self.arrays, "w": np.asarray(w, np.int64)})
