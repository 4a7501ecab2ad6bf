"""How near the outputs of a network are to the labels, and to the outputs of another."""

from dataclasses import dataclass

import numpy as np

from network.measure import Error


@dataclass(frozen=True)
class Score:
    """Of `examples`: how many have the label's class and how many the reference's (None where there are no labels, or
    no classes), the largest difference from the reference, and the SQNR in dB: infinite where all is equal."""

    examples: int
    correct: int | None
    same_class: int | None
    largest: float
    sqnr: float


def score(outputs, reference, labels=None) -> Score:
    """The score of outputs [B, ...]: classes are the places of the largest of [B, N], N being 2 at least.

    The SQNR is that of network.measure.Error.
    """
    outputs, reference = np.asarray(outputs, np.float64), np.asarray(reference, np.float64)
    flat = outputs.reshape(len(outputs), -1)
    classes = flat.argmax(axis=1) if outputs.shape[-1] == flat.shape[1] > 1 else None
    correct = None if labels is None or classes is None else int((classes == labels[: len(outputs)]).sum())
    same = None if classes is None else int((classes == reference.reshape(len(reference), -1).argmax(axis=1)).sum())
    error = Error.between(reference, outputs)
    return Score(len(outputs), correct, same, error.largest, error.sqnr)
