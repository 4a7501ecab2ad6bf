"""What a Spec may be: every rule about its fields, each with one message that names field, rule and value."""

import re
from dataclasses import fields
from typing import Any, cast

from .checks_blocks import check_blocks
from .checks_codes import check_codes
from .checks_dynamic import check_dynamic
from .checks_matrix_vector import check_matrix_vector, is_matrix
from .checks_precision import check_precision
from .checks_residual import check_residual
from .checks_vector import check_vector
from .formats import Bipolar, Integer, OutputFormat
from .keywords import VERILOG_KEYWORDS
from .ops import int_bits
from .platform_table import PLATFORMS
from .rounding import OVERFLOWS, ROUNDINGS
from .rules import RULES, Rule

ARRAYS = ("output_stationary", "vector", "bit_serial", "matrix_vector", "weight_stationary", "scalable")
REQUANTIZERS = ("none", "shift", "multiplier", "thresholds", "dynamic", *RULES)
ZERO_POINT_ORDERS = ("after_rounding", "before_rounding")
THRESHOLD_SEARCHES = ("binary", "parallel")
ACTIVATIONS = ("none", "relu", "relu6")
MULTIPLIER_STYLES = ("auto", "logic", "dsp")
LOGIC_BITS = 4
MAX_SHIFT = 62
LIMITS = {"rows": 1024, "cols": 1024, "lanes": 1024, "depth": 1 << 24, "outputs": 1 << 16, "pass_rows": 1 << 16}
OPERAND_WIDTH = 32
PAIRS = ("accumulator_range", "clip", "scale_range")
THRESHOLD_OUTPUT = 8
TABLE_INPUT = 16
FLOAT_OUTPUT = 16
_NAME = r"[a-zA-Z][a-zA-Z0-9_]{0,63}"


def check(spec):
    """Raises TypeError for a field of a wrong kind, ValueError for a wrong value."""
    own = (_accumulator, _requantizer, _table, _output, _thresholds, _platform)
    for rule in (_kinds, _shape, _operands, check_blocks, check_residual, *own, check_vector):
        rule(spec)
    check_dynamic(spec)
    check_precision(spec)
    check_matrix_vector(spec)


def _kinds(spec):
    for field in fields(spec):
        value, kind = getattr(spec, field.name), cast(Any, field.type)
        if field.name in PAIRS:
            fits = _is_pair(value)
        elif field.name == "stored_weights":
            fits = value is None or is_matrix(value)
        else:
            fits = _is_table(value) if field.name == "table" else isinstance(value, kind)
        if not fits or (isinstance(value, bool) and kind is not bool):
            raise TypeError(f"{field.name} must be {_kind(field)}, not {value!r}")


def _shape(spec):
    if not re.fullmatch(_NAME, spec.name):
        raise ValueError(f"name must be a letter, then at most 63 letters, digits or underscores, not {spec.name!r}")
    if spec.name in VERILOG_KEYWORDS or spec.name == "bench":
        raise ValueError(f"name must not be a Verilog keyword or 'bench', not {spec.name!r}")
    for field, limit in LIMITS.items():
        value = getattr(spec, field)
        if value <= 0:
            raise ValueError(f"{field} must be positive, not {value}")
        if value > limit:
            raise ValueError(f"{field} must be at most {limit}, not {value}")


def _operands(spec):
    for field, fmt in (("activations", spec.activations), ("weights", spec.weights)):
        if fmt.width > OPERAND_WIDTH:
            raise ValueError(f"{field} must be at most {OPERAND_WIDTH} bits wide, not {fmt}")
    for field, fmt in (("a_zero_point", spec.activations), ("w_zero_point", spec.weights)):
        if getattr(spec, field) and not isinstance(fmt, Integer):
            raise ValueError(f"{field} needs an integer format, not {fmt}")
    check_codes(spec)


def _accumulator(spec):
    if spec.accumulator_overflow not in (None, *OVERFLOWS):
        raise ValueError(
            f"accumulator_overflow must be one of {', '.join(OVERFLOWS)}, not {spec.accumulator_overflow!r}"
        )
    if spec.accumulator_range is not None:
        lo, hi = spec.accumulator_range
        if not spec.sum_range_of_formats[0] <= lo <= 0 <= hi <= spec.sum_range_of_formats[1]:
            raise ValueError(
                f"accumulator_range must hold 0 and lie in {list(spec.sum_range_of_formats)}, not {[lo, hi]}"
            )
    if spec.accumulator is None:
        return
    if not 2 <= spec.accumulator <= 128:
        raise ValueError(f"accumulator must be 2 to 128 bits, not {spec.accumulator}")
    if spec.accumulator < spec.exact_accumulator_width and spec.accumulator_overflow is None:
        lo, hi = spec.sum_range
        raise ValueError(
            f"accumulator must be at least {spec.exact_accumulator_width} bits, not {spec.accumulator}: "
            f"{spec.most_products} products of {spec.activations} and {spec.weights} sum to {lo}..{hi}; "
            f"or give accumulator_overflow"
        )


