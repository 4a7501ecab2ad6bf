"""The arrays of a product beside operand codes, zero points and parameters: what each holds, and along which axes."""

from dataclasses import dataclass

from .formats import Format
from .spec import Spec


@dataclass(frozen=True)
class Extra:
    """Codes of one format along named axes: "m", "k", "n", and others that `axis_sizes` knows.

    Where the array may be left out, `default` is the code that it is full of.
    """

    fmt: Format
    axes: tuple[str, ...]
    default: int | None = None


def extras(spec: Spec) -> dict[str, Extra]:
    """The extra arrays that a product on this design takes, by name."""
    return {}


def axis_sizes(spec: Spec, m, k, n) -> dict[str, int]:
    """Length of each axis of the arrays of a product [m, k] x [k, n]."""
    return {"m": m, "k": k, "n": n}
