"""From trained float parameters to the integers that the hardware takes."""

from dataclasses import dataclass

import numpy as np

from . import binary, mlp

MULTIPLIER_BITS = 31
MAX_SHIFT = 62
QUANTILE = 0.999
UINT5_MAX = 31


@dataclass(frozen=True)
class Grid:
    """value = scale * (code - zero_point)"""

    scale: float
    zero_point: int = 0


def multiplier_and_shift(ratio):
    """Integers with multiplier / 2**shift next to each ratio, multiplier in [2**30, 2**31).

    Raises ValueError for ratios that need a shift outside 0..62.
    """
    fraction, exponent = np.frexp(ratio)
    multiplier = np.rint(np.ldexp(fraction, MULTIPLIER_BITS)).astype(np.int64)
    carried = multiplier == 1 << MULTIPLIER_BITS
    shift = MULTIPLIER_BITS - exponent - carried
    if (shift < 0).any() or (shift > MAX_SHIFT).any():
        raise ValueError(f"shift must be 0 to {MAX_SHIFT}, not {shift.min()}..{shift.max()}")
    return np.where(carried, multiplier >> 1, multiplier), shift


def weight_scales(w, limit):
    """Per column, the scale with the least square error for codes -limit..limit, of 61 fractions of max|w| / limit."""
    scales = np.linspace(0.4, 1, 61)[:, None] * np.abs(w).max(axis=0) / limit
    codes = _codes(w, scales[:, None, :], limit)
    error = ((codes * scales[:, None, :] - w) ** 2).sum(axis=1)
    return scales[error.argmin(axis=0), np.arange(w.shape[1])]


def _codes(w, scale, limit):
    return np.clip(np.rint(w / scale), -limit, limit).astype(np.int64)


def dense(w, b, a, y, limit):
    """Arrays of one layer from the input grid `a` to the output grid `y`, weights in -limit..limit."""
    scale = weight_scales(w, limit)
    multiplier, shift = multiplier_and_shift(a.scale * scale / y.scale)
    return {
        "w": _codes(w, scale, limit),
        "bias": np.rint(b / (a.scale * scale)).astype(np.int64),
        "multiplier": multiplier,
        "shift": shift,
    }


def _dense_layers(parameters, grids, limit):
    return {
        name: dense(parameters[f"{name}.w"].astype(np.float64), parameters[f"{name}.b"], a, y, limit)
        for name, a, y in _between(grids)
    }


def _between(grids):
    """(layer, its input grid, its output grid) in order."""
    return zip(mlp.LAYERS, grids[:-1], grids[1:], strict=True)


def int8(parameters, images):
    """int8 by int8. The first hidden layer uses all 256 codes (zero point -128), the second is symmetric (zero point
    0), so there ReLU is a bound of its own and not the end of the range; logits take their range from `images`."""
    _, first, second, logits = mlp.forward(parameters, images)
    low, high = min(logits.min(), 0), logits.max()
    logit_scale = (high - low) / 255
    grids = [
        Grid(1 / 255, -128),
        Grid(np.quantile(first, QUANTILE) / 255, -128),
        Grid(np.quantile(second, QUANTILE) / 127),
        Grid(logit_scale, int(np.rint(-128 - low / logit_scale))),
    ]
    layers = _dense_layers(parameters, grids, limit=127)
    for name, a, y in _between(grids):
        layers[name] |= {"a_zero_point": a.zero_point, "y_zero_point": y.zero_point}
    return layers


def uint8_int4(parameters, images):
    """uint8 by int4 without zero points; saturation at 0 is the ReLU of the hidden layers."""
    _, first, second, logits = mlp.forward(parameters, images)
    grids = [
        Grid(1 / 255),
        Grid(np.quantile(first, QUANTILE) / 255),
        Grid(np.quantile(second, QUANTILE) / 255),
        Grid(np.abs(logits).max() / 127),
    ]
    return _dense_layers(parameters, grids, limit=7)


def fold(parameters, name, reach):
    """flip [N] of -1 and +1 and integer bias [N]: for every integer |acc| <= reach, flip * acc + bias >= 0 exactly
    where batch_norm(acc) >= 0."""
    acc = np.arange(-reach, reach + 1)[:, None]
    flip = np.where(parameters[f"{name}.gamma"] < 0, -1, 1)
    rising = binary.batch_norm(parameters, name, flip * acc)
    threshold = (rising < 0).sum(axis=0) - reach
    return flip, -threshold


def reach(name):
    """Largest |acc| of a hidden layer of the binary network, whatever the weights and input codes."""
    return mlp.SIZES[mlp.LAYERS.index(name)] * (UINT5_MAX if name == mlp.LAYERS[0] else 1)


def bipolar(parameters):
    """Weight codes 0 and 1, batch norm folded into the bias; logits in units of LOGIT_SCALE."""
    layers = {}
    for name in binary.HIDDEN:
        flip, bias = fold(parameters, name, reach(name))
        layers[name] = {"w": (flip * parameters[f"{name}.w"] + 1) // 2, "bias": bias}
    last = binary.LAST
    bias = np.rint(parameters[f"{last}.b"] / binary.LOGIT_SCALE).astype(np.int64)
    layers[last] = {"w": (parameters[f"{last}.w"].astype(np.int64) + 1) // 2, "bias": bias}
    return layers
