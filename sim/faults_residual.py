"""Faults of the two passes over K that residual codes take: a pass missing, codes of the wrong pass, raised wrongly."""

from functools import partial

from golden.mac import matmul

from .machine import Hypothesis, wrapped


def residual_faults(machine):
    """Sums put together wrongly from those of the two passes."""
    if not machine.spec.residual:
        return
    for cause, total in (*_passes(machine.spec.residual), *_raises(machine)):
        yield Hypothesis("sum", cause, partial(_codes, total=total))


def _codes(window, total):
    sums = total(window, *(matmul(a, w).astype(object) for a, w in window.passes))
    return window.codes(wrapped(sums, window.spec.accumulator_width))


def _passes(bits):
    """(cause, from a window and the exact sums of both passes to the accumulators)."""
    yield "the second pass is missing", lambda window, first, second: first
    yield "the first pass is missing", lambda window, first, second: second
    yield "residual codes count as nothing", lambda window, first, second: first << bits
    yield "the passes are swapped", lambda window, first, second: (second << bits) + first
    yield "both passes take the first codes", lambda window, first, second: (first << bits) + first
    yield "both passes take the residual codes", lambda window, first, second: (second << bits) + second


def _raises(machine):
    bits = machine.spec.residual
    for wrong in (bits + 1, bits - 1):
        cause = f"the accumulator is raised by {wrong} bits where the design says {bits}"
        yield cause, lambda window, first, second, wrong=wrong: (first << wrong) + second
    if bits > 1:
        yield "the accumulator is not raised", lambda window, first, second: first + second
    if machine.tiling.pass_beats > 1:
        yield "the accumulator is raised one beat late", _late
        yield "the accumulator is raised one beat early", _early
        yield "the accumulator is raised in every beat of the second pass", _in_every_beat


def _beat(window, number, begin):
    """Sums of one beat of a pass, which begins with product `begin`."""
    (a, w), depth = window.passes[number], window.spec.beat_depth
    return matmul(a[:, begin : begin + depth], w[begin : begin + depth]).astype(object)


def _late(window, first, second):
    moved = _beat(window, 1, 0)
    return (first + moved << window.spec.residual) + second - moved


def _early(window, first, second):
    depth = window.spec.beat_depth
    moved = _beat(window, 0, (window.machine.tiling.k - 1) // depth * depth)
    return (first - moved << window.spec.residual) + moved + second


def _in_every_beat(window, first, second):
    total = first
    for begin in range(0, window.machine.tiling.k, window.spec.beat_depth):
        total = wrapped(total << window.spec.residual, window.spec.accumulator_width) + _beat(window, 1, begin)
    return total
