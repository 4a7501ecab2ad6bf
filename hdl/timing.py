"""How long things take: closed forms, exact where no stream stalls."""

from golden.spec import Spec

from .multiply import dot_product
from .requantize import requantizer_latency


def latency(spec: Spec):
    """Cycles from a tile's last beat on `a` and `w` to its first beat on `y`."""
    return spec.rows + spec.cols + dot_product(spec).latency + requantizer_latency(spec) + 2


def cycles(spec: Spec, beats_per_tile):
    """Cycles from the first beat in to the last beat out, both counted, for tiles of these numbers of beats.

    Exact where no stream stalls: beats_0 + sum_{i>0} max(beats_i, rows) + latency + rows - 1.
    """
    first, *others = beats_per_tile
    return first + sum(max(beats, spec.rows) for beats in others) + latency(spec) + spec.rows - 1
