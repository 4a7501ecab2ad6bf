"""How the codes of a tensor stand for real numbers."""

from dataclasses import dataclass, field

import numpy as np

from golden.formats import Bipolar, Codebook, Format, Integer
from golden.quantize import quantize_as


@dataclass(frozen=True, eq=False)
class Grid:
    """value = scale * (decoded code - zero_point)

    scale is a float32 scalar, or [C] where each index of a tensor's last axis has its own; the zero point is one code
    of the format, 0 where that is no integer format.

    Raises ValueError for scales that are not positive and finite, and zero points outside the format.
    """

    fmt: Format
    scale: np.ndarray = field(default_factory=lambda: np.ones((), np.float32))
    zero_point: int = 0

    def __post_init__(self):
        scale = np.asarray(self.scale, np.float32)
        if scale.ndim > 1 or not (np.isfinite(scale) & (scale > 0)).all():
            raise ValueError(f"scale must be positive and finite, a scalar or [C], not {np.asarray(self.scale)}")
        object.__setattr__(self, "scale", scale)
        lo, hi = self.fmt.code_range
        if not lo <= self.zero_point <= hi:
            raise ValueError(f"zero_point is {self.zero_point}, outside {self.fmt} [{lo}, {hi}]")

    def same_steps(self, other: "Grid") -> bool:
        """Whether both have the same scale and zero point."""
        return self.zero_point == other.zero_point and np.array_equal(self.scale, other.scale)

    def equals(self, other: "Grid") -> bool:
        """Whether codes of both stand for the same numbers."""
        return self.fmt == other.fmt and self.same_steps(other)

    def values(self, codes) -> np.ndarray:
        """The real numbers that codes [..., C] stand for, float64. Raises ValueError for codebooks."""
        if isinstance(self.fmt, Codebook):
            raise ValueError(f"codes of {self.fmt} have no values without its tables")
        return (np.asarray(self.fmt.decode(codes), np.float64) - self.zero_point) * self.scale.astype(np.float64)

    def codes(self, values, quantizer="onnx", *, narrow=False) -> np.ndarray:
        """Codes of real numbers [..., C], by a row of golden.quantize.QUANTIZERS; int64.

        Of a bipolar format the sign, zero being positive. Raises ValueError for NaN and for formats that are neither
        integer nor bipolar.
        """
        if isinstance(self.fmt, Bipolar):
            if np.isnan(values).any():
                raise ValueError("NaN has no code")
            return np.asarray(self.fmt.saturate(np.asarray(values)), np.int64)
        axis = -1 if self.scale.ndim else None
        plain = str(Integer(self.fmt.width, self.fmt.signed) if isinstance(self.fmt, Integer) else self.fmt)
        return quantize_as(quantizer, values, self.scale, self.zero_point, plain, axis=axis, narrow=narrow)
