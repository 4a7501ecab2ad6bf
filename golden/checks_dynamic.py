"""What a Spec with requantize "dynamic" may be."""

import numpy as np

from .dynamic import SCALES, SUM_BITS
from .formats import Codebook, Integer
from .ops import int_bits


def check_dynamic(spec):
    """Raises ValueError for what dynamic quantization does not have or cannot keep."""
    if spec.dynamic_scale not in SCALES:
        raise ValueError(f"dynamic_scale must be one of {', '.join(SCALES)}, not {spec.dynamic_scale!r}")
    if spec.requantize != "dynamic":
        return
    dynamic = "with requantize 'dynamic'"
    if spec.array != "output_stationary":
        raise ValueError(f"array must be output_stationary {dynamic}, not {spec.array!r}, which finds no ranges")
    if spec.output != Integer(8, signed=False):
        raise ValueError(f"output must be uint8 {dynamic}, not {spec.output}")
    _rule(spec, dynamic)
    for field, fmt in (("activations", spec.activations), ("weights", spec.weights)):
        if not isinstance(fmt, Codebook) and np.any(fmt.decode(np.zeros(1, np.int64))):
            raise ValueError(f"{field} must have a zero {dynamic}, whose ranges pads must not widen, not {fmt}")
    if (bits := int_bits(*spec.acc_range)) > SUM_BITS:
        raise ValueError(f"requantize 'dynamic' takes sums of at most {SUM_BITS} bits, not {bits}")


def _rule(spec, dynamic):
    """Range, rounding and saturation are part of the rule; a bias would bring rows beyond the matrix into the range."""
    for field, own in (("rounding", "half_even"), ("overflow", "saturate")):
        if (given := getattr(spec, field)) != own:
            raise ValueError(f"{field} is part of requantize 'dynamic'; leave it out, not {given!r}")
    for field, none in (
        ("bias", None),
        ("y_zero_point", False),
        ("activation", "none"),
        ("clip", None),
        ("table", None),
        ("block", 0),
    ):
        if (given := getattr(spec, field)) != none:
            raise ValueError(f"{field} must be left out {dynamic}, not {list(given) if field == 'clip' else given}")
