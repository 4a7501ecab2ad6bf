"""The accumulator of a design that follows a platform."""

from .platform_table import PLATFORMS
from .spec import Spec

INT32 = 32


def with_platform_sums(spec: Spec) -> Spec:
    """The spec with 32 bits that wrap, where its platform sums in them and exact sums need more; else as it is."""
    wraps = spec.platform is not None and PLATFORMS[spec.platform].accumulator == "int32"
    if not wraps or spec.exact_accumulator_width <= INT32:
        return spec
    return spec.with_(accumulator=INT32, accumulator_overflow=spec.accumulator_overflow or "wrap")
