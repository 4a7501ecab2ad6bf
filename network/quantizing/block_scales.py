"""Scales of blocks in a format: codes for wanted real numbers, and what the codes stand for."""

from dataclasses import dataclass

import numpy as np

from golden.formats import Format
from golden.minifloat import E8M0_BIAS, MiniFloat, encode_e8m0
from golden.scale_formats import SCALE_FLOATS, PowerScale

from ..scales import grid_scale


@dataclass(frozen=True, eq=False)
class BlockScales:
    """codes [blocks, N] of format `fmt`, each standing for unit * decoded code; values [blocks, N] are these numbers.

    spec_fields : w_block_scale, and scale_range where the format is a power of two.
    """

    fmt: Format
    codes: np.ndarray
    unit: np.ndarray
    values: np.ndarray
    spec_fields: dict


def block_scales(wanted, fmt: Format, scales="real") -> BlockScales:
    """The scales nearest to wanted numbers [blocks, N]; of powers of two, float8_e8m0fnu, those not below.

    Small floats share one real number beside them, by which the largest becomes the format's largest; float16 and
    bfloat16 a power of two, by which it lies in (1/2, 1]. Raises ValueError for other formats.
    """
    if isinstance(fmt, PowerScale):
        return power_scales(encode_e8m0(wanted), wanted > 0)
    if not isinstance(fmt, MiniFloat):
        raise ValueError(f"group_scale must be float16, bfloat16, float8_e8m0fnu or another small float, not {fmt}")
    wide = str(fmt) in SCALE_FLOATS
    top = np.max(wanted) if wide else np.max(wanted) / fmt.largest
    shared = np.float64(grid_scale(top, "power_of_two" if wide else scales))
    codes = fmt.encode(wanted / shared)
    return BlockScales(fmt, codes, np.asarray(shared * fmt.smallest), shared * fmt.value(codes), {"w_block_scale": fmt})


def power_scales(codes, used) -> BlockScales:
    """Powers of two, promised to lie within the codes that occur in blocks that are used; others take the least."""
    least, most = (int(codes[used].min()), int(codes[used].max())) if used.any() else (E8M0_BIAS, E8M0_BIAS)
    codes = np.where(used, codes, least)
    fields = {"w_block_scale": PowerScale(), "scale_range": (least, most)}
    unit = np.ldexp(1.0, least - E8M0_BIAS)
    return BlockScales(PowerScale(least, most), codes, np.asarray(unit), np.ldexp(1.0, codes - E8M0_BIAS), fields)
