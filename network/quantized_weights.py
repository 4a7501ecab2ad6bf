"""Weights in codes, with all that a design and a product need to read them."""

from dataclasses import dataclass, field, replace

import numpy as np

from .grid import Grid


@dataclass(frozen=True, eq=False)
class QuantizedWeights:
    """spec_fields : of a golden.spec.Spec: weights, block, w_block_scale and so on. arrays : of a Product: w [K, N] and
    what belongs to it. grid : of the weights, whose scale holds what no array does."""

    spec_fields: dict
    arrays: dict = field(repr=False)
    grid: Grid = field(repr=False)

    def with_codes(self, w) -> "QuantizedWeights":
        """The same scales and tables with other codes [K, N]."""
        return replace(self, arrays={**self.arrays, "w": np.asarray(w, np.int64)})
