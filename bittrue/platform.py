"""What a platform's name stands for in a design: its requantizer, its accumulator, its way from real scales."""

from golden.checks import requantizer_of
from golden.fixed_point import FIXED, bits
from golden.platform_sums import with_platform_sums
from golden.platform_table import PLATFORMS
from golden.spec import Spec

from .errors import InputError, as_input_error

EFFECTIVE = {
    "f64": "a_scale * w_scale / y_scale in float64",
    "f32_chain": "a_scale * w_scale / y_scale, rounded to float32 after each step",
    "f32_product": "a_scale * w_scale in float32, divided by y_scale in float64",
    "product": "a_scale * w_scale in float32; the scaled sum is divided by y_scale",
    None: "none published: the model brings the integers",
}
_FLOATS = {
    "float32": "a float32 number",
    "float64": "a float64 number",
    "float64_away": "a float64 number",
    "float32_division": "two float32 numbers",
    "rndnu": "24 bits and a shift to the right",
    "thresholds": "thresholds of float32",
    "shift_add": "an integer, a shift to the right and an addend",
}


def with_platform(given: dict) -> dict:
    """The fields with the requantizer of their platform, unless they name one. Raises InputError."""
    name = given["platform"]
    if not isinstance(name, str) or name not in PLATFORMS:
        raise InputError(f"platform must be one of {', '.join(PLATFORMS)}, not {name!r}")
    with as_input_error(ValueError):
        return {**given, "requantize": given.get("requantize") or requantizer_of(PLATFORMS[name])}


def check_contradictions(flags: dict, platform: str | None):
    """Raises InputError for flags that a platform's rule leaves no choice in."""
    for name in ("rounding", "zero_point_order"):
        if platform is not None and name in flags:
            raise InputError(f"{name} is part of platform {platform!r}; leave it out, not {flags[name]!r}")


def with_accumulator(spec: Spec, given: dict) -> Spec:
    """The spec with the accumulator of its platform, where none was given."""
    return spec if "accumulator" in given else with_platform_sums(spec)


def unnamed(spec: Spec) -> Spec:
    """The same arithmetic without the platform's name, so that other rules can be tried in its place."""
    inside = {"activation": "none"} if spec.requantize == "thresholds" else {}
    return spec.with_(platform=None, **inside)


def scales(spec: Spec) -> dict | None:
    """How run-time parameters follow from real scales, in words; None for designs that take none."""
    if spec.requantize in ("none", "dynamic") or (spec.requantize == "thresholds" and spec.platform is None):
        return None
    inputs = ["a_scale", "w_scale", "y_scale"]
    if spec.platform is not None and PLATFORMS[spec.platform].effective is None:
        inputs = ["multiplier", "shift", "add"]
    result = {"inputs": inputs, "effective": _effective(spec), "encoding": _encoding(spec)}
    if spec.activation == "relu6":
        result["y_max"] = "y_zero_point + 6 / y_scale in float32, ties away from zero, within the output's range"
    return result


def _effective(spec):
    if spec.platform is None:
        return EFFECTIVE["f32_chain" if spec.requantize == "float32" else "f64"]
    p = PLATFORMS[spec.platform]
    one = EFFECTIVE[p.effective]
    if p.effective_per_channel is None:
        return one
    return f"{one}; with a w_scale per column {EFFECTIVE[p.effective_per_channel]}"


def _encoding(spec):
    if spec.requantize == "thresholds":
        return f"thresholds: the least sums for which platform {spec.platform!r}, with {_kept(spec)}, gives each code"
    if spec.requantize == "shift":
        return "a power of two: shift to the right"
    if spec.requantize == "multiplier":
        return f"multiplier / 2**shift, the multiplier rounded to {spec.multiplier_bits} bits, ties up"
    return _kept(spec)


def _kept(spec):
    """What a rule scales by."""
    p = PLATFORMS.get(spec.platform or "")
    scaling = str(p.scaling) if p else spec.requantize
    if scaling not in FIXED:
        return _FLOATS[scaling]
    width = bits(p) if p else spec.rule.multiplier_bits
    return f"multiplier * 2**(shift - {width}), the multiplier rounded to {width} bits"
