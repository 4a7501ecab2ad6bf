"""Faults of sums in float32: another order, roundings left out, added or of another kind, subnormal numbers lost."""

from fractions import Fraction

import numpy as np

from golden.blocks import float32_patterns, float32_values, float_terms, parts, rounded_to_float32, scale_values
from golden.mac import matmul

from .machine import Hypothesis, Window

_TINY = np.finfo(np.float32).tiny


def float_sum_faults(machine):
    """Faults of a float32 accumulator. Outputs that are infinite or NaN stay what they are."""
    if not machine.spec.is_float_sum:
        return
    for cause, order in (
        ("sums of blocks are added in reverse order", lambda terms: terms[::-1]),
        ("sums of blocks are added pairwise, as a tree", _as_tree),
        ("the first sum is left out", lambda terms: terms[1:]),
    ):
        yield _fault("order" if "added" in cause else "sum", cause, lambda window, order=order: _added(window, order))
    yield _fault("round", "sums are exact, and rounded to float32 once at the end", _rounded_once)
    yield _fault("round", "rounds to float32 toward_zero where it must round half_even", _toward_zero)
    yield _fault("round", "subnormal float32 numbers count as zero", _flushed)
    if machine.tiling.tiles > 1:
        yield Hypothesis("sum", "the accumulator is not cleared between tiles", _chained)
    if len(machine.spec.scale_formats) == 2:
        cause = "sums are multiplied by one scale after the other where both are multiplied first"
        yield _fault("scale", cause, _one_after_the_other)


def _fault(step, cause, values):
    """`values` gives float32 [rows, cols] of a window whose operands are all finite."""

    def y(window):
        golden = window.golden
        with np.errstate(all="ignore"):
            patterns = float32_patterns(values(window))
        return np.where(np.isfinite(float32_values(golden)), patterns, golden)

    return Hypothesis(step, cause, y)


def _terms(window: Window):
    return list(float_terms(window.spec, window.a, window.w, window.extras))


def _zeros(window):
    return np.zeros((len(window.rows), len(window.cols)), np.float32)


def _added(window, order):
    total = _zeros(window)
    for term in order(_terms(window)):
        total = total + term
    return total


def _as_tree(terms):
    while len(terms) > 1:
        terms = [terms[i] + terms[i + 1] if i + 1 < len(terms) else terms[i] for i in range(0, len(terms), 2)]
    return terms


def _finite(x):
    return np.where(np.isfinite(x), x, 0).astype(np.int64) if x.dtype.kind == "f" else x


def _exact_sums(window):
    """Integer sums [rows, cols] of each part."""
    a, w = _finite(window.a), _finite(window.w)
    return [matmul(a[:, part], w[part]) for part in parts(window.spec, len(w))]


def _scales(window):
    """float32 scales that broadcast to [rows, cols], of each part: pairs; ones where there is none."""
    reals = {name: scale_values(fmt, window.extras[name]) for name, fmt in window.spec.scale_formats.items()}
    one = np.ones((1, 1), np.float32)
    for index in range(len(parts(window.spec, len(window.w)))):
        yield (
            reals["a_block_scale"][:, index, None] if "a_block_scale" in reals else one,
            reals["w_block_scale"][index, None] if "w_block_scale" in reals else one,
        )


def _fraction(window):
    return window.spec.activations.fraction + window.spec.weights.fraction


def _rounded_once(window):
    total = np.zeros(_zeros(window).shape, object) + Fraction(0)
    exact = np.frompyfunc(lambda x: Fraction(float(x)) if np.isfinite(x) else Fraction(0), 1, 1)
    for sums, (sa, sw) in zip(_exact_sums(window), _scales(window), strict=True):
        total = total + sums.astype(object) * (exact(sa) * exact(sw))
    return np.frompyfunc(_nearest, 1, 1)(total / Fraction(2) ** _fraction(window)).astype(np.float32)


def _nearest(value):
    """A fraction in float32, rounded once; zero where it is subnormal there."""
    if not value:
        return np.float32(0)
    places = 40 - (value.numerator.bit_length() - value.denominator.bit_length())
    scaled = value * Fraction(2) ** places
    kept = scaled.__floor__()
    kept |= kept != scaled
    return np.float32(np.ldexp(float(kept), -places))


def _one_after_the_other(window):
    total = _zeros(window)
    for sums, (sa, sw) in zip(_exact_sums(window), _scales(window), strict=True):
        total = total + rounded_to_float32(sums, _fraction(window)) * sa * sw
    return total


def _flushed(window):
    total = _zeros(window)
    for term in _terms(window):
        total = _normal(total + _normal(term))
    return total


def _normal(values):
    return np.where(np.abs(values) < _TINY, np.float32(0), values)


def _toward_zero(window):
    total = _zeros(window)
    for sums, (sa, sw) in zip(_exact_sums(window), _scales(window), strict=True):
        sums = _cut(np.ldexp(_odd(sums), -_fraction(window)))
        term = _cut(sums.astype(np.float64) * _cut(sa.astype(np.float64) * sw))
        total = _cut(_odd_sum(total, term))
    return total


def _odd(integers):
    """float64 of integers, rounded to odd: what decides every rounding to float32 is left."""
    bits = [max(int(abs(value)).bit_length() - 50, 0) for value in integers.reshape(-1)]
    kept = [
        int(v) >> b << b | (int(v) != int(v) >> b << b) << b for v, b in zip(integers.reshape(-1), bits, strict=True)
    ]
    return np.array([float(value) for value in kept]).reshape(integers.shape)


def _odd_sum(x, y):
    """x + y of float32 numbers in float64, rounded to odd."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    total = x + y
    part = total - x
    error = (x - (total - part)) + (y - part)
    odd = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
    return np.where((error != 0) & (total.view(np.int64) & 1 == 0), odd, total)


def _cut(values):
    """float32 of float64 numbers, rounded toward zero."""
    near = values.astype(np.float32)
    return np.where(np.abs(near.astype(np.float64)) > np.abs(values), np.nextafter(near, np.float32(0)), near)


def _chained(window):
    """Each tile's sum begins with what the one before left; infinities and NaN are kept too."""
    machine = window.machine
    terms = float_terms(window.spec, machine.a, machine.w, machine.padded.extras)
    tiles = [machine.tiling.in_tiles(term) for term in terms]
    sums, state = np.zeros_like(tiles[0]), np.zeros_like(tiles[0][0])
    with np.errstate(all="ignore"):
        for index in range(len(sums)):
            for term in tiles:
                state = state + term[index]
            sums[index] = state
    return float32_patterns(window.pick(machine.tiling.from_tiles(sums)))
