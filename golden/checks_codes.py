"""What a Spec may be: rules about codebooks and about how weights are packed."""

from .formats import Bipolar, Codebook, Ternary

W_PACKINGS = ("codes", "trits")
TRIT_ARRAYS = ("output_stationary",)
CODEBOOK_ARRAYS = ("output_stationary",)
ENTRY_WIDTH = 32


def check_codes(spec):
    """Raises ValueError for codebooks and packed trits where no design takes them."""
    _check_packing(spec)
    if isinstance(spec.activations, Codebook):
        raise ValueError(f"activations take no codebook, which only weights can have, not {spec.activations}")
    if not isinstance(spec.weights, Codebook):
        return
    if spec.array not in CODEBOOK_ARRAYS:
        needed = " or ".join(map(repr, CODEBOOK_ARRAYS))
        raise ValueError(
            f"array must be {needed} with weights {spec.weights}, not {spec.array!r}, which has no tables at its entry"
        )
    if spec.weights.entry.width > ENTRY_WIDTH:
        raise ValueError(f"weights must have entries of at most {ENTRY_WIDTH} bits, not {spec.weights}")
    if isinstance(spec.activations, Bipolar) and spec.lanes > 1:
        raise ValueError(
            f"lanes must be 1 for bipolar activations and weights {spec.weights}, not {spec.lanes}: "
            "neither has a code for zero, which spare lanes need"
        )


def _check_packing(spec):
    if spec.w_packing not in W_PACKINGS:
        raise ValueError(f"w_packing must be one of {', '.join(W_PACKINGS)}, not {spec.w_packing!r}")
    if spec.w_packing != "trits":
        return
    if not isinstance(spec.weights, Ternary):
        raise ValueError(f"w_packing 'trits' needs weights ternary, not {spec.weights}")
    if spec.array not in TRIT_ARRAYS:
        raise ValueError(f"w_packing 'trits' needs array {' or '.join(map(repr, TRIT_ARRAYS))}, not {spec.array!r}")
    if spec.block:
        raise ValueError(f"block must be 0 with w_packing 'trits', not {spec.block}")
