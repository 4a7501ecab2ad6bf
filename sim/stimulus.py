"""Random operands that can fail: extremes, ties, useful scales, and a check of which faults they would show."""

import numpy as np

from golden.tensors import operands

from .hypotheses import hypotheses
from .machine import Machine
from .stimulus_blocks import random_blocks
from .stimulus_dynamic import make_dynamic_ties
from .stimulus_operands import random_matrices
from .stimulus_parameters import random_parameters

ATTEMPTS = 6
_JUDGED = 24


def random_arrays(spec, *, m, k, n, seed) -> dict:
    """Arrays for golden.tensors.operands: a [m, k], w [k, n] and all parameters that the spec takes.

    A fifth of the codes are corners (lowest, highest, -1, 0, 1); some rows of A and columns of W hold nothing but
    extremes, so that accumulators reach theirs, and some hold little but zeros. Each column has parameters of its own:
    scales that spread the outputs over their range, powers of two among them, and a bias that makes ties exact.
    Of a few draws, the one that leaves the fewest faults unseen (`separates`, on part of the outputs) is taken.

    The same seed gives the same arrays. Raises ValueError where no weights can keep `spec.accumulator_range`.
    """
    best, fewest = {}, None
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, attempt])
        arrays = random_matrices(rng, spec, m, k, n, ends=attempt % 2 == 1)
        arrays |= random_blocks(rng, spec, arrays)
        if spec.requantize == "dynamic":
            make_dynamic_ties(rng, spec, arrays)
        arrays |= random_parameters(rng, spec, arrays)
        machine = Machine(spec, operands(spec, arrays))
        unseen = len(_unseen(machine, [_part(machine)]))
        if fewest is None or unseen < fewest:
            best, fewest = arrays, unseen
        if not fewest:
            break
    return best


def separates(spec, arrays):
    """The faults that these arrays would not show: sentences of sim.hypotheses whose outputs are golden's.

    Empty for a good stimulus. Some faults cannot show at all: no tie is rounded differently by half_up and half_away
    where nothing is negative. Of narrow accumulators only the widest counts.
    """
    machine = Machine(spec, operands(spec, arrays))
    return _unseen(machine, [_part(machine), machine.window()])


def _unseen(machine, windows):
    left = [hypothesis for hypothesis in hypotheses(machine) if hypothesis.severity == 1]
    for window in windows:
        left = [hypothesis for hypothesis in left if np.array_equal(hypothesis.y(window), window.golden)]
    return list(dict.fromkeys(hypothesis.cause for hypothesis in left))


def _part(machine):
    """The first outputs, where one tile meets the next, and others spread over the whole."""
    cut = machine.tiling

    def some(count, tile):
        near = np.arange(min(count, max(_JUDGED, tile + 1)))
        return np.union1d(near, np.linspace(0, count - 1, min(count, _JUDGED)).astype(int))

    return machine.window(some(cut.m, cut.tile_shape[0]), some(cut.n, cut.tile_shape[1]))
