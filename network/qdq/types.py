"""Which of ONNX's types hold codes of which format."""

import numpy as np
from onnx import TensorProto

from golden.formats import Bipolar, Format, Integer, SignMagnitude, Ternary
from golden.ops import int_bits

_WIDTHS = (4, 8, 16, 32)
FLOAT8 = {
    "float8_e4m3fn": TensorProto.FLOAT8E4M3FN,
    "float8_e5m2": TensorProto.FLOAT8E5M2,
    "float8_e4m3fnuz": TensorProto.FLOAT8E4M3FNUZ,
    "float8_e5m2fnuz": TensorProto.FLOAT8E5M2FNUZ,
}


def stored(width: int, *, signed: bool, widths=_WIDTHS) -> tuple[Integer, int]:
    """The narrowest of ONNX's integers with so many bits, as a format and as ONNX's type.

    Raises ValueError where none has so many.
    """
    wide = next((one for one in widths if one >= width), None)
    if wide is None:
        raise ValueError(f"ONNX has no integers of {width} bits for codes")
    return Integer(wide, signed), getattr(TensorProto, f"{'' if signed else 'U'}INT{wide}")


def holding(values) -> tuple[Integer, int]:
    """The narrowest of ONNX's signed integers that holds all values. Raises ValueError."""
    values = np.asarray(values)
    lo, hi = int(values.min()), int(values.max())
    return stored(int_bits(lo, hi), signed=True)


def is_numbers(fmt: Format) -> bool:
    """Whether the numbers that codes stand for are best stored as they are: small integers one step apart."""
    return isinstance(fmt, Bipolar | Ternary | SignMagnitude)
