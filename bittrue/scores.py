"""How near the outputs of a network are to the labels, and to the outputs of another."""

from dataclasses import dataclass

import numpy as np

from network.functions import Logistic
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


def score(outputs, reference, labels=None, *, boundary=0.0) -> Score:
    """The score of outputs [B, ...]: classes are the places of the largest of [B, N].

    boundary : of a single output [B, 1] with labels, which is class 1 above it and class 0 elsewhere. The SQNR is that
    of network.measure.Error.
    """
    outputs, reference = np.asarray(outputs, np.float64), np.asarray(reference, np.float64)
    classes, wanted = (_classes(one, labels, boundary) for one in (outputs, reference))
    correct = None if labels is None or classes is None else int((classes == labels[: len(outputs)]).sum())
    same = None if classes is None else int((classes == wanted).sum())
    with np.errstate(over="ignore", invalid="ignore"):
        error = Error.between(reference, outputs)
    return Score(len(outputs), correct, same, error.largest, error.sqnr)


def _classes(outputs, labels, boundary):
    flat = outputs.reshape(len(outputs), -1)
    if outputs.shape[-1] != flat.shape[1]:
        return None
    if flat.shape[1] > 1:
        return flat.argmax(axis=1)
    return None if labels is None else (flat[:, 0] > boundary).astype(np.int64)


def boundary_of(layers, after) -> float:
    """Where a single output goes over from class 0 to class 1: one half behind a sigmoid at the end, elsewhere zero.

    layers, after : of a network, and the steps behind them.
    """
    if after:
        return 0.5 if after[-1].operation == "sigmoid" else 0.0
    return 0.5 if layers and isinstance(layers[-1], Logistic) else 0.0
