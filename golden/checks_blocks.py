"""What a Spec with block scales, or with a float32 accumulator, may be."""

from .formats import Integer
from .minifloat import MINIFLOATS, MiniFloat
from .ops import int_bits
from .scale_formats import FLOAT32, SCALE_FLOATS, PowerScale

BLOCK_SUMS = ("exact", "float32")
SCALE_INTEGER = 16
EXACT_BITS = 128
_SCALES = ("a_block_scale", "w_block_scale")
SCALES = f"uint1..uint{SCALE_INTEGER}, float8_e8m0fnu, {', '.join((*MINIFLOATS, *SCALE_FLOATS))}"


def check_blocks(spec):
    """Raises ValueError for a block, scale or float32 sum that is not built, naming field, rule and value."""
    for rule in (_operands, _block, _scales, _combinations, _float_sum, _exact_sum):
        rule(spec)


def _operands(spec):
    for field in ("activations", "weights"):
        fmt = getattr(spec, field)
        if isinstance(fmt, PowerScale) or str(fmt) in (*SCALE_FLOATS, FLOAT32.name):
            raise ValueError(f"{field} must be a format of operands, not {fmt}")


def _block(spec):
    if spec.block < 0:
        raise ValueError(f"block must be 0 (none) or positive, not {spec.block}")
    if spec.block > 1 << 24:
        raise ValueError(f"block must be at most {1 << 24}, not {spec.block}")
    if spec.block % spec.lanes:
        raise ValueError(f"block must be a multiple of lanes, {spec.lanes}, not {spec.block}")
    given = [field for field in (*_SCALES, "w_block_zero_point") if getattr(spec, field)]
    if given and not spec.block:
        raise ValueError(f"{given[0]} needs block, the number of elements that share it")
    if spec.block and not given:
        raise ValueError("block needs a_block_scale, w_block_scale or w_block_zero_point")


def _scales(spec):
    for field in _SCALES:
        fmt = getattr(spec, field)
        if fmt is not None and not _is_scale(fmt):
            raise ValueError(f"{field} must be one of {SCALES}, not {fmt}")
    if spec.scale_range is None:
        return
    if not any(isinstance(getattr(spec, field), PowerScale) for field in _SCALES):
        raise ValueError("scale_range needs a scale of float8_e8m0fnu")
    lo, hi = spec.scale_range
    least, most = PowerScale().code_range
    if not least <= lo <= hi <= most:
        raise ValueError(f"scale_range must be lo <= hi within float8_e8m0fnu [{least}, {most}], not {[lo, hi]}")
    if spec.block_sum != "exact":
        raise ValueError(f"scale_range needs block_sum exact, not {spec.block_sum!r}")


def _is_scale(fmt):
    if isinstance(fmt, Integer):
        return not fmt.signed and fmt.width <= SCALE_INTEGER
    return isinstance(fmt, PowerScale) or (isinstance(fmt, MiniFloat) and fmt != FLOAT32)


def _combinations(spec):
    if spec.w_block_zero_point:
        if not isinstance(spec.weights, Integer):
            raise ValueError(f"w_block_zero_point needs an integer format of weights, not {spec.weights}")
        if spec.w_zero_point:
            raise ValueError("w_zero_point must be left out with w_block_zero_point, which takes its place")
    if not spec.block and spec.block_sum == "exact":
        return
    what = "block" if spec.block else "block_sum float32"
    if spec.array != "output_stationary":
        raise ValueError(
            f"array must be output_stationary with {what}, not {spec.array!r}, whose elements scale and round no sums"
        )
    if spec.is_binary:
        raise ValueError(f"{what} needs operands other than bipolar x bipolar, which no zero can pad")
    for field in ("accumulator", "accumulator_overflow", "accumulator_range", "platform"):
        if (value := getattr(spec, field)) is not None:
            raise ValueError(f"{field} must be left out with {what}, not {value!r}")


def _float_sum(spec):
    if spec.block_sum not in BLOCK_SUMS:
        raise ValueError(f"block_sum must be one of {', '.join(BLOCK_SUMS)}, not {spec.block_sum!r}")
    if (spec.block_sum == "float32") != (spec.output == FLOAT32):
        if spec.output == FLOAT32:
            raise ValueError("output float32 needs block_sum float32")
        raise ValueError(f"output must be float32 with block_sum float32, not {spec.output}")
    if spec.block_sum == "exact":
        return
    if spec.requantize != "none":
        raise ValueError(f"requantize must be none with block_sum float32, not {spec.requantize!r}")
    for field, own in (
        ("bias", None),
        ("y_zero_point", False),
        ("activation", "none"),
        ("overflow", "saturate"),
        ("rounding", "half_even"),
        ("clip", None),
        ("table", None),
    ):
        if (value := getattr(spec, field)) != own:
            raise ValueError(f"{field} must be left out with block_sum float32, not {value}")


def _exact_sum(spec):
    if not spec.block or spec.block_sum != "exact":
        return
    bits = int_bits(*spec.sum_range_of_formats)
    if bits > EXACT_BITS:
        hint = "promise fewer exponents with scale_range, or take block_sum float32"
        raise ValueError(f"block scales must leave exact sums of at most {EXACT_BITS} bits, not {bits}; {hint}")
