"""The scaling rules that other platforms have, by name, each with the run-time parameters it takes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .formats import Integer
from .ieee import FLOAT32, FLOAT64, Float, float32, float64_away
from .ops import Exact
from .scale import MULTIPLIER_BITS, SHIFTS, double_half_up, mult16, tflite, tflite_single, wrap32

SHIFT_BITS = 6


@dataclass(frozen=True)
class Rule:
    """A way to scale: `function(value, **parameters)`, for int32 sums, which wrap, unless `value_bits` says otherwise.

    parameters : the formats of the run-time parameters, by name.
    shifts : smallest and largest shift, positive to the left, where there is one.
    nearest : for a rule without hardware, the one that comes closest to it.
    """

    function: Callable
    parameters: Mapping[str, Integer | Float]
    value_bits: int = 32
    shifts: tuple[int, int] = SHIFTS
    nearest: str = ""

    @property
    def wraps(self):
        """Whether wider sums wrap into `value_bits`."""
        return self.value_bits == 32

    @property
    def multiplier_bits(self):
        """Width of the multiplier; 0 for rules that have none."""
        return self.parameters["multiplier"].width if "multiplier" in self.parameters else 0

    @property
    def is_float(self):
        """Whether the scale is a floating-point number."""
        return "scale" in self.parameters

    @property
    def fits_int64(self):
        """Whether int64 holds every intermediate."""
        return self.parameters.get("scale") is not FLOAT64

    def scale(self, value: Exact, parameters: Mapping) -> Exact:
        """The scaled and rounded value, for parameters among which are those of the rule."""
        value = wrap32(value) if self.wraps else value
        return self.function(value, *(parameters[name] for name in self.parameters))


def _fixed(bits):
    return {"multiplier": Integer(bits, signed=False), "shift": Integer(SHIFT_BITS, signed=True)}


RULES = {
    "tflite": Rule(tflite, _fixed(MULTIPLIER_BITS)),
    "double_half_up": Rule(double_half_up, _fixed(MULTIPLIER_BITS)),
    "tflite_single": Rule(tflite_single, _fixed(MULTIPLIER_BITS)),
    "mult16": Rule(mult16, _fixed(15), value_bits=64, shifts=(SHIFTS[0], 15)),
    "float32": Rule(float32, {"scale": FLOAT32}),
    "float64_away": Rule(
        float64_away, {"scale": FLOAT64}, nearest="multiplier with multiplier_bits 32 and rounding half_away"
    ),
}
