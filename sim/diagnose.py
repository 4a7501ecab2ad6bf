"""Where and why hardware and golden part, from the operands and the outputs alone."""

from dataclasses import dataclass

import numpy as np

from golden.float_scale import float32
from golden.ieee import FLOAT32
from golden.requantize import reached, requantize
from golden.rounding import round_shift
from golden.scale import wrap32
from golden.spec import Spec
from golden.tensors import Operands

from .faults_tables import before_table
from .hypotheses import hypotheses
from .machine import Hypothesis, Machine

_SCREENS = (8, 48)


@dataclass(frozen=True)
class Mismatch:
    """One output that differs: its place, its operands, and golden's way to its code, step by step.

    `tile`, `row`, `col` say which processing element computed it, in which tile of the stream. `rounded` is the value
    after the shift, before activation, zero point and clip. The bits are those of the output format.

    With requantize float32, `scaled` is the float32 product, which may be a fraction or infinite. With thresholds,
    nothing is biased or scaled, and `rounded` is `reached`: how many thresholds the accumulator reaches. With a table,
    `table_input` is the code that it is read with.
    """

    index: tuple[int, int]
    tile: int
    row: int
    col: int
    a_first: int
    a_last: int
    w_first: int
    w_last: int
    hardware: int
    golden: int
    hardware_bits: str
    golden_bits: str
    accumulator: int
    biased: int
    scaled: int | float
    rounded: int
    reached: int | None = None
    table_input: int | None = None


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

    Raises ValueError for a wrong shape, codes that are no integers or that lie outside the output format.
    """
    hardware = _checked(spec, operands, hardware)
    machine = Machine(spec, operands)
    whole = machine.window()
    differs = hardware != whole.golden
    count, compared = int(differs.sum()), hardware.size
    if not count:
        return Diagnosis(0, compared, None, None, "all outputs agree", compared)
    first = _mismatch(machine, hardware, *(int(i) for i in np.argwhere(differs)[0]))
    causes = _exact_causes(machine, hardware, differs)
    if causes:
        best, *others = causes
        alternatives = tuple(cause for cause in dict.fromkeys(other.cause for other in others) if cause != best.cause)
        return Diagnosis(count, compared, first, best.step, best.cause, compared, alternatives)
    return Diagnosis(count, compared, first, *_closest(machine, hardware, differs))


def _checked(spec, operands, hardware):
    hardware = np.asarray(hardware)
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


def _mismatch(machine, hardware, m, n):
    spec, given = machine.spec, machine.operands
    tile, row, col = machine.tiling.place(m, n)
    code = int(machine.codes[m, n])
    accumulator = _accumulate(spec, machine.a[m].tolist(), machine.w[:, n].tolist())
    parameters = {name: value[n].tolist() for name, value in given.parameters.items()}
    assert requantize(accumulator, spec, **parameters) == code
    return Mismatch(
        index=(m, n),
        tile=tile,
        row=row,
        col=col,
        a_first=int(given.a[m, 0]),
        a_last=int(given.a[m, -1]),
        w_first=int(given.w[0, n]),
        w_last=int(given.w[-1, n]),
        hardware=int(hardware[m, n]),
        golden=code,
        hardware_bits=_bits(hardware[m, n], spec.y),
        golden_bits=_bits(code, spec.y),
        accumulator=accumulator,
        **_steps(spec, accumulator, parameters),
    )


def _steps(spec, accumulator, parameters):
    """Golden's way from an accumulator to its code, in Python integers: fields of Mismatch."""
    if spec.threshold_count:
        count = reached(accumulator, parameters["thresholds"])
        return {"biased": accumulator, "scaled": accumulator, "rounded": count, "reached": count}
    biased = accumulator + parameters.get("bias", 0)
    scaled = biased * parameters.get("multiplier", 1)
    rounded = _rounded(spec, biased, scaled, parameters)
    if "scale" in parameters:
        scaled = _float_product(biased, parameters["scale"])
    steps = {"biased": biased, "scaled": scaled, "rounded": rounded}
    if spec.table is not None:
        steps["table_input"] = requantize(accumulator, spec.with_(**before_table(spec)), **parameters)
    return steps


def _float_product(biased, pattern):
    with np.errstate(over="ignore"):
        return float(float32(wrap32(biased), FLOAT32.decode(pattern)))


def _rounded(spec, biased, scaled, parameters):
    shift = parameters.get("shift", 0)
    if spec.rule is not None:
        return spec.rule.scale(biased, parameters)
    offset = parameters["y_zero_point"] if spec.zero_point_first else 0
    return round_shift(scaled, shift, spec.rounding, offset)


def _accumulate(spec, a, w):
    """One accumulator in Python integers."""
    half = 1 << spec.accumulator_width - 1
    total = 0
    for k in range(0, len(a), spec.lanes):
        total += sum(x * y for x, y in zip(a[k : k + spec.lanes], w[k : k + spec.lanes], strict=True))
        if spec.accumulator_overflow == "saturate":
            total = min(max(total, -half), half - 1)
    return (total + half) % (2 * half) - half


def _bits(code, fmt):
    return format(int(code) & (1 << fmt.width) - 1, f"0{fmt.width}b")
