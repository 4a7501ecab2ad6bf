"""What to build: one frozen, validated description that the model, the hardware and the comparison share.

Derived quantities (ranges, widths) are properties, computed here and nowhere else. docs/arithmetic.md numbers the
equations.
"""

import re
from dataclasses import dataclass, fields, replace
from typing import Any, cast

from .formats import Bipolar, Format, Integer
from .keywords import VERILOG_KEYWORDS
from .ops import int_bits
from .rounding import OVERFLOWS, ROUNDINGS
from .scale import RULES, Rule

REQUANTIZERS = ("none", "shift", "multiplier", *RULES)
ZERO_POINT_ORDERS = ("after_rounding", "before_rounding")
ACTIVATIONS = ("none", "relu")
MULTIPLIER_STYLES = ("auto", "logic", "dsp")
LOGIC_BITS = 4
SHIFT_BITS = 6
MAX_SHIFT = 62
LIMITS = {"rows": 1024, "cols": 1024, "lanes": 1024, "depth": 1 << 24}
OPERAND_WIDTH = 32
PAIRS = ("accumulator_range", "clip")
_NAME = r"[a-zA-Z][a-zA-Z0-9_]{0,63}"


@dataclass(frozen=True, kw_only=True)
class Spec:
    """A quantized MAC array of rows x cols processing elements with `lanes` lanes each.

        y[m, n] = requantize(sum_k (a[m, k] - a_zero_point) * (w[k, n] - w_zero_point))

    for a reduction depth K of at most `depth`. See docs/arithmetic.md for each term.

    Parameters
    ----------
    activations, weights : operand formats, at most 32 bits.
    rows, cols, lanes : the array: rows outputs of M, cols outputs of N, `lanes` products per cycle and element.
    depth : largest K that a tile may have.
    accumulator : accumulator width in bits (two's complement); None derives the exact width.
    accumulator_overflow : "wrap" or "saturate"; needed where the accumulator is narrower than exact. A saturating
        accumulator clips after each beat, that is after each `lanes` products in order of k, whose sum is exact.
    accumulator_range : (lo, hi) that every partial sum is promised to stay in, from the real weights, or None.
    bias : format of the bias added to the accumulator, or None.
    requantize : "none" (no scaling), "shift" (divide by 2**shift), "multiplier" (times multiplier / 2**shift), or a
        rule of golden.scale, which has its own rounding and takes multiplier and shift as TFLite encodes them.
    multiplier_bits : width of the unsigned multiplier, 8 to 32, of requantize "multiplier".
    rounding, overflow : rule names of golden.rounding.
    zero_point_order : whether y_zero_point is added "after_rounding" or "before_rounding", which decides other ties.
    activation : "relu" puts a lower bound of zero (that is, of the output's zero point) on the scaled value.
    clip : (lo, hi) in output codes, or None for the whole range of the output format.
    output : output format; None means the exact width, for requantize "none" only.
    a_zero_point, w_zero_point, y_zero_point : whether the design takes such a zero point at run time (a code of the
        format it belongs to).

    multiplier_style : how integer products are made, which changes area and latency but no result: "logic" (adders of
        bit planes), "dsp" (a multiplication that synthesis maps to DSP blocks), "auto": logic up to 4 bits.

    Raises
    ------
    TypeError for a wrong kind, ValueError for a wrong value. The message names the field, the rule and the value.
    """

    activations: Format
    weights: Format
    rows: int = 8
    cols: int = 8
    lanes: int = 1
    depth: int = 512
    accumulator: int | None = None
    accumulator_overflow: str | None = None
    accumulator_range: tuple[int, int] | None = None
    bias: Format | None = None
    requantize: str = "none"
    multiplier_bits: int = 31
    rounding: str = "half_even"
    overflow: str = "saturate"
    zero_point_order: str = "after_rounding"
    activation: str = "none"
    clip: tuple[int, int] | None = None
    output: Format | None = None
    a_zero_point: bool = False
    w_zero_point: bool = False
    y_zero_point: bool = False
    multiplier_style: str = "auto"
    name: str = "mac_array"

    def __post_init__(self):
        self._check_kinds()
        for check in (self._check_shape, self._check_operands, self._check_accumulator, self._check_requantizer):
            check()
        self._check_output()

    def _check_kinds(self):
        for field in fields(self):
            value, kind = getattr(self, field.name), cast(Any, field.type)
            fits = _is_pair(value) if field.name in PAIRS else isinstance(value, kind)
            if not fits or (isinstance(value, bool) and kind is not bool):
                raise TypeError(f"{field.name} must be {_kind(field)}, not {value!r}")

    def _check_shape(self):
        if not re.fullmatch(_NAME, self.name):
            raise ValueError(
                f"name must be a letter, then at most 63 letters, digits or underscores, not {self.name!r}"
            )
        if self.name in VERILOG_KEYWORDS or self.name == "bench":
            raise ValueError(f"name must not be a Verilog keyword or 'bench', not {self.name!r}")
        for field, limit in LIMITS.items():
            value = getattr(self, field)
            if value <= 0:
                raise ValueError(f"{field} must be positive, not {value}")
            if value > limit:
                raise ValueError(f"{field} must be at most {limit}, not {value}")

    def _check_operands(self):
        for field, fmt in (("activations", self.activations), ("weights", self.weights)):
            if fmt.width > OPERAND_WIDTH:
                raise ValueError(f"{field} must be at most {OPERAND_WIDTH} bits wide, not {fmt}")
        for field, fmt in (("a_zero_point", self.activations), ("w_zero_point", self.weights)):
            if getattr(self, field) and isinstance(fmt, Bipolar):
                raise ValueError(f"{field} needs an integer format, not {fmt}")

    def _check_accumulator(self):
        if self.accumulator_overflow not in (None, *OVERFLOWS):
            raise ValueError(
                f"accumulator_overflow must be one of {', '.join(OVERFLOWS)}, not {self.accumulator_overflow!r}"
            )
        if self.accumulator_range is not None:
            lo, hi = self.accumulator_range
            if not self.sum_range_of_formats[0] <= lo <= 0 <= hi <= self.sum_range_of_formats[1]:
                raise ValueError(
                    f"accumulator_range must hold 0 and lie in {list(self.sum_range_of_formats)}, not {[lo, hi]}"
                )
        if self.accumulator is None:
            return
        if not 2 <= self.accumulator <= 128:
            raise ValueError(f"accumulator must be 2 to 128 bits, not {self.accumulator}")
        if self.accumulator < self.exact_accumulator_width and self.accumulator_overflow is None:
            lo, hi = self.sum_range
            raise ValueError(
                f"accumulator must be at least {self.exact_accumulator_width} bits, not {self.accumulator}: "
                f"{self.depth} products of {self.activations} and {self.weights} sum to {lo}..{hi}; "
                f"or give accumulator_overflow"
            )

    def _check_requantizer(self):
        for field, names in (
            ("requantize", REQUANTIZERS),
            ("rounding", ROUNDINGS),
            ("overflow", OVERFLOWS),
            ("zero_point_order", ZERO_POINT_ORDERS),
            ("activation", ACTIVATIONS),
            ("multiplier_style", MULTIPLIER_STYLES),
        ):
            if getattr(self, field) not in names:
                raise ValueError(f"{field} must be one of {', '.join(names)}, not {getattr(self, field)!r}")
        if not 8 <= self.multiplier_bits <= 32:
            raise ValueError(f"multiplier_bits must be 8 to 32, not {self.multiplier_bits}")
        if self.zero_point_order != "after_rounding" and self.requantize not in ("shift", "multiplier"):
            raise ValueError(f"zero_point_order must be after_rounding with requantize {self.requantize!r}")
        if self.rule is not None:
            self._check_rule(self.rule)
        if isinstance(self.bias, Bipolar):
            raise ValueError("bias needs an integer format, not bipolar")

    def _check_rule(self, rule: Rule):
        if self.rounding != "half_even":
            raise ValueError(f"rounding is part of requantize {self.requantize!r}; leave it out, not {self.rounding!r}")
        if not rule.wraps and int_bits(*self.biased_range) > rule.value_bits:
            raise ValueError(
                f"requantize {self.requantize!r} takes sums of at most {rule.value_bits} bits, "
                f"not {int_bits(*self.biased_range)}"
            )

    def _check_output(self):
        if self.output is None:
            if self.requantize != "none":
                raise ValueError(f"output must be given with requantize {self.requantize!r}")
            if (width := int_bits(*self.biased_range)) > 64:
                raise ValueError(f"output must be given: the exact sum needs {width} bits, outputs have at most 64")
        if isinstance(self.output, Bipolar):
            if self.overflow != "saturate":
                raise ValueError("overflow must be saturate for bipolar outputs, not 'wrap'")
            if self.y_zero_point or self.clip is not None or self.activation != "none":
                raise ValueError("bipolar outputs take no y_zero_point, clip or activation")
        if self.clip is not None:
            lo, hi = self.y.code_range
            if not lo <= self.clip[0] <= self.clip[1] <= hi:
                raise ValueError(f"clip must be lo <= hi within {self.y} [{lo}, {hi}], not {list(self.clip)}")
            if self.overflow == "wrap":
                raise ValueError("clip needs overflow saturate, not 'wrap'")

    @property
    def a_range(self):
        """Interval of a decoded activation less its zero point."""
        return _operand_range(self.activations, self.a_zero_point)

    @property
    def w_range(self):
        """Interval of a decoded weight less its zero point."""
        return _operand_range(self.weights, self.w_zero_point)

    @property
    def product_range(self):
        """Interval of one product (equation 2.1)."""
        return product_interval(self.a_range, self.w_range)

    @property
    def beat_range(self):
        """Interval of the sum of one beat's `lanes` products, missing products counting as zero."""
        return scale_interval(self.product_range, self.lanes)

    @property
    def sum_range_of_formats(self):
        """Interval of every partial sum of up to `depth` products (equation 2.2)."""
        return scale_interval(self.product_range, self.depth)

    @property
    def sum_range(self):
        """Interval of the exact sum, by the promise in `accumulator_range` where there is one."""
        return self.accumulator_range or self.sum_range_of_formats

    @property
    def exact_accumulator_width(self):
        """Bits (two's complement) that hold every partial sum (equation 2.3)."""
        return int_bits(*self.sum_range)

    @property
    def accumulator_width(self):
        """Bits of the accumulator, two's complement."""
        return self.exact_accumulator_width if self.accumulator is None else self.accumulator

    @property
    def accumulator_is_exact(self):
        return self.accumulator_width >= self.exact_accumulator_width

    @property
    def acc_range(self):
        """Interval of the value that leaves the accumulator."""
        if self.accumulator_is_exact:
            return self.sum_range
        return -(1 << self.accumulator_width - 1), (1 << self.accumulator_width - 1) - 1

    @property
    def biased_range(self):
        """Interval of accumulator plus bias."""
        lo, hi = self.bias.code_range if self.bias else (0, 0)
        return self.acc_range[0] + lo, self.acc_range[1] + hi

    @property
    def rule(self):
        """The rule of golden.scale that requantizes, or None."""
        return RULES.get(self.requantize)

    @property
    def scaled_range(self):
        """Interval of (accumulator + bias) * multiplier, before the shift."""
        if self.rule is not None:
            half = 1 << self.rule.value_bits - 1
            return product_interval((-half, half - 1), (0, (1 << self.rule.multiplier_bits) - 1))
        if self.requantize == "multiplier":
            return product_interval(self.biased_range, (0, (1 << self.multiplier_bits) - 1))
        return self.biased_range

    @property
    def y(self):
        """The output format."""
        return self.output or Integer(int_bits(*self.biased_range), signed=True)

    @property
    def y_range(self):
        """Smallest and largest output code."""
        return self.clip or self.y.code_range

    @property
    def accumulator_fraction(self):
        """Fraction bits of the accumulator's grid: those of activations plus those of weights."""
        return self.activations.fraction + self.weights.fraction

    @property
    def grid_shift(self):
        """The shift that takes the accumulator's grid to the output's: the default where no shift is given."""
        return max(self.accumulator_fraction - self.y.fraction, 0)

    @property
    def parameters(self):
        """Names of the run-time parameters that each column takes, in order."""
        names = {
            "bias": self.bias is not None,
            "multiplier": self.requantize not in ("none", "shift"),
            "shift": self.requantize != "none",
            "y_zero_point": self.y_zero_point,
        }
        return tuple(name for name, taken in names.items() if taken)

    @property
    def parameter_formats(self):
        """Format of each run-time parameter, by name."""
        formats = {
            "bias": self.bias,
            "multiplier": Integer(self.rule.multiplier_bits if self.rule else self.multiplier_bits, signed=False),
            "shift": Integer(SHIFT_BITS, signed=self.rule is not None),
            "y_zero_point": self.y,
        }
        return {name: formats[name] for name in self.parameters}

    @property
    def zero_point_first(self):
        """Whether an output zero point is added before rounding."""
        return self.y_zero_point and self.zero_point_order == "before_rounding"

    @property
    def shift_range(self):
        """Smallest and largest shift: to the right, but to the left where a rule of golden.scale requantizes."""
        return self.rule.shifts if self.rule else (0, MAX_SHIFT)

    @property
    def is_binary(self):
        """Both operands bipolar: no code pair multiplies to zero."""
        return isinstance(self.activations, Bipolar) and isinstance(self.weights, Bipolar)

    @property
    def multiply(self):
        """How integer products are made: "logic" or "dsp"."""
        if self.multiplier_style != "auto":
            return self.multiplier_style
        return "logic" if min(self.activations.width, self.weights.width) <= LOGIC_BITS else "dsp"

    def beats(self, k):
        """Beats that a tile of reduction depth k takes: ceil(k / lanes)."""
        return -(-k // self.lanes)

    def with_(self, **changes):
        """A copy with some fields changed, validated again."""
        return replace(self, **changes)


def _is_pair(value):
    return value is None or (isinstance(value, tuple) and len(value) == 2 and all(type(item) is int for item in value))


def _kind(field):
    if field.name in PAIRS:
        return "a pair of integers"
    return {
        int: "an integer",
        bool: "true or false",
        str: "a string",
        int | None: "an integer",
        str | None: "a string",
    }.get(field.type, "a format")


def _operand_range(fmt, zero_point):
    lo, hi = fmt.decoded_range
    return (lo - hi, hi - lo) if zero_point else (lo, hi)


def product_interval(a, b):
    """Interval of x * y for x in a, y in b."""
    corners = [x * y for x in a for y in b]
    return min(corners), max(corners)


def scale_interval(interval, count):
    """Interval of every sum of at most `count` terms, each in `interval`."""
    lo, hi = interval
    return min(0, count * lo), max(0, count * hi)
