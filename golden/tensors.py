"""The operands of one matrix product, checked against a spec before anything is computed from them."""

from dataclasses import dataclass, field, replace

import numpy as np

from .blocks import block_sums, spread
from .checks import MAX_SHIFT
from .checks_precision import RUN_TIME
from .derive import SCALES, derived, takes
from .dynamic import dynamic
from .extras import axis_sizes, extras
from .folds import check_layer, stored_arrays
from .formats import AnyTernary, Codebook, Ternary
from .ieee import Float
from .mac import accumulate, accumulator_range
from .minifloat import MiniFloat
from .precision import check_held
from .requantize import requantize_array
from .residual import combined
from .scale_formats import PowerScale

ZERO_POINTS = ("a_zero_point", "w_zero_point")
CODES = ("a", "w", "a_residual", "w_residual")


@dataclass(frozen=True)
class Operands:
    """Codes a [M, K] and w [K, N], int64; `parameters` by name: int64 arrays [N]; zero points of a and w: integers.

    On array "vector" a may be [M, K, N]: activations of their own for each column.

    Among the parameters, thresholds are [N, T] and scales are bit patterns. `extras` holds the arrays of golden.extras.
    """

    a: np.ndarray
    w: np.ndarray
    parameters: dict = field(default_factory=dict)
    a_zero_point: int = 0
    w_zero_point: int = 0
    extras: dict = field(default_factory=dict)

    @property
    def shape(self):
        """(M, K, N)"""
        return (*self.a.shape[:2], self.w.shape[1])


def operands(spec, arrays):
    """Operands from a mapping of names to arrays, such as a loaded npz.

    Names: a [M, K], on array "vector" [M, K, N] too, w [K, N]; where the spec takes them bias, multiplier, shift,
    scale (float), y_zero_point, y_max, all [N] or scalar, thresholds [N, T] or [T], a_zero_point and w_zero_point
    scalar. A missing shift is `spec.grid_shift`; missing zero points and biases are zero. In place of multiplier,
    shift, scale, thresholds and y_max, real scales may be given (golden.derive); beside them, they must come to the
    same. golden.extras names what else a design takes.

    Raises ValueError for missing or unknown arrays, wrong kinds or shapes, and codes outside their format; the message
    names array, index, value and range.
    """
    known = {
        "a",
        "w",
        *spec.parameters,
        *extras(spec),
        *takes(spec),
        *(name for name in ZERO_POINTS if getattr(spec, name)),
    }
    if spec.requantize == "thresholds" and spec.platform is None and (scales := sorted(set(SCALES) & set(arrays))):
        raise ValueError(f"{scales[0]}: thresholds follow from real scales only where the design names a platform")
    if unknown := sorted(set(arrays) - known):
        raise ValueError(f"{unknown[0]}: this design takes no such array; it takes {', '.join(sorted(known))}")
    a = _activations(spec, _required(arrays, "a"))
    stored = stored_arrays(spec) | dict(arrays)
    w = _codes("w", _required(stored, "w"), spec.weights, ndim=2, specials=spec.is_float_sum)
    if a.shape[1] != w.shape[0]:
        raise ValueError(f"a has K = {a.shape[1]} columns and w has K = {w.shape[0]} rows; they must be equal")
    if a.ndim == 3 and a.shape[2] != w.shape[1]:
        raise ValueError(f"a has N = {a.shape[2]} channels and w has N = {w.shape[1]} columns; they must be equal")
    if a.shape[1] > spec.depth:
        raise ValueError(f"a has K = {a.shape[1]}; this design's depth is {spec.depth}")
    check_layer(spec, w)
    zero_points = {
        name: _scalar(name, arrays[name], fmt)
        for name, fmt in zip(ZERO_POINTS, (spec.activations, spec.weights), strict=True)
        if name in arrays
    }
    sizes = axis_sizes(spec, a.shape[0], *w.shape)
    others = {name: _extra(name, extra, arrays, sizes) for name, extra in extras(spec).items()}
    result = Operands(a, w, _parameters(spec, arrays, w.shape[1]), **zero_points, extras=others)
    _check_promise(spec, result)
    if spec.array in RUN_TIME:
        check_held(spec, decoded_activations(spec, result), decoded_weights(spec, result), others)
    return result


def received(spec, arrays):
    """Operands that hardware was given: as `operands` has them, and the spare code of ternary, which it takes for zero.

    Not that of packed trits, which have none.
    """
    fields = {"activations": spec.activations, "weights": spec.weights if spec.w_packing == "codes" else None}
    ternary = {field: AnyTernary() for field, fmt in fields.items() if isinstance(fmt, Ternary)}
    return operands(spec.with_(**ternary), arrays)


