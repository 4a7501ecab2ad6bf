"""Operands that put any value before a requantizer: one product per output, activations int32, weights -2, -1 and 1.

A column's sums are the activations, all of them, times its weight: values of every size, odd multiples of every power
of two (ties under a scale that is one), their neighbours, and the extremes. Columns differ in their parameters.
"""

import numpy as np

from golden.formats import parse
from golden.spec import Spec
from golden.tensors import accumulators, operands

M, N = 420, 256
LARGEST_SCALE = 23
NEAR_TIES = 120
INT32 = (-(1 << 31), (1 << 31) - 1)
EXTREMES = [*INT32, INT32[0] + 1, INT32[1] - 1, -1, 0, 1, 1 << 30, (1 << 24) + 1, (1 << 25) + 2, -(1 << 24) - 1]


def design(**fields):
    """A spec of 2 x 8 elements (or other fields) whose sums take every value of 33 bits."""
    for name in ("weights", "bias", "output", "table_input"):
        if name in fields:
            fields[name] = parse(fields[name])
    shape = {"activations": parse("int32"), "weights": parse("int2"), "rows": 2, "cols": 8, "depth": 1}
    return Spec(**shape | fields)


def stimulus(spec, seed):
    """Operands of M x N outputs."""
    rng = np.random.default_rng(seed)
    arrays = {"a": activations(rng)[:, None], "w": weights(rng, spec)[None]}
    if spec.threshold_count:
        arrays["thresholds"] = thresholds(rng, spec, arrays)
    else:
        halvings = rng.integers(1, LARGEST_SCALE, N) + np.log2(abs(arrays["w"][0])).astype(int)
        arrays |= {name: PARAMETERS[name](rng, spec, halvings) for name in spec.parameters}
    if "scale" in arrays:
        arrays["a"][-NEAR_TIES:, 0] = near_ties(rng, arrays)
    arrays["a"] = rng.permutation(arrays["a"])
    return operands(spec, arrays)


def weights(rng, spec):
    """1, -1 and -2; where more fit, any for half of the columns, for sums of more bits."""
    few = rng.choice([1, 1, 1, -1, -2], N)
    return few if spec.weights.width == 2 else np.where(rng.random(N) < 1 / 2, few, rng.integers(2, 1 << 15, N))


def near_ties(rng, arrays):
    """Activations that a column's scale takes next to a half, so near that float32 does not tell."""
    plain = np.flatnonzero((arrays["bias"] == 0) & (arrays["w"][0] == 1) & (abs(np.log2(arrays["scale"]) + 20) < 3))
    columns = rng.choice(plain, NEAR_TIES)
    halves = rng.integers(1, 90, NEAR_TIES) * rng.choice([-1, 1], NEAR_TIES) + 0.5
    values = np.rint(halves / arrays["scale"][columns])
    return np.clip(values + rng.choice([-1, 0, 0, 1], NEAR_TIES), *INT32).astype(np.int64)


def activations(rng):
    """A third odd multiples of powers of two or next to one, a third of any size, a third spread evenly; extremes."""
    third = M // 3
    ties = 2 * rng.integers(-160, 160, third) + 1 << np.arange(third) % LARGEST_SCALE
    ties += rng.choice([-1, 0, 0, 1], third)
    sizes = (rng.uniform(-1, 1, third) * 2.0 ** rng.uniform(0, 31, third)).astype(np.int64)
    spread = rng.integers(*INT32, M - 2 * third - len(EXTREMES), endpoint=True)
    return np.concatenate([ties, sizes, EXTREMES, spread])


def biases(rng, spec, halvings):
    """None for half of the columns; whole output steps, small and random ones, and the extremes, for the others."""
    lo, hi = spec.bias.code_range
    whole = rng.integers(-50, 50, N) << halvings
    choices = [whole, rng.integers(-9, 9, N), rng.integers(lo, hi, N), np.full(N, lo), np.full(N, hi)]
    chosen = np.choose(rng.choice(5, N, p=[0.4, 0.2, 0.2, 0.1, 0.1]), choices)
    return np.where(rng.random(N) < 0.5, 0, np.clip(chosen, lo, hi))


