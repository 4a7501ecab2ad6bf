"""Activations of 2:4 sparse weights: each weight chooses one of the four of its group."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value

from golden.sparsity import GROUP, KEPT


def selected(m: Module, a: Value, width, w: Value, positions: Value):
    """The activation of each weight, and the weights, one cycle later.

    `a` holds activations of `width` bits, 4 for each 2 of `positions`, each of 2 bits.
    """
    chosen = Signal(len(positions) // 2 * width, name="chosen", reset_less=True)
    weights = Signal(len(w), name="weights_of_chosen", reset_less=True)
    m.d.sync += [weights.eq(w), chosen.eq(Cat(_one(a, width, lane, position) for lane, position in _lanes(positions)))]
    return chosen, weights


def _lanes(positions):
    return ((lane, positions.word_select(lane, 2)) for lane in range(len(positions) // 2))


def _one(a, width, lane, position):
    """The activation at a position of the lane's group."""
    of_group = [a.word_select(lane // KEPT * GROUP + place, width) for place in range(GROUP)]
    return Mux(position[1], Mux(position[0], of_group[3], of_group[2]), Mux(position[0], of_group[1], of_group[0]))
