"""From real scales to the integers that hardware takes, the way the design's platform does it."""

import numpy as np

from . import platforms
from .checks import MAX_SHIFT
from .platform_table import Platform
from .thresholds import thresholds_for

SCALES = ("a_scale", "w_scale", "y_scale")
_OWN_EFFECTIVE = {"float32": "f32_chain"}


def takes(spec):
    """Names of the real scales, and of what else thresholds are derived from, that inputs may hold."""
    if spec.requantize in ("none", "dynamic"):
        return ()
    if spec.requantize != "thresholds":
        return SCALES
    return (*SCALES, "bias", "y_zero_point", "multiplier", "shift", "add") if spec.platform else ()


def derived(spec, arrays, columns) -> dict:
    """The run-time parameters that follow from the real numbers among arrays: name -> array, empty if there are none.

    a_scale and y_scale are scalars, w_scale a scalar or [N], all float32. For spec.platform, golden.platforms.derive
    makes multiplier and shift, or scale, of them; thresholds are searched that give the codes of
    golden.platforms.requantize. Without a platform the quotient is formed in float64 (for float32 in float32) and
    encoded by equation 5.2, or as TFLite does for its rules. y_max, for relu6, follows from y_scale.

    Raises ValueError where some scales are missing, not positive or of the wrong shape, or give numbers that the
    design cannot hold.
    """
    names = [name for name in SCALES if name in arrays]
    thresholds = spec.requantize == "thresholds" and spec.platform is not None and "thresholds" not in arrays
    if not names and not thresholds:
        return {}
    w_scale = np.asarray(arrays.get("w_scale", 1))
    if w_scale.shape not in ((), (columns,)):
        raise ValueError(f"w_scale must be a scalar or have shape [{columns}], not {list(w_scale.shape)}")
    if missing := [name for name in SCALES if name not in arrays and (names or not _from_model(spec, arrays))]:
        raise ValueError(f"{missing[0]}: array missing; scales are given all three or not at all")
    if spec.requantize == "thresholds":
        return {"thresholds": _thresholds(spec, arrays, columns)}
    parameters = _parameters(spec, {name: arrays[name] for name in SCALES})
    if spec.activation == "relu6":
        parameters["y_max"] = _y_max(spec, arrays)
    return parameters


def _from_model(spec, arrays):
    """Whether the platform's own integers are given, as a platform without a rule for scales wants them."""
    return platforms.platform(spec.platform).effective is None and "multiplier" in arrays


def _parameters(spec, scales):
    if spec.requantize in ("multiplier", "shift"):
        factors = platforms.derive(_own(spec, "float64"), **scales)["scale"]
        pairs = [_encoded(spec, float(factor)) for factor in np.asarray(factors).reshape(-1)]
        multiplier, shift = np.array(pairs, np.int64).T.reshape(2, *np.shape(factors))
        return {"multiplier": multiplier, "shift": shift} if spec.requantize == "multiplier" else {"shift": shift}
    return platforms.derive(spec.platform or _own(spec, spec.requantize), **scales)


def _own(spec, scaling):
    return Platform(
        name=f"requantize {spec.requantize!r}",
        source="",
        effective=_OWN_EFFECTIVE.get(spec.requantize, "f64"),
        scaling=scaling,
    )


def _encoded(spec, factor):
    """(multiplier, shift) of a factor: equation 5.2; for "shift", of a power of two."""
    mantissa, exponent = np.frexp(factor)
    if spec.requantize == "shift":
        if mantissa != 0.5 or not 0 <= 1 - exponent <= MAX_SHIFT:
            raise ValueError(f"a_scale * w_scale / y_scale must be 2**-{MAX_SHIFT} .. 1, a power of two, not {factor}")
        return 1, int(1 - exponent)
    shift = min(spec.multiplier_bits - int(exponent), MAX_SHIFT)
    multiplier = int(np.floor(np.ldexp(factor, shift) + 0.5))
    if multiplier >> spec.multiplier_bits:
        multiplier, shift = multiplier >> 1, shift - 1
    if shift < 0 or not multiplier:
        rule = f"2**-{MAX_SHIFT + 1} to 2**{spec.multiplier_bits}"
        raise ValueError(f"a_scale * w_scale / y_scale must be {rule} for this multiplier, not {factor}")
    return multiplier, shift


def _y_max(spec, arrays):
    zero_points = np.asarray(arrays.get("y_zero_point", 0), np.int64)
    return np.minimum(platforms.activation_code(6, arrays["y_scale"], zero_points), spec.clip_range[1])


def _thresholds(spec, arrays, columns):
    name = spec.platform
    if all(scale in arrays for scale in SCALES):
        factors = platforms.derive(name, **{scale: arrays[scale] for scale in SCALES})
    else:
        factors = {key: np.asarray(arrays[key]) for key in ("multiplier", "shift", "add") if key in arrays}
    bias, zero_point = (np.asarray(arrays.get(key, 0)) for key in ("bias", "y_zero_point"))
    if zero_point.shape not in ((), (1,)):
        raise ValueError(f"y_zero_point must be a scalar for platform {name!r}, not {list(zero_point.shape)}")
    options = {"activation": spec.activation, "y_scale": arrays["y_scale"]} if spec.activation != "none" else {}

    def rule(sums):
        return platforms.requantize(
            name,
            sums,
            factors,
            bias=bias,  # pyright: ignore[reportArgumentType]  an array is as good
            y_zero_point=int(zero_point.reshape(())),
            y_format=str(spec.y),
            clip=spec.clip,
            **options,
        )

    return thresholds_for(rule, columns=columns, acc_range=spec.acc_range, codes=spec.clip_range)