def multipliers(rng, spec, _):
    """Powers of two (half of them), three times one, any; the extremes."""
    bits = spec.parameter_formats["multiplier"].width
    lowest = 1 << bits - 1 if spec.rule is None or bits < 31 else 1 << 30
    chosen = np.choose(
        rng.choice(4, N, p=[0.5, 0.15, 0.25, 0.1]),
        [np.full(N, lowest), np.full(N, 3 * lowest // 4), rng.integers(lowest // 2, 2 * lowest - 1, N), 0 * N],
    )
    extreme = rng.choice([0, 1, 2, (1 << bits) - 1], N)
    return np.where(chosen == 0, extreme, chosen)


def shifts(rng, spec, halvings):
    """Such that a multiplier with the highest bit set divides by 2**halvings; extremes in one column of eight."""
    lo, hi = spec.shift_range
    if spec.rule is not None:
        right = 1 - halvings
    else:
        right = halvings + (spec.multiplier_bits - 1 if spec.requantize == "multiplier" else 0)
    extreme = rng.choice([lo, lo + 1, hi - 1, hi, max(lo, 0)], N)
    return np.where(rng.random(N) < 1 / 8, extreme, np.clip(right, lo, hi))


def scales(rng, _, halvings):
    """Powers of two (half of them), numbers of few bits and of all; the smallest, the largest, and far below one."""
    finfo = np.finfo(np.float32)
    fraction = np.choose(
        rng.choice(3, N, p=[0.5, 0.2, 0.3]), [np.ones(N), rng.choice([1.25, 1.5, 1.75], N), rng.uniform(1, 2, N)]
    )
    extreme = rng.choice([finfo.smallest_normal, finfo.max, 2.0**-33, 2.0**-32, 1.5 * 2.0**-33, 1.0], N)
    return np.where(rng.random(N) < 1 / 8, extreme, fraction * 2.0**-halvings).astype(np.float32)


def zero_points(rng, spec, _):
    """Codes from the middle half, odd and even; the extremes in one column of eight."""
    lo, hi = spec.clip_range
    quarter = (hi - lo) // 4
    return np.where(rng.random(N) < 1 / 8, rng.choice([lo, hi], N), rng.integers(lo + quarter, hi - quarter, N))


def largest_codes(rng, spec, _):
    lo, hi = spec.clip_range
    return np.where(rng.random(N) < 1 / 8, rng.choice([lo, hi], N), rng.integers(hi // 2, hi, N))


PARAMETERS = {
    "bias": biases,
    "multiplier": multipliers,
    "shift": shifts,
    "scale": scales,
    "y_zero_point": zero_points,
    "y_max": largest_codes,
}


def thresholds(rng, spec, arrays):
    """In order; half of them sums of the column or next to one, the others of any size; equal ones; the extremes."""
    count, (lo, hi) = spec.threshold_count, spec.threshold_format.code_range
    sums = accumulators(spec, operands(spec.with_(requantize="none", output=parse("int36")), arrays))
    at_sums = np.stack([rng.choice(column, count) for column in sums.T]) + rng.choice([0, 0, 0, 1, -1], (N, count))
    other = rng.uniform(-1, 1, (N, count)) * 2.0 ** rng.uniform(0, 32, (N, count))
    chosen = np.where(rng.random((N, count)) < 1 / 2, at_sums, other.astype(np.int64))
    chosen[:, 0] = np.where(rng.random(N) < 1 / 8, lo, chosen[:, 0])
    chosen[:, -1] = np.where(rng.random(N) < 1 / 8, hi, chosen[:, -1])
    return np.sort(np.clip(chosen, lo, hi), axis=1)
