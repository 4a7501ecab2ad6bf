"""Faults of the bit-serial array: signs, order and weights of bit planes, beats left out, tiles not cleared."""

import numpy as np

from golden.mac import matmul

from .bit_serial import Planes, plane_pairs
from .machine import Hypothesis, wrapped


def plane_faults(machine):
    """Faults of bit planes and of the marks that come with them."""
    if machine.spec.array == "bit_serial":
        for kind in (_signs, _orders, _beats, _tiles):
            yield from kind(machine)


def _signs(machine):
    a_signed, w_signed = (any(one.signed for one in planes) for planes in _planes(machine))
    if a_signed:
        yield _changed("the top plane of activations counts positive", a=_unsigned)
    if w_signed:
        yield _changed("the top plane of weights counts positive", w=_unsigned)
    if a_signed and w_signed:
        yield _changed("the mark `negative` is ignored", a=_unsigned, w=_unsigned)
        cause = "a pair of two top planes counts negative"
        yield _added(cause, lambda side: _plane(side, side.tops, signed_only=True), -2)


def _planes(machine):
    return machine.tiling.a_planes, machine.tiling.w_planes


def _orders(machine):
    a_many, w_many = (any(one.bits > 1 for one in planes) for planes in _planes(machine))
    if a_many or w_many:
        yield _changed("the mark `raise` is ignored: every plane pair has weight one", a=_bit_counts, w=_bit_counts)
    if a_many:
        yield _changed("planes of activations come lowest first", a=_reversed)
    if w_many:
        yield _changed("planes of weights come lowest first", w=_reversed)
    if a_many and w_many:
        yield _changed("planes of activations and weights come lowest first", a=_reversed, w=_reversed)
    if max(machine.tiling.tile_beats) > 1:
        yield Hypothesis("sum", "the accumulator is raised in every beat", _raised_in_every_beat)


def _beats(machine):
    lanes, last_beat = machine.spec.lanes, (machine.tiling.beats - 1) * machine.spec.lanes
    for which, part in (("first", slice(0, lanes)), ("last", slice(last_beat, None))):
        for what, factor in (("is missing", -1), ("counts twice", 1)):
            yield _added(f"the {which} beat {what}", lambda side, args=(which, part): _beat(side, *args), factor)


class _Side:
    """One operand of a window: decoded `values` [vectors, K], and of each vector the number of its planes, `bits`, and
    whether the top one is negative, `signed`; both [vectors, 1]."""

    def __init__(self, window, which):
        spec, cut = window.spec, window.machine.tiling
        if which == "a":
            self.values, planes, tile = window.a, cut.a_planes, window.rows // spec.rows
        else:
            self.values, planes, tile = window.w.T, cut.w_planes, window.cols // spec.cols
        self.bits = np.array([one.bits for one in planes])[tile][:, None]
        self.signed = np.array([one.signed for one in planes])[tile][:, None]
        self.tops = self.bits - 1


def _changed(cause, **changes):
    """The fault of other integers in place of those that the planes of A, of W or of both stand for."""

    def y(window):
        sides = [_Side(window, which) for which in "aw"]
        a, w = (changes.get(which, _same)(side) for which, side in zip("aw", sides, strict=True))
        return window.codes(window.accumulate(a, w.T))

    return Hypothesis("sum", cause, y)


def _added(cause, part, factor):
    """The fault of some plane pairs counted otherwise: `factor` times the product of a part of A and of W is added."""

    def y(window):
        a, w = (_Side(window, which) for which in "aw")
        both_a, both_w = np.hstack([a.values, factor * part(a)]), np.hstack([w.values, part(w)])
        return window.codes(window.accumulate(both_a, both_w.T))

    return Hypothesis("sum", cause, y)


def _same(side):
    return side.values


def _unsigned(side):
    return side.values & (1 << side.bits) - 1


def _plane(side, index, *, signed_only=False):
    """What one plane of each vector stands for; nothing, with `signed_only`, where none is negative."""
    sign = np.where(side.signed & (index == side.tops), -1, 0 if signed_only else 1)
    return sign * (_unsigned(side) & 1 << index)


def _bit_counts(side):
    """The planes without their weights."""
    return sum(_plane(side, np.full_like(side.bits, index)) >> index for index in range(int(side.bits.max())))


def _reversed(side):
    """The planes with the weights of the opposite order."""
    total = np.zeros_like(side.values)
    for index in range(int(side.bits.max())):
        weight = 1 << np.maximum(side.tops - index, 0)
        total += (_plane(side, np.full_like(side.bits, index)) >> index) * weight
    return total


def _beat(side, which, part):
    """What the first or the last beat brings: some products of k of the highest or of the lowest planes."""
    plane = _plane(side, side.tops if which == "first" else np.zeros_like(side.tops))
    return plane[:, part]


def _raised_in_every_beat(window):
    a, w = (_Side(window, which) for which in "aw")
    groups = [_alike(side.bits * 2 + side.signed) for side in (a, w)]
    sums = np.zeros((len(a.values), len(w.values)), object)
    for rows in groups[0]:
        for cols in groups[1]:
            sums[np.ix_(rows, cols)] = _raised_sums(window, a, w, rows, cols)
    return window.codes(wrapped(sums, window.spec.accumulator_width))


def _alike(keys):
    """Indices of the vectors with the same planes."""
    return [np.flatnonzero(keys[:, 0] == key) for key in np.unique(keys)]


def _raised_sums(window, a, w, rows, cols):
    """Sums of vectors with the same planes; only the last `width` beats are not moved out of the accumulator."""
    spec = window.spec
    planes = (
        Planes(int(one.bits[index, 0]), bool(one.signed[index, 0])) for one, index in ((w, cols[0]), (a, rows[0]))
    )
    pairs = plane_pairs(*planes)[::-1, :2].tolist()
    beats = window.machine.tiling.beats
    total = np.zeros((len(rows), len(cols)), object)
    for behind in range(min(beats * len(pairs), spec.accumulator_width)):
        (j, i), beat = pairs[behind // beats], beats - 1 - behind % beats
        part = slice(beat * spec.lanes, (beat + 1) * spec.lanes)
        a_plane = _plane(a, np.full_like(a.bits, i))[rows, part] >> i
        w_plane = _plane(w, np.full_like(w.bits, j))[cols, part] >> j
        total += matmul(a_plane, w_plane.T).astype(object) << behind
    return total


def _tiles(machine):
    if machine.tiling.tiles > 1:
        yield Hypothesis("sum", "the accumulator is not cleared between tiles", _not_cleared)


def _not_cleared(window):
    """What a tile leaves is raised in the next as often as that has weights beside the highest."""
    machine, cut = window.machine, window.machine.tiling
    sums = cut.in_tiles(machine.accumulators).astype(object)
    raises = [a.bits + w.bits - 2 for w in cut.w_planes for a in cut.a_planes]
    for tile in range(1, len(sums)):
        sums[tile] = wrapped(sums[tile] + (sums[tile - 1] << raises[tile]), window.spec.accumulator_width)
    return window.codes(window.pick(cut.from_tiles(sums)))
