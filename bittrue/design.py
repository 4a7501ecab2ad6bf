"""From what a user writes (TOML, flags) to a Spec, and back to TOML."""

import difflib
import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import tomli_w

from golden.checks import ARRAYS
from golden.checks_matrix_vector import MATRIX_VECTOR, MAX_STORED
from golden.extras import extras
from golden.formats import Bipolar, parse
from golden.mac import accumulator_range
from golden.spec import Spec
from golden.tensors import decoded_weights, operands

from .blocks import with_blocks
from .errors import InputError, as_input_error
from .npz import read_npz
from .platform import with_accumulator, with_platform
from .toml_file import read_table

FORMATS = ("activations", "weights", "a_block_scale", "w_block_scale", "bias", "output", "table_input")
FIELDS = tuple(field.name for field in fields(Spec))
MAX_TOML_BYTES = 1 << 20


def read_toml(path: Path) -> dict:
    """Fields of a design file, not checked yet. Raises InputError."""
    given = read_table(path, MAX_TOML_BYTES, "a design file")
    for name in given:
        if name not in FIELDS:
            close = difflib.get_close_matches(name, FIELDS, n=1)
            hint = f"; did you mean {close[0]}?" if close else f"; known are {', '.join(FIELDS)}"
            raise InputError(f"{path}: unknown field {name!r}{hint}")
    return given


def to_spec(given: dict) -> Spec:
    """The Spec of some fields, as TOML has them (formats by name, pairs and tables as lists).

    With a scaling requantizer, a 32-bit bias and an output zero point are taken unless switched off (bias = "none");
    thresholds hold both, and dynamic quantization has neither. A matrix-vector unit has one row. A platform brings its
    requantizer and its accumulator. Raises InputError.
    """
    given = dict(given)
    if given.get("array") == MATRIX_VECTOR:
        given.setdefault("rows", 1)
    for required in ("activations", "weights"):
        if given.get(required) is None:
            raise InputError(f"{required} must be given, for example --{required} int8")
    given = with_blocks(given)
    given = _with_defaults(with_platform(given) if "platform" in given else given)
    for name in FORMATS:
        if isinstance(given.get(name), str):
            with as_input_error(ValueError, prefix=name):
                given[name] = parse(given[name])
    for name in ("clip", "accumulator_range", "scale_range", "table"):
        if isinstance(given.get(name), list) and (name == "table" or len(given[name]) == 2):
            given[name] = tuple(given[name])
    if isinstance(stored := given.get("stored_weights"), list):
        given["stored_weights"] = tuple(tuple(row) if isinstance(row, list) else row for row in stored)
    with as_input_error(ValueError, TypeError):
        return with_accumulator(Spec(**given), given)


def _with_defaults(given):
    if given.get("array") == "vector":
        given.setdefault("rows", 1)
    bipolar_output = given.get("output") in ("bipolar", "binary") and given.get("table") is None
    if given.get("requantize", "none") not in ("none", "thresholds", "dynamic"):
        given.setdefault("bias", "int32")
        given.setdefault("y_zero_point", not bipolar_output)
    if given.get("bias") == "none":
        given["bias"] = None
    return given


def with_real_weights(given: dict, path: Path) -> dict:
    """The fields, with the accumulator range that the weights `w` in an npz can reach. Raises InputError."""
    spec = to_spec({name: value for name, value in given.items() if name not in ("accumulator", "accumulator_range")})
    if spec.block or spec.is_float_sum:
        raise InputError("weights_from bounds plain sums; leave it out where there are blocks or float32 sums")
    arrays = read_npz(path)
    w = arrays.get("w")
    if w is None or w.ndim != 2 or w.size == 0 or w.dtype.kind not in "iu":
        raise InputError(f"{path}: w must be there, a matrix of integer codes")
    if w.shape[0] > spec.depth:
        raise InputError(f"{path}: w has K = {w.shape[0]}; this design's depth is {spec.depth}")
    zero_point = {"w_zero_point": arrays["w_zero_point"]} if "w_zero_point" in arrays and spec.w_zero_point else {}
    others = {"a": np.zeros((1, len(w)), int)} | {name: _placeholder(spec, name) for name in spec.parameters}
    others |= {name: arrays[name] for name in extras(spec) if name in arrays}
    others |= {"a_residual": others["a"]} if "a_residual" in extras(spec) else {}
    with as_input_error(ValueError, prefix=str(path)):
        checked = operands(spec, others | {"w": w} | zero_point)
    reached = accumulator_range(decoded_weights(spec, checked), spec)
    return {**given, "accumulator_range": list(reached)}


