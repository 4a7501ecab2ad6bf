"""The step of a grid of given levels that loses least, by least squares."""

import numpy as np

from golden.nearest import nearest_level

STARTS = 2.0 ** np.linspace(-2, 1, 25)
ROUNDS = 20


def least_squares_step(parts, levels) -> np.ndarray:
    """Steps [...] of parts [..., L] for which the sum of (x - step * nearest level)**2 is least; 0 for zeros.

    From steps of 1/4 to 2 times that which brings the largest magnitude to the last level, each of 25 is improved by
    turns: every x takes its nearest level q, and the step becomes sum(x q) / sum(q q), which is the best for them.
    The best of all is kept, the first of equals. Deterministic.
    """
    parts = np.asarray(parts, np.float64)
    whole = np.abs(parts).max(axis=-1) / levels[-1]
    whole = np.where(whole > 0, whole, 1)
    best, least = np.zeros_like(whole), np.square(parts).sum(axis=-1)
    for start in STARTS:
        step, before = whole * start, np.inf
        for _ in range(ROUNDS):
            step, error = _improved(parts, levels, step)
            better = error < least
            best, least = np.where(better, step, best), np.where(better, error, least)
            if not (error < before).any():
                break
            before = error
    return best


def _improved(parts, levels, step):
    """The best step for the levels nearest at a step, and what is lost with both."""
    q = levels[nearest_level(levels, parts / step[..., None])]
    power = np.square(q).sum(axis=-1)
    step = np.where(power > 0, (parts * q).sum(axis=-1) / np.where(power > 0, power, 1), step)
    return step, np.square(parts - step[..., None] * q).sum(axis=-1)
