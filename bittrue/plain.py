"""Dataclasses as plain data that TOML holds, and back: every value checked against the type of its field.

Formats are their names, arrays of float32 numbers or lists of numbers, None is left out.
"""

import types
from dataclasses import MISSING, fields, is_dataclass
from functools import cache, reduce
from operator import or_
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from golden.formats import Format, parse

MOST_DIMENSIONS = 4
_KINDS = {str: "a string", int: "an integer", bool: "true or false", float: "a number"}


def plain(value):
    """A value as plain data; of a dataclass its fields. Raises TypeError for values that have no such form."""
    if isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Format):
        return str(value)
    if isinstance(value, np.ndarray):
        return _numbers(value)
    if isinstance(value, tuple):
        return [plain(one) for one in value]
    if is_dataclass(value):
        return plain_fields(value)
    raise TypeError(f"{type(value).__name__} cannot be stored")


def plain_fields(value, *, without=()) -> dict:
    """The fields of a dataclass as plain data."""
    given = {one.name: getattr(value, one.name) for one in fields(value) if one.name not in without}
    return {name: plain(one) for name, one in given.items() if one is not None}


def _numbers(array):
    if array.dtype != np.float32 or 0 in array.shape or array.ndim > MOST_DIMENSIONS:
        raise TypeError(f"an array of {array.dtype} {list(array.shape)} cannot be stored")
    flat = [float(str(one)) for one in array.reshape(-1)]  # the shortest decimals that stand for these numbers
    if not np.array_equal(np.array(flat, np.float32), array.reshape(-1), equal_nan=True):
        flat = [float(one) for one in array.reshape(-1)]
    return np.array(flat, np.float64).reshape(array.shape).tolist()


def made(kind, data, where, **given):
    """A dataclass of plain data; `given` are fields that the data does not hold. `where` names the data in errors.

    Raises ValueError for missing and unknown fields and for values of a wrong kind, and what the dataclass itself
    raises.
    """
    if not isinstance(data, dict):
        raise ValueError(f"{where} must be a table, not {data!r:.80}")
    own = {one.name: one for one in fields(kind) if one.name not in given}
    if unknown := sorted(set(data) - set(own)):
        raise ValueError(f"{where} has an unknown field {unknown[0]!r:.80}; known are {', '.join(own)}")
    types_of = _hints(kind)
    for name, one in own.items():
        if name not in data:
            optional = type(None) in get_args(types_of[name])
            if one.default is MISSING and one.default_factory is MISSING and not optional:
                raise ValueError(f"{where} has no {name}")
    values = {name: value_of(types_of[name], value, f"{where}.{name}") for name, value in data.items()}
    try:
        return kind(**given, **values)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{where}: {error}") from error


@cache
def _hints(kind):
    return get_type_hints(kind)


def fields_of(kind, data: dict, where) -> dict:
    """Values of some fields of a dataclass, by name. Raises ValueError."""
    types_of = _hints(kind)
    if unknown := sorted(set(data) - set(types_of)):
        raise ValueError(f"{where} has an unknown field {unknown[0]!r:.80}")
    return {name: value_of(types_of[name], one, f"{where}.{name}") for name, one in data.items()}


def value_of(kind, data, where):
    """A value of a type from plain data. Raises ValueError."""
    if isinstance(kind, types.UnionType):
        kind = reduce(or_, (one for one in get_args(kind) if one is not type(None)))
    if kind == Format:
        return _format(data, where)
    if kind is float and type(data) is int and abs(data) < 1 << 53:
        data = float(data)
    if kind in _KINDS:
        if type(data) is not kind or (kind is int and abs(data) >= 1 << 63):
            raise ValueError(f"{where} must be {_KINDS[kind]}, not {data!r:.80}")
        return data
    if kind in (np.ndarray, Any):
        return _array(data, where)
    if get_origin(kind) is tuple:
        return _tuple(get_args(kind), data, where)
    return made(kind, data, where)


def _format(data, where):
    try:
        return parse(data)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{where}: {error}") from None


def _tuple(kinds, data, where):
    if not isinstance(data, list):
        raise ValueError(f"{where} must be a list, not {data!r:.80}")
    if kinds[1:] == (...,):
        kinds = kinds[:1] * len(data)
    if len(kinds) != len(data):
        raise ValueError(f"{where} must have {len(kinds)} entries, not {len(data)}")
    return tuple(
        value_of(kind, one, f"{where}[{index}]") for index, (kind, one) in enumerate(zip(kinds, data, strict=True))
    )


def _array(data, where):
    shape, flat = _flattened(data, where, MOST_DIMENSIONS)
    with np.errstate(over="ignore"):
        return np.array(flat, np.float64).astype(np.float32).reshape(shape)


def _flattened(data, where, depth):
    if type(data) is float or (type(data) is int and abs(data) < 1 << 63):
        return (), [float(data)]
    if not isinstance(data, list) or not data or not depth:
        raise ValueError(f"{where} must be a number or a list of numbers, not {data!r:.80}")
    parts = [_flattened(one, where, depth - 1) for one in data]
    if any(shape != parts[0][0] for shape, _ in parts):
        raise ValueError(f"{where} must be a list of numbers, or of lists of one length")
    return (len(data), *parts[0][0]), [one for _, flat in parts for one in flat]
