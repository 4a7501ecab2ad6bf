"""Rules about the fields of a matrix-vector unit: its shape, its stored weights and their sparsity."""

import numpy as np

from .formats import Bipolar
from .minifloat import MiniFloat
from .sparsity import KEPT, SPARSITIES, check_pattern

MATRIX_VECTOR = "matrix_vector"
MAX_STORED = 1 << 16


def is_matrix(value):
    """Whether a value is a matrix of Python integers, rows of equal length in a tuple."""
    return isinstance(value, tuple) and all(
        isinstance(row, tuple) and all(type(item) is int for item in row) for row in value
    )


def check_matrix_vector(spec):
    """Raises ValueError for a field that this kind of array, or any other one, cannot have."""
    for rule in (_kind, _sparsity, _stored):
        rule(spec)


def _kind(spec):
    if spec.array == MATRIX_VECTOR:
        if spec.rows != 1:
            raise ValueError(f"rows must be 1 with array {MATRIX_VECTOR!r}, not {spec.rows}")
        return
    for field, own in (("sparsity", "none"), ("stored_weights", None)):
        if getattr(spec, field) != own:
            raise ValueError(f"{field} needs array {MATRIX_VECTOR!r}, not {spec.array!r}")


def _sparsity(spec):
    if spec.sparsity not in SPARSITIES:
        raise ValueError(f"sparsity must be one of {', '.join(SPARSITIES)}, not {spec.sparsity!r}")
    if spec.sparsity == "none":
        return
    if isinstance(spec.weights, Bipolar):
        raise ValueError(f"sparsity {spec.sparsity} needs weights that have a zero, not {spec.weights}")
    if spec.w_zero_point:
        raise ValueError(f"sparsity {spec.sparsity} takes no w_zero_point: its zeros are codes of value 0")
    if spec.lanes % KEPT:
        raise ValueError(f"lanes must be a multiple of {KEPT} with sparsity {spec.sparsity}, not {spec.lanes}")


def _stored(spec):
    stored = spec.stored_weights
    if stored is None:
        return
    if spec.w_zero_point and isinstance(spec.activations, Bipolar):
        raise ValueError("stored_weights take no w_zero_point with bipolar activations, which have no zero to pad with")
    k, n = len(stored), len(stored[0]) if stored else 0
    if not n or any(len(row) != n for row in stored):
        raise ValueError("stored_weights must be a matrix with at least one element, K rows of N codes")
    for size, axis, field in ((k, "K", "depth is"), (n, "N", "outputs are")):
        if size > (most := getattr(spec, field.split()[0])):
            raise ValueError(f"stored_weights have {axis} = {size}; this design's {field} {most}")
    if k * n > MAX_STORED:
        raise ValueError(f"stored_weights must be at most {MAX_STORED} codes, not {k * n}; more can come over w")
    lo, hi = spec.weights.code_range
    codes = np.array([[min(max(code, lo - 1), hi + 1) for code in row] for row in stored], np.int64)
    if ((codes < lo) | (codes > hi)).any():
        row, column = (int(i) for i in np.argwhere((codes < lo) | (codes > hi))[0])
        place = f"stored_weights[{row}, {column}] is {stored[row][column]}"
        raise ValueError(f"{place}, outside {spec.weights} [{lo}, {hi}]")
    if isinstance(spec.weights, MiniFloat) and not spec.weights.is_number(codes).all():
        row, column = (int(i) for i in np.argwhere(~spec.weights.is_number(codes))[0])
        place = f"stored_weights[{row}, {column}] is {stored[row][column]}"
        raise ValueError(f"{place}, which is no number in {spec.weights}")
    if spec.sparsity != "none":
        check_pattern("stored_weights", spec.weights.decode(codes))
