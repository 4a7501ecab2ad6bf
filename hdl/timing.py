"""How long the output-stationary array takes: closed forms, exact where no stream stalls."""

from golden.precision import most_bits
from golden.spec import Spec

from .layout import p_beats
from .multiply import dot_product
from .output import output_latency
from .requantize import requantizer_latency
from .thresholds import load_gap


def latency(spec: Spec):
    """Cycles from a tile's last beat on `a` and `w` to its first beat on `y`."""
    return spec.rows + spec.cols + dot_product(spec).latency + output_latency(spec) + 1


def cycles(spec: Spec, beats_per_tile, sets=None):
    """Cycles from the first beat in to the last beat out, both counted, for tiles of these numbers of beats.

    Exact where no stream stalls: beats_0 + late_0 + sum_{i>0} max(beats_i, rows, load_i) + latency + rows - 1.
    `sets` are the beats of each tile's parameter set, by default whole ones. Only thresholds can be late: load_i is
    load_gap + sets_i, and late_0 what sets_0 has beyond beats_0 + latency - requantizer_latency - 3.
    """
    first, *others = beats_per_tile
    late, loads = 0, [0] * len(others)
    if spec.threshold_count:
        loading, *following = sets or [p_beats(spec)] * len(beats_per_tile)
        late = max(0, loading - (first + latency(spec) - requantizer_latency(spec) - 3))
        loads = [load_gap(spec) + beats for beats in following]
    between = sum(max(beats, spec.rows, load) for beats, load in zip(others, loads, strict=True))
    return first + late + between + latency(spec) + spec.rows - 1


def described(spec: Spec):
    """Latency and cycles in words and figures, for the manifest."""
    beats = spec.beats(spec.depth)
    return {
        "latency": latency(spec),
        "latency_is": "cycles from a tile's last beat on a and w to its first beat on y",
        "cycles": f"b[0] + sum over i > 0 of max(b[i], {spec.rows}) + {latency(spec) + spec.rows - 1}",
        "cycles_is": "cycles from the first beat in to the last beat out, tile i having b[i] = ceil(K / "
        f"{spec.lanes}) beats, no stream stalling",
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
