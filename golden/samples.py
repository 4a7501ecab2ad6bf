"""Sums and parameters on which platforms part, made for a design before there is any hardware: three kinds."""

import numpy as np

from .case import Case, sums_case
from .checks import MAX_SHIFT
from .derive import SCALES, takes
from .ops import exact_dtype
from .platform_table import PLATFORMS
from .spec import Spec

KINDS = ("random", "ties", "extremes")
COLUMNS = 16
_TIE_SHIFTS = 8
_LARGEST_SIZE = 34  # so that every rule can bring sums of 2**34 into its outputs
_EXTREME_FLOATS = (0.5, 1.0, np.nextafter(np.float32(1), np.float32(0)), np.nextafter(np.float32(1), np.float32(2)))
_EXTREME_SHIFTS = (-8, -1, 0, 1)


def sample(spec: Spec, kind: str, count: int, seed: int) -> Case:
    """`count` sums, or a few more to fill COLUMNS columns, each with parameters of its own.

    "random": scales that spread the outputs over their range. "ties": scales that are powers of two, sums half way
    between two outputs. "extremes": sums, biases, multipliers and shifts at their ends, and sums around powers of two.
    Where the design takes real scales, they are given, so that each platform makes its own numbers of them; extremes
    are of the design's own multiplier, shift or scale.

    Raises ValueError for thresholds without a platform.
    """
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    columns = min(COLUMNS, count)
    return {"random": _random, "ties": _ties, "extremes": _extremes}[kind](rng, spec, -(-count // columns), columns)


def _random(rng, spec, rows, columns):
    lo, hi = spec.sum_range
    largest = min(max(max(-lo, hi).bit_length() - 1, 4), _LARGEST_SIZE)
    sizes = np.exp2(rng.uniform(3, largest, columns))
    arrays = _around(rng, spec, columns, sizes / 4)
    sums = _integers(spec, rng.normal(0, 1, (rows, columns)) * sizes - arrays.get("bias", 0))
    low, high = spec.clip_range
    return _case(spec, sums, arrays | _scales(rng, spec, max(high - low, 6) / 6 / sizes))


def _ties(rng, spec, rows, columns):
    halvings = rng.integers(1, _TIE_SHIFTS, columns, endpoint=True)
    arrays = _around(rng, spec, columns, np.full(columns, 16.0))
    low, high = spec.clip_range
    reach = max(high - low, 2)
    steps = rng.integers(-reach, reach, (rows, columns), endpoint=True)
    bias, ends = arrays.get("bias", np.zeros(columns, np.int64)), spec.sum_range
    least, most = (np.array([(end + int(b)) >> int(h) for b, h in zip(bias, halvings, strict=True)]) for end in ends)
    steps = np.clip(steps, least + 1, np.maximum(most - 1, least + 1)).astype(object)
    sums = steps * (1 << halvings.astype(object)) + (1 << halvings.astype(object) - 1) - bias
    return _case(spec, _integers(spec, sums), arrays | _scales(rng, spec, np.exp2(-halvings)))


def _extremes(rng, spec, rows, columns):
    lo, hi = spec.sum_range
    powers = [sign * (1 << bit) + near for bit in range(hi.bit_length()) for sign in (-1, 1) for near in (-1, 0, 1)]
    chosen = rng.choice(np.array([lo, lo + 1, hi - 1, hi, -1, 0, 1, *powers], object), (rows, columns))
    arrays = _around(rng, spec, columns, np.full(columns, 2.0))
    if "bias" in arrays and spec.bias is not None:
        arrays["bias"] = rng.choice(np.array([*spec.bias.code_range, -1 if spec.bias.signed else 1, 0]), columns)
    return _case(spec, _integers(spec, chosen), arrays | _ends(rng, spec, columns))


def _around(rng, spec, columns, spread):
    """Biases and zero points."""
    arrays, (low, high) = {}, spec.clip_range
    inside = spec.requantize == "thresholds"
    if spec.bias is not None or inside:
        least, most = spec.bias.code_range if spec.bias else spec.acc_range
        arrays["bias"] = np.clip(rng.normal(0, 1, columns) * spread, least, most).astype(np.int64)
    if spec.y_zero_point or (inside and spec.platform != "finn"):
        quarter = (high - low) // 4
        zero_points = rng.integers(low + quarter, high - quarter, columns, endpoint=True)
        arrays["y_zero_point"] = zero_points[0] if inside else zero_points
    if spec.activation == "relu6":
        arrays["y_max"] = np.full(columns, high)
    return arrays


def _scales(rng, spec, factors):
    """Real scales, or a model's integers, that come to about these factors; exactly, for powers of two."""
    exact = all(np.frexp(factors)[0] == 0.5)
    if spec.requantize == "none":
        return {}
    if not set(SCALES) <= set(takes(spec)) or _brings_integers(spec):
        return _integers_for(factors)
    if spec.requantize == "shift":
        factors, exact = np.exp2(np.minimum(np.round(np.log2(factors)), 0)), True
    a_scale, y_scale = (np.float32(np.exp2(rng.integers(-6, 0)) * (1 if exact else rng.uniform(1, 2))) for _ in "ay")
    if spec.activation == "relu6":
        low, high = spec.clip_range
        y_scale = np.float32(np.exp2(4 - (high - low).bit_length()))  # so that 6 is a code in the middle of the range
    return {"a_scale": a_scale, "w_scale": (factors * y_scale / a_scale).astype(np.float32), "y_scale": y_scale}


def _brings_integers(spec):
    return spec.platform is not None and PLATFORMS[spec.platform].effective is None


def _integers_for(factors):
    fractions, exponents = np.frexp(factors)
    return {"multiplier": np.ldexp(fractions, 15).astype(np.int64), "shift": 15 - exponents.astype(np.int64)}


def _ends(rng, spec, columns):
    """Multipliers, shifts and scales at their ends, and some that bring large sums into range."""
    if spec.requantize in ("none", "thresholds"):
        return _scales(rng, spec, np.exp2(-rng.integers(0, max(spec.accumulator_width - 8, 1), columns)))
    fitting = max(spec.accumulator_width - spec.code.width, 1)
    if "scale" in spec.parameters:
        floats = np.array(_EXTREME_FLOATS, np.float32)
        return {"scale": np.ldexp(rng.choice(floats, columns), rng.choice([0, -fitting, -fitting // 2, 8], columns))}
    lo, hi = spec.shift_range
    if spec.rule is not None:
        top = 1 << spec.rule.multiplier_bits - 1
        shifts = [lo, hi, *_EXTREME_SHIFTS, -min(fitting, -lo), -min(fitting // 2, -lo)]
    else:
        top = 1 << spec.multiplier_bits - 1 if spec.requantize == "multiplier" else 1
        shifts = [lo, hi, *(min(top.bit_length() + more, MAX_SHIFT) for more in (-1, 0, fitting, fitting // 2))]
    found = {"shift": rng.choice(np.array(shifts), columns)}
    if spec.requantize != "shift":
        found["multiplier"] = rng.choice(np.array([top, top + 1, 2 * top - 1]), columns)
    return found


def _integers(spec, sums):
    """Integers, exact, within the range of the sums."""
    lo, hi = spec.sum_range
    whole = [min(max(int(value), lo), hi) for value in np.ravel(sums)]
    return np.array(whole, exact_dtype(lo, hi)).reshape(np.shape(sums))


def _case(spec, sums, arrays):
    if spec.activation == "relu6" and "y_scale" in arrays:
        arrays.pop("y_max")
    if spec.bias is None and spec.requantize != "thresholds":
        arrays.pop("bias", None)
    return sums_case(spec, sums, arrays)