def _requantizer(spec):
    for field, names in (
        ("array", ARRAYS),
        ("requantize", REQUANTIZERS),
        ("threshold_search", THRESHOLD_SEARCHES),
        ("rounding", ROUNDINGS),
        ("overflow", OVERFLOWS),
        ("zero_point_order", ZERO_POINT_ORDERS),
        ("activation", ACTIVATIONS),
        ("multiplier_style", MULTIPLIER_STYLES),
    ):
        if getattr(spec, field) not in names:
            raise ValueError(f"{field} must be one of {', '.join(names)}, not {getattr(spec, field)!r}")
    if not 8 <= spec.multiplier_bits <= 32:
        raise ValueError(f"multiplier_bits must be 8 to 32, not {spec.multiplier_bits}")
    if spec.zero_point_order != "after_rounding" and spec.requantize not in ("shift", "multiplier"):
        raise ValueError(f"zero_point_order must be after_rounding with requantize {spec.requantize!r}")
    if spec.rule is not None:
        _rule(spec, spec.rule)
    if spec.bias is not None and not isinstance(spec.bias, Integer):
        raise ValueError(f"bias needs an integer format, not {spec.bias}")


def _rule(spec, rule: Rule):
    if spec.rounding != "half_even":
        raise ValueError(f"rounding is part of requantize {spec.requantize!r}; leave it out, not {spec.rounding!r}")
    if not rule.wraps and int_bits(*spec.biased_range) > rule.value_bits:
        raise ValueError(
            f"requantize {spec.requantize!r} takes sums of at most {rule.value_bits} bits, "
            f"not {int_bits(*spec.biased_range)}"
        )


def _table(spec):
    if spec.table is None and spec.table_input is None:
        return
    if spec.table is None or spec.table_input is None or spec.output is None:
        missing = next(field for field in ("table", "table_input", "output") if getattr(spec, field) is None)
        raise ValueError(f"table, table_input and output must be given together; {missing} is missing")
    if spec.requantize == "thresholds":
        raise ValueError("thresholds take no table; put its function into them")
    fmt = spec.table_input
    if not isinstance(fmt, Integer) or fmt.width > TABLE_INPUT:
        raise ValueError(f"table_input must be an integer format of at most {TABLE_INPUT} bits, not {fmt}")
    if len(spec.table) != 1 << fmt.width:
        raise ValueError(f"table must have {1 << fmt.width} entries for {fmt}, not {len(spec.table)}")
    lo, hi = spec.output.code_range
    for index, entry in enumerate(spec.table):
        if not lo <= entry <= hi:
            raise ValueError(f"table[{index}] is {entry}, outside {spec.output} [{lo}, {hi}]")


def _output(spec):
    if spec.is_float_sum:
        return
    if not isinstance(spec.output, OutputFormat | None):
        raise ValueError(f"output must be an integer, fixed-point or bipolar format, not {spec.output}")
    if spec.output is None:
        if spec.requantize != "none":
            raise ValueError(f"output must be given with requantize {spec.requantize!r}")
        if (width := int_bits(*spec.biased_range)) > 64:
            raise ValueError(f"output must be given: the exact sum needs {width} bits, outputs have at most 64")
    if isinstance(spec.code, Bipolar):
        if spec.overflow != "saturate":
            raise ValueError("overflow must be saturate for bipolar outputs, not 'wrap'")
        if spec.y_zero_point or spec.clip is not None or spec.activation != "none":
            raise ValueError("bipolar outputs take no y_zero_point, clip or activation")
    if spec.clip is not None:
        lo, hi = spec.code.code_range
        if not lo <= spec.clip[0] <= spec.clip[1] <= hi:
            raise ValueError(f"clip must be lo <= hi within {spec.code} [{lo}, {hi}], not {list(spec.clip)}")
    for field, given in (("clip", spec.clip is not None), ("activation relu6", spec.activation == "relu6")):
        if given and spec.overflow == "wrap":
            raise ValueError(f"{field} needs overflow saturate, not 'wrap'")
    if spec.rule is not None and spec.rule.is_float:
        if spec.code.width > FLOAT_OUTPUT:
            raise ValueError(f"requantize {spec.requantize!r} gives at most {FLOAT_OUTPUT} bits, not {spec.code}")
        if spec.overflow == "wrap":
            raise ValueError(f"requantize {spec.requantize!r} needs overflow saturate, not 'wrap'")


