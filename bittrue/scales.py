"""The scales and zero points that dynamic quantization gave each tile, against golden's."""

from dataclasses import dataclass

import numpy as np

from golden.dynamic import dynamic
from golden.spec import Spec
from golden.tensors import Operands, accumulators


@dataclass(frozen=True)
class TileScales:
    """What was used for each tile: y_scale and y_zero_point [tiles], and golden's. None where a dump does not say."""

    y_scale: np.ndarray | None
    y_zero_point: np.ndarray | None
    golden_scale: np.ndarray
    golden_zero_point: np.ndarray

    @property
    def tiles(self):
        return len(self.golden_scale)

    @property
    def wrong(self):
        """Tiles whose scale or zero point differs."""
        pairs = ((self.y_scale, self.golden_scale), (self.y_zero_point, self.golden_zero_point))
        differs = [given != golden for given, golden in pairs if given is not None]
        return np.flatnonzero(np.any(differs, axis=0)) if differs else np.zeros(0, int)

    @property
    def mismatches(self):
        return len(self.wrong)


def tile_scales(spec: Spec, given: Operands, record) -> TileScales | None:
    """The scales of a record, where the design has some of its own. Raises ValueError for a wrong shape or kind."""
    if spec.requantize != "dynamic":
        return None
    golden = dynamic(accumulators(spec, given), spec)
    y_scale = _of_tiles("y_scale", record, len(golden.y_scale), "f", np.float32)
    y_zero_point = _of_tiles("y_zero_point", record, len(golden.y_scale), "iu", np.int64)
    return TileScales(y_scale, y_zero_point, golden.y_scale, golden.y_zero_point)


def _of_tiles(name, record, tiles, kinds, dtype):
    if name not in record:
        return None
    value = record[name]
    if value.shape != (tiles,) or value.dtype.kind not in kinds:
        kind = "float32 numbers" if kinds == "f" else "integers"
        raise ValueError(f"{name} must hold {tiles} {kind}, one for each tile, not {value.dtype} {list(value.shape)}")
    return value.astype(dtype)
