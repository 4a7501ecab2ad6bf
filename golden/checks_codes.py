"""What a Spec may be: rules about codebooks."""

from .formats import Bipolar, Codebook

CODEBOOK_ARRAYS = ("output_stationary",)
ENTRY_WIDTH = 32


def check_codes(spec):
    """Raises ValueError for codebooks where no design takes them."""
    if isinstance(spec.activations, Codebook):
        raise ValueError(f"activations take no codebook, which only weights can have, not {spec.activations}")
    if not isinstance(spec.weights, Codebook):
        return
    if spec.array not in CODEBOOK_ARRAYS:
        needed = " or ".join(map(repr, CODEBOOK_ARRAYS))
        raise ValueError(f"array must be {needed} with weights {spec.weights}, not {spec.array!r}")
    if spec.weights.entry.width > ENTRY_WIDTH:
        raise ValueError(f"weights must have entries of at most {ENTRY_WIDTH} bits, not {spec.weights}")
    if isinstance(spec.activations, Bipolar) and spec.lanes > 1:
        raise ValueError(
            f"lanes must be 1 for bipolar activations and weights {spec.weights}, not {spec.lanes}: "
            "neither has a code for zero, which spare lanes need"
        )
