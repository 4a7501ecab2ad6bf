"""Examples for a network: an npz of real inputs `x` [B, ...] and, where they are known, `labels` [B]."""

from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import numpy as np

from .errors import InputError
from .npz import read_npz


@dataclass(frozen=True)
class Examples:
    """x [B, *shape] float32 and labels [B], or None."""

    x: np.ndarray = field(repr=False)
    labels: np.ndarray | None = field(default=None, repr=False)

    def batches(self, size) -> list[np.ndarray]:
        """x in batches of at most that many examples."""
        return [self.x[start : start + size] for start in range(0, len(self.x), size)]


def read_examples(path: Path, shape: tuple[int, ...], outputs: tuple[int, ...] | None = None) -> Examples:
    """The examples in a file for a network that takes [B, *shape].

    outputs : the shape of what it gives for one example; None where no labels are needed.

    Raises InputError, saying what to do, for the wrong layout, codes in place of real numbers, and labels that are no
    class numbers.
    """
    arrays = read_npz(path)
    if "x" not in arrays:
        held = ", ".join(repr(name) for name in sorted(arrays)[:8]) or "nothing"
        raise InputError(
            f"{path}: x: array missing; it holds {held}, and should hold inputs x {_told(shape)} and labels [B]"
        )
    x = _real(path, arrays["x"], shape)
    labels = arrays.get("labels") if outputs is not None else None
    return Examples(x, None if labels is None else _classes(path, labels, len(x), outputs))


def _told(shape):
    return f"[{', '.join(['B', *(str(size) for size in shape)])}]"


def _real(path, x, shape):
    wrong = f"{path}: x has shape {list(x.shape)}, the network takes {_told(shape)}"
    if x.shape[1:] != shape or not x.ndim:
        raise InputError(f"{wrong}{_hint(x.shape, shape)}")
    if not len(x):
        raise InputError(f"{path}: x holds no examples")
    if x.dtype.kind in "iub":
        scaled = ", perhaps x / 255 in float32" if x.dtype == np.uint8 else ""
        raise InputError(
            f"{path}: x holds {x.dtype}; give real numbers, as the model was trained on{scaled} (or the same numbers "
            "as float32, if it takes them as they are)"
        )
    if x.dtype.kind != "f":
        raise InputError(f"{path}: x must hold real numbers, not {x.dtype}")
    with np.errstate(over="ignore"):
        x = x.astype(np.float32)
    if not np.isfinite(x).all():
        index = [int(i) for i in np.argwhere(~np.isfinite(x))[0]]
        raise InputError(f"{path}: x{index} is {x[tuple(index)]}; inputs must be finite float32 numbers")
    return x


def _hint(found, shape):
    """What to do with x of another shape, where that can be told."""
    if found == shape:
        return "; one example needs a batch of one: x[None]"
    if len(shape) == 3 and len(found) == 4:
        if found[1:] == (*shape[1:], shape[0]):
            return "; its channels come last, the network's first: x.transpose(0, 3, 1, 2)"
        if found[1:] == (shape[2], *shape[:2]):
            return "; its channels come first, the network's last: x.transpose(0, 2, 3, 1)"
    if found and prod(found[1:]) == prod(shape):
        return f"; it has as many values: x.reshape({', '.join(str(size) for size in (-1, *shape))})"
    return ""


def _classes(path, labels, count, outputs):
    classes = outputs[-1]
    if labels.ndim == 2 and labels.shape == (count, classes):
        raise InputError(f"{path}: labels have shape {list(labels.shape)}; give class numbers: labels.argmax(axis=1)")
    if labels.shape == (count, 1):
        labels = labels[:, 0]
    if labels.shape != (count,):
        raise InputError(f"{path}: labels must be one for each of {count} examples, not of shape {list(labels.shape)}")
    if labels.dtype.kind not in "iu":
        raise InputError(f"{path}: labels must hold integers, the numbers of classes, not {labels.dtype}")
    if prod(outputs) != classes or classes < 2:
        raise InputError(
            f"{path}: labels need a network with one output for each class; this one gives {_told(outputs)}"
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        first = int(wrong[0])
        raise InputError(f"{path}: labels[{first}] is {labels[first]}; the network has classes 0 to {classes - 1}")
    return labels.astype(np.int64)
