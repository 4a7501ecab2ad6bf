"""Faults from the operands to the accumulator: decoding, products, sums, lanes."""

from itertools import product as every

import numpy as np

from golden.checks_precision import RUN_TIME
from golden.formats import Codebook, Integer
from golden.ops import int_bits
from golden.residual import combined, has_residual
from golden.tensors import spare_codes

from .faults_codebook import codebook_faults, entry_faults
from .faults_formats import misreadings, spare_misreadings
from .faults_trits import trit_faults
from .machine import Hypothesis, narrowed, wrapped


def sum_faults(machine):
    """Faults of one tile's accumulators."""
    kinds = (_operands, _accumulator) if machine.spec.array in RUN_TIME else (_operands, _products, _accumulator)
    for kind in (*kinds, entry_faults):
        yield from kind(machine)


def _operands(machine):
    """Faults that change the decoded operands [rows, K] and [K, cols]."""
    for step, cause, change in (
        *_decodings(machine),
        *codebook_faults(machine),
        *trit_faults(machine),
        *_missing(machine),
        *_lane_orders(machine),
    ):
        yield Hypothesis(step, cause, lambda window, change=change: window.codes(window.accumulate(*change(window))))
        if machine.spec.accumulator_is_exact and not machine.spec.block and not machine.spec.is_float_sum:
            yield Hypothesis(step, cause, lambda window, change=change: _codes_of_wide(window, change))


def _codes_of_wide(window, change):
    return window.codes(window.accumulate(*change(window), wide=True))


def _decodings(machine):
    spec, spares = machine.spec, set(spare_codes(machine.spec, machine.operands))
    for short, name, fmt in (("a", "activations", spec.activations), ("w", "weights", spec.weights)):
        faults: list[tuple] = list(misreadings(name, fmt))
        if spares & {short, f"{short}_residual"}:
            faults.extend(spare_misreadings(name))
        if getattr(spec, f"{short}_zero_point") or (short == "w" and spec.w_block_zero_point):
            faults.extend(_misused_zero_points(name))
        for step, cause, decode in faults:
            yield step, cause, lambda window, short=short, decode=decode: _decoded(window, short, decode)


def _decoded(window, short, decode):
    if short == "a":
        right, values = window.a, decode(window.a_codes, window.operands.a_zero_point)
    else:
        right, values = window.w, decode(window.w_codes, window.w_zero_points)
    if has_residual(window.spec, short):
        fine = window.pick_operand(short, window.operands.extras[f"{short}_residual"])
        values = (values << window.spec.residual) + decode(fine, 0)
    values = _kept_specials(right, values)
    return (values, window.w) if short == "a" else (window.a, values)


def _kept_specials(right, wrong):
    """Infinities and NaN, where a design takes them, stay what they are."""
    return wrong if right.dtype.kind != "f" else np.where(np.isfinite(right), wrong, right)


def _misused_zero_points(name):
    yield "zero point", f"the zero point of {name} is ignored", lambda codes, zero: codes
    yield "zero point", f"the zero point of {name} is added instead of subtracted", lambda codes, zero: codes + zero


def _missing(machine):
    """Products left out or counted twice: (step, cause, change)."""
    k, lanes = machine.tiling.k, machine.spec.beat_depth
    last_beat = (k - 1) // lanes * lanes
    first, last = slice(0, lanes), slice(last_beat, k)
    faults = [("the last product is missing", slice(k - 1, k), 0), ("the first product is missing", slice(0, 1), 0)]
    part = machine.tiling.part
    if lanes > 1:
        faults += [(f"the last {part} is missing", last, 0), (f"the first {part} is missing", first, 0)]
    faults += [(f"the last {part} counts twice", last, 2), (f"the first {part} counts twice", first, 2)]
    if machine.spec.array in RUN_TIME:  # beats hold something else: sim.faults_planes, sim.faults_modes
        del faults[2:]
    for cause, part, factor in faults:
        yield "sum", cause, lambda window, part=part, factor=factor: (times(window.a, part, factor), window.w)


def times(a, part, factor):
    a = a.copy()
    a[:, part] = a[:, part] * factor if factor else 0
    return a


def _lane_orders(machine):
    """Lanes of one operand in another order, on whole beats with their pads: (step, cause, change)."""
    sparse = machine.spec.sparsity != "none"  # then lanes of W have positions
    lanes = machine.spec.beat_depth if sparse else machine.spec.lanes
    lanes = 1 if machine.spec.array == "scalable" else lanes  # of words: sim.faults_modes
    orders = {"reversed": np.arange(lanes)[::-1]}
    if lanes > 2:
        orders["swapped in pairs"] = np.minimum(np.arange(lanes) ^ 1, lanes - 1)
        orders["rotated by one"] = np.roll(np.arange(lanes), 1)
    for word, order in orders.items() if lanes > 1 else ():
        for short in ("a",) if sparse else ("w", "a"):
            cause = f"lanes of {short.upper()} are {word} within a beat"
            yield "order", cause, lambda window, short=short, order=order: _reordered(window, short, order)
    if machine.spec.is_binary and lanes > 1 and -machine.tiling.k % machine.spec.beat_depth % 2:
        yield "sum", "the pad mark is ignored: the last lane of a tile counts", lambda window: whole_beats(window)[:2]


