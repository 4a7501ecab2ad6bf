"""A checked view of a TFLite file: the operators of its one graph in a chain, and their tensors, as plain data.

Models are hostile input: lengths, indices and shapes are checked against the file before anything is made of them, and
whatever is wrong or not read is refused with the operator and its index. Nothing of the file is copied but its options.
"""

import struct
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import tflite

from ..unsupported import Unsupported, printable

MOST_BYTES = 1 << 28
MOST_OPERATORS = 2000
MOST_TENSORS = 1 << 16
MOST_RANK = 6
MOST_ELEMENTS = 1 << 26
MOST_INPUTS = 8
IDENTIFIER = b"TFL3"
NUMBERS = {"INT8": "<i1", "UINT8": "<u1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "FLOAT32": "<f4"}
_DAMAGED = (struct.error, IndexError, TypeError, ValueError, OverflowError)  # what reading beyond a file's end raises
_NONE = np.zeros(0, np.uint8)
_POOL = ("Padding", "StrideH", "StrideW", "FilterHeight", "FilterWidth", "FusedActivationFunction")
_CONV = ("Padding", "StrideH", "StrideW", "DilationHFactor", "DilationWFactor", "FusedActivationFunction")
OPTIONS = {
    "AVERAGE_POOL_2D": ("Pool2DOptions", _POOL),
    "CONV_2D": ("Conv2DOptions", _CONV),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", (*_CONV, "DepthMultiplier")),
    "DEQUANTIZE": (None, ()),
    "FULLY_CONNECTED": ("FullyConnectedOptions", ("FusedActivationFunction", "WeightsFormat", "KeepNumDims")),
    "LOGISTIC": (None, ()),
    "MAX_POOL_2D": ("Pool2DOptions", _POOL),
    "QUANTIZE": (None, ()),
    "RESHAPE": (None, ()),
    "SOFTMAX": ("SoftmaxOptions", ("Beta",)),
}


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor by its index: scales and zero points along `axis`, one or more or none; `data` where it is a constant.

    Constants of types that no operator here takes have no data.
    """

    index: int
    kind: str
    shape: tuple[int, ...]
    scale: np.ndarray = field(repr=False)
    zero_point: np.ndarray = field(repr=False)
    axis: int
    constant: bool
    data: np.ndarray = field(repr=False)

    def __str__(self):
        return f"tensor {self.index}"


@dataclass(frozen=True, eq=False)
class Operator:
    """An operator by its index and its name in the schema: x flows in, output out, the other inputs are constants.

    Constants that are left out are None.
    """

    index: int
    kind: str
    x: Tensor
    constants: tuple[Tensor | None, ...]
    output: Tensor
    options: dict

    @property
    def name(self) -> str:
        """A name that no other operator of the model has."""
        return f"{self.kind.lower()}_{self.index}"

    def __str__(self):
        return f"{self.kind} (operator {self.index})"

    def refused(self, reason) -> Unsupported:
        """The error for this operator, to be raised."""
        return Unsupported(f"{self}: {reason}")


@dataclass(frozen=True, eq=False)
class Model:
    """The operators from the input to the output, each reading what the one before makes."""

    input: Tensor
    output: Tensor
    operators: tuple[Operator, ...]


def read_model(content: bytes) -> Model:
    """The chain that a file holds. Raises Unsupported."""
    if len(content) > MOST_BYTES:
        raise Unsupported(f"the file must have at most {MOST_BYTES} bytes, not {len(content)}")
    if content[4:8] != IDENTIFIER:
        raise Unsupported(f"the file is no TFLite model: {IDENTIFIER.decode()} is missing at its byte 4")
    try:
        return _File(content).model()
    except Unsupported:
        raise
    except struct.error as error:
        raise Unsupported("the file is damaged or cut off: what it points to lies beyond its end") from error
    except _DAMAGED as error:
        raise Unsupported(f"the file is damaged: {printable(error)}") from error


class _File:
    """The graph of a file, whose tables are read as they are asked for."""

    def __init__(self, content):
        self._content = content
        self._model = tflite.Model.GetRootAs(content, 0)
        if (version := self._model.Version()) != 3:
            raise Unsupported(f"the file must be of version 3 of TFLite's schema, not {version}")
        if (count := self._model.SubgraphsLength()) != 1:
            raise Unsupported(f"the model must have one graph, not {count}")
        self._graph = _there(self._model.Subgraphs(0))
        for name, most in (("Operators", MOST_OPERATORS), ("Tensors", MOST_TENSORS)):
            if not 0 < (count := getattr(self._graph, f"{name}Length")()) <= most:
                raise Unsupported(f"the model must have 1 to {most} {name.lower()}, not {count}")
        self._tensors = {}

    def model(self):
        graph = self._graph
        kinds = [self._kind(index) for index in range(graph.OperatorsLength())]
        counts = graph.InputsLength(), graph.OutputsLength()
        if counts != (1, 1):
            raise Unsupported(f"the model must have one input and one output, not {counts[0]} and {counts[1]}")
        current = first = self._tensor(graph.Inputs(0))
        if first.constant:
            raise Unsupported(f"the model's input is {first}, a constant")
        operators, made = [], {first.index}
        for index, kind in enumerate(kinds):
            operators.append(self._operator(index, kind, current))
            current = operators[-1].output
            if current.index in made or current.constant:
                raise operators[-1].refused(f"makes {current}, which is there already")
            made.add(current.index)
        if graph.Outputs(0) != current.index:
            raise Unsupported(f"the model's output is tensor {graph.Outputs(0)}, not {current} of its last operator")
        return Model(first, current, tuple(operators))

    def _kind(self, index):
        """The name of an operator that is read."""
        code = _there(self._graph.Operators(index)).OpcodeIndex()
        if code >= self._model.OperatorCodesLength():
            raise Unsupported(f"operator {index}: its code {code} is not among {self._model.OperatorCodesLength()}")
        code = _there(self._model.OperatorCodes(code))
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        kind = _named(tflite.BuiltinOperator, number)
        if kind not in OPTIONS:
            own = f" {printable(code.CustomCode()[:80].decode(errors='replace'))}" if kind == "CUSTOM" else ""
            raise Unsupported(f"{kind}{own} (operator {index}): is not read; read are chains of {', '.join(OPTIONS)}")
        return kind

    def _operator(self, index, kind, current):
        """The operator that reads what the one before makes. Raises Unsupported where it reads other such tensors."""
        table, where = _there(self._graph.Operators(index)), f"{kind} (operator {index})"
        counts = table.InputsLength(), table.OutputsLength()
        if not 1 <= counts[0] <= MOST_INPUTS or counts[1] != 1:
            own = f"{counts[0]} and {counts[1]}"
            raise Unsupported(f"{where}: must have 1 to {MOST_INPUTS} inputs and one output, not {own}")
        places = [table.Inputs(k) for k in range(counts[0])]
        inputs = [None if place == -1 else self._tensor(place) for place in places]
        flowing = [one for one in inputs if one is not None and not one.constant]
        if len(flowing) != 1:
            raise Unsupported(f"{where}: joins {len(flowing)} branches; networks must be chains")
        if (x := inputs[0]) is not current:
            raise Unsupported(f"{where}: reads {x}, not {current} of before; networks must be chains")
        options = _options(where, table, *OPTIONS[kind])
        return Operator(index, kind, current, tuple(inputs[1:]), self._tensor(table.Outputs(0)), options)

    def _tensor(self, index):
        if not 0 <= index < self._graph.TensorsLength():
            raise Unsupported(f"tensor {index} is not among {self._graph.TensorsLength()}")
        if index not in self._tensors:
            self._tensors[index] = self._read(index, _there(self._graph.Tensors(index)))
        return self._tensors[index]

    def _read(self, index, table):
        kind = _named(tflite.TensorType, table.Type())
        shape = _shape(index, table)
        if table.Sparsity() is not None or table.IsVariable():
            raise Unsupported(
                f"tensor {index} is {'a variable' if table.IsVariable() else 'sparse'}, which is not read"
            )
        data = self._data(index, table.Buffer())
        values = _values(index, kind, shape, data) if len(data) and kind in NUMBERS else _NONE
        return Tensor(index, kind, shape, *_quantization(index, table), len(data) > 0, values)

    def _data(self, index, buffer):
        """The bytes of a constant; none where a tensor has none."""
        if buffer >= self._model.BuffersLength():
            raise Unsupported(f"tensor {index}: its buffer {buffer} is not among {self._model.BuffersLength()}")
        table = _there(self._model.Buffers(buffer))
        if table.Offset() or table.Size():
            raise Unsupported(f"tensor {index}: its data lie behind the model, where they are not read")
        return _vector(table, "Data")


def _there(table) -> Any:
    """A table of the file. Raises ValueError for one that is missing."""
    if table is None:
        raise ValueError("a table is missing")
    return table


def _named(kinds, number):
    """The name of a number of an enumeration of the schema."""
    names = {value: name for name, value in vars(kinds).items() if type(value) is int}
    return names.get(number, f"{kinds.__name__} {number}")


def _shape(index, table):
    rank = table.ShapeLength()
    if rank > MOST_RANK:
        raise Unsupported(f"tensor {index} must have at most {MOST_RANK} axes, not {rank}")
    shape = tuple(table.Shape(k) for k in range(rank))
    if any(size <= 0 for size in shape) or prod(shape) > MOST_ELEMENTS:
        raise Unsupported(f"tensor {index} must have 1 to {MOST_ELEMENTS} elements, not those of {list(shape)}")
    return shape


def _values(index, kind, shape, data):
    dtype = np.dtype(NUMBERS[kind])
    if len(data) != (size := prod(shape) * dtype.itemsize):
        raise Unsupported(f"tensor {index} has {len(data)} bytes where {list(shape)} of {kind} takes {size}")
    return data.view(dtype).reshape(shape)


def _quantization(index, table):
    """(scales, zero points, axis) of a tensor."""
    found = table.Quantization()
    if found is None:
        return _NONE, _NONE, 0
    if found.DetailsType():
        raise Unsupported(f"tensor {index} is quantized in a way of its own, which is not read")
    return _vector(found, "Scale"), _vector(found, "ZeroPoint"), found.QuantizedDimension()


def _vector(table, name):
    """A vector of numbers, which lies in the file."""
    values = getattr(table, f"{name}AsNumpy")()
    return _NONE if isinstance(values, int) else values


def _options(where, table, kind, names):
    """The options of an operator by name, none where none are needed."""
    if kind is None:
        return {}
    if table.BuiltinOptionsType() != getattr(tflite.BuiltinOptions, kind) or table.BuiltinOptions() is None:
        raise Unsupported(f"{where}: must have {kind}")
    options = getattr(tflite, kind)()
    union = table.BuiltinOptions()
    options.Init(union.Bytes, union.Pos)
    return {name: getattr(options, name)() for name in names}