def _thresholds(spec):
    if spec.requantize != "thresholds":
        return
    activation = spec.activation if spec.platform is None else "none"
    for field, given in (("bias", spec.bias), ("y_zero_point", spec.y_zero_point), ("activation", activation)):
        if given not in (None, False, "none"):
            raise ValueError(f"{field} must be left out with thresholds, which hold its effect, not {given}")
    if spec.rounding != "half_even" or spec.overflow == "wrap":
        raise ValueError("thresholds take neither rounding nor overflow wrap")
    if spec.output.width > THRESHOLD_OUTPUT:
        raise ValueError(f"thresholds give outputs of at most {THRESHOLD_OUTPUT} bits, not {spec.output}")
    if not spec.threshold_count:
        raise ValueError(f"clip must leave thresholds two output codes at least, not {list(spec.clip)}")
    lo, hi = spec.acc_range
    if int_bits(lo, hi + 1) > 64:
        raise ValueError(f"thresholds take sums of at most 63 bits, not {int_bits(lo, hi)}")


def _platform(spec):
    if spec.platform is None:
        return
    if spec.platform not in PLATFORMS:
        raise ValueError(f"platform must be one of {', '.join(PLATFORMS)}, not {spec.platform!r}")
    wanted = requantizer_of(PLATFORMS[spec.platform])
    if spec.requantize not in (wanted, "thresholds", *_golden_only(PLATFORMS[spec.platform])):
        names = " or ".join(dict.fromkeys((repr(wanted), "'thresholds'")))
        raise ValueError(f"requantize must be {names} on platform {spec.platform!r}, not {spec.requantize!r}")
    if spec.activation != "none" and not PLATFORMS[spec.platform].activations:
        raise ValueError(f"platform {spec.platform!r} has no fused activation; give its bounds as clip")
    _platform_sums(spec, PLATFORMS[spec.platform])
    if spec.zero_point_order != "after_rounding":
        raise ValueError(f"zero_point_order is part of platform {spec.platform!r}; leave it out")


def _platform_sums(spec, platform):
    """A platform's outputs saturate, its multiplier has a width, and its sums are exact or wrap at 32 bits."""
    for field, own in (("overflow", "saturate"), ("multiplier_bits", 31)):
        if (given := getattr(spec, field)) != own:
            raise ValueError(f"{field} is part of platform {spec.platform!r}; leave it out, not {given!r}")
    wraps = platform.accumulator == "int32" and spec.accumulator == 32 and spec.accumulator_overflow == "wrap"
    if not spec.accumulator_is_exact and not wraps:
        raise ValueError(
            f"accumulator is part of platform {spec.platform!r}; leave it out, not {spec.accumulator} bits, "
            f"{spec.accumulator_overflow}"
        )


def _golden_only(platform):
    """The rule that is the platform's own but has no hardware."""
    ours = platform.scaling == "float64" and platform.rounding == "half_away" and platform.zero_point == "after"
    return ("float64_away",) if ours else ()


def requantizer_of(platform):
    """The requantizer that gives a platform's bits: its own rule where hardware has it, else thresholds.

    Raises ValueError for platforms whose rule is not published or whose sums no hardware here forms.
    """
    if platform.scaling is None:
        raise ValueError(f"platform {platform.name!r} has no published rule for requantization")
    if platform.accumulator == "pairs16":
        raise ValueError(
            f"platform {platform.name!r} saturates pairs of products, which hardware here does not; "
            "its results are in golden.platforms, and onnxruntime is the nearest with hardware"
        )
    rule = RULES.get(platform.scaling)
    return "thresholds" if rule is None or rule.nearest or platform.zero_point == "before" else platform.scaling


def _is_pair(value):
    return value is None or (isinstance(value, tuple) and len(value) == 2 and all(type(item) is int for item in value))


def _is_table(value):
    return value is None or (isinstance(value, tuple) and all(type(item) is int for item in value))


def _kind(field):
    if field.name == "table":
        return "integers"
    if field.name == "stored_weights":
        return "a matrix of integers"
    if field.name in PAIRS:
        return "a pair of integers"
    return {
        int: "an integer",
        bool: "true or false",
        str: "a string",
        int | None: "an integer",
        str | None: "a string",
    }.get(field.type, "a format")
