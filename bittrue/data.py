"""Examples for a network: an npz of inputs `x` [B, ...] and, where they are known, `labels` [B] and outputs."""

from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import numpy as np

from network.grid import Grid
from network.layers import Quantize
from network.network import Network

from .errors import InputError
from .npz import read_npz


@dataclass(frozen=True)
class Examples:
    """x [B, *shape] float32; labels [B], or None; outputs that another program gave, codes or real numbers, or None."""

    x: np.ndarray = field(repr=False)
    labels: np.ndarray | None = field(default=None, repr=False)
    recorded: np.ndarray | None = field(default=None, repr=False)

    def batches(self, size) -> list[np.ndarray]:
        """x in batches of at most that many examples."""
        return [self.x[start : start + size] for start in range(0, len(self.x), size)]


def read_examples(
    path: Path,
    shape: tuple[int, ...],
    outputs: tuple[int, ...] | None = None,
    *,
    codes_on: Grid | None = None,
    recorded: str | None = None,
) -> Examples:
    """The examples in a file for a network that takes [B, *shape].

    outputs : the shape of what it gives for one example; None where no labels are needed.
    codes_on : the grid on which x holds codes; None for real numbers.
    recorded : the name of the array of recorded outputs.

    Raises InputError, saying what to do, for the wrong layout, codes in place of real numbers, and labels that are no
    class numbers.
    """
    arrays = read_npz(path)
    if "x" not in arrays:
        held = ", ".join(repr(name) for name in sorted(arrays)[:8]) or "nothing"
        raise InputError(
            f"{path}: x: array missing; it holds {held}, and should hold inputs x {_told(shape)} and labels [B]"
        )
    x = _shaped(path, arrays["x"], shape)
    x = _real(path, x) if codes_on is None else _decoded(path, x, codes_on)
    labels = arrays.get("labels") if outputs is not None else None
    labels = None if labels is None else _classes(path, labels, len(x), outputs)
    if recorded is None or outputs is None:
        return Examples(x, labels)
    return Examples(x, labels, _recorded(path, arrays, recorded, (len(x), *outputs)))


def read_calibration(path: Path, shape: tuple[int, ...]) -> Examples:
    """Examples to find ranges by. Raises InputError also where all their numbers are the same, which is no range."""
    found = read_examples(path, shape)
    if found.x.size > 1 and (found.x == found.x.flat[0]).all():
        raise InputError(f"{path}: x is {found.x.flat[0]:g} throughout; ranges are found by examples that differ")
    return found


def codes_on(network: Network) -> Grid:
    """The grid of a network's inputs. Raises InputError where none is, or where steps come before it."""
    if not isinstance(network.entry, Quantize):
        raise InputError("codes: the network takes real numbers, which are quantized by the range of each batch")
    if network.entry.before:
        steps = ", ".join(step.operation for step in network.entry.before)
        raise InputError(f"codes: the network has steps before its codes ({steps}); give x as real numbers")
    return network.entry.y


def _told(shape):
    return f"[{', '.join(['B', *(str(size) for size in shape)])}]"


def _shaped(path, x, shape):
    wrong = f"{path}: x has shape {list(x.shape)}, the network takes {_told(shape)}"
    if x.shape[1:] != shape or not x.ndim:
        raise InputError(f"{wrong}{_hint(x.shape, shape)}")
    if not len(x):
        raise InputError(f"{path}: x holds no examples")
    return x


def _real(path, x):
    if x.dtype.kind in "iub":
        scaled = ", perhaps x / 255" if x.dtype == np.uint8 else ""
        raise InputError(
            f"{path}: x holds {x.dtype}; give real numbers, float32, as the model was trained on{scaled}; codes of a "
            "quantized network's inputs go with --codes of evaluate and errors"
        )
    if x.dtype.kind != "f":
        raise InputError(f"{path}: x must hold real numbers, not {x.dtype}")
    with np.errstate(over="ignore"):
        x = x.astype(np.float32)
    if not np.isfinite(x).all():
        index = [int(i) for i in np.argwhere(~np.isfinite(x))[0]]
        raise InputError(f"{path}: x{index} is {x[tuple(index)]}; inputs must be finite float32 numbers")
    return x


def _decoded(path, x, grid):
    """The real numbers that codes stand for, float32."""
    if x.dtype.kind not in "iu":
        raise InputError(f"{path}: x must hold codes, integers, with --codes, not {x.dtype}")
    lo, hi = grid.fmt.code_range
    wrong = np.argwhere((x < lo) | (x > hi))
    if wrong.size:
        index = [int(i) for i in wrong[0]]
        raise InputError(f"{path}: x{index} is {x[tuple(index)]}, no code of {grid.fmt} [{lo}, {hi}]")
    return grid.values(x.astype(np.int64)).astype(np.float32)


def _recorded(path, arrays, name, shape):
    if name not in arrays:
        raise InputError(f"{path}: {name}: array missing; recorded must name one of {', '.join(sorted(arrays))}")
    found = arrays[name]
    if found.shape != shape:
        raise InputError(
            f"{path}: {name} must have the shape of the network's outputs, {list(shape)}, not {list(found.shape)}"
        )
    if found.dtype.kind not in "iuf":
        raise InputError(f"{path}: {name} must hold codes or real numbers, not {found.dtype}")
    return found


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
    if prod(outputs) != classes:
        raise InputError(
            f"{path}: labels need a network with one output for each class; this one gives {_told(outputs)}"
        )
    classes = max(classes, 2)  # a single output says one class or the other
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        first = int(wrong[0])
        raise InputError(f"{path}: labels[{first}] is {labels[first]}; the network has classes 0 to {classes - 1}")
    return labels.astype(np.int64)
