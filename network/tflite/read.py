"""Networks of TFLite files, of int8 or of int16 activations with int8 weights, as chains of layers."""

from dataclasses import dataclass
from math import prod

import numpy as np

from ..functions import Logistic, Rescale, Softmax
from ..layers import AveragePool, Dequantize, Quantize
from ..network import Network
from ..shapes import MaxPool, Reshape
from ..unsupported import Unsupported
from .model import MOST_BYTES, Model, Operator, read_model
from .products import convolution, dense, depthwise
from .terms import bounds, check_shape, fused, grid, refusing_overflow, same_grid, window

PRODUCTS = {"FULLY_CONNECTED": dense, "CONV_2D": convolution, "DEPTHWISE_CONV_2D": depthwise}
MOST_COLUMNS = 1 << 18
ANY = ("INT8", "INT16", "UINT8")
_OF_256 = (1 / 256, -128)
_OF_32768 = (1 / 32768, 0)


@dataclass(frozen=True)
class Family:
    """The platforms of golden.platforms by whose rules a program computes: dense layers, convolutions, int16.

    None where the rule has no hardware. The quantizer is a name of golden.quantize.QUANTIZERS.
    """

    dense: str
    convolution: str
    int16: str | None
    quantizer: str

    def platform(self, operator: Operator) -> str:
        """The one of an operator. Raises Unsupported."""
        if operator.x.kind == "INT16":
            if self.int16 is None:
                raise operator.refused(f"activations of INT16 are not read for platform {self.dense!r}")
            return self.int16
        return self.convolution if "CONV" in operator.kind else self.dense


FAMILIES = {
    "tflite-micro": Family("tflite-micro", "tflite-micro", "tflite-micro-int16", "tflite-reference"),
    "litert-reference": Family("litert-reference", "litert-reference-conv", None, "tflite-reference"),
    "litert-ruy-x86": Family("litert-ruy-x86", "litert-ruy-x86", None, "litert"),
    "litert-xnnpack": Family("litert-xnnpack", "litert-xnnpack", None, "litert"),
    "cmsis-nn": Family("cmsis-nn", "cmsis-nn", "cmsis-nn-int16", "tflite-reference"),
}


def read_tflite(content: bytes, *, platform="tflite-micro") -> Network:
    """The network of a TFLite file, whose layers give the codes that `platform` gives.

    platform : a name of FAMILIES: the program whose numbers count. Layers of int16 follow its rules for int16.

    The model must be a chain of FULLY_CONNECTED, CONV_2D, DEPTHWISE_CONV_2D, MAX_POOL_2D, AVERAGE_POOL_2D, RESHAPE,
    SOFTMAX, LOGISTIC and QUANTIZE between codes; QUANTIZE of real numbers may begin it, DEQUANTIZE may end it. Each
    layer is named after the operator and its index in the file.

    Raises ValueError for another platform, and Unsupported, a ValueError of one line, for what is not read.
    """
    if platform not in FAMILIES:
        raise ValueError(f"platform must be one of {', '.join(FAMILIES)}, not {platform!r}")
    model, family = read_model(content), FAMILIES[platform]
    _check_model(model)
    operators = list(model.operators)
    entry, operators = _entry(model, operators, family.quantizer)
    exit, operators = _exit(model, operators)
    layers = [layer for operator in operators for layer in _layers(operator, family)]
    return Network("network", model.input.shape[1:], entry, tuple(layers), exit)


def _check_model(model: Model):
    """Raises Unsupported where examples do not stay apart, and where shared constants would make reading take long."""
    batch = model.input.shape[:1]
    for what, tensor in (("the model's input", model.input), *((str(one), one.output) for one in model.operators)):
        if len(tensor.shape) < 2 or tensor.shape[:1] != batch:
            kept = f"{batch[0]} examples along its first axis, and others" if batch else "an axis of examples"
            raise Unsupported(f"{what}: {tensor} must have {kept}, not shape {list(tensor.shape)}")
    for one in model.operators:
        if one.kind not in PRODUCTS and len(one.constants) > (one.kind == "RESHAPE"):
            raise one.refused(f"must have no constants, not {len(one.constants)}")
    constants = [one for operator in model.operators for one in operator.constants if one is not None]
    columns = sum(one.output.shape[-1] for one in model.operators if one.kind in PRODUCTS)
    for what, most, total in (
        ("constants", MOST_BYTES, sum(one.data.size for one in constants)),
        ("columns of weights", MOST_COLUMNS, columns),
    ):
        if total > most:
            raise Unsupported(f"the model must have at most {most} {what}, not {total}")


