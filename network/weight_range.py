"""How much of the weights a scale covers."""

import numpy as np


def clipped(w, recipe, fmt) -> np.ndarray:
    """w [K, N], each tensor, channel or group brought into the range that the recipe's method finds for it, float32."""
    if recipe.weight_range == "minmax":
        return w
    raise ValueError(f"weight_range {recipe.weight_range!r} of {fmt} is not there yet")