def spare_codes(spec, given: Operands):
    """Where operands hold the spare code of ternary: index arrays [count, 2 or 3] by name, of those that do."""
    arrays = {"a": given.a, "w": given.w, **given.extras}
    formats = {name: spec.activations if name in ("a", "a_residual") else spec.weights for name in CODES}
    places = {
        name: np.argwhere(arrays[name] == fmt.spare)
        for name, fmt in formats.items()
        if name in arrays and isinstance(fmt, Ternary)
    }
    return {name: found for name, found in places.items() if len(found)}


def _activations(spec, a):
    """Codes [M, K], or [M, K, N] where the array takes such."""
    channels, shape = np.ndim(a) == 3, list(np.shape(a))
    if channels and spec.array != "vector":
        raise ValueError(f"a [M, K, N] needs array 'vector', not {spec.array!r}; it has shape {shape}")
    if spec.array == "vector" and (len(shape) not in (2, 3) or 0 in shape):
        raise ValueError(f"a must be [M, K], or [M, K, N], with at least one element, not of shape {shape}")
    return _codes("a", a, spec.activations, ndim=3 if channels else 2, specials=spec.is_float_sum)


def _extra(name, extra, arrays, sizes):
    """An array of golden.extras as int64 codes of its full shape."""
    shape = tuple(sizes[axis] for axis in extra.axes)
    if name not in arrays and extra.default is not None:
        return np.full(shape, extra.default, np.int64)
    value = np.asarray(_required(arrays, name))
    if value.shape not in [shape[first:] for first in range(max(len(shape), 1))]:
        if not shape:
            raise ValueError(f"{name} must be one number, not of shape {list(value.shape)}")
        axes = ", ".join(axis.upper() if len(axis) == 1 else axis for axis in extra.axes)
        raise ValueError(f"{name} must have shape [{axes}] = {list(shape)}, not {list(value.shape)}")
    return np.broadcast_to(_codes(name, value, extra.fmt, specials=extra.specials), shape).copy()


def padded(spec, given: Operands, m, n) -> Operands:
    """The operands with more rows of A and columns of W, up to m and n: code 0, or the zero point, 0 elsewhere."""
    more = {"m": m - given.shape[0], "n": n - given.shape[2]}
    around = ((0, more["m"]), (0, 0), (0, more["n"]))[: given.a.ndim]
    a = np.pad(given.a, around, constant_values=given.a_zero_point)
    w = np.pad(given.w, ((0, 0), (0, more["n"])), constant_values=given.w_zero_point)
    parameters = {
        name: np.pad(value, [(0, more["n"])] + [(0, 0)] * (value.ndim - 1)) for name, value in given.parameters.items()
    }
    others = {
        name: np.pad(given.extras[name], [(0, more.get(axis, 0)) for axis in extra.axes], constant_values=extra.pad)
        for name, extra in extras(spec).items()
        if extra.axes and name in given.extras
    }
    return replace(given, a=a, w=w, parameters=parameters, extras=given.extras | others)


def decoded_activations(spec, given: Operands):
    """Decoded A less its zero point, residual codes included: what the array multiplies.

    int64; float64 where infinities or NaN are taken.
    """
    values = _decoded(spec, spec.activations, given.a) - given.a_zero_point
    return combined(spec, "a", values, given.extras.get("a_residual"))


def decoded_weights(spec, given: Operands):
    """Decoded W less its zero point, or those of its blocks, residual codes included; float64 where infinities or NaN
    are taken."""
    if isinstance(spec.weights, Codebook):
        return spec.weights.lookup(given.extras["w_codebook"], given.w)
    values = _decoded(spec, spec.weights, given.w) - _w_zero_points(spec, given)
    return combined(spec, "w", values, given.extras.get("w_residual"))


def _decoded(spec, fmt, codes):
    if not spec.is_float_sum or not isinstance(fmt, MiniFloat) or fmt.is_number(codes).all():
        return fmt.decode(codes)
    return np.ldexp(fmt.value(codes), fmt.fraction)


def _w_zero_points(spec, given):
    """One integer, or [K, N]."""
    if not spec.w_block_zero_point:
        return given.w_zero_point
    return spread(given.extras["w_block_zero_point"], spec.block, given.w.shape[0])


def _required(arrays, name):
    if name not in arrays:
        raise ValueError(f"{name}: array missing")
    return arrays[name]


def _parameters(spec, arrays, n):
    defaults = {"bias": 0, "y_zero_point": 0}
    if spec.rule is None and spec.grid_shift <= MAX_SHIFT:
        defaults["shift"] = spec.grid_shift
    found = derived(spec, arrays, n)
    for name in set(found) & set(arrays):
        _check_derived(name, arrays[name], found[name])
    given = {**defaults, **arrays, **found}
    return {name: _parameter(spec, name, _required(given, name), n) for name in spec.parameters}


