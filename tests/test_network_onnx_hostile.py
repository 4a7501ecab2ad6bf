"""ONNX models that are damaged, or made to do harm: each is refused in one line that names what it is about."""

import numpy as np
import onnx
import pytest
from fuzz_onnx import outcome
from onnx import TensorProto, helper, numpy_helper
from onnx_cases import dense, dynamic_product, models, reals
from onnx_models import Chain, Coded

from network.onnx.flavour import flavour
from network.onnx.graph import Graph
from network.onnx.read_dynamic import read_dynamic
from network.onnx.read_float import read_float
from network.onnx.read_qdq import read_qdq
from network.onnx.read_qoperator import read_qoperator
from network.unsupported import Unsupported, printable

U8, I8 = np.uint8, np.int8
READERS = {"float": read_float, "qdq": read_qdq, "qoperator": read_qoperator, "dynamic": read_dynamic}


def fc(shape=(3,)):
    return Chain(shape).add("Gemm", reals(1, 3, 4), reals(2, 4), name="fc")


def conv(**attributes):
    return Chain((3, 6, 7)).add("Conv", reals(1, 4, 3, 2, 2), name="c", **attributes)


def changed(model, change):
    """A model after a function of its graph."""
    change(model.graph)
    return model


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def as_external(graph):
    graph.initializer[0].data_location = TensorProto.EXTERNAL
    graph.initializer[0].external_data.add(key="location", value="/etc/passwd")


def with_external_attribute():
    tensor = numpy_helper.from_array(np.float32([1]), "v")
    tensor.external_data.add(key="location", value="../../secret")
    chain = fc()
    return chain.add("Add", chain.aside("Constant", value=tensor)).model()


def with_branch():
    body = helper.make_graph([helper.make_node("Identity", ["x"], ["b"])], "body", [], [value("b", None)])
    chain = fc()
    return chain.add("If", name="fork\n", then_branch=body, else_branch=body).model()


def with_function():
    model = fc().model()
    function = model.functions.add()
    function.name, function.domain = "Gemm", ""
    return model


def with_sparse(graph):
    graph.sparse_initializer.add().values.name = "s"


def resized(*dims):
    def change(graph):
        del graph.initializer[0].dims[:]
        graph.initializer[0].dims.extend(dims)

    return change


def doubled(times):
    """A constant put together with itself, again and again."""
    chain, name = fc(), reals(3, 1 << 12)
    for _ in range(times):
        name = chain.constant(name)
        name = chain.aside("Concat", name, name, axis=0)
    return chain.add("Add", name).model()


def opsets(*pairs):
    model = fc().model()
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(*pair) for pair in pairs)
    return model


def of_type(kind):
    return changed(fc().model(), lambda graph: graph.input[0].type.tensor_type.__setattr__("elem_type", kind))


