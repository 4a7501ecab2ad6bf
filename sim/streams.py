"""Matrices to the streams of an array and back, whatever its kind: all that a driver needs."""

import numpy as np

from golden.spec import Spec
from golden.tensors import Operands

from .bit_serial import BitSerial
from .matrix_vector import MatrixVectorTiling
from .output_stationary import OutputStationary
from .packing import Stream
from .scalable import Scalable
from .tiling import Tiling
from .vector import Vector
from .weight_stationary import WeightStationary

TILINGS: dict[str, type[Tiling]] = {
    "output_stationary": OutputStationary,
    "vector": Vector,
    "bit_serial": BitSerial,
    "matrix_vector": MatrixVectorTiling,
    "weight_stationary": WeightStationary,
    "scalable": Scalable,
}


def tiling(spec: Spec, operands: Operands) -> Tiling:
    """How the product of these operands lies on the array."""
    return TILINGS[spec.array].of(spec, operands)


def input_streams(spec: Spec, operands: Operands) -> dict[str, Stream]:
    """The beats of each input stream by its short name: "a", "w" and, where the design takes parameters, "p"."""
    return tiling(spec, operands).streams(operands)


def outputs(cut: Tiling, data) -> np.ndarray:
    """Y [M, N], int64 codes, from the bytes of all output beats [beats, bytes]."""
    return cut.outputs(data)
