"""Reading model files that may be damaged or hostile: bounded, nothing taken from outside the model's folder."""

import stat
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError, EncodeError

from network.onnx.graph import printable

from .errors import InputError, as_input_error, reason
from .external_data import MOST_BYTES, load_external

TFLITE_MARK = b"TFL3"
LONGEST_REASON = 200


def read_model_file(path: Path) -> bytes:
    """The bytes of a model file. Raises InputError for what is no file, empty, or larger than MOST_BYTES."""
    with as_input_error(OSError, prefix=f"cannot read {path}"):
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"cannot read {path}: not a file")
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    if not 0 < len(content) <= MOST_BYTES:
        size = "is empty" if not content else f"has more than {MOST_BYTES} bytes, the most that is read"
        raise InputError(f"{path} {size}")
    return content


def is_tflite(content: bytes) -> bool:
    """Whether these are the bytes of a TFLite model."""
    return content[4:8] == TFLITE_MARK


def read_onnx_model(path: Path, content: bytes | None = None) -> onnx.ModelProto:
    """An ONNX model, checked by onnx, with the data of all its tensors inside.

    content : the bytes of the file, where they were read already.

    Raises InputError for damaged files, and for tensors whose data lie outside the model's folder or are not as long
    as their shapes say.
    """
    content = read_model_file(path) if content is None else content
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise InputError(f"{path} is no ONNX model: {_short(error)}") from error
    if not model.HasField("graph") or not model.graph.node:
        raise InputError(f"{path} is no ONNX model: it has no nodes")
    if not all(isinstance(text, str) for text in _texts(model.graph)):
        raise InputError(f"{path} is no valid ONNX model: a name in it is not UTF-8")
    load_external(model, path)
    _check(model, path)
    return model


def _texts(graph):
    """Names in a graph; protobuf gives bytes where they are not UTF-8."""
    yield graph.name
    yield from (one.name for part in (graph.input, graph.output, graph.initializer) for one in part)
    for node in graph.node:
        yield from (node.op_type, node.domain, node.name, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)


def _check(model, path):
    """Models with operators that onnx does not know are left to their readers: onnx refuses them, or knows less."""
    if not all(onnx.defs.has(node.op_type, node.domain) for node in model.graph.node):
        return
    shapeless = [one.type.tensor_type for one in model.graph.output if not one.type.tensor_type.HasField("shape")]
    for tensor_type in shapeless:
        tensor_type.shape.SetInParent()  # onnx wants one, other programs do not
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, EncodeError, DecodeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path} is no valid ONNX model: {_short(error)}") from error
    finally:
        for tensor_type in shapeless:
            tensor_type.ClearField("shape")


def _short(error):
    return printable(reason(error), LONGEST_REASON)
