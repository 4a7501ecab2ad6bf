"""What a Spec may be where the precision is chosen at run time."""

from .formats import Integer

RUN_TIME = ("bit_serial", "scalable")
SCALABLE_BITS = 8


def check_precision(spec):
    """Rules of the arrays in RUN_TIME. Raises ValueError."""
    if spec.array not in RUN_TIME:
        return
    for field in ("activations", "weights"):
        if not isinstance(fmt := getattr(spec, field), Integer):
            parts = "bit planes" if spec.array == "bit_serial" else "pairs of bits"
            raise ValueError(
                f"{field} must be an integer or fixed-point format with array {spec.array!r}, which multiplies {parts} "
                f"of two's complement, not {fmt}"
            )
        if spec.array == "scalable" and fmt.width > SCALABLE_BITS:
            raise ValueError(f"{field} must be at most {SCALABLE_BITS} bits wide with array 'scalable', not {fmt}")
    for field in ("a_zero_point", "w_zero_point"):
        if spec.array == "scalable" and getattr(spec, field):
            raise ValueError(f"{field} must be left out with array 'scalable'; put its effect into the bias")
    if spec.accumulator_overflow == "saturate":
        raise ValueError(f"accumulator_overflow must be wrap with array {spec.array!r}, not 'saturate'")
    if spec.multiplier_style != "auto":
        raise ValueError(f"multiplier_style must be auto with array {spec.array!r}, not {spec.multiplier_style!r}")