GRAPHS = {
    "input x must have a batch and known sizes beyond it, not [?x?]": lambda: Chain(("W",)).add("Relu").model(),
    "input x must have a batch and known sizes beyond it, not [3]": lambda: Chain((), batch=3).add("Relu").model(),
    "input x must have a batch and known sizes beyond it, not [?x-1]": lambda: Chain((-1,)).add("Relu").model(),
    "input x must have at most 134217728 elements, not 1000000000000": lambda: fc((10**6, 10**6)).model(),
    "input x must be float32, not DOUBLE": lambda: of_type(TensorProto.DOUBLE),
    "input x must be float32, not 99": lambda: of_type(99),
    "the model must have one input and one output, not 2 and 1": lambda: changed(
        fc().model(), lambda graph: graph.input.append(value("z", [1, 2]))
    ),
    "the model must have one input and one output, not 0 and 0": lambda: helper.make_model(
        helper.make_graph([], "g", [], []), opset_imports=[helper.make_opsetid("", 21)]
    ),
    "the model has no products": lambda: Chain((3,)).add("Relu").model(),
    f"the model's opset must be 7 to {onnx.defs.onnx_opset_version()}, not 99": lambda: opsets(("", 99)),
    f"the model's opset must be 7 to {onnx.defs.onnx_opset_version()}, not missing": lambda: opsets(
        ("com.microsoft", 1)
    ),
    "the model defines function Gemm; none are supported": with_function,
    "the model has a name that is no text": lambda: onnx.ModelProto.FromString(
        fc().model().SerializeToString().replace(b"fc", b"\xff\xfe")
    ),
    "Gemm fc: reads c9, which no node before it makes": lambda: changed(
        fc().model(), lambda graph: graph.node[0].input.__setitem__(1, "c9")
    ),
    "Relu one: reads b, which no node before it makes": lambda: changed(
        Chain((3,)).add("Relu", name="one").model(), lambda graph: graph.node[0].input.__setitem__(0, "b")
    ),
    "Relu two: makes t0, which is there already": lambda: changed(
        fc().add("Relu", name="two").model(), lambda graph: graph.node[1].output.__setitem__(0, "t0")
    ),
    "Add sum: joins 2 branches; networks must be chains": lambda: fc().add("Add", "t0", name="sum").model(),
    "Relu other: branches off where Relu one reads too; networks must be chains": lambda: changed(
        fc().add("Relu", name="one").model(),
        lambda graph: graph.node.append(helper.make_node("Relu", ["t0"], ["z"], name="other")),
    ),
    "Relu more: reads the output; networks must be chains": lambda: changed(
        fc().model(), lambda graph: graph.node.append(helper.make_node("Relu", ["t0"], ["z"], name="more"))
    ),
    "the output z does not depend on the input": lambda: changed(
        fc().model(), lambda graph: graph.output[0].__setattr__("name", "z")
    ),
    "Dropout drop: its output mask is read, which is not supported": lambda: changed(
        fc().add("Dropout", name="drop").add("Relu").model(),
        lambda graph: (graph.node[1].output.append("mask"), graph.node[2].input.__setitem__(0, "mask")),
    ),
    "tensor c0 is there twice": lambda: changed(fc().model(), lambda g: g.initializer.append(g.initializer[0])),
    "tensor c0 lies in another file, which was not read": lambda: changed(fc().model(), as_external),
    "tensor c0 cannot be read: cannot reshape array of size 12 into shape (4,4)": lambda: changed(
        fc().model(), resized(4, 4)
    ),
    "tensor c0 must have at most 134217728 elements, not 1000000000000000000000000": lambda: changed(
        fc().model(), resized(10**12, 10**12)
    ),
    "tensor c0 must have at most 134217728 elements, not -12": lambda: changed(fc().model(), resized(-3, 4)),
    "tensor c0 holds text": lambda: Chain((3,)).add("Add", numpy_helper.from_array(np.array(["a"]))).model(),
    "tensor s is sparse, which is not supported": lambda: changed(fc().model(), with_sparse),
    "Constant constant1: holds a tensor that lies in another file, which was not read": with_external_attribute,
    "If fork?: holds a graph of its own, which is not supported": with_branch,
    "Concat concat9: makes constants that are too large": lambda: doubled(40),
    "Mul mul2: makes constants that are too large": lambda: (
        lambda chain: chain.add("Add", chain.aside("Mul", reals(3, 1 << 16, 1), reals(4, 1 << 16))).model()
    )(fc().add("Relu")),
    "Gather gather1: makes constants that are too large": lambda: (
        lambda chain: chain.add("Add", chain.aside("Gather", reals(3, 9999), np.zeros(9999, np.int64))).model()
    )(fc()),
    "RandomNormal randomnormal1: makes a constant in a way that is not supported": lambda: (
        lambda chain: chain.add("Add", chain.aside("RandomNormal", shape=[4])).model()
    )(fc()),
    "Constant constant1: makes a constant that holds no numbers": lambda: (
        lambda chain: chain.add("Add", chain.aside("Constant", value_string="a")).model()
    )(fc()),
    "Reshape reshape1: cannot be computed: cannot reshape array of size 6 into shape (4,)": lambda: (
        lambda chain: chain.add("Add", chain.aside("Reshape", reals(3, 6), np.array([4]))).model()
    )(fc()),
}
FLOAT = {
    "LRN l: is not supported in float networks": lambda: fc().add("LRN", name="l", size=3).model(),
    "Conv c: is not supported in float networks": lambda: (
        fc().add("Conv", reals(1, 4, 4), name="c", domain="me").model()
    ),
    "Gemm g: takes a constant where activations belong": lambda: (
        Chain((3,)).add("Gemm", reals(1, 2, 3), reals(2, 3), first=1, name="g").model()
    ),
    "Conv c: attribute strides must be 2 integers from 1 to 65536, not [0, 1]": lambda: conv(strides=[0, 1]).model(),
    "Conv c: attribute strides must be 2 integers from 1 to 65536, not [1, 1, 1]": lambda: conv(
        strides=[1, 1, 1]
    ).model(),
    "Conv c: attribute strides must be 2 integers from 1 to 65536, not [0.5, 1.0]": lambda: conv(
        strides=[0.5, 1.0]
    ).model(),
    "Conv c: attribute strides must be 2 integers from 1 to 65536, not a?": lambda: conv(strides="a\n").model(),
    "Conv c: attribute dilations must be 2 integers from 1 to 65536, not [-1, 1]": lambda: conv(
        dilations=[-1, 1]
    ).model(),
    "Conv c: attribute pads must be 4 integers from 0 to 65536, not [0, 0, -1, 0]": lambda: conv(
        pads=[0, 0, -1, 0]
    ).model(),
    "Conv c: attribute pads must be zeros beside auto_pad VALID, not [0, 0, 1, 0]": lambda: conv(
        auto_pad="VALID", pads=[0, 0, 1, 0]
    ).model(),
    "Conv c: attribute auto_pad must be NOTSET or VALID or SAME_UPPER or SAME_LOWER, not ALL": lambda: conv(
        auto_pad="ALL"
    ).model(),
    "Conv c: takes 12890603880 elements into its windows, which is more than 134217728": lambda: conv(
        pads=[1 << 15, 1 << 14, 1 << 15, 0]
    ).model(),
    "Conv c: has windows that reach over 7 places; its input with padding has 6": lambda: conv(
        dilations=[6, 1]
    ).model(),
    "Conv c: attribute group must be 1 or the 3 channels, not 2": lambda: conv(group=2).model(),
    "Conv c: has weights [4, 3, 2, 2] in 3 groups for [B, 3, 6, 7]": lambda: conv(group=3).model(),
    "Conv c: attribute kernel_shape must be that of its weights, [2, 2], not [3, 3]": lambda: conv(
        kernel_shape=[3, 3]
    ).model(),
    "Conv c: attribute shape is not supported": lambda: conv(shape=3).model(),
    "Conv c: has weights [4, 5, 2, 2] in 1 groups for [B, 3, 6, 7]": lambda: (
        Chain((3, 6, 7)).add("Conv", reals(1, 4, 5, 2, 2), name="c").model()
    ),
    "Conv c: takes [B, C, H, W] or [B, C, L], not [B, 3]": lambda: (
        Chain((3,)).add("Conv", reals(1, 4, 3, 1, 1), name="c").model()
    ),
    "Conv c: has a bias [3] for 4 columns": lambda: (
        Chain((3, 6, 7)).add("Conv", reals(1, 4, 3, 2, 2), reals(2, 3), name="c").model()
    ),
    "Gemm fc: has weights [4, 3] for [B, 3]": lambda: Chain((3,)).add("Gemm", reals(1, 4, 3), name="fc").model(),
    "Gemm fc: takes [B, K], not [B, 2, 3]": lambda: Chain((2, 3)).add("Gemm", reals(1, 3, 3), name="fc").model(),
    "Gemm fc: attribute transA must be 0, not 1": lambda: (
        Chain((3,)).add("Gemm", reals(1, 3, 3), name="fc", transA=1).model()
    ),
    "Gemm fc: attribute transB must be 0 or 1, not 1.0": lambda: (
        Chain((3,)).add("Gemm", reals(1, 3, 3), name="fc", transB=1.0).model()
    ),
    "Gemm fc: attribute alpha must be a finite number, not nan": lambda: (
        Chain((3,)).add("Gemm", reals(1, 3, 3), name="fc", alpha=float("nan")).model()
    ),
    "Gemm fc: has no weights": lambda: Chain((3,)).add("Gemm", name="fc").model(),
    "Gemm fc: its weights must be finite numbers": lambda: (
        Chain((3,)).add("Gemm", np.float32([[np.nan]] * 3), name="fc").model()
    ),
    "Gemm fc: its weights must be of a float type, not int64": lambda: (
        Chain((3,)).add("Gemm", np.eye(3, dtype=np.int64), name="fc").model()
    ),
    "layer fc: weights are beyond float32": lambda: fc().add("Mul", np.float32(3e38)).add("Mul", np.float32(9)).model(),
    "MaxPool m: attribute ceil_mode 1 adds windows that reach beyond the padding": lambda: (
        conv().add("MaxPool", name="m", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1).model()
    ),
    "MaxPool m: has windows of padding alone": lambda: (
        conv().add("MaxPool", name="m", kernel_shape=[2, 2], pads=[2, 0, 0, 0]).model()
    ),
    "MaxPool m: attribute kernel_shape must be integers from 1 to 65536, not None": lambda: (
        conv().add("MaxPool", name="m").model()
    ),
    "MaxPool m: has a kernel of 1 axes on a tensor of 2": lambda: (
        conv().add("MaxPool", name="m", kernel_shape=[2]).model()
    ),
    "Softmax s: attribute axis must be the last of 2, not 0": lambda: fc().add("Softmax", name="s", axis=0).model(),
    "Gemm late: follows softmax, which only elementwise operators may": lambda: (
        fc().add("Softmax").add("Gemm", reals(1, 4, 4), name="late").model()
    ),
    "Clip c: clips to [1.0, 0.0], where there is nothing": lambda: (
        fc().add("Clip", np.float32(1), np.float32(0), name="c").model()
    ),
    "Clip c: its min must be one for the whole tensor, not 2 values": lambda: (
        fc().add("Clip", np.float32([1, 2]), name="c").model()
    ),
    "BatchNormalization b: its parameters must have shape [4]": lambda: (
        fc().add("BatchNormalization", *reals(1, 4, 3), name="b").model()
    ),
    "BatchNormalization b: variance and epsilon must sum to a positive number": lambda: (
        fc().add("BatchNormalization", *reals(1, 3, 4), np.float32([-1] * 4), name="b").model()
    ),
    "BatchNormalization b: attribute training_mode must be 0, not 1": lambda: (
        fc().add("BatchNormalization", *reals(1, 4, 4), name="b", training_mode=1).model()
    ),
    "BatchNormalization b: layer c2: an offset cannot be folded into a convolution with padding": lambda: (
        conv()
        .add("Relu")
        .add("BatchNormalization", *reals(1, 3, 4), np.float32([1] * 4), name="b")
        .add("Conv", reals(2, 2, 4, 2, 2), name="c2", pads=[1, 1, 0, 0])
        .model()
    ),
    "Mul m: stands where neither the product before nor the one after can take it in": lambda: (
        conv().add("Relu").add("Mul", np.float32(2), name="m").add("Flatten").model()
    ),
    "Add a: has a constant [5] for [B, 4]": lambda: fc().add("Add", reals(1, 5), name="a").model(),
    "Add a: has a constant [4, 5, 6] that varies along axis 2; channels lie on axis 1": lambda: (
        conv().add("Add", reals(1, 4, 5, 6), name="a").model()
    ),
    "Add a: must have 2 inputs, not 1": lambda: fc().add("Add", name="a").model(),
    "Div d: divides by zero": lambda: fc().add("Div", np.float32([1, 0, 1, 1]), name="d").model(),
    "Dropout d: trains": lambda: fc().add("Dropout", np.float32(0.5), np.array(True), name="d").model(),
    "Transpose t: must keep the batch first, not put axes in the order [1, 0]": lambda: (
        fc().add("Transpose", name="t", perm=[1, 0]).model()
    ),
    "Transpose t: attribute perm must name each of 2 axes once, not [0, 0]": lambda: (
        fc().add("Transpose", name="t", perm=[0, 0]).model()
    ),
    "Flatten f: attribute axis must be 1 on [B, 4, 5, 6], not 9": lambda: (
        conv().add("Flatten", name="f", axis=9).model()
    ),
    "Flatten f: attribute axis must be 1 on [B, 4, 5, 6], not 0": lambda: (
        conv().add("Flatten", name="f", axis=0).model()
    ),
    "Reshape r: makes [4, 30] of [B, 4, 5, 6]; the batch must stay as it is": lambda: (
        conv().add("Reshape", np.array([4, 30]), name="r").model()
    ),
    "Reshape r: makes [2, 60] of [B, 4, 5, 6]; the batch must stay as it is": lambda: (
        Chain((4, 5, 6)).add("Relu").add("Reshape", np.array([2, 60]), name="r").model()
    ),
    "Reshape r: makes [2, 120] of [B, 4, 5, 6]; the batch must stay as it is": lambda: (
        conv().add("Reshape", np.array([2, 120]), name="r").model()
    ),
    "Softmax s: attribute axis must be the last of 3, not 1": lambda: (
        Chain((2, 3)).add("MatMul", reals(1, 3, 4)).add("Softmax", name="s").model(opset=12)
    ),
    "Reshape r: cannot make [0, 7, -1] of [B, 4, 5, 6]": lambda: (
        conv().add("Reshape", np.array([0, 7, -1]), name="r").model()
    ),
    "Reshape r: has no size for axis 5 of its output: 0": lambda: (
        conv().add("Reshape", np.array([0, 0, 0, 0, 1, 0]), name="r").model()
    ),
    "Reshape r: input c1 must be a list of at most 8 integers": lambda: (
        conv().add("Reshape", np.arange(9), name="r").model()
    ),
    "Squeeze s: takes axes [1] away from [B, 4], where not all are of size 1": lambda: (
        fc().add("Squeeze", np.array([1]), name="s").model()
    ),
    "Unsqueeze u: has axes [7] for a tensor of 3 axes": lambda: fc().add("Unsqueeze", np.array([7]), name="u").model(),
    "Unsqueeze u: puts an axis before the batch": lambda: fc().add("Unsqueeze", np.array([0]), name="u").model(),
    "Unsqueeze u: has an axis twice: [1, 1]": lambda: fc().add("Unsqueeze", np.array([1, 1]), name="u").model(),
    "ReduceMean r: takes the mean of [B, 4, 5, 6] over axes [1], not of whole maps": lambda: (
        conv().add("ReduceMean", np.array([1]), name="r").model()
    ),
}


