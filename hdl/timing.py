"""How long the output-stationary array takes: closed forms, exact where no stream stalls."""

from golden.precision import MODES, most_bits
from golden.spec import Spec

from .element import element_latency
from .layout import c_beats, p_beats
from .output import output_latency
from .requantize import requantizer_latency
from .thresholds import load_gap


def latency(spec: Spec):
    """Cycles from a tile's last beat on `a` and `w` to its first beat on `y`."""
    return spec.rows + spec.cols + element_latency(spec) + output_latency(spec) + 1


def table_waits(spec: Spec, beats_per_tile, tables=None):
    """(cycles from the first entry to the first beat on `a` and `w`, cycles that each later tile waits for its tables).

    Without codebooks nothing waits. `tables` are the beats of each tile's set, by default whole ones, taken as fast as
    they can be: a set takes one cycle more than it has beats, and begins with the tile before.
    """
    if not c_beats(spec):
        return 0, [0] * (len(beats_per_tile) - 1)
    first, *following = tables or [c_beats(spec)] * len(beats_per_tile)
    lasts, waits = beats_per_tile[0], []
    for beats, table in zip(beats_per_tile[1:], following, strict=True):
        waits.append(max(0, table + 1 - lasts))
        lasts = max(beats, spec.rows - waits[-1])
    return first + 1, waits


def cycles(spec: Spec, beats_per_tile, sets=None, tables=None):
    """Cycles from the first beat in to the last beat out, both counted, for tiles of these numbers of beats.

    Exact where no stream stalls: beats_0 + late_0 + sum_{i>0} max(beats_i, rows, load_i) + latency + rows - 1.
    `sets` are the beats of each tile's parameter set, by default whole ones. Only thresholds can be late: load_i is
    load_gap + sets_i, and late_0 what sets_0 has beyond beats_0 + latency - requantizer_latency - 3.

    With codebooks, beats_i stands for the beats of tile i and what it waits for its tables (`table_waits`).
    """
    first, *others = beats_per_tile
    begin, waits = table_waits(spec, beats_per_tile, tables)
    first, others = begin + first, [wait + beats for wait, beats in zip(waits, others, strict=True)]
    late, loads = 0, [0] * len(others)
    if spec.threshold_count:
        loading, *following = sets or [p_beats(spec)] * len(beats_per_tile)
        late = max(0, loading - (first + latency(spec) - requantizer_latency(spec) - 3))
        loads = [load_gap(spec) + beats for beats in following]
    between = sum(max(beats, spec.rows, load) for beats, load in zip(others, loads, strict=True))
    return first + late + between + latency(spec) + spec.rows - 1


_WAITS = (
    "; x[i] = max(0, t[i] + 1 - n[i-1]) is the wait for tables, tile i having t[i] beats on c, with n[0] = b[0], "
    "n[i] = max(b[i], rows - x[i])"
)


def described(spec: Spec):
    """Latency and cycles in words and figures, for the manifest."""
    beats, tables = spec.beats(spec.depth), c_beats(spec)
    begins = f"{tables} + 1 + b[0]" if tables else "b[0]"
    waits = "b[i] + x[i]" if tables else "b[i]"
    return {
        "latency": latency(spec),
        "latency_is": "cycles from a tile's last beat on a and w to its first beat on y",
        "cycles": f"{begins} + sum over i > 0 of max({waits}, {spec.rows}) + {latency(spec) + spec.rows - 1}",
        "cycles_is": "cycles from the first beat in to the last beat out, tile i having b[i] = "
        f"{'2 * ' if spec.residual else ''}ceil(K / {spec.lanes}) beats, no stream stalling{_WAITS if tables else ''}",
        "example": {"tiles": 1, "beats": beats, "cycles": cycles(spec, [beats])},
    }


def described_by_planes(spec: Spec):
    """The same of an array that takes its operands bit plane by bit plane."""
    beats = spec.beats(spec.depth)
    bits = [most_bits(interval) for interval in (spec.a_range, spec.w_range)]
    example = {"tiles": 1, "a_bits": bits[0], "w_bits": bits[1], "beats": beats * bits[0] * bits[1]}
    return described(spec) | {
        "cycles_is": "cycles from the first beat in to the last beat out, tile i having b[i] = ceil(K / "
        f"{spec.lanes}) * a_bits * w_bits beats, by its own precisions, no stream stalling",
        "example": example | {"cycles": cycles(spec, [example["beats"]])},
    }


def described_by_modes(spec: Spec):
    """The same of an array whose lanes form so many products as a tile's mode says."""
    products = [mode.products for mode in MODES]
    beats = [-(-spec.depth // (spec.lanes * count)) for count in products]
    return described(spec) | {
        "cycles_is": "cycles from the first beat in to the last beat out, tile i having b[i] = ceil(K / "
        f"({spec.lanes} * products)) beats, by its own precision: products being {', '.join(map(str, products))} in "
        f"mode {', '.join(mode.name for mode in MODES)}, no stream stalling",
        "example": [
            {"tiles": 1, "mode": number, "beats": count, "cycles": cycles(spec, [count])}
            for number, count in enumerate(beats)
        ],
    }