def whole_beats(window):
    """Decoded operands with the pads of the last beat, and whether its last lane is marked as no pair."""
    spec, k = window.spec, window.machine.tiling.k
    missing = -k % spec.beat_depth
    a_code, w_zero = window.operands.a_zero_point, window.operands.w_zero_point
    a_pad = combined(spec, "a", spec.activations.decode(a_code) - a_code, a_code)
    codes = np.arange(missing) % 2 if spec.is_binary else np.full(missing, w_zero)
    codes = np.repeat(codes[:, None], len(window.cols), axis=1)
    if isinstance(spec.weights, Codebook):
        w_pad = spec.weights.lookup(window.codebooks, codes)
    else:
        w_pad = combined(spec, "w", spec.weights.decode(codes) - w_zero, codes)
    if spec.w_block_zero_point:
        w_pad = w_pad - window.extras["w_block_zero_point"][-1]
    a = np.pad(window.a, ((0, 0), (0, missing), (0, 0))[: window.a.ndim], constant_values=a_pad)
    w = np.concatenate([window.w, w_pad])
    return a, w, spec.is_binary and missing % 2


def _reordered(window, short, order):
    a, w, marked = whole_beats(window)
    index = (np.arange(len(w)).reshape(-1, len(order))[:, order]).reshape(-1)
    a, w = (a, w[index]) if short == "w" else (a[:, index], w)
    return (times(a, slice(-1, None), 0) if marked else a), w


def _products(machine):
    spec = machine.spec
    lo, hi = spec.product_range
    width = int_bits(lo, hi) if lo < 0 else hi.bit_length()
    if 1 < width <= 62 and not spec.is_binary and not spec.block and not spec.is_float_sum:
        short = Integer(width - 1, signed=lo < 0)
        cause = f"products lose their top bit: {short} where they need {width} bits"
        yield Hypothesis("product", cause, lambda window: _with_products(window, short.wrap))
        if lo < 0 and spec.accumulator_width > width:
            plain = Integer(width, signed=False)
            cause = "products lose their sign"
            yield Hypothesis("product", cause, lambda window: _with_products(window, plain.wrap))
    yield Hypothesis(
        "product", "products have the wrong sign", lambda window: window.codes(window.accumulate(-window.a, window.w))
    )


def _with_products(window, change):
    spec, a, w = window.spec, window.a, window.w
    saturates = spec.accumulator_overflow == "saturate" and not spec.accumulator_is_exact
    half = 1 << spec.accumulator_width - 1
    total = np.zeros((len(a), w.shape[1]), np.int64 if spec.accumulator_width < 62 else object)
    for number, k in every(range(len(window.passes)), range(len(w))):
        if number and not k:
            total = wrapped(total << spec.raise_bits, spec.accumulator_width)
        a, w = window.passes[number]
        total = total + change(a[:, k].reshape(len(a), -1) * w[k])
        if saturates and ((k + 1) % spec.beat_depth == 0 or k + 1 == len(w)):
            total = np.clip(total, -half, half - 1)
    return window.codes(total if saturates else wrapped(total, spec.accumulator_width))


def _accumulator(machine):
    spec = machine.spec
    if spec.is_float_sum:
        return
    full = min(spec.accumulator_width, spec.exact_accumulator_width)
    if not spec.accumulator_is_exact:
        rule = spec.accumulator_overflow
        if rule == "saturate":
            yield Hypothesis("sum", "the accumulator wraps where the design says saturate", _wrap_at(full))
        else:
            yield Hypothesis("sum", "the accumulator saturates where the design says wrap", _saturate_at(full))
        yield Hypothesis(
            "sum", f"the accumulator keeps more than its {full} bits", lambda window: window.codes(window.exact)
        )
    for width in range(full - 1, 1, -1):
        short = f"{full - width} short of {full}"
        for verb, at in (("wraps", _wrap_at), ("saturates", _saturate_at))[: 1 if spec.block else 2]:
            cause = f"the accumulator {verb} at {width} bits, {short}"
            yield Hypothesis("sum", cause, at(width), severity=full - width)


def _wrap_at(width):
    return lambda window: window.codes(wrapped(window.exact, width))


def _saturate_at(width):
    return lambda window: window.codes(narrowed(window.passes, window.spec.raise_bits, window.spec.beat_depth, width))
