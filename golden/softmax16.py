"""Softmax of int16 codes as TFLite Micro computes it: by tables of exp(x) and 1 / (1 + x) with straight lines between.

Outputs are int16 codes of scale 1/32768 and zero point 0, never negative.
Sources: tensorflow/tflite-micro, kernels/internal/reference/softmax.h, kernels/internal/common.h (LUTPopulate,
LUTLookup), micro/kernels/softmax_common.cc.
"""

import math
from functools import cache

import numpy as np

from .rounding import round_shift
from .scale import encode, tflite

STEPS = 512
WIDTH = 10.0
MOST_VALUES = (1 << 16) - 1
_LEAST, _LARGEST = -(1 << 15), (1 << 15) - 1
_CODES = np.float32((1 << 16) - 1)


def softmax_int16(codes, *, x_scale, beta=1.0) -> np.ndarray:
    """Codes, int64, of exp(beta * x) over its sum along the last axis; exp(-10) and less count as nothing.

    Raises ValueError for scales beyond what a multiplier holds, and for more than 65535 values.
    """
    codes = np.asarray(codes, np.int64)
    if codes.shape[-1] > MOST_VALUES:
        raise ValueError(f"a softmax must be of at most {MOST_VALUES} values, not {codes.shape[-1]}")
    factor = encode(float(np.float32(x_scale)) * float(np.float32(beta)) / (WIDTH / float(_CODES)))
    differences = tflite(codes - codes.max(axis=-1, keepdims=True), *factor)
    powers = _looked_up(_exp_table(), np.maximum(differences + _LARGEST, _LEAST))
    total = powers.sum(axis=-1, keepdims=True)
    bits = np.frexp(total.astype(np.float64))[1].astype(np.int64)
    reciprocals = _looked_up(_reciprocal_table(), np.minimum(_seventeen_bits(total, bits) - 3 * (1 << 15), _LARGEST))
    return np.clip(round_shift(powers * reciprocals, bits - 1, "half_up"), 0, _LARGEST)


def _seventeen_bits(total, bits):
    """A positive number scaled to 2**16 .. 2**17, ties up."""
    return round_shift(total << (31 - bits), 14, "half_up")


def _looked_up(table, code):
    """The value of a table [513] at int16 codes: 512 steps, each of 128 codes."""
    step, within = (code >> 7) + STEPS // 2, code & 127
    return table[step] + round_shift((table[step + 1] - table[step]) * within, 7, "half_up")


@cache
def _exp_table():
    return _table(math.exp, -WIDTH, 0.0)


@cache
def _reciprocal_table():
    return _table(lambda x: 1 / (1 + x), 0.0, 1.0)


def _table(function, lo, hi):
    """Codes of scale 2/65535 of a function at 513 places from lo to hi, in float32.

    Each is moved by half the error that the straight line to the next one makes in the middle.
    """
    one = np.float32
    scale, unit = one(hi - lo) / _CODES, one(2) / _CODES
    zero_point = _LARGEST if hi == 0 else _LEAST
    first, last = scale * one(_LEAST - zero_point), scale * one(_LARGEST - zero_point)
    step = (last - first) / one(STEPS)
    inverse = one(1 << 16) / (unit * one(_LARGEST) - unit * one(_LEAST))

    def at(x):
        return one(function(float(x))) * inverse

    entries = []
    for start in (first + one(k) * step for k in range(STEPS)):
        here = _away(at(start))
        line = _away((at(start + step) + one(here)) / one(2))
        entries.append(here - _away((line - _away(at(start + step / one(2)))) / 2))
    return np.clip([*entries, _away(at(last))], _LEAST, _LARGEST)


def _away(value):
    """To an integer, ties away from zero."""
    return int(math.copysign(math.floor(abs(float(value)) + 0.5), value))
