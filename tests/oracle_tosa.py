"""Small TOSA graphs and the TOSA reference model that runs them."""

import warnings

import numpy as np

NUMPY = {"INT8": np.int8, "INT16": np.int16, "INT32": np.int32}
ROUNDINGS = {"tosa": 1, "tosa-int16": 1, "tosa-double": 3}


def serializer():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import serializer.tosa_serializer as tosa
    return tosa


class Graph:
    """A graph under construction; tensors go by name, types by the names of TOSA."""

    def __init__(self):
        self.tosa = serializer()
        self.graph = self.tosa.TosaSerializer(".")
        self.fed = []

    def feed(self, array, kind):
        """An input; one of INT48 is a constant, as the model's Python binding takes no such input."""
        if kind == "INT48":
            return self.constant(array.reshape(-1).tolist(), kind, array.shape)
        self.fed.append(array.astype(NUMPY[kind]))
        return self.graph.addPlaceholder(array.shape, self._kind(kind), None).name

    def constant(self, data, kind, shape=None):
        return self.graph.addConst(list(shape or [len(data)]), self._kind(kind), list(data)).name

    def apply(self, operator, names, shape, kind, attribute=None, *, last=False):
        """Adds an operator and gives the name of its output; attribute is a method of the serializer's, arguments."""
        from tosa import Op

        result = (self.graph.addOutput if last else self.graph.addIntermediate)(shape, self._kind(kind))
        attributes = self.tosa.TosaSerializerAttribute()
        method, arguments = attribute or (f"{operator.title()}Attribute", ())
        getattr(attributes, method)(*arguments)
        self.graph.addOperator(getattr(Op.Op, operator), names, [result.name], attributes)
        return result.name

    def rescale(self, name, shape, kinds, multiplier, shift, platform, zero_points=(0, 0), last=False):
        """RESCALE from one type to another; multiplier and shift (to the right) are lists of 1 or N."""
        scale32 = platform != "tosa-int16"
        constants = [(multiplier, "INT32" if scale32 else "INT16"), (shift, "INT8")]
        constants += [([zero_point], kind) for zero_point, kind in zip(zero_points, kinds, strict=True)]
        names = [name, *(self.constant(*one) for one in constants)]
        attribute = ("RescaleAttribute", (scale32, ROUNDINGS[platform], len(multiplier) > 1, False, False))
        return self.apply("RESCALE", names, shape, kinds[1], attribute, last=last)

    def run(self):
        """(output int64, status name)"""
        output, status = self.run_float()
        return output.astype(np.int64), status

    def run_float(self):
        """(output in its own type, status name)"""
        import tosa_reference_model

        outputs, status = tosa_reference_model.run(bytes(self.graph.serialize()), self.fed, verbosity="NONE")
        return outputs[0], status.name

    def _kind(self, name):
        return getattr(self.tosa.DType, name)


def rescale(values, multiplier, shift, platform, zero_points=(0, 0), kinds=("INT32", "INT8")):
    """values [M, N], rescaled."""
    graph = Graph()
    name = graph.feed(values, kinds[0])
    graph.rescale(name, values.shape, kinds, multiplier, shift, platform, zero_points, last=True)
    return graph.run()


def matmul(a, w, a_zero_point, w_zero_point):
    """int32 sums of int8 a [M, K] and w [K, N]."""
    graph = Graph()
    names = [graph.feed(a[None], "INT8"), graph.feed(w[None], "INT8")]
    names += [graph.constant([zero_point], "INT8") for zero_point in (a_zero_point, w_zero_point)]
    graph.apply("MATMUL", names, (1, a.shape[0], w.shape[1]), "INT32", ("MatMulAttribute", ()), last=True)
    return graph.run()


def matmul16(a, w, multiplier, shift):
    """int16 a [M, K] and w [K, N], summed in 48 bits and rescaled to int16."""
    graph = Graph()
    shape = (1, a.shape[0], w.shape[1])
    names = [graph.feed(a[None], "INT16"), graph.feed(w[None], "INT16")]
    names += [graph.constant([0], "INT16"), graph.constant([0], "INT16")]
    sums = graph.apply("MATMUL", names, shape, "INT48", ("MatMulAttribute", ()))
    graph.rescale(sums, shape, ("INT48", "INT16"), multiplier, shift, "tosa-int16", last=True)
    return graph.run()


def average_pool(x, window, x_zero_point, y_zero_point):
    """int8 [N, H, W, C], windows that do not overlap."""
    graph = Graph()
    n, height, width, channels = x.shape
    names = [graph.feed(x, "INT8"), graph.constant([x_zero_point], "INT8"), graph.constant([y_zero_point], "INT8")]
    attribute = ("AvgPool2dAttribute", (window, window, (0, 0, 0, 0), graph.tosa.DType.INT32))
    graph.apply(
        "AVG_POOL2D", names, (n, height // window[0], width // window[1], channels), "INT8", attribute, last=True
    )
    return graph.run()


def addition(x, kind, rescales, platform, zero_points):
    """x1 + x2 [N] as TensorFlow's legalization writes it.

    rescales: lists of (multiplier, shift to the right) for x1, for x2, and one pair for the sum; zero_points three.
    """
    graph = Graph()
    shape = x[0].shape
    operands = []
    for codes, pairs, zero_point in zip(x, rescales[:2], zero_points[:2], strict=True):
        name, start = graph.feed(codes, kind), kind
        for multiplier, shift in pairs:
            points = (zero_point if start == kind else 0, 0)
            name = graph.rescale(name, shape, (start, "INT32"), [multiplier], [shift], platform, points)
            start = "INT32"
        operands.append(name)
    total = graph.apply("ADD", operands, shape, "INT32")
    (multiplier, shift), points = rescales[2], (0, zero_points[2])
    graph.rescale(total, shape, ("INT32", kind), [multiplier], [shift], platform, points, last=True)
    return graph.run()


BLOCK_ELEMENTS = {
    "mxint8": "MXINT8",
    "mxfp8_e4m3": "FP8E4M3",
    "mxfp8_e5m2": "FP8E5M2",
    "mxfp6_e3m2": "FP6E3M2",
    "mxfp6_e2m3": "FP6E2M3",
    "mxfp4": "FP4E2M1",
}


def matmul_of_blocks(name, a, w, a_scale, w_scale):
    """float32 [M, N] of codes a [M, K], w [K, N] and of E8M0 codes [M, K / 32], [K / 32, N], by MATMUL_T_BLOCK_SCALED.

    Codes must stand for numbers.
    """
    from tosa.BlockSize import BlockSize

    graph, names = Graph(), []
    for codes, scales in ((a, a_scale), (w.T, w_scale.T)):
        kind = getattr(graph.tosa.DType, BLOCK_ELEMENTS[name])
        names.append(graph.graph.addConst([1, *codes.shape], kind, _elements(name, codes.reshape(-1))).name)
        powers = np.ldexp(1.0, scales.reshape(-1) - 127).tolist()
        names.append(graph.constant(powers, "FP8UE8M0", (1, *scales.shape)))
    attribute = ("MatMulTBlockScaledAttribute", (BlockSize.BLOCK_SIZE_32,))
    graph.apply("MATMUL_T_BLOCK_SCALED", names, (1, len(a), w.shape[1]), "FP32", attribute, last=True)
    return graph.run_float()


def _elements(name, codes):
    """What the serializer takes for a type: codes of bytes, or values."""
    from golden.microscaling import block_format

    if name in ("mxint8", "mxfp8_e5m2"):
        return (codes & 0xFF).astype(np.uint8)
    return block_format(name).value(codes)