def _entry(model, operators, quantizer):
    """The quantizer of real inputs, an operator of its own or not, and the operators after it."""
    first = operators[0]
    if first.kind == "QUANTIZE" and model.input.kind == "FLOAT32":
        check_shape(first, *model.input.shape)
        return Quantize(first.name, grid(first, "its output", first.output, ANY), quantizer), operators[1:]
    return Quantize("quantize", grid(first, "its input", model.input, ANY), quantizer), operators


def _exit(model, operators):
    """What makes real outputs of codes, and the operators before it."""
    if operators and (last := operators[-1]).kind == "DEQUANTIZE":
        check_shape(last, *last.x.shape)
        if last.output.kind != "FLOAT32":
            raise last.refused(f"its output ({last.output}) must be FLOAT32, not {last.output.kind}")
        return Dequantize(last.name, grid(last, "its input", last.x, ANY)), operators[:-1]
    end = model.operators[-1]
    return Dequantize("dequantize", grid(end, "its output", model.output, ANY)), operators


def _layers(operator: Operator, family: Family) -> list:
    platform = family.platform(operator)
    if operator.kind in PRODUCTS:
        return PRODUCTS[operator.kind](operator, platform)
    if operator.kind not in OTHERS:
        raise operator.refused("is read only as the last operator")
    with refusing_overflow(operator):
        return [OTHERS[operator.kind](operator, platform)]


def _pool_window(operator):
    x = operator.x
    found = window(operator, (operator.options["FilterHeight"], operator.options["FilterWidth"]))
    check_shape(operator, x.shape[0], *found.places(x.shape[1:3]), x.shape[3])
    y = same_grid(operator)
    if bounds(activation := fused(operator), y) != y.fmt.code_range:
        raise operator.refused(f"its fused activation {activation} bounds its codes, which is not read")
    return found


def _average_pool(operator, platform):
    found = _pool_window(operator)
    return AveragePool(operator.name, found, same_grid(operator), same_grid(operator), platform)


def _max_pool(operator, platform):
    return MaxPool(operator.name, _pool_window(operator))


def _reshape(operator, platform):
    same_grid(operator)
    x, shape = operator.x.shape, operator.output.shape
    if prod(x) != prod(shape) or not _leads_to(operator.constants, shape):
        raise operator.refused(f"must give {operator.output} of shape {list(shape)} from {list(x)}, which it does not")
    return Reshape(operator.name, shape[1:])


def _leads_to(constants, shape):
    """Whether a shape that is given, in which one size may be -1, is this one."""
    given = [one for one in constants if one is not None]
    if not given:
        return True
    sizes = [] if given[0].kind != "INT32" else given[0].data.reshape(-1).tolist()
    open_sizes = sizes.count(-1) <= 1 and len(sizes) == len(shape)
    return open_sizes and all(own in (-1, size) for own, size in zip(sizes, shape, strict=True))


def _softmax(operator, platform):
    x, y = _function_grids(operator)
    if not np.isfinite(beta := operator.options["Beta"]) or beta <= 0:
        raise operator.refused(f"its beta must be positive and finite, not {beta}")
    made = Softmax(operator.name, platform, x, y, beta)
    made.run(np.zeros((1, operator.x.shape[-1]), np.int64))
    return made


def _logistic(operator, platform):
    made = Logistic(operator.name, platform, *_function_grids(operator))
    made.run(np.zeros((1, 1), np.int64))
    return made


def _function_grids(operator):
    """Grids of input and output, the latter being the one that these functions have."""
    check_shape(operator, *operator.x.shape)
    x, y = grid(operator, "its input", operator.x), grid(operator, "its output", operator.output)
    scale, zero_point = _OF_32768 if operator.x.kind == "INT16" else _OF_256
    if (y.fmt, y.scale, y.zero_point) != (x.fmt, scale, zero_point):
        wanted = f"{x.fmt} of scale {scale} and zero point {zero_point}"
        raise operator.refused(f"its output ({operator.output}) must be {wanted}")
    return x, y


def _rescale(operator, platform):
    check_shape(operator, *operator.x.shape)
    if "INT8" not in (operator.x.kind, operator.output.kind):
        raise operator.refused(f"must have INT8 at one end, not {operator.x.kind} and {operator.output.kind}")
    grids = grid(operator, "its input", operator.x, ANY), grid(operator, "its output", operator.output, ANY)
    made = Rescale(operator.name, platform, *grids)
    made.run(np.zeros((1, 1), np.int64))
    return made


OTHERS = {
    "AVERAGE_POOL_2D": _average_pool,
    "LOGISTIC": _logistic,
    "MAX_POOL_2D": _max_pool,
    "QUANTIZE": _rescale,
    "RESHAPE": _reshape,
    "SOFTMAX": _softmax,
}
