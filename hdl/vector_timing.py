"""How long the vector unit takes: closed forms, exact where no stream stalls."""

from golden.spec import Spec

from .layout import p_beats
from .requantize import requantizer_latency
from .thresholds import load_gap
from .vector import vector_latency


def vector_cycles(spec: Spec, beats, tiles_m, tiles_n):
    """Cycles from the first beat in to the last beat out, both counted, for sums of `beats` beats.

    `tiles_n` weight sets, each used by `tiles_m` tiles. beats + late + (tiles_n - 1) * max(tiles_m * beats, load) +
    tiles_m * beats + latency: the first set is loaded before any tile, each other one while the one before is in use.
    Only thresholds can be late: load is load_gap + p_beats, and late what the first set of them has beyond
    2 * beats + latency - requantizer_latency - 3.
    """
    late, load = 0, 0
    if spec.threshold_count:
        late = max(0, p_beats(spec) - (2 * beats + vector_latency(spec) - requantizer_latency(spec) - 3))
        load = load_gap(spec) + p_beats(spec)
    between = (tiles_n - 1) * max(tiles_m * beats, load)
    return beats + late + between + tiles_m * beats + vector_latency(spec)


def vector_described(spec: Spec):
    """Latency and cycles in words and figures, for the manifest."""
    beats, latency = spec.beats(spec.depth), vector_latency(spec)
    return {
        "latency": latency,
        "latency_is": "cycles from a tile's last beat on a to its beat on y",
        "cycles": f"b * (1 + tiles) + {latency}",
        "cycles_is": "cycles from the first beat in to the last beat out, for tiles of b = ceil(K / "
        f"{spec.lanes}) beats, the first weight set loaded before them, no stream stalling",
        "example": {"tiles": 1, "beats": beats, "cycles": vector_cycles(spec, beats, 1, 1)},
    }
