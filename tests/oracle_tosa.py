"""One-operation TOSA graphs and the TOSA reference model that runs them."""

import warnings

import numpy as np


def run(operator, inputs, output, constants=(), attribute=None):
    """(output int64, status name) of one operator.

    inputs: (array, type name) pairs; constants: (list, type name) pairs, after the inputs; output: (shape, type name).
    attribute: (method of the serializer's attribute, its arguments).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import serializer.tosa_serializer as tosa
        import tosa_reference_model
        from tosa import Op

    graph = tosa.TosaSerializer(".")
    names = [graph.addPlaceholder(array.shape, getattr(tosa.DType, kind), None).name for array, kind in inputs]
    names += [graph.addConst([len(data)], getattr(tosa.DType, kind), list(data)).name for data, kind in constants]
    result = graph.addOutput(output[0], getattr(tosa.DType, output[1]))
    attributes = tosa.TosaSerializerAttribute()
    if attribute is not None:
        getattr(attributes, attribute[0])(*attribute[1])
    graph.addOperator(getattr(Op.Op, operator), names, [result.name], attributes)
    arrays = [array.astype({"INT8": np.int8, "INT32": np.int32}[kind]) for array, kind in inputs]
    outputs, status = tosa_reference_model.run(bytes(graph.serialize()), arrays, verbosity="NONE")
    return outputs[0].astype(np.int64), status.name


ROUNDINGS = {"tosa": 1, "tosa-double": 3}


def rescale(values, multiplier, shift, y_zero_point, platform):
    """int32 values [M, N] to int8; multiplier and shift (to the right) are lists of 1 or N."""
    attribute = ("RescaleAttribute", (True, ROUNDINGS[platform], len(multiplier) > 1, False, False))
    constants = [(multiplier, "INT32"), (shift, "INT8"), ([0], "INT32"), ([y_zero_point], "INT8")]
    return run("RESCALE", [(values, "INT32")], (values.shape, "INT8"), constants, attribute)


def matmul(a, w, a_zero_point, w_zero_point):
    """int32 sums of int8 a [M, K] and w [K, N]."""
    shape = (1, a.shape[0], w.shape[1])
    zero_points = [([a_zero_point], "INT8"), ([w_zero_point], "INT8")]
    return run("MATMUL", [(a[None], "INT8"), (w[None], "INT8")], (shape, "INT32"), zero_points, ("MatMulAttribute", ()))


def average_pool(x, window, x_zero_point, y_zero_point):
    """int8 [N, H, W, C], windows that do not overlap."""
    n, height, width, channels = x.shape
    shape = (n, height // window[0], width // window[1], channels)
    zero_points = [([x_zero_point], "INT8"), ([y_zero_point], "INT8")]
    attribute = ("AvgPool2dAttribute", (window, window, (0, 0, 0, 0), _int32()))
    return run("AVG_POOL2D", [(x, "INT8")], (shape, "INT8"), zero_points, attribute)


def _int32():
    import serializer.tosa_serializer as tosa

    return tosa.DType.INT32
