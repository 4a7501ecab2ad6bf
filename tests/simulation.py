"""What the simulation tests share: which simulators are here, operands worth simulating, Verilog made once."""

from functools import cache

import numpy as np
import pytest

from golden.ops import int_bits
from golden.rounding import ROUNDINGS
from golden.spec import MAX_SHIFT
from golden.tensors import Operands, accumulators, golden, operands
from hdl.verilog import to_verilog
from sim import simulators

verilog = cache(to_verilog)


def missing(simulator):
    """What this simulator needs and this machine lacks, as one line; empty where nothing is missing."""
    try:
        simulators.require(simulator)
    except simulators.SimulationError as error:
        return str(error)
    return ""


SIMULATORS = [
    pytest.param(name, marks=pytest.mark.skipif(bool(missing(name)), reason=missing(name)))
    for name in simulators.SIMULATORS
]


def random_codes(rng, fmt, shape):
    """Codes of a format, one in eight of them the smallest or the largest."""
    lo, hi = fmt.code_range
    codes = rng.integers(lo, hi, shape, endpoint=True)
    return np.where(rng.random(shape) < 1 / 8, rng.choice([lo, hi], shape), codes)


def random_operands(spec, m, k, n, seed):
    """Operands whose shifts bring the sums into the range of the output; with ties where bias and multiplier allow."""
    rng = np.random.default_rng(seed)
    arrays = {"a": random_codes(rng, spec.activations, (m, k)), "w": random_codes(rng, spec.weights, (k, n))}
    if spec.a_zero_point:
        arrays["a_zero_point"] = int(random_codes(rng, spec.activations, ()))
    if spec.w_zero_point:
        arrays["w_zero_point"] = int(random_codes(rng, spec.weights, ()))
    zero_points = [arrays.get(name, 0) for name in ("a_zero_point", "w_zero_point")]
    sums = accumulators(spec, Operands(arrays["a"], arrays["w"], {}, *zero_points)).astype(object)
    top = [int(abs(column).max()) for column in sums.T]
    shift = np.array([int_bits(0, 2 * t) - spec.y.width for t in top]) + rng.integers(-1, 2, n)
    shift = np.clip(shift, 0, MAX_SHIFT)
    if spec.bias is not None:
        arrays["bias"] = _biases(rng, spec.bias, sums, top, shift)
    if spec.requantize == "multiplier":
        exponent = np.minimum(rng.integers(0, spec.multiplier_bits, n), MAX_SHIFT - shift)
        arrays["multiplier"] = np.where(
            np.arange(n) % 3, 1 << exponent, rng.integers(1 << spec.multiplier_bits - 2, 1 << spec.multiplier_bits, n)
        )
        shift = shift + [int(f).bit_length() - 1 for f in arrays["multiplier"]]
    if spec.requantize != "none":
        arrays["shift"] = np.minimum(shift, MAX_SHIFT)
    if spec.y_zero_point:
        arrays["y_zero_point"] = rng.integers(*spec.y.code_range, n, endpoint=True) // 4
    return operands(spec, arrays)


def _biases(rng, fmt, sums, top, shift):
    """About as large as the sums; three in four such that one sum of the column, plus bias, ends in a tie."""
    biases = []
    for column, largest, bits in zip(sums.T, top, shift, strict=True):
        bias = int(rng.integers(-largest, largest, endpoint=True)) // 2
        if rng.random() < 3 / 4:
            tie = 1 << int(bits) >> 1
            bias += -(int(rng.choice(column)) + bias - tie) % (1 << int(bits))
        biases.append(fmt.saturate(bias))
    return np.array(biases, np.int64)


def blind_roundings(spec, given):
    """Other roundings under which these operands give the same outputs: a run on them says nothing of the rounding."""
    if spec.requantize == "none":
        return []
    right = golden(spec, given)
    others = [rounding for rounding in ROUNDINGS if rounding != spec.rounding]
    return [other for other in others if (golden(spec.with_(rounding=other), given) == right).all()]
