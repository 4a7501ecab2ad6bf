"""Real numbers against the codes of a grid: how many fall on each code, beyond its ends, and which codes go unused."""

from dataclasses import dataclass, field, replace

import numpy as np

from golden.formats import Integer

from ..float_network import FloatNetwork
from ..grid import Grid
from ..network import Network
from .anatomy import BATCH, INPUT
from .reference import reference

MOST_BINS = 256
MOST_CODES = 1 << 16


@dataclass(frozen=True, eq=False)
class CodeHistogram:
    """counts [bins]: numbers whose code, the nearest one, is in [lo + i * width, lo + (i + 1) * width).

    below, above : numbers that saturate at either end. used : which codes some number has, [codes].
    """

    name: str
    lo: int
    width: int
    counts: np.ndarray = field(repr=False)
    below: int = 0
    above: int = 0
    used: np.ndarray = field(default_factory=lambda: np.zeros(0, bool), repr=False)

    @classmethod
    def empty(cls, name, lo, hi) -> "CodeHistogram":
        """Before any number. Raises ValueError for more than 2**16 codes."""
        codes = hi - lo + 1
        if codes > MOST_CODES:
            raise ValueError(f"layer {name}: a histogram must be of at most {MOST_CODES} codes, not {codes}")
        width = -(-codes // MOST_BINS)
        return cls(name, lo, width, np.zeros(-(-codes // width), np.int64), used=np.zeros(codes, bool))

    def with_(self, grid: Grid, values) -> "CodeHistogram":
        """With more numbers: each takes the code round(value / scale) + zero point, ties to even, in float64."""
        codes = np.rint(values / np.float64(grid.scale)) + grid.zero_point - self.lo
        held = np.clip(codes, 0, len(self.used) - 1).astype(np.int64)
        used = self.used.copy()
        used[held.reshape(-1)] = True
        return replace(
            self,
            counts=self.counts + np.bincount(held.reshape(-1) // self.width, minlength=len(self.counts)),
            below=self.below + int((codes < 0).sum()),
            above=self.above + int((codes >= len(self.used)).sum()),
            used=used,
        )

    @property
    def total(self) -> int:
        """Numbers in all."""
        return int(self.counts.sum())

    @property
    def unused(self) -> int:
        """Codes that no number has."""
        return int((~self.used).sum())


def histograms(
    network: Network, x, float_network: FloatNetwork | None = None, *, batch: int = BATCH
) -> tuple[CodeHistogram, ...]:
    """Of the entry and of each layer with integer outputs of at most 2**16 codes, in order.

    The numbers are those of the float network, or of the network's own real numbers, for inputs x [B, *shape]; within
    the clip that a layer may have.
    """
    real = reference(network, float_network)
    names = (INPUT, *(layer.name for layer in network.layers))
    grids = {name: grid for name, grid in zip(names, network.grids, strict=True) if grid is not None}
    found = {
        name: CodeHistogram.empty(network.entry.name if name == INPUT else name, *grid.fmt.code_range)
        for name, grid in grids.items()
        if isinstance(grid.fmt, Integer) and grid.fmt.width <= MOST_CODES.bit_length() - 1
    }
    for first in range(0, len(x), batch):
        part = x[first : first + batch]
        values = {INPUT: real.entered(part), **real.trace(part)}
        found = {name: one.with_(grids[name], values[name]) for name, one in found.items()}
    return tuple(found.values())