def entry(scale=0.1, point=3, kind=U8):
    return Coded((3,), 1).quantize(scale, np.asarray(point, kind))


def qdq_fc(w=None):
    chain = entry().dequantize()
    given = w if isinstance(w, str) else chain.weights(chain.codes((3, 4)) if w is None else w, 0.01, axis=1)
    return chain.add("MatMul", given, name="fc")


def qlinear(*inputs, **attributes):
    """QLinearMatMul of 3 columns with some inputs (by index) replaced."""
    chain = entry()
    given = [*chain.grid, chain.codes((3, 3)), np.float32(0.1), I8(0), np.float32(0.3), U8(9)]
    for index, value in inputs:
        given[index] = value
    return chain.add("QLinearMatMul", *given, name="q", **attributes)


def scaled(scale, point=None, axis=1):
    chain = entry().dequantize()
    given = chain.codes((3, 4)), scale, I8(0) if point is None else point
    w = chain.aside("DequantizeLinear", *given, axis=axis)
    return chain.add("MatMul", w, name="fc").quantize(1, U8(0)).model()


def biased(bias, scale):
    chain = entry().dequantize()
    w = chain.weights(chain.codes((3, 4)), 0.01, axis=1)
    b = bias if scale is None else chain.weights(bias, scale, axis=0)
    return chain.add("Gemm", w, b, name="fc").quantize(1, U8(0)).model()


