"""Weights in codes, with all that a design and a product need to read them."""

from dataclasses import dataclass, field, replace

import numpy as np

from golden.blocks import decoded_scales, spread
from golden.formats import Codebook
from golden.ops import exact_dtype
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
    def integers(self) -> np.ndarray:
        """What the codes stand for in steps of the grid, exact: less their zero points, times the scales of their
        blocks; [K, N], int64, or Python integers where those are wider."""
        zero, block = self.grid.zero_point, self.spec_fields.get("block", 0)
        decoded = self._decoded
        if "w_block_zero_point" in self.arrays:
            zero = spread(self.arrays["w_block_zero_point"], block, len(decoded))
        values = decoded - zero
        if self.scale_fmt is None:
            return values
        scales = spread(decoded_scales(self.scale_fmt, self.arrays["w_block_scale"]), block, len(values))
        most = int(np.abs(values).max()) * int(np.abs(scales).max())
        dtype = exact_dtype(-most, most)
        return values.astype(dtype) * scales.astype(dtype)

    @property
    def _decoded(self):
        codes, fmt = self.arrays["w"], self.grid.fmt
        if not isinstance(fmt, Codebook):
            return fmt.decode(codes)
        return fmt.lookup(np.broadcast_to(self.arrays["w_codebook"], (codes.shape[1], fmt.entries)), codes)

    @property
    def real(self) -> np.ndarray:
        """The real numbers [K, N], float64, that the codes stand for."""
        return self.integers.astype(np.float64) * self.grid.scale.astype(np.float64)

    def with_codes(self, w) -> "QuantizedWeights":
        """The same scales and tables with other codes [K, N]."""
        return replace(self, arrays={**self.arrays, "w": np.asarray(w, np.int64)})