def with_stored_weights(given: dict, path: Path) -> dict:
    """The fields, with the codes `w` [K, N] in an npz as stored weights, and with its K and N where none are given.

    Raises InputError.
    """
    w = read_npz(path).get("w")
    if w is None or w.ndim != 2 or w.size == 0 or w.dtype.kind not in "iu":
        raise InputError(f"{path}: w must be there, a matrix of integer codes")
    if w.size > MAX_STORED:
        raise InputError(f"{path}: stored_weights must be at most {MAX_STORED} codes, not {w.size}")
    return {"depth": w.shape[0], "outputs": w.shape[1]} | given | {"stored_weights": w.tolist()}


def _placeholder(spec, name):
    """A value that checks of a parameter let pass."""
    if name == "thresholds":
        return np.zeros(spec.threshold_count, int)
    return 1.0 if name == "scale" else 0


def to_toml(spec: Spec) -> str:
    """The resolved spec as TOML; `to_spec` of it gives the same spec.

    Raises InputError for a table or stored weights too long to be read back.
    """
    text = tomli_w.dumps(to_fields(spec), indent=1)
    if len(text) > MAX_TOML_BYTES:
        long = "table makes" if spec.stored_weights is None else "stored_weights make"
        raise InputError(f"{long} a design file of {len(text)} bytes; it has at most {MAX_TOML_BYTES} bytes")
    return text


def to_fields(spec: Spec) -> dict:
    """The resolved spec as plain data: formats by name, pairs as lists."""
    given = {}
    for name in FIELDS:
        value = getattr(spec, name)
        if name in FORMATS:
            value = str(value) if value is not None else ("none" if name == "bias" else None)
        if isinstance(value, tuple):
            value = [list(row) if isinstance(row, tuple) else row for row in value]
        if value is not None:
            given[name] = value
    return given


def parse_pair(text: str, field="clip") -> list[int]:
    """A pair of integers written LO,HI. Raises InputError."""
    if not re.fullmatch(r"-?\d{1,20},-?\d{1,20}", text):
        raise InputError(f"{field} must be two integers LO,HI, not {text!r}")
    return [int(part) for part in text.split(",")]


def describe(spec: Spec) -> str:
    """One line: what the array computes and how large it is."""
    binary = " binary" if isinstance(spec.activations, Bipolar) and isinstance(spec.weights, Bipolar) else ""
    kind = "" if spec.array == ARRAYS[0] else f" {spec.array.replace('_', '-')}"
    sparse = "" if spec.sparsity == "none" else f" {spec.sparsity} sparse"
    stored = "" if spec.stored_weights is None else ", weights stored"
    twice = f", {spec.residual_of} of two codes, {spec.residual} bits apart" if spec.residual else ""
    return (
        f"{spec.rows}x{spec.cols}x{spec.lanes}{binary}{sparse}{kind} array, "
        f"{spec.activations} x {spec.weights} -> {spec.y}, "
        f"depth {spec.depth}, {_blocks(spec)}accumulator {'float32' if spec.is_float_sum else _bits(spec)}"
        f"{stored}{twice}"
        f"{f', as {spec.platform}' if spec.platform else ''}"
    )


def _bits(spec):
    return f"{spec.accumulator_width} bits"


def _blocks(spec):
    """Size and scales of the blocks of a design that has them."""
    if not spec.block:
        return ""
    scales = " x ".join(f"{name[0].upper()}'s {fmt}" for name, fmt in spec.scale_formats.items())
    zero_points = ", with zero points" if spec.w_block_zero_point else ""
    return f"blocks of {spec.block}{zero_points}{f', scaled by {scales}' if scales else ''}, "
