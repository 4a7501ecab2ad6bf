"""What the simulation tests share: which simulators are here, operands worth simulating, Verilog made once."""

import json
from functools import cache

import numpy as np
import pytest

from golden.checks import MAX_SHIFT
from golden.extras import extras
from golden.ops import int_bits
from golden.rounding import ROUNDINGS
from golden.rules import RULES
from golden.tensors import Operands, accumulators, golden, operands
from hdl.kinds import kind_of
from hdl.verilog import to_verilog
from sim import simulators
from sim.faults_outputs import output_faults
from sim.machine import Machine
from sim.packing import Stream
from sim.stimulus import random_arrays
from sim.streams import input_streams, outputs, tiling

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
    """Operands whose shifts bring the sums into the range of the output; with ties where bias and multiplier allow.

    From `sim.stimulus` where more than shift and multiplier scales them, or where ties depend on the zero point.
    """
    if (
        extras(spec)
        or spec.is_float_sum
        or spec.rule is not None
        or spec.threshold_count
        or spec.activation == "relu6"
        or spec.zero_point_first
        or spec.requantize == "dynamic"
    ):
        return operands(spec, random_arrays(spec, m=m, k=k, n=n, seed=seed))
    rng = np.random.default_rng(seed)
    arrays = {"a": random_codes(rng, spec.activations, (m, k)), "w": random_codes(rng, spec.weights, (k, n))}
    if spec.a_zero_point:
        arrays["a_zero_point"] = int(random_codes(rng, spec.activations, ()))
    if spec.w_zero_point:
        arrays["w_zero_point"] = int(random_codes(rng, spec.weights, ()))
    zero_points = [arrays.get(name, 0) for name in ("a_zero_point", "w_zero_point")]
    sums = accumulators(spec, Operands(arrays["a"], arrays["w"], {}, *zero_points)).astype(object)
    top = [int(abs(column).max()) for column in sums.T]
    shift = np.array([int_bits(0, 2 * t) - spec.code.width for t in top]) + rng.integers(-1, 2, n)
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
        arrays["y_zero_point"] = rng.integers(*spec.code.code_range, n, endpoint=True) // 4
    return operands(spec, arrays)


def _biases(rng, fmt, sums, top, shift):
    """About as large as the sums; three in four such that one sum of the column, plus bias, ends in a tie.

    In every other one of these it is a tie between two small outputs.
    """
    biases = []
    for n, (column, largest, bits) in enumerate(zip(sums.T, top, shift, strict=True)):
        bias = int(rng.integers(-largest, largest, endpoint=True)) // 2
        if rng.random() < 3 / 4:
            tie = 1 << int(bits) >> 1
            one = int(rng.choice(column))
            if n % 2:
                bias = (int(rng.integers(-8, 8)) << int(bits)) - one
            bias += -(one + bias - tie) % (1 << int(bits))
        biases.append(fmt.saturate(bias))
    return np.array(biases, np.int64)


ALIKE_ABOVE_ZERO = ({"floor", "toward_zero"}, {"half_up", "half_away"}, {"half_even", "dpu"})


def blind_roundings(spec, given):
    """Other roundings under which these operands give the same outputs: a run on them says nothing of the rounding.

    Of float32, and of thresholds, all faults under which they do. A relu before the zero point leaves only values
    above zero, for which some roundings are the same for any operands: those do not count.
    """
    if spec.requantize == "none":
        return []
    right, rounding = golden(spec, given), spec.rounding
    if spec.requantize in ("float32", "thresholds"):
        whole = Machine(spec, given).window()
        faults = [fault for fault in output_faults(whole.machine) if fault.step in ("round", "scale", "threshold")]
        blind = [fault.cause for fault in faults if (fault.y(whole) == right).all()]
        return [cause for cause in blind if spec.activation == "none" or not cause.startswith("rounds dpu")]
    if spec.rule is not None:
        alike = [name for name, rule in RULES.items() if rule.parameters == spec.rule.parameters]
        others = [spec.with_(requantize=name) for name in alike if name != spec.requantize]
        return [other.requantize for other in others if (golden(other, given) == right).all()]
    others = [other for other in ROUNDINGS if other != rounding]
    if spec.activation != "none" and not spec.zero_point_first:
        others = [other for other in others if {other, rounding} not in ALIKE_ABOVE_ZERO]
    return [other for other in others if (golden(spec.with_(rounding=other), given) == right).all()]


def concatenated(spec, products):
    """The streams of several products, one after the other."""
    parts = [input_streams(spec, given) for given in products]
    return {
        name: Stream(*(np.concatenate([getattr(part[name], kind) for part in parts]) for kind in ("data", "last")))
        for name in parts[0]
    }


def write_streams(spec, products, folder):
    """Puts the streams of products that follow each other where the bench reads them; returns its plusargs."""
    for name, stream in concatenated(spec, products).items():
        words = zip(stream.last, stream.data[:, ::-1], strict=True)
        (folder / f"{name}.hex").write_text("".join(f"{last:d}{data.tobytes().hex()}\n" for last, data in words))
    beats = sum(tiling(spec, given).y_beats for given in products)
    return [f"+expect={beats}", "+limit=100000"]


def read_beats(spec, name, folder):
    """The beats [count, bytes] of an output stream, from what the bench wrote."""
    words = [line.split()[0] for line in (folder / f"{name}.hex").read_text().splitlines()]
    data = np.array([list(bytes.fromhex(word[1:])) for word in words], np.uint8)[:, ::-1]
    assert data.shape[1] == kind_of(spec).outputs(spec)[name].bytes
    return data


def read_products(spec, products, folder):
    """The outputs of each product, from what the bench wrote."""
    cuts = [tiling(spec, given) for given in products]
    data = read_beats(spec, "y", folder)
    assert len(data) == sum(cut.y_beats for cut in cuts)
    ends = np.cumsum([cut.y_beats for cut in cuts])
    return [outputs(cut, data[end - cut.y_beats : end]) for cut, end in zip(cuts, ends, strict=True)]


def replay_streams(build, spec, products, folder, **stalls):
    """Outputs of each product and the cycles of the whole, of products that follow each other on the same streams."""
    plusargs = write_streams(spec, products, folder)
    plusargs += [f"+stall_{name}={int(stall * 65536)}" for name, stall in stalls.items()]
    simulators.run(build, "sim.array_tests", folder, plusargs=plusargs)
    counted = json.loads((folder / "counters.json").read_text())
    return read_products(spec, products, folder), counted["last_cycle"] - counted["first_cycle"] + 1
