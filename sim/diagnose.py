"""Where and why hardware and golden part, from the operands and the outputs alone."""

from dataclasses import dataclass

import numpy as np

from golden.scale_formats import FLOAT32
from golden.spec import Spec
from golden.tensors import Operands

from .hypotheses import hypotheses
from .machine import Hypothesis, Machine
from .mismatch import Mismatch, mismatch

_SCREENS = (8, 48)


@dataclass(frozen=True)
class Diagnosis:
    """How many outputs differ, the first one, and the fault that explains them.

    step : where hardware and golden part, one of sim.hypotheses.STEPS; None where all outputs agree.
    cause : one sentence.
    explained : how many of the `compared` outputs hardware with that fault would give exactly as they are.
    alternatives : other faults that explain the outputs as well.
    """

    count: int
    compared: int
    first: Mismatch | None
    step: str | None
    cause: str
    explained: int
    alternatives: tuple[str, ...] = ()


def diagnose(spec: Spec, operands: Operands, hardware) -> Diagnosis:
    """Compares hardware codes [M, N] with golden; where they differ, finds the fault that gives just these codes.

    Faults are tried on a few outputs first, on all only where they agree there. If no fault explains every output, the
    diagnosis names the one that explains most of the differing outputs, as long as it spoils fewer than it explains;
    else its step is "unknown".

    Outputs of format float32 may come as numbers of that kind in place of their patterns.

    Raises ValueError for a wrong shape, codes that are no integers or that lie outside the output format.
    """
    hardware = _checked(spec, operands, hardware)
    machine = Machine(spec, operands)
    whole = machine.window()
    differs = hardware != whole.golden
    count, compared = int(differs.sum()), hardware.size
    if not count:
        return Diagnosis(0, compared, None, None, "all outputs agree", compared)
    first = mismatch(machine, hardware, *(int(i) for i in np.argwhere(differs)[0]))
    causes = _exact_causes(machine, hardware, differs)
    if causes:
        best, *others = causes
        alternatives = tuple(cause for cause in dict.fromkeys(other.cause for other in others) if cause != best.cause)
        return Diagnosis(count, compared, first, best.step, best.cause, compared, alternatives)
    return Diagnosis(count, compared, first, *_closest(machine, hardware, differs))


def _checked(spec, operands, hardware):
    hardware = _patterns(spec, np.asarray(hardware))
    m, _, n = operands.shape
    if hardware.shape != (m, n):
        raise ValueError(f"y must have shape {[m, n]}, not {list(hardware.shape)}")
    if hardware.dtype.kind not in "iu":
        raise ValueError(f"y must hold integer codes, not {hardware.dtype}")
    lo, hi = spec.y.code_range
    wrong = (hardware < lo) | (hardware > hi)
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"y{list(index)} is {int(hardware[index])}, outside {spec.y} [{lo}, {hi}]")
    return hardware.astype(np.int64)


def _patterns(spec, hardware):
    """Codes of float32 outputs that come as float32 numbers; others as they are."""
    if spec.y == FLOAT32 and hardware.dtype == np.float32:
        return np.ascontiguousarray(hardware).view(np.uint32)
    return hardware


def _exact_causes(machine, hardware, differs) -> list[Hypothesis]:
    """The hypotheses that reproduce every output."""
    candidates = list(hypotheses(machine))
    for window in (*(_screen(machine, differs, size) for size in _SCREENS), machine.window()):
        seen = window.pick(hardware)
        candidates = [candidate for candidate in candidates if np.array_equal(candidate.y(window), seen)]
    return candidates


def _screen(machine, differs, size):
    """A window around up to `size` differing outputs, spread over all of them."""
    flat = np.flatnonzero(differs)
    rows, cols = np.divmod(flat[np.linspace(0, len(flat) - 1, min(size, len(flat))).astype(int)], differs.shape[1])
    return machine.window(np.unique(rows), np.unique(cols))


def _closest(machine, hardware, differs):
    """Step, cause and number of outputs explained, of the hypothesis that leaves fewest outputs unexplained."""
    window = _screen(machine, differs, _SCREENS[-1])
    seen = window.pick(hardware)
    best = max(hypotheses(machine), key=lambda candidate: int((candidate.y(window) == seen).sum()))
    agrees = best.y(machine.window()) == hardware
    fixed, spoiled = int((agrees & differs).sum()), int((~agrees & ~differs).sum())
    wrong = int(differs.sum())
    if 2 * fixed < wrong or spoiled >= fixed:
        return "unknown", "no single known fault explains these outputs", int((~differs).sum())
    part = f"explains {fixed} of {wrong} wrong outputs" + (f" but would spoil {spoiled} right ones" if spoiled else "")
    return best.step, f"{best.cause} ({part})", int(agrees.sum())
