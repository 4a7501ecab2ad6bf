"""From a model's file to a network: which reader it is for, and what it says where it is for another command."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx

from golden.platform_table import PLATFORMS
from network.arrays import Array
from network.float_network import FloatNetwork
from network.network import Network
from network.onnx.flavour import flavour
from network.onnx.read_dynamic import read_dynamic
from network.onnx.read_float import read_float
from network.onnx.read_qdq import read_qdq
from network.onnx.read_qoperator import read_qoperator
from network.qonnx.read import read_qonnx
from network.tflite.read import read_tflite
from network.unsupported import printable

from .errors import InputError, as_input_error
from .models import is_tflite, read_model_file, read_onnx_model

TFLITE, FLOAT = "TFLite", "float ONNX"
KINDS = {"float": FLOAT, "qdq": "QDQ ONNX", "qoperator": "QOperator ONNX", "dynamic": "dynamic ONNX", "qonnx": "QONNX"}
READERS: dict[str, Callable] = {
    "QDQ ONNX": read_qdq,
    "QOperator ONNX": read_qoperator,
    "dynamic ONNX": read_dynamic,
    "QONNX": read_qonnx,
}
OF_ONE_PLATFORM = (KINDS["dynamic"], KINDS["qonnx"])


@dataclass(frozen=True)
class ModelFile:
    """A model's file: its kind, its bytes, and ONNX's own view of it with the tensors of other files inside."""

    path: Path
    kind: str
    content: bytes = field(repr=False)
    model: onnx.ModelProto | None = field(default=None, repr=False)

    @property
    def self_contained(self) -> bytes:
        """The bytes of an ONNX model with all its tensors inside."""
        return b"" if self.model is None else self.model.SerializeToString(deterministic=True)

    @property
    def source(self) -> dict[str, str]:
        """What a network folder says of it."""
        return {"file": self.path.name, "kind": self.kind, "sha256": hashlib.sha256(self.content).hexdigest()}


def open_model(path: Path) -> ModelFile:
    """A model's file. Raises InputError for what is neither ONNX nor TFLite."""
    content = read_model_file(path)
    if is_tflite(content):
        return ModelFile(path, TFLITE, content)
    model = read_onnx_model(path, content)
    return ModelFile(path, KINDS[flavour(model)], content, model)


def float_network(file: ModelFile) -> FloatNetwork:
    """The network of a float model. Raises InputError, for quantized models too."""
    if file.model is None:
        raise InputError(f"{file.path} is a TFLite model; quantize takes ONNX, bittrue import quantized TFLite")
    if file.kind != FLOAT:
        raise InputError(f"{file.path} is quantized already ({file.kind}); read it with bittrue import")
    with as_input_error(ValueError, prefix=str(file.path)):
        return read_float(file.model)


def quantized_network(file: ModelFile, platform: str | None, array: Array) -> Network:
    """The network of a quantized model, on an array. Raises InputError."""
    if file.kind == FLOAT:
        _check_operators(file)
        raise InputError(
            f"{file.path} holds real numbers alone; quantize it: bittrue quantize {file.path} --calibration data.npz"
        )
    if platform is not None and file.kind in OF_ONE_PLATFORM:
        raise InputError(f"platform cannot be chosen for {file.kind}, which says its numbers itself; leave it out")
    platform = platform or _own_platform(file)
    chosen: dict[str, Any] = {} if platform is None else {"platform": platform}
    with as_input_error(ValueError, prefix=str(file.path)):
        tflite = file.kind == TFLITE
        network = read_tflite(file.content, **chosen) if tflite else READERS[file.kind](file.model, **chosen)
    with as_input_error(ValueError):
        return array.placed(network)


def _own_platform(file) -> str | None:
    """What bittrue wrote into a QDQ model: the platform whose rules its hardware follows; None in models of others."""
    if file.kind != KINDS["qdq"]:
        return None
    told = {entry.key: entry.value for entry in file.model.metadata_props}.get("platform")
    return told if told in PLATFORMS else None


def _check_operators(file):
    """Raises InputError for operators of tools that no reader knows."""
    for node in file.model.graph.node:
        if not onnx.defs.has(node.op_type, node.domain):
            where = f" (node {printable(node.name)})" if node.name else ""
            told = f"operator {printable(node.op_type)}{where} is none of ONNX's, and no reader knows it"
            raise InputError(f"{file.path}: {told}")
