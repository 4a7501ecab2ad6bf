"""What a Spec with residual codes may be."""

from .formats import Codebook

RESIDUAL_OF = ("weights", "activations")
MOST_RESIDUAL = 16


def check_residual(spec):
    """Two passes over K, one per code, into one accumulator. Raises ValueError."""
    if spec.residual_of not in RESIDUAL_OF:
        raise ValueError(f"residual_of must be one of {', '.join(RESIDUAL_OF)}, not {spec.residual_of!r}")
    if not 0 <= spec.residual <= MOST_RESIDUAL:
        raise ValueError(f"residual must be 0 to {MOST_RESIDUAL} bits, not {spec.residual}")
    if not spec.residual:
        if spec.residual_of != RESIDUAL_OF[0]:
            raise ValueError(f"residual_of {spec.residual_of!r} needs residual, 1 bit at least")
        return
    if isinstance(spec.weights, Codebook):
        raise ValueError(f"residual takes no codebook, not {spec.weights}")
    if spec.block or spec.is_float_sum:
        raise ValueError("residual takes no blocks and no float32 sums")
    if spec.array != "output_stationary":
        raise ValueError(f"residual needs array 'output_stationary', not {spec.array!r}")
    name = f"{spec.residual_of[0]}_zero_point"
    if getattr(spec, name):
        raise ValueError(f"{name} must be left out with residual codes of the {spec.residual_of}")
    if not spec.accumulator_is_exact and spec.accumulator_overflow == "saturate":
        raise ValueError("accumulator_overflow must be wrap with residual, not 'saturate'")
