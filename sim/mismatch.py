"""One output that differs, and golden's way to it."""

from dataclasses import dataclass

import numpy as np

from golden.blocks import float32_values, parts
from golden.float_scale import float32, round_real
from golden.ieee import FLOAT32
from golden.mac import columns_of
from golden.requantize import reached, requantize
from golden.rounding import round_shift
from golden.scale import wrap32

from .faults_tables import before_table


@dataclass(frozen=True)
class Mismatch:
    """One output that differs: its place, its operands, and golden's way to its code, step by step.

    `tile`, `row`, `col` say which processing element computed it, in which tile of the stream; `place` says so in the
    words of this kind of array. `rounded` is the value after the shift, before activation, zero point and clip. The
    bits are those of the output format.

    With requantize float32, `scaled` is the float32 product, which may be a fraction or infinite. With thresholds,
    nothing is biased or scaled, and `rounded` is `reached`: how many thresholds the accumulator reaches. With a table,
    `table_input` is the code that it is read with. `running` is the accumulator after each block, where the design has
    blocks, or after each beat, where it adds beats in float32: integers, or the float32 numbers, of which the
    accumulator is the bit pattern. Where outputs are float32, `hardware_value` and `golden_value` are the numbers.
    With requantize dynamic, `scaled` is the float32 quotient by `y_scale`, which the tile was scaled by together with
    `y_zero_point`.
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
    place: str = ""
    hardware_value: float | None = None
    golden_value: float | None = None
    running: tuple[int | float, ...] = ()
    y_scale: float | None = None
    y_zero_point: int | None = None


def mismatch(machine, hardware, m, n) -> Mismatch:
    """What happened at output [m, n], which differs."""
    spec, given = machine.spec, machine.operands
    tile, row, col = machine.tiling.place(m, n)
    code = int(machine.codes[m, n])
    running = _running(machine.window(np.array([m]), np.array([n])))
    a_row = columns_of(machine.a[m : m + 1], n)[0]
    accumulator = running[-1] if running else _accumulate(spec, a_row.tolist(), machine.w[:, n].tolist())
    parameters = {name: value[n].tolist() for name, value in given.parameters.items()}
    dynamic = spec.requantize == "dynamic"
    steps = _dynamic(machine, accumulator, tile) if dynamic else _steps(spec, accumulator, parameters)
    assert dynamic or spec.is_float_sum or requantize(accumulator, spec, **parameters) == code
    return Mismatch(
        index=(m, n),
        tile=tile,
        row=row,
        col=col,
        a_first=int(columns_of(given.a, n)[m, 0]),
        a_last=int(columns_of(given.a, n)[m, -1]),
        w_first=int(given.w[0, n]),
        w_last=int(given.w[-1, n]),
        hardware=int(hardware[m, n]),
        golden=code,
        hardware_bits=_bits(hardware[m, n], spec.y),
        golden_bits=_bits(code, spec.y),
        accumulator=accumulator,
        place=machine.tiling.place_told(m, n),
        **_values(spec, int(hardware[m, n]), code),
        running=tuple(float32_values(running).tolist()) if spec.is_float_sum else tuple(running),
        **steps,
    )


def _values(spec, hardware, code):
    """The numbers that float32 outputs are bit patterns of: fields of Mismatch."""
    if not spec.is_float_sum:
        return {}
    there, here = float32_values([hardware, code]).tolist()
    return {"hardware_value": there, "golden_value": here}


def _running(window):
    """The accumulator of one output after each block, or after each beat that is added in float32."""
    spec = window.spec
    if not spec.block and not spec.is_float_sum:
        return []
    ends = [part.stop for part in parts(spec, len(window.w))]
    return [int(window.accumulate(window.a[:, :end], window.w[:end])[0, 0]) for end in ends]


def _steps(spec, accumulator, parameters):
    """Golden's way from an accumulator to its code, in Python integers: fields of Mismatch."""
    if spec.threshold_count:
        count = reached(accumulator, parameters["thresholds"])
        return {"biased": accumulator, "scaled": accumulator, "rounded": count, "reached": count}
    if spec.is_float_sum:
        return {"biased": accumulator, "scaled": accumulator, "rounded": accumulator}
    biased = accumulator + parameters.get("bias", 0)
    scaled = biased * parameters.get("multiplier", 1)
    rounded = _rounded(spec, biased, scaled, parameters)
    if "scale" in parameters:
        scaled = _float_product(biased, parameters["scale"])
    steps = {"biased": biased, "scaled": scaled, "rounded": rounded}
    if spec.table is not None:
        steps["table_input"] = requantize(accumulator, spec.with_(**before_table(spec)), **parameters)
    return steps


def _dynamic(machine, accumulator, tile):
    """The way of a sum whose scale follows from a range of sums."""
    scale, zero_point = machine.dynamic.y_scale[tile], machine.dynamic.y_zero_point[tile]
    scaled = np.float32(accumulator) / scale
    steps = {"biased": accumulator, "scaled": float(scaled), "rounded": int(round_real(scaled, "half_even"))}
    return {**steps, "y_scale": float(scale), "y_zero_point": int(zero_point)}


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
    for k in range(0, len(a), spec.beat_depth):
        total += sum(x * y for x, y in zip(a[k : k + spec.beat_depth], w[k : k + spec.beat_depth], strict=True))
        if spec.accumulator_overflow == "saturate":
            total = min(max(total, -half), half - 1)
    return (total + half) % (2 * half) - half


def _bits(code, fmt):
    return format(int(code) & (1 << fmt.width) - 1, f"0{fmt.width}b")