def of_codes(kind):
    return changed(entry().model(), lambda g: g.input[0].type.tensor_type.__setattr__("elem_type", kind))


CODED = {
    "input x must be float32 or integers of 8 or 16 bits, not INT64": lambda: of_codes(TensorProto.INT64),
    "the model has no quantizer": lambda: (
        lambda chain: (chain.aside("QuantizeLinear", reals(1, 3), np.float32(1)), chain.add("Identity").model())[1]
    )(Chain((3,))),
    "the model has no products": lambda: entry().dequantize().model(),
    "QuantizeLinear q: scale c0 must be positive and finite, a scalar or [C]": lambda: (
        Chain((3,)).add("QuantizeLinear", np.float32(0), U8(1), name="q").model()
    ),
    "QuantizeLinear q: scale c0 must be of type float32, not float64": lambda: (
        Chain((3,)).add("QuantizeLinear", np.float64(1), U8(1), name="q").model()
    ),
    "QuantizeLinear q: scale c0 must be one for all activations, not 2": lambda: (
        Chain((2,)).add("QuantizeLinear", np.float32([1, 2]), U8([1, 1]), name="q").model()
    ),
    "QuantizeLinear q: input c1 must be of an integer type, not float32": lambda: (
        Chain((3,)).add("QuantizeLinear", np.float32(1), np.float32(1), name="q").model()
    ),
    "QuantizeLinear q: zero point c1 has shape [2], its scale []": lambda: (
        Chain((3,)).add("QuantizeLinear", np.float32(1), U8([1, 2]), name="q").model()
    ),
    "QuantizeLinear q: attribute block_size must be 0, not 16": lambda: (
        Chain((3,)).add("QuantizeLinear", np.float32(1), U8(1), name="q", block_size=16).model()
    ),
    "QuantizeLinear q: an input is missing": lambda: Chain((3,)).add("QuantizeLinear", name="q").model(),
    "QuantizeLinear q: quantizes codes": lambda: entry().add("QuantizeLinear", np.float32(1), U8(1), name="q").model(),
    "DequantizeLinear d: takes codes, but comes behind real numbers": lambda: (
        entry().dequantize().add("DequantizeLinear", np.float32(1), U8(1), name="d").model()
    ),
    "DequantizeLinear d: takes codes of scale 1.0, zero point 3, but those before it have scale 0.10000000149011612, "
    "zero point 3": lambda: entry().add("DequantizeLinear", np.float32(1), U8(3), name="d").model(),
    "DequantizeLinear d: has a zero point of type int8 for codes of uint8": lambda: (
        entry().add("DequantizeLinear", np.float32(0.1), I8(3), name="d").model()
    ),
    "MatMul fc: has weights that no DequantizeLinear gives": lambda: qdq_fc("c0").model(),
    "MatMul fc: takes real numbers that no DequantizeLinear gives": lambda: (
        Coded((3,), 1).add("MatMul", reals(1, 3, 3), name="fc").quantize(1, U8(0)).model()
    ),
    "MatMul m: follows operations on real numbers that no layer takes in": lambda: (
        qdq_fc().add("Relu").add("Sigmoid").add("MatMul", reals(1, 4, 4), name="m").model()
    ),
    "MatMul fc: has weights with a scale for each index of axis 0; it must be axis 1": lambda: scaled(
        np.float32([1, 2, 3]), I8([0, 0, 0]), axis=0
    ),
    "DequantizeLinear dequantizelinear2: has axis 5 on codes of 2 axes": lambda: scaled(
        np.float32([1, 2, 3, 4]), I8([0] * 4), axis=5
    ),
    "DequantizeLinear dequantizelinear2: has 3 scales for axis 1 of codes [3, 4]": lambda: scaled(
        np.float32([1, 2, 3]), I8([0] * 3)
    ),
    "DequantizeLinear dequantizelinear2: zero point c6 is of type uint8, its codes of int8": lambda: scaled(
        np.float32(1), U8(0)
    ),
    "DequantizeLinear dequantizelinear2: scale c5 must be positive and finite, a scalar or [C]": lambda: scaled(
        np.float32([1, np.inf, 1, 1]), I8([0] * 4)
    ),
    "DequantizeLinear dequantizelinear2: attribute axis must be an integer, not a": lambda: scaled(
        np.float32(1), axis="a"
    ),
    "QuantizeLinear quantizelinear4: scales of activations, weights and outputs make no float32 factor": lambda: scaled(
        np.float32(1e-45)
    ),
    "Gemm fc: bias dequantizelinear3 has another scale than activations times weights": lambda: biased(
        np.int32([1, 2, 3, 4]), np.float32(0.5)
    ),
    "Gemm fc: has a bias that int32 does not hold in units of the sums": lambda: biased(np.float32([1e9] * 4), None),
    "Gemm fc: attribute alpha must be 1.0, not 2.0": lambda: (
        entry().dequantize().add("Gemm", reals(1, 3, 3), name="fc", alpha=2.0).model()
    ),
    "AveragePool p: attribute count_include_pad must be 0 where there is padding": lambda: (
        Coded((1, 4, 4), 1)
        .quantize(1, U8(0))
        .dequantize()
        .add("AveragePool", name="p", kernel_shape=[2, 2], pads=[1, 1, 0, 0], count_include_pad=1)
        .model()
    ),
    "AveragePool p: has no quantizer for its outputs": lambda: (
        Coded((1, 4, 4), 1).quantize(1, U8(0)).dequantize().add("AveragePool", name="p", kernel_shape=[2, 2]).model()
    ),
    "AveragePool p: has bounds on its outputs, which average pools do not take": lambda: (
        Coded((1, 4, 4), 1)
        .quantize(1, U8(9))
        .dequantize()
        .add("AveragePool", name="p", kernel_shape=[2, 2])
        .add("Relu")
        .quantize(1, U8(9))
        .model()
    ),
    "Conv c: has a scale for each channel, and its sums are moved before they are quantized": lambda: (
        lambda chain: (
            chain.add("Conv", chain.weights(chain.codes((2, 1, 2, 2)), [1, 2]), name="c").add("Flatten").model()
        )
    )(Coded((1, 4, 4), 1).quantize(1, U8(0)).dequantize()),
    "the model's outputs are maps of real sums with a scale for each channel": lambda: (
        lambda chain: chain.add("Conv", chain.weights(chain.codes((2, 1, 2, 2)), [1, 2]), name="c").model()
    )(Coded((1, 4, 4), 1).quantize(1, U8(0)).dequantize()),
    "Clip c: bounds codes to [9, 255], which must hold the zero point and another code": lambda: (
        entry().add("Clip", U8(9), None, name="c").model()
    ),
    "Clip c: bounds the network's input to [0, 5], which is no format of integers": lambda: (
        entry().add("Clip", U8(0), U8(5), name="c").model()
    ),
    "QuantizeLinear quantizelinear5: the rule falls in column 0: code 255 for sum -48960, 128 for 0; where it falls "
    "throughout, negate the column's weights": lambda: (
        qdq_fc(np.ones((3, 4), I8)).add("Mul", np.float32(-1)).quantize(0.01, U8(128)).model()
    ),
    "Relu r: takes real numbers that no DequantizeLinear gives": lambda: entry().add("Relu", name="r").model(),
    "QuantizeLinear quantizelinear4: stands elsewhere than behind a product, which could take it in": lambda: (
        lambda chain: chain.add("Add", chain.weights(U8([1, 2, 3]), 0.1), name="a").quantize(1, U8(0)).model()
    )(entry().dequantize()),
    "the model's outputs are sums of codes that no quantizer follows": lambda: (
        lambda chain: chain.add("Add", chain.weights(U8([1, 2, 3]), 0.1), name="a").model()
    )(entry().dequantize()),
    "QLinearMatMul q: takes codes of scale 0.5, zero point 3, but those before it have scale 0.10000000149011612, zero "
    "point 3": lambda: qlinear((0, np.float32(0.5))).model(kind="uint8"),
    "QLinearMatMul q: has weights [4, 3] for [B, 3]": lambda: qlinear((2, np.ones((4, 3), I8))).model(kind="uint8"),
    "QLinearMatMul q: input c4 must be of an integer type, not float32": lambda: qlinear((2, reals(1, 3, 3))).model(),
    "QLinearMatMul q: scale c5 must be positive and finite, a scalar or [C]": lambda: qlinear(
        (3, np.float32(-1))
    ).model(),
    "QLinearMatMul q: has 2 scales for axis 1 of codes [3, 3]": lambda: qlinear(
        (3, np.float32([1, 2])), (4, I8([0, 0]))
    ).model(),
    "QLinearMatMul q: attribute alpha is not supported": lambda: qlinear(alpha=1).model(),
    "QLinearConv c: bias c9 must be of type int32, not float32": lambda: (
        Coded((1, 4, 4), 1)
        .quantize(1, U8(0))
        .add(
            "QLinearConv",
            np.float32(1),
            U8(0),
            np.ones((1, 1, 2, 2), I8),
            np.float32(1),
            I8(0),
            np.float32(1),
            U8(0),
            reals(1, 1),
            name="c",
        )
        .model()
    ),
    "QLinearMul q: is not supported in quantized networks": lambda: entry().add("QLinearMul", name="q").model(),
    "ConvInteger q: is not supported in quantized networks": lambda: Chain((3,)).add("ConvInteger", name="q").model(),
    "Cast c: takes sums of MatMulInteger, and nothing else": lambda: changed(
        entry().add("Cast", name="c", to=1).model(), lambda g: g.node.append(helper.make_node("QGemm", [], ["z"]))
    ),
    "MatMulInteger m: takes codes of uint8 with zero point 4, those before it uint8 with 3": lambda: (
        entry().add("MatMulInteger", np.ones((3, 3), I8), U8(4), name="m").model()
    ),
    "QLinearAveragePool p: attribute channels_last must be 0, not 1": lambda: (
        Coded((1, 4, 4), 1).quantize(1, U8(0)).add("QLinearAveragePool", name="p", channels_last=1).model()
    ),
}
CODED["MaxPool m: follows operations on real numbers that fall"] = lambda: (
    lambda chain: (
        chain.add("Conv", chain.weights(chain.codes((2, 1, 2, 2)), 1))
        .add("Mul", np.float32(-1))
        .add("MaxPool", name="m", kernel_shape=[2, 2])
        .model()
    )
)(Coded((1, 4, 4), 1).quantize(1, U8(0)).dequantize())


