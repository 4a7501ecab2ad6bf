"""Weights that point into a table of few integers, found by k-means."""

import numpy as np

from golden.codebook import codebook_for
from golden.formats import Codebook

from ..grid import Grid
from ..quantized_weights import QuantizedWeights
from ..scales import POWER_OF_TWO, grid_scale, least_of_parts
from .recipe import Recipe


def codebook(w, fmt: Codebook, recipe: Recipe, least_scale=0) -> QuantizedWeights:
    """A table and a scale for the tensor or for each channel, by golden.codebook; the least scale for zeros.

    Raises ValueError for scales that are to be powers of two: the table fits its own scale.
    """
    if recipe.scales == POWER_OF_TWO:
        raise ValueError(f"weights of {fmt} have the scale that their table fits, no power of two")
    if recipe.granularity == "tensor":
        codes, tables, scale = codebook_for(w.reshape(-1, 1), fmt.width, fmt.entry)
        codes, tables, scale = codes.reshape(w.shape), tables[0], scale[0]
    else:
        codes, tables, scale = codebook_for(w, fmt.width, fmt.entry)
    least = least_of_parts(least_scale, recipe.granularity)
    scale = np.where(tables.any(axis=-1), scale, grid_scale(np.zeros_like(scale), least=least))
    return QuantizedWeights({"weights": fmt}, {"w": codes, "w_codebook": tables}, Grid(fmt, scale))
