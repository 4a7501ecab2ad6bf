"""How long the weight-stationary array takes: closed forms, exact where no stream stalls."""

from itertools import accumulate

from golden.spec import Spec

from .layout import p_beats
from .multiply import dot_product
from .output import output_latency
from .thresholds import load_gap


def latency(spec: Spec):
    """Cycles from a beat of a final pass on `a` to its beat on `y`."""
    return spec.rows + spec.cols + dot_product(spec).latency + output_latency(spec) + 1


def cycles(spec: Spec, tiles, sets=None):
    """Cycles from the first beat in to the last beat out, both counted, for tiles of (rows of A, passes).

    Exact where no stream stalls: rows + sum over passes but the last of max(b, rows) + b of the last + latency + 1, b
    being the rows of A of a pass. `sets` are the beats of each tile's parameter set, by default whole ones. Only
    thresholds can be late; each tile adds what its set has beyond the cycles since the tile before took its own.
    """
    passes = [height for height, count in tiles for _ in range(count)]
    between = sum(max(height, spec.rows) for height in passes[:-1])
    total = spec.rows + between + passes[-1] + latency(spec) + 1
    return total + (_late(spec, tiles, sets or [p_beats(spec)] * len(tiles)) if spec.threshold_count else 0)


def _late(spec, tiles, sets):
    """Cycles for which the array waits for parameter sets."""
    ends = list(accumulate(max(height, spec.rows) * count for height, count in tiles))
    taken = [end - max(height, spec.rows) for end, (height, _) in zip(ends, tiles, strict=True)]
    gaps = [later - before for before, later in zip(taken, taken[1:], strict=False)]
    first = spec.rows + taken[0] + latency(spec) - output_latency(spec)
    late = max(0, sets[0] - first)
    return late + sum(max(0, load_gap(spec) + beats - gap) for beats, gap in zip(sets[1:], gaps, strict=True))


def described(spec: Spec):
    """Latency and cycles in words and figures, for the manifest."""
    passes = spec.beats(spec.depth)
    rest = latency(spec) + spec.rows + 1
    return {
        "latency": latency(spec),
        "latency_is": "cycles from a beat of a final pass on a to its beat on y",
        "cycles": f"sum over i < last of max(b[i], {spec.rows}) + b[last] + {rest}",
        "cycles_is": "cycles from the first beat in to the last beat out, pass i having b[i] rows of A, ceil(K / "
        f"{spec.beat_depth}) passes per tile, no stream stalling",
        "example": {
            "tiles": 1,
            "rows": spec.pass_rows,
            "passes": passes,
            "cycles": cycles(spec, [(spec.pass_rows, passes)]),
        },
    }