def _check_derived(name, given, found):
    given, found = np.asarray(given), np.asarray(found)
    fits = not found.ndim or given.shape == found.shape[found.ndim - given.ndim :]
    if not fits:
        shapes = f"shape {list(given.shape)} where they give {list(found.shape)}"
        raise ValueError(f"{name} is not what the real scales come to: {shapes}; leave out {name} or the scales")
    given, found = np.broadcast_arrays(given, found)
    if (given != found).any():
        index = tuple(int(i) for i in np.argwhere(given != found)[0])
        values = f"{name}{list(index) if index else ''} is {given[index]} where they give {found[index]}"
        raise ValueError(f"{name} is not what the real scales come to: {values}; leave out {name} or the scales")


def _parameter(spec, name, value, n):
    """A run-time parameter as int64 [N], or [N, T] where it is thresholds."""
    fmt = spec.parameter_formats[name]
    value = np.asarray(value)
    each = (spec.threshold_count,) if name == "thresholds" else ()
    shape = (n, *each)
    if value.shape not in (shape, each):
        one = f"have shape {list(each)}" if each else "be a scalar"
        raise ValueError(f"{name} must {one} or have shape {list(shape)}, not {list(value.shape)}")
    if isinstance(fmt, Float):
        try:
            codes = fmt.encode(value)
        except ValueError as error:
            raise ValueError(f"{name}{'' if str(error).startswith('[') else ' '}{error}") from None
    else:
        codes = _codes(name, value, fmt, bounds=spec.shift_range if name == "shift" else fmt.code_range)
    codes = np.broadcast_to(codes, shape).copy()
    if name == "thresholds":
        _check_sorted(codes)
    return codes


def _check_sorted(thresholds):
    falls = np.argwhere(np.diff(thresholds, axis=1) < 0)
    if falls.size:
        n, index = (int(i) for i in falls[0])
        before, after = (int(value) for value in thresholds[n, index : index + 2])
        raise ValueError(f"thresholds[{n}, {index + 1}] is {after}, below its predecessor {before}; they must ascend")


def _scalar(name, value, fmt):
    value = np.asarray(value)
    if value.shape not in ((), (1,)):
        raise ValueError(f"{name} must be a scalar, not of shape {list(value.shape)}")
    return int(_codes(name, value.reshape(()), fmt))


def _codes(name, value, fmt, ndim=None, bounds=None, specials=False):
    value = np.asarray(value)
    if ndim is not None and (value.ndim != ndim or 0 in value.shape):
        raise ValueError(f"{name} must be a matrix with at least one element, not of shape {list(value.shape)}")
    if value.dtype.kind not in "iu":
        raise ValueError(f"{name} must hold integer codes, not {value.dtype}")
    lo, hi = bounds or fmt.code_range
    no_numbers = ~fmt.is_number(value.astype(np.int64)) if isinstance(fmt, MiniFloat | PowerScale) else value != value
    wrong = ((value < lo) | (value > hi)) & ~no_numbers
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        place = f"{name}{list(index) if index else ''}"
        raise ValueError(f"{place} is {int(value[index])}, outside {fmt} [{lo}, {hi}]")
    if no_numbers.any() and not specials:
        index = tuple(int(i) for i in np.argwhere(no_numbers)[0])
        raise ValueError(f"{name}{list(index) if index else ''} is {int(value[index])}, which is no number in {fmt}")
    return value.astype(np.int64)


def _check_promise(spec, given):
    if spec.accumulator_range is None:
        return
    lo, hi = accumulator_range(decoded_weights(spec, given), spec)
    if lo < spec.accumulator_range[0] or hi > spec.accumulator_range[1]:
        raise ValueError(
            f"w can sum to {lo}..{hi}, outside the accumulator_range {list(spec.accumulator_range)} "
            "this design was built for"
        )


def accumulators(spec, given):
    """Accumulators [M, N] before bias and scale; of float32 sums, their bit patterns."""
    if spec.block or spec.is_float_sum:
        return block_sums(spec, decoded_activations(spec, given), decoded_weights(spec, given), given.extras)
    return accumulate(decoded_activations(spec, given), decoded_weights(spec, given), spec)


def golden(spec, given):
    """Output codes y [M, N], int64: what the hardware of this spec must give for these operands, from reset."""
    if spec.requantize == "dynamic":
        return dynamic(accumulators(spec, given), spec).y
    return requantize_array(accumulators(spec, given), spec, **given.parameters)
