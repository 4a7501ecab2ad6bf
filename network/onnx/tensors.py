"""Tensors that lie in an ONNX model: read within bounds, never from another file."""

import math

import numpy as np
import onnx
from onnx import numpy_helper

from ..unsupported import Unsupported, printable

MOST_ELEMENTS = 1 << 27


def prod(sizes) -> int:
    """The product of sizes, which may be beyond 64 bits."""
    return math.prod(int(one) for one in sizes)


def array(tensor: onnx.TensorProto) -> np.ndarray:
    """The numbers of a tensor. Raises Unsupported for text, for damage, for what is too large or lies elsewhere."""
    name = printable(tensor.name)
    if is_external(tensor):
        raise Unsupported(f"tensor {name} lies in another file, which was not read")
    size = prod(tensor.dims)
    if any(one < 0 for one in tensor.dims) or size > MOST_ELEMENTS:
        raise Unsupported(f"tensor {name} must have at most {MOST_ELEMENTS} elements, not {size}")
    if tensor.data_type == onnx.TensorProto.STRING:
        raise Unsupported(f"tensor {name} holds text")
    try:
        return numpy_helper.to_array(tensor)
    except Exception as error:  # damaged tensors: numpy's and onnx's own errors
        raise Unsupported(f"tensor {name} cannot be read: {printable(error)}") from error


def is_external(tensor: onnx.TensorProto) -> bool:
    """Whether a tensor's numbers lie in another file."""
    return bool(tensor.external_data) or tensor.data_location == onnx.TensorProto.EXTERNAL
