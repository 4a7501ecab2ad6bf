"""Random parameters that suit the sums of given operands: useful scales, biases that make ties, zero points."""

import numpy as np

from golden.extras import extras
from golden.mac import matmul
from golden.tensors import ZERO_POINTS, Operands, decoded_activations, decoded_weights

from .machine import sums as accumulators
from .stimulus_operands import in_turns
from .stimulus_scales import FLOAT_KINDS, INTEGER_KINDS, random_scale
from .stimulus_thresholds import random_thresholds
from .stimulus_ties import make_float_ties, make_ties


def random_parameters(rng, spec, arrays):
    """Per-column parameters that suit the sums of these operands."""
    if spec.is_float_sum or spec.requantize == "dynamic":
        return {}
    if spec.threshold_count:
        return {"thresholds": random_thresholds(rng, spec, accumulators(spec, *_decoded(spec, arrays), arrays))}
    sums = _sums(spec, arrays)
    n = sums.shape[1]
    result = {}
    if spec.y_zero_point:
        result["y_zero_point"] = _y_zero_points(rng, spec, n)
    zero_points = result.get("y_zero_point", np.zeros(n, int))
    targets = _targets(rng, spec, zero_points)
    if spec.activation == "relu6":
        result["y_max"] = _y_maxima(rng, spec, zero_points, targets)
    kinds = _kinds(rng, spec, sums)
    if spec.bias is not None:
        result["bias"] = _biases(rng, spec.bias, sums, kinds, targets)
        sums = sums + result["bias"]
    if spec.requantize != "none":
        result |= _scales(rng, spec, sums, kinds, targets, zero_points)
    make_ties(rng, spec, sums, kinds, result)
    if spec.requantize == "float32":
        make_float_ties(rng, spec, accumulators(spec, *_decoded(spec, arrays), arrays), kinds, result)
    if "scale" in result:
        result["scale"] = spec.rule.parameters["scale"].decode(result["scale"])
    return result


def _kinds(rng, spec, sums):
    """What scale each column gets."""
    n = sums.shape[1]
    if spec.requantize == "none":
        kinds = ["exact"] * n
    else:
        kinds = in_turns(rng, FLOAT_KINDS if "scale" in spec.parameters else INTEGER_KINDS, n)
    if n > 2:
        kinds[int(np.argmax(np.abs(sums).max(axis=0)))] = "whole"
    return kinds


def _scales(rng, spec, sums, kinds, targets, zero_points):
    wanted = targets / _spread(sums)
    if "whole" in kinds:
        n = kinds.index("whole")
        wanted[n] = _whole(spec, sums[:, n], int(zero_points[n]))
    columns = [random_scale(rng, spec, kind, factor) for kind, factor in zip(kinds, wanted, strict=True)]
    return {name: np.array([column[name] for column in columns], np.int64) for name in columns[0]}


def _decoded(spec, arrays):
    """Operands less their zero points."""
    zero_points = (int(arrays.get(name, 0)) for name in ZERO_POINTS)
    others = {name: arrays.get(name) for name in extras(spec)}
    given = Operands(arrays["a"], arrays["w"], {}, *zero_points, extras=others)
    return decoded_activations(spec, given), decoded_weights(spec, given)


def _sums(spec, arrays):
    """Accumulators, or their bounds where they leave them."""
    exact = accumulators(spec, *_decoded(spec, arrays), arrays) if spec.block else matmul(*_decoded(spec, arrays))
    return np.clip(exact.astype(object), *spec.acc_range)


def _spread(sums):
    """The size of the larger sums of each column."""
    return np.maximum(np.percentile(np.abs(sums).astype(float), 75, axis=0), 1)


def _whole(spec, sums, zero_point):
    """The factor that just brings the largest sum into the output range."""
    largest = max(sums, key=abs)
    room = spec.clip_range[1] - zero_point if largest > 0 else zero_point - spec.clip_range[0]
    return 0.9 * max(room, 1) / max(abs(int(largest)), 1)


def _biases(rng, fmt, sums, kinds, targets):
    """Up to half of the larger sums; a few at the ends of the format; small where a small scale shows small sums."""
    lo, hi = fmt.code_range
    small, whole = (np.array(kinds) == kind for kind in ("small tie", "whole"))
    reach = np.where(small, 2 * targets, _spread(sums) / 2 + 4)
    biases = [int(rng.uniform(-size, size)) for size in reach]
    at_end = (rng.random(len(kinds)) < 0.1) & ~small & ~whole
    biases = [int(rng.choice([lo, hi])) if end else bias for bias, end in zip(biases, at_end, strict=True)]
    return np.array([min(max(bias, lo), hi) for bias in biases], np.int64)


def _y_zero_points(rng, spec, n):
    """From the middle half of the output range; with relu, which cuts off what is below, from its lower part."""
    lo, hi = spec.clip_range
    quarter = (hi - lo) // 4
    if spec.activation != "none":
        codes = rng.integers(lo, lo + quarter, n, endpoint=True)
    else:
        codes = rng.integers(lo + quarter, hi - quarter, n, endpoint=True)
    codes = np.where(codes == 0, min(1, hi) or lo, codes)
    if spec.activation != "none" and (lo or n > 1):
        codes[rng.integers(n, size=2)] = lo
    return codes


def _targets(rng, spec, zero_points):
    """How far from the zero point the larger outputs of each column should come."""
    lo, hi = spec.clip_range
    room = [max(hi - int(zero), int(zero) - lo, 1) for zero in zero_points]
    return np.array(room, float) * rng.uniform(0.3, 1.2, len(room))


def _y_maxima(rng, spec, zero_points, targets):
    """Upper bounds below the larger outputs; of every third column the largest code, so that the clip shows too."""
    lo, hi = spec.code.code_range
    codes = zero_points + np.maximum(targets * rng.uniform(0.4, 0.8, len(targets)), 1).astype(np.int64)
    return np.where(np.arange(len(codes)) % 3 == rng.integers(3), hi, np.clip(codes, lo, hi))
