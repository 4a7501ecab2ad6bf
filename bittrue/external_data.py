"""Tensors of ONNX models whose data lie in other files: read from the model's own folder, and only what fits."""

import os
import stat
from math import prod
from pathlib import Path, PurePosixPath

import onnx
from onnx import TensorProto

from network.onnx.graph import printable

from .errors import as_input_error

MOST_BYTES = 1 << 30
_BITS = {
    4: "INT4 UINT4 FLOAT4E2M1",
    8: "UINT8 INT8 BOOL FLOAT8E4M3FN FLOAT8E4M3FNUZ FLOAT8E5M2 FLOAT8E5M2FNUZ",
    16: "UINT16 INT16 FLOAT16 BFLOAT16",
    32: "FLOAT INT32 UINT32",
    64: "DOUBLE INT64 UINT64",
}
_BITS_OF = {
    number: bits
    for bits, names in _BITS.items()
    for name, number in TensorProto.DataType.items()
    if name in names.split()
}


def load_external(model: onnx.ModelProto, path: Path):
    """Puts the data of tensors that lie in other files into the model. Raises InputError, naming the tensor."""
    left = MOST_BYTES
    for tensor in _tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            with as_input_error(ValueError, OSError, prefix=f"{path}: tensor {printable(tensor.name)}"):
                data = _External(tensor).read(path, left)
            left -= len(data)
            del tensor.external_data[:]
            tensor.ClearField("data_location")
            tensor.raw_data = data


def _tensors(model):
    """All tensors of a model: of its graphs, of attributes and of functions."""
    waiting: list = [model.graph, *model.functions]
    while waiting:
        graph = waiting.pop()
        if isinstance(graph, onnx.GraphProto):
            yield from graph.initializer
            yield from (part for one in graph.sparse_initializer for part in (one.values, one.indices))
        for node in graph.node:
            for attribute in node.attribute:
                yield from (attribute.t, *attribute.tensors)
                sparse = (attribute.sparse_tensor, *attribute.sparse_tensors)
                yield from (part for one in sparse for part in (one.values, one.indices))
                waiting += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


class _External:
    """Where the data of a tensor lie: a file beside the model, an offset and a length. Raises ValueError."""

    def __init__(self, tensor):
        entries = [(one.key, one.value) for one in tensor.external_data]
        if len(dict(entries)) != len(entries):
            raise ValueError("external_data names something twice")
        given = dict(entries)
        self.location = given.get("location", "")
        self.offset = _natural(given.get("offset", "0"), "offset")
        self.length = _length(tensor)
        if "length" in given and _natural(given["length"], "length") != self.length:
            raise ValueError(f"its length is {printable(given['length'])} where its shape takes {self.length} bytes")

    def read(self, model: Path, most: int) -> bytes:
        """The bytes. Raises ValueError for a file outside the model's folder and for data beyond its end; OSError."""
        if self.length > most:
            raise ValueError(f"a model may have at most {MOST_BYTES} bytes of data in other files")
        place = self._place(model)
        with place.open("rb") as file:
            kind = os.fstat(file.fileno())
            if not stat.S_ISREG(kind.st_mode):
                raise ValueError(f"its data lie in {printable(self.location)!r}, which is not a file")
            if self.offset + self.length > kind.st_size:
                end = self.offset + self.length
                raise ValueError(f"its data end at byte {end} of a file of {kind.st_size} bytes")
            file.seek(self.offset)
            return file.read(self.length)

    def _place(self, model):
        told = repr(printable(self.location))
        parts = PurePosixPath(self.location)
        if not self.location or "\0" in self.location or "\\" in self.location or parts.is_absolute():
            raise ValueError(f"its data lie in {told}, which is no path within the model's folder")
        if ".." in parts.parts:
            raise ValueError(f"its data lie in {told}, outside the model's folder")
        folder = Path(os.path.realpath(model.parent))
        place = Path(os.path.realpath(folder / self.location))
        if not place.is_relative_to(folder):
            raise ValueError(f"its data lie in {told}, a link to outside the model's folder")
        if not place.is_file():
            raise ValueError(f"its data lie in {told}, which is {'not a file' if place.exists() else 'not there'}")
        return place


def _natural(text, name):
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ValueError(f"{name} must be a number of bytes, not {printable(text)!r}")
    return int(text)


def _length(tensor):
    """Bytes that the elements of a tensor take."""
    if tensor.data_type not in _BITS_OF or any(size < 0 for size in tensor.dims):
        raise ValueError(f"type {tensor.data_type} and shape {list(tensor.dims)[:8]} have no size in bytes")
    return -(-prod(tensor.dims) * _BITS_OF[tensor.data_type] // 8)