def section(change=lambda nodes: None, operator="MatMulInteger", w=None, scale=0.1, point=None, **attributes):
    """A model of one product on dynamic codes, its nodes (quantize, scales, product, cast, scaled) after a change."""
    w = np.ones((3, 2), I8) if w is None else w
    model = dynamic_product(Chain((3,)), operator, w, scale, point, **attributes).model()
    change(model.graph.node)
    return model


def at(index, place, name):
    """Puts another tensor at the input of a node."""
    return lambda nodes: nodes[index].input.__setitem__(place, name)


def twice(name):
    """One more node that reads a tensor."""
    return lambda nodes: nodes.append(helper.make_node("Identity", [name], ["more"], name="more"))


DYNAMIC = {
    "DynamicQuantizeLinear q: its output t0 must be read once, not 0 times": lambda: (
        Chain((3,)).add("DynamicQuantizeLinear", name="q").model()
    ),
    "DynamicQuantizeLinear p_quantize: its output p_a must be read once, not 2 times": lambda: section(twice("p_a")),
    "DynamicQuantizeLinear p_quantize: its output p_a_scale must be read once, not 2 times": lambda: (
        section(twice("p_a_scale"))
    ),
    "DynamicQuantizeLinear p_quantize: its output p_a must go to MatMulInteger or ConvInteger, not Identity p": (
        lambda: section(lambda nodes: nodes[2].__setattr__("op_type", "Identity"))
    ),
    "DynamicQuantizeLinear p_quantize: its output p_a must go to MatMulInteger or ConvInteger, not MatMulInteger p": (
        lambda: section(lambda nodes: nodes[2].__setattr__("domain", "com.microsoft"))
    ),
    "DynamicQuantizeLinear p_quantize: its output p_a_point must be read once, not 0 times": lambda: (
        section(at(2, 2, ""))
    ),
    "MatMulInteger p: must have the zero point of DynamicQuantizeLinear p_quantize as its third input": lambda: (
        section(lambda nodes: nodes[2].CopyFrom(
            helper.make_node("MatMulInteger", ["p_a", "c1", "", "p_a_point"], list(nodes[2].output), name="p")
        ))
    ),
    "MatMulInteger p: must take the codes of DynamicQuantizeLinear p_quantize, and their zero point": lambda: (
        section(lambda nodes: nodes[2].input.__setitem__(slice(0, 2), ["c1", "p_a"]))
    ),
    "Mul p_scales: must multiply the scale of activations with a constant": lambda: section(at(1, 1, "p_a_scale")),
    "Mul p_scaled: must multiply what Cast p_cast and Mul p_scales give": lambda: (
        section(lambda nodes: (at(4, 1, "c0")(nodes), nodes.append(
            helper.make_node("Mul", ["p_scales", "c0"], ["aside"], name="aside"))))
    ),
    "Cast p_cast: attribute to must be 1, not 11": lambda: (
        section(lambda nodes: nodes[3].attribute[0].__setattr__("i", 11))
    ),
    "MatMulInteger p: has weights [4, 2] for [B, 3]": lambda: section(w=np.ones((4, 2), I8)),
    "MatMulInteger p: weights c1 must be of type int8 or uint8, not int16": lambda: (
        section(w=np.ones((3, 2), np.int16))
    ),
    "MatMulInteger p: zero point c2 is of type uint8, its codes of int8": lambda: section(point=U8(3)),
    "MatMulInteger p: attribute alpha is not supported": lambda: section(alpha=1),
    "ConvInteger p: takes [B, C, H, W] or [B, C, L], not [B, 3]": lambda: section(operator="ConvInteger"),
    "Mul p_scales: scale c0 must be positive and finite numbers of type float32": lambda: section(scale=[0.1, -1]),
    "Mul p_scales: has a constant [3] for [B, 2]": lambda: section(scale=[0.1, 1, 1]),
    "MatMulInteger p: has sums of up to 3570000000, which int32 does not hold": lambda: dynamic_product(
        Chain((140000,)), "MatMulInteger", np.full((140000, 1), 100, I8), 1
    ).model(),
    "MatMulInteger p: has sums of up to 2601000000, which int32 does not hold": lambda: dynamic_product(
        Chain((40000,)), "MatMulInteger", np.zeros((40000, 1), U8), 1, U8(255)
    ).model(),
    "MatMul m: is not supported in networks of dynamic quantization": lambda: (
        dynamic_product(Chain((3,)), "MatMulInteger", np.ones((3, 2), I8), 1)
        .add("MatMul", reals(1, 2, 2), name="m").model()
    ),
    "DynamicQuantizeLinear q_quantize: follows mul, which only elementwise operators may": lambda: dynamic_product(
        dynamic_product(Chain((3,)), "MatMulInteger", np.ones((3, 2), I8), 1).add("Mul", np.float32(2)),
        "MatMulInteger", np.ones((2, 2), I8), 1, name="q",
    ).model(),
    "Softmax s: stands before all products": lambda: (
        dynamic_product(Chain((3,)).add("Softmax", name="s"), "MatMulInteger", np.ones((3, 2), I8), 1).model()
    ),
    "AveragePool a: attribute count_include_pad must be 0 where there is padding": lambda: dynamic_product(
        Chain((1, 4, 4)).add(
            "AveragePool", name="a", kernel_shape=[2, 2], pads=[1, 1, 0, 0], count_include_pad=1
        ), "ConvInteger", np.ones((1, 1, 1, 1), I8), 1,
    ).model(),
    "Identity more: branches off where DynamicQuantizeLinear p_quantize reads too; networks must be chains": lambda: (
        section(twice("x"))
    ),
}  # fmt: skip
TABLES = {"graphs": GRAPHS, "float": FLOAT, "coded": CODED, "dynamic": DYNAMIC}


