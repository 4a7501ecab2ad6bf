"""Integer data types as QONNX and FINN name them."""

import re

from golden.formats import Bipolar, Format, Integer, Ternary

MOST_BITS = 32


def data_type(name: str) -> Format | None:
    """The format of an integer data type by its name there; None for other types."""
    if name in ("BIPOLAR", "TERNARY"):
        return Bipolar() if name == "BIPOLAR" else Ternary()
    if name == "BINARY":
        return Integer(1, signed=False)
    found = re.fullmatch(r"(U?)INT([1-9][0-9]?)", name)
    return Integer(int(found[2]), signed=not found[1]) if found and int(found[2]) <= MOST_BITS else None
