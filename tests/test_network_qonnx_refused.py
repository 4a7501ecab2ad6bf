"""What a QONNX or FINN model may not be: one line each, naming operator, node and value."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from qonnx_models import GENERAL, Chain, whole

from network.qonnx.read import read_qonnx
from network.unsupported import Unsupported

ONE = np.ones((2, 3), np.float32)
NAN, INF, ZERO = np.float32([np.nan, np.inf, 0])


def quantized():
    return Chain().quant(1, 4)


def product(w=ONE, chain=None):
    chain = chain or quantized()
    return chain.product("MatMul", chain.constant(w))


def conv(shape=(2, 2, 3, 3), chain=None, **attributes):
    chain = chain or quantized()
    return chain.product("Conv", chain.constant(np.full(shape, 2, np.float32)), **attributes)


def weights(*given, **attributes):
    chain = quantized()
    return chain.product("MatMul", chain.weights(*given, **attributes)).quant(1, 4)


def cyclic():
    chain = quantized()
    chain.nodes[0].input[0] = "late"
    chain.nodes.append(helper.make_node("Relu", [chain.x], ["late"], name="r"))
    chain.x = "late"
    return chain


def with_scale_of_the_input():
    chain = Chain()
    chain.x = chain.add("Quant", chain.constant(ONE), "x", *(chain.constant(np.float32(one)) for one in (0, 4)),
                        domain=GENERAL, signed=1, narrow=0)  # fmt: skip
    return chain


def labels(k=1, output="label", **attributes):
    chain = product()
    chain.add("TopK", chain.x, chain.constant(np.int64([k])), outputs=["best", "label"], **attributes)
    chain.x = output
    return chain


VECTOR, MAP = (1, 2), (1, 2, 6, 7)
ERRORS = [
    # quantizers
    (VECTOR, lambda: Chain().quant(0, 4), "Quant Quant_0: its scale must be positive, not 0.0"),
    (VECTOR, lambda: Chain().quant(-0.5, 4), "Quant Quant_0: its scale must be positive, not -0.5"),
    (VECTOR, lambda: Chain().quant(NAN, 4), "Quant Quant_0: its scale must be finite numbers"),
    (VECTOR, lambda: Chain().quant(INF, 4), "Quant Quant_0: its scale must be finite numbers"),
    (VECTOR, lambda: Chain().quant([1, 2], 4),
     "Quant Quant_0: its scale must be one for the whole tensor, not 2 values"),
    (VECTOR, lambda: Chain().quant(1, 2.5), "Quant Quant_0: its bit width must be an integer from 1 to 32, not 2.5"),
    (VECTOR, lambda: Chain().quant(1, 0), "Quant Quant_0: its bit width must be an integer from 1 to 32, not 0.0"),
    (VECTOR, lambda: Chain().quant(1, -1), "Quant Quant_0: its bit width must be an integer from 1 to 32, not -1.0"),
    (VECTOR, lambda: Chain().quant(1, 1e30), "Quant Quant_0: its bit width must be an integer from 1 to 32, not 1e+30"),
    (VECTOR, lambda: Chain().quant(1, NAN), "Quant Quant_0: its bit width must be finite numbers"),
    (VECTOR, lambda: Chain().quant(1, 4, 0.5),
     "Quant Quant_0: its zero point must be an integer in [-8, 7] for int4, not 0.5"),
    (VECTOR, lambda: Chain().quant(1, 4, 9),
     "Quant Quant_0: its zero point must be an integer in [-8, 7] for int4, not 9.0"),
    (VECTOR, lambda: Chain().quant(1, 1, 1),
     "Quant Quant_0: its zero point must be an integer in [0, 0] for bipolar, not 1.0"),
    (VECTOR, lambda: Chain().quant(1, 1, signed=0, narrow=1),
     "Quant Quant_0: a narrow quantizer to uint1 has one code only"),
    (VECTOR, lambda: Chain().quant(1, 4, signed=2), "Quant Quant_0: attribute signed must be 0 or 1, not 2"),
    (VECTOR, lambda: Chain().quant(1, 4, rounding_mode="NEAR\nEST"),
     "Quant Quant_0: attribute rounding_mode must be one of ROUND, HALF_EVEN, CEIL, FLOOR, UP, DOWN, HALF_UP, "
     "HALF_DOWN, not NEAR?EST"),
    (VECTOR, lambda: Chain().then("Quant", np.float32(1), domain=GENERAL, signed=1, narrow=0),
     "Quant Quant_0: has no bit width"),
    (VECTOR, lambda: Chain().bipolar(-1), "BipolarQuant BipolarQuant_0: its scale must be positive, not -1.0"),
    (VECTOR, with_scale_of_the_input,
     "Quant Quant_0: takes a constant where activations belong"),
    (VECTOR, lambda: Chain().then("Trunc", *ONE, domain=GENERAL),
     f"Trunc Trunc_0: of domain {GENERAL} is not read in QONNX networks"),
    (VECTOR, lambda: product().quant(1, 9),
     "Quant Quant_2: thresholds give outputs of at most 8 bits, not int9"),
    # thresholds
    (VECTOR, lambda: Chain().multi_threshold([[1, 2], [2, 1]]),
     "MultiThreshold MultiThreshold_0: its thresholds must ascend; [1, 1] is 1.0 after 2.0"),
    (VECTOR, lambda: Chain().multi_threshold([[1, NAN]]),
     "MultiThreshold MultiThreshold_0: its thresholds must be finite numbers"),
    (VECTOR, lambda: Chain().multi_threshold([1, 2]),
     "MultiThreshold MultiThreshold_0: its thresholds must have shape [C, T] with T at most 255, not [2]"),
    (VECTOR, lambda: Chain().multi_threshold(np.zeros((1, 256))),
     "MultiThreshold MultiThreshold_0: its thresholds must have shape [C, T] with T at most 255, not [1, 256]"),
    (VECTOR, lambda: Chain().multi_threshold(np.zeros((3, 1))),
     "MultiThreshold MultiThreshold_0: has thresholds for 3 channels on axis 1; channels lie on axis 1 of [B, 2]"),
    (MAP, lambda: Chain().multi_threshold(np.zeros((7, 1)), data_layout="NHWC"),
     "MultiThreshold MultiThreshold_0: has thresholds for 7 channels on axis 3; channels lie on axis 1 of "
     "[B, 2, 6, 7]"),
    (VECTOR, lambda: Chain().multi_threshold([[0]], out_scale=-1.0),
     "MultiThreshold MultiThreshold_0: attribute out_scale must be positive, not -1.0"),
    (VECTOR, lambda: Chain().multi_threshold([[0]], out_scale=float("nan")),
     "MultiThreshold MultiThreshold_0: attribute out_scale must be a finite number, not nan"),
    (VECTOR, lambda: Chain().multi_threshold([[0]], out_scale="big"),
     "MultiThreshold MultiThreshold_0: attribute out_scale must be a finite number, not big"),
    (VECTOR, lambda: Chain().multi_threshold([[0]], out_bias=0.3),
     "MultiThreshold MultiThreshold_0: attribute out_bias must be a multiple of half of out_scale, 1.0, not 0.3"),
    (VECTOR, lambda: Chain().multi_threshold([[0, 1, 2, 3]], out_dtype="UINT2"),
     "MultiThreshold MultiThreshold_0: attribute out_dtype uint2 does not hold its codes [0, 4] of uint3"),
    (VECTOR, lambda: Chain().multi_threshold([[0]], out_dtype="BIPOLAR"),
     "MultiThreshold MultiThreshold_0: attribute out_dtype bipolar does not hold its codes [0, 1] of uint1"),
    # weights
    (VECTOR, lambda: product(ONE / 2), "MatMul MatMul_1: its weights pass no quantizer and are no integers"),
    (VECTOR, lambda: product(ONE * NAN), "MatMul MatMul_1: its weights must be finite numbers"),
    (VECTOR, lambda: product(np.float64(ONE) * 0.1),
     "MatMul MatMul_1: its weights must be float32 numbers, not float64"),
    (VECTOR, lambda: product(ONE.T), "MatMul MatMul_1: has weights [3, 2] for [B, 2]"),
    (VECTOR, lambda: product(ONE[0]), "MatMul MatMul_1: has weights [3] for [B, 2]"),
    (VECTOR, lambda: weights(ONE, [[1, 2, 3]], 4).product("MatMul", "nothing"),
     "MatMul MatMul_4: reads nothing, which no node before it makes"),
    (VECTOR, lambda: weights(ONE, [[1], [2]], 4), "MatMul MatMul_2: its weights have several scales in one sum"),
    (VECTOR, lambda: weights(ONE, ONE, 4),
     "Quant Quant_1: its scale must be one number or vary along one axis of [2, 3], not have shape [2, 3]"),
    (VECTOR, lambda: weights(ONE, [1, 2], 4),
     "Quant Quant_1: its scale must be one number or vary along one axis of [2, 3], not have shape [2]"),
    (VECTOR, lambda: weights(ONE, -1, 4), "Quant Quant_1: its scale must be positive, not -1.0"),
    (VECTOR, lambda: weights(ONE, 1, 33), "Quant Quant_1: its bit width must be an integer from 1 to 32, not 33.0"),
    # products
    (VECTOR, lambda: product(chain=Chain()),
     "MatMul MatMul_0: takes the network's input, which neither a quantizer nor its type makes integers"),
    (VECTOR, lambda: product(np.eye(3, dtype=np.float32), product()),
     "MatMul MatMul_1: no quantizer stands between it and the next product"),
    (VECTOR, lambda: product(chain=quantized().then("Mul", np.float32([1, 2]))),
     "Mul Mul_1: only one positive factor may stand between a quantizer and a product"),
    (VECTOR, lambda: product(chain=quantized().then("Mul", np.float32(-1))),
     "Mul Mul_1: only one positive factor may stand between a quantizer and a product"),
    (VECTOR, lambda: product(chain=quantized().then("Add", np.float32(1))),
     "Add Add_1: only one positive factor may stand between a quantizer and a product"),
    (VECTOR, lambda: product(chain=quantized().then("Mul", np.float32(1e-45)).then("Mul", np.float32(1e-45))),
     "MatMul MatMul_3: scale must be positive and finite, a scalar or [C], not 0.0"),
    (MAP, lambda: conv(group=2),
     "Conv Conv_1: has weights [2, 2, 3, 3] in 2 groups for [B, 2, 6, 7]"),
    (MAP, lambda: conv(kernel_shape=[2, 2]),
     "Conv Conv_1: attribute kernel_shape must be that of its weights, [3, 3], not [2, 2]"),
    (MAP, lambda: conv(strides=[0, 1]),
     "Conv Conv_1: attribute strides must be 2 integers from 1 to 65536, not [0, 1]"),
    (MAP, lambda: conv(dilations=[4, 1]),
     "Conv Conv_1: has windows that reach over 9 places; its input with padding has 6"),
    (MAP, lambda: conv(auto_pad="SOME"),
     "Conv Conv_1: attribute auto_pad must be NOTSET or VALID or SAME_UPPER or SAME_LOWER, not SOME"),
    (MAP, lambda: conv(chain=Chain().bipolar(), pads=[1, 1, 1, 1]),
     "Conv Conv_1: pads with zeros, which bipolar activations do not have"),
    (VECTOR, conv, "Conv Conv_1: takes [B, C, H, W] or [B, C, L], not [B, 2]"),
    (MAP, lambda: product(chain=quantized().then("Im2Col", domain=GENERAL, kernel_size=[2, 2], stride=[1, 1],
                                                 pad_value=1)),
     "Im2Col Im2Col_1: attribute pad_value must be 0, not 1"),
    (MAP, lambda: quantized().then("Im2Col", domain=GENERAL, kernel_size=[2, 2], stride=[1, 1]).then("Relu"),
     "Im2Col Im2Col_1: must be followed by a MatMul, not by Relu Relu_2"),
    (MAP, lambda: quantized().then("Im2Col", domain=GENERAL, kernel_size=[2, 2], stride=[1, 1]),
     "Im2Col Im2Col_1: must be followed by a MatMul"),
    # float operations
    (VECTOR, lambda: Chain().then("Elu"), "Elu Elu_0: is not read in QONNX networks"),
    (VECTOR, lambda: Chain().then("Relu", domain="mine\x00"),
     "Relu Relu_0: of domain mine? is not read in QONNX networks"),
    (VECTOR, lambda: Chain().then("Div", np.float32([1, 0])), "Div Div_0: divides by zero"),
    (VECTOR, lambda: Chain().then("Add", np.float32([1, 2, 3])),
     "Add Add_0: has a constant [3] for [B, 2]"),
    (MAP, lambda: product(chain=Chain().then("Add", np.float32(range(7)))),
     "Add Add_0: has a constant [7] that varies along axis 3; channels lie on axis 1"),
    (VECTOR, lambda: Chain().then("Mul", NAN), "Mul Mul_0: its operand must be finite numbers"),
    (VECTOR, lambda: Chain().then("Clip", np.float32([0, 1])),
     "Clip Clip_0: its min must be one for the whole tensor, not 2 values"),
    (VECTOR, lambda: Chain().batch_norm([1, 1], [0, 0], [0, 0], [1, -1]),
     "BatchNormalization BatchNormalization_0: variance and epsilon must sum to a positive number"),
    (VECTOR, lambda: Chain().batch_norm([1], [0], [0], [1]),
     "BatchNormalization BatchNormalization_0: its parameters must have shape [2]"),
    (VECTOR, lambda: product().then("Mul", np.float32(3e38)).then("Mul", np.float32(99)).then("Mul", ZERO).quant(1, 4),
     "Quant Quant_5: NaN has no integer code"),
    (VECTOR, lambda: product().then("Reshape", np.int64([1, 1, 3])).then("Softmax", axis=1),
     "Softmax Softmax_3: attribute axis must be the last of 3, not 1"),
    (VECTOR, lambda: product().then("Softmax").quant(1, 4),
     "Quant Quant_3: follows Softmax Softmax_2, which must come last"),
    # shapes
    (VECTOR, lambda: Chain().then("Reshape", np.int64([2, 1])),
     "Reshape Reshape_0: makes [2, 1] of [B, 2]; the batch must stay as it is"),
    (VECTOR, lambda: Chain().then("Reshape", np.int64([1, 3])),
     "Reshape Reshape_0: cannot make [1, 3] of [B, 2]"),
    (VECTOR, lambda: Chain().then("Reshape", np.int64([1, -1, -1])),
     "Reshape Reshape_0: cannot make [1, -1, -1] of [B, 2]"),
    (VECTOR, lambda: Chain().then("Squeeze", np.int64([0])),
     "Squeeze Squeeze_0: takes axes [0] away from [B, 2], where not all are of size 1"),
    (VECTOR, lambda: Chain().then("Squeeze", np.int64([1])),
     "Squeeze Squeeze_0: takes axes [1] away from [B, 2], where not all are of size 1"),
    (VECTOR, lambda: Chain().then("Transpose", perm=[1, 0]),
     "Transpose Transpose_0: must keep the batch first, not put axes in the order [1, 0]"),
    (VECTOR, lambda: Chain().then("Transpose", perm=[0, 0]),
     "Transpose Transpose_0: attribute perm must name each of 2 axes once, not [0, 0]"),
    (VECTOR, lambda: Chain().then("Flatten", axis=0), "Flatten Flatten_0: attribute axis must be 1 on [B, 2], not 0"),
    (MAP, lambda: Chain().then("MaxPool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
     "MaxPool MaxPool_0: attribute ceil_mode 1 adds windows that reach beyond the padding"),
    (MAP, lambda: Chain().then("MaxPool"),
     "MaxPool MaxPool_0: attribute kernel_shape must be integers from 1 to 65536, not None"),
    (MAP, lambda: conv().then("MaxPool", kernel_shape=[2, 2]).then("Mul", np.float32(-1)).quant(1, 4),
     "MaxPool MaxPool_2: no negative factor may stand between it and the codes"),
    (MAP, lambda: conv().then("Neg").then("MaxPool", kernel_shape=[2, 2]),
     "MaxPool MaxPool_3: no negative factor may stand between it and the codes"),
    # ends
    (VECTOR, lambda: Chain().then("Relu"), "the model has neither a quantizer nor a product with weights"),
    (VECTOR, lambda: labels(k=2), "TopK TopK_2: must give one label, not [2]"),
    (VECTOR, lambda: labels(output="best"), "TopK TopK_2: must give the index; its value is the output here"),
    (VECTOR, lambda: labels(largest=0), "TopK TopK_2: attribute largest must be 1, not 0"),
    (VECTOR, cyclic, "Quant Quant_0: reads late, which no node before it makes"),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "chain", "message"), ERRORS, ids=[error[2] for error in ERRORS])
def test_errors(shape, chain, message):
    with pytest.raises(Unsupported) as error:
        read_qonnx(chain().model(shape))
    assert str(error.value) == message


def test_scales_of_channels_must_end_last():
    chain = quantized()
    w = chain.weights(np.ones((2, 2, 1, 1)), np.float32([[[[1]]], [[[2]]]]), 4)
    with pytest.raises(Unsupported) as error:
        read_qonnx(chain.product("Conv", w).model(MAP))
    assert str(error.value) == (
        "sums whose columns have scales of their own must end with the columns as the last axis"
    )


def test_channels_mixed_before_the_end():
    chain = conv().then("Mul", np.float32([[[[1]], [[2]]]])).then("Flatten")
    with pytest.raises(Unsupported) as error:
        read_qonnx(chain.model(MAP))
    assert str(error.value) == "Mul Mul_2: has numbers for each channel; the network ends with channels mixed"


def test_inputs_of_other_types():
    with pytest.raises(Unsupported) as error:
        read_qonnx(product().model(VECTOR, kind=TensorProto.DOUBLE))
    assert str(error.value) == "input x must be float32 or integers of 8 or 16 bits, not DOUBLE"


def damage(rng, model):
    """One random change: of an attribute, a constant, an input, an operator or a domain."""
    nodes, constants = list(model.graph.node), list(model.graph.initializer)
    node, constant = nodes[rng.integers(len(nodes))], constants[rng.integers(len(constants))]
    odd = [np.nan, np.inf, -1, 0, 2.5, 1e30, -1e30, 1 << 20]
    match rng.integers(7):
        case 0 if node.attribute:
            one = node.attribute[rng.integers(len(node.attribute))]
            value = [int(rng.integers(-3, 5)), float(rng.choice(odd)), "x\x00", [int(rng.integers(-2, 9))] * 4, [0.5]]
            one.CopyFrom(helper.make_attribute(one.name, value[rng.integers(len(value))]))
        case 1:
            value = onnx.numpy_helper.to_array(constant).copy()
            with np.errstate(all="ignore"):
                value.reshape(-1)[rng.integers(value.size)] = np.asarray(rng.choice(odd)).astype(value.dtype)
            constant.CopyFrom(onnx.numpy_helper.from_array(value, constant.name))
        case 2:
            value = onnx.numpy_helper.to_array(constant)
            shapes = [value.reshape(-1), value[None], np.stack([value, value]), value.astype(np.float64), value[:0]
                      if value.ndim else np.array("a")]  # fmt: skip
            constant.CopyFrom(onnx.numpy_helper.from_array(shapes[rng.integers(5)], constant.name))
        case 3 if node.input:
            node.input[rng.integers(len(node.input))] = str(rng.choice([*(one.output[0] for one in nodes), "", "x"]))
        case 4:
            node.op_type = str(rng.choice([one.op_type for one in nodes]))
        case 5 if node.input:
            del node.input[rng.integers(len(node.input)) :]
        case _:
            node.domain = str(rng.choice([GENERAL, "", "other"]))


def test_damaged_models_are_refused_in_one_line():
    rng = np.random.default_rng(1)
    found = {"read": 0, "refused": 0}
    for _ in range(400):
        model = whole()
        for _ in range(rng.integers(1, 4)):
            damage(rng, model)
        try:
            read_qonnx(model)
            found["read"] += 1
        except ValueError as error:
            assert str(error) and str(error).isprintable()
            found["refused"] += 1
    assert min(found.values()) > 20