@pytest.mark.parametrize(("table", "message"), [(name, one) for name, table in TABLES.items() for one in table])
def test_what_is_refused(table, message):
    model = TABLES[table][message]()
    with pytest.raises(Unsupported) as error:
        READERS[flavour(model)](model)
    assert str(error.value) == message


PLATFORMS = {
    "AveragePool p: platform 'onnx-reference' has no rule for average pooling": lambda: (
        Coded((1, 4, 4), 1)
        .quantize(1, U8(0))
        .dequantize()
        .add("AveragePool", name="p", kernel_shape=[2, 2])
        .quantize(1, U8(0))
        .model()
    ),
    "Add a: platform 'onnx-reference' has no rule for addition": lambda: (
        lambda chain: chain.add("Add", chain.weights(U8([1] * 6), 0.1), name="a").quantize(1, U8(0)).model()
    )(dense().quantize(1, U8(0)).dequantize()),
}


@pytest.mark.parametrize("message", PLATFORMS)
def test_what_a_platform_has_no_rule_for(message):
    with pytest.raises(Unsupported) as error:
        read_qdq(PLATFORMS[message](), platform="onnx-reference")
    assert str(error.value) == message


def test_names_are_shown_as_one_harmless_line():
    name = "a\n\x1b[31m'; rm -rf / #" + "x" * 200
    model = fc().add("LRN", name=name).model()
    with pytest.raises(Unsupported) as error:
        read_float(model)
    assert str(error.value) == f"LRN {printable(name)}: is not supported in float networks"
    assert all(one.isprintable() for one in str(error.value)) and len(str(error.value)) < 150


def test_constants_are_computed_without_recursion():
    """As deep as a model may be."""
    chain, name = fc(), reals(1, 4)
    for _ in range(5000):
        name = chain.aside("Identity", name)
    graph = Graph(chain.add("Add", name).model())
    assert graph.value(graph.nodes[-1].inputs[1]).shape == (4,)


def test_flavours():
    assert {name: flavour(model) for name, model in models().items()} == {
        name: name.removeprefix("reference ").split()[0] for name in models()
    }
    chain = fc()
    chain.add("Quant", np.float32(1), domain="qonnx.custom_op.general")
    assert flavour(chain.model()) == "qonnx"


@pytest.mark.parametrize("name", models())
def test_damaged_models(name):
    """`python tests/fuzz_onnx.py` tries many more."""
    content = models()[name].SerializeToString()
    found = {outcome(name, content, seed) for seed in range(150)}
    assert "refused" in found and any(one.startswith("read") for one in found)
