"""Float networks read from ONNX, against onnx's reference evaluator."""

import numpy as np
import pytest
from onnx_models import Chain, reference

from network.float_network import FloatAveragePool, Linear
from network.onnx.layer_names import LayerNames
from network.onnx.read_float import read_float
from network.shapes import MaxPool, Reshape, Transpose


class Draw:
    """float32 constants of a seed: `draw(2, 3)` has that shape."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def __call__(self, *shape):
        return self.rng.normal(0, 1, shape).astype(np.float32)

    def norm(self, channels):
        return self(channels), self(channels), self(channels), abs(self(channels)) + np.float32(0.1)


def compared(chain, x, kinds=None, opset=21):
    """The network, whose outputs are those of the model up to rounding."""
    model = chain.model(opset)
    network, expected = read_float(model), reference(model, x)
    found = network.run(x)
    assert found.shape == expected.shape and found.dtype == np.float32
    assert np.allclose(found, expected, rtol=1e-4, atol=2e-5 * abs(expected).max())
    assert np.ptp(expected) > 0
    if kinds is not None:
        assert [type(layer) for layer in network.layers] == kinds
    return network


def test_a_perceptron():
    draw = Draw(1)
    chain = Chain((7,)).add("Gemm", draw(5, 7), draw(5), transB=1, alpha=0.5, beta=-2.0, name="/fc1/Gemm").add("Relu")
    chain.add("Dropout").add("MatMul", draw(5, 6), name="/fc1/Gemm").add("Add", draw(6)).add("Softmax", axis=-1)
    network = compared(chain, draw(11, 7), [Linear, Linear])
    assert [layer.name for layer in network.layers] == ["fc1_Gemm", "fc1_Gemm_2"]
    assert [layer.activation for layer in network.linears] == ["relu", "none"]
    assert [step.operation for step in network.after] == ["softmax"] and network.shape == (7,)


def test_a_convolutional_network():
    draw = Draw(2)
    chain = Chain((3, 9, 11)).add("Sub", draw(1, 3, 1, 1))
    chain.add("Conv", draw(6, 3, 3, 2), draw(6), strides=[2, 1], pads=[1, 0, 0, 2], dilations=[1, 2])
    chain.add("BatchNormalization", *draw.norm(6)).add("MaxPool", kernel_shape=[2, 2], strides=[1, 2]).add("Relu")
    chain.add("Conv", draw(12, 1, 3, 3), draw(12), group=6, auto_pad="SAME_UPPER", strides=[2, 2])
    chain.add("Clip", np.float32(0), np.float32(6)).add("Conv", draw(5, 12, 1, 2))
    chain.add("AveragePool", kernel_shape=[2, 2], pads=[1, 1, 0, 0]).add("Flatten").add("Gemm", draw(20, 4), draw(4))
    kinds = [Transpose, Linear, MaxPool, Linear, Linear, FloatAveragePool, Transpose, Reshape, Linear]
    network = compared(chain, draw(5, 3, 9, 11), kinds)
    assert [layer.activation for layer in network.linears] == ["relu", "relu6", "none", "none"]
    assert [layer.depthwise for layer in network.linears] == [False, True, False, False]
    assert [step.operation for step in network.before] == ["sub"]


@pytest.mark.parametrize("pad", ["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [((3, 2), (2, 2), (1, 1)), ((2, 4), (1, 2), (2, 1))])
def test_paddings(pad, kernel, stride, dilation):
    """The evaluator's own MaxPool of SAME_LOWER loses windows; tests/test_oracle_network_onnx.py has it."""
    draw = Draw(3)
    chain = Chain((2, 8, 9)).add("Conv", draw(3, 2, *kernel), auto_pad=pad, strides=stride, dilations=dilation)
    compared(chain, draw(2, 2, 8, 9))
    for pool in ("AveragePool", "MaxPool")[: 2 - (pad == "SAME_LOWER")] if dilation == (1, 1) else ():
        pooled = Chain((2, 8, 9)).add("Conv", draw(3, 2, 1, 1))
        compared(pooled.add(pool, kernel_shape=kernel, strides=stride, auto_pad=pad), draw(2, 2, 8, 9))


def test_signals():
    draw = Draw(4)
    chain = Chain((3, 20)).add("Conv", draw(4, 3, 5), draw(4), strides=[2], pads=[2, 1]).add("Relu")
    chain.add("MaxPool", kernel_shape=[2], strides=[2]).add("Conv", draw(8, 1, 3), group=4, dilations=[2])
    chain.add("BatchNormalization", *draw.norm(8)).add("GlobalAveragePool").add("Squeeze", np.array([2]))
    kinds = [Transpose, Reshape, Linear, MaxPool, Linear, FloatAveragePool, Reshape, Linear]
    compared(chain.add("Gemm", draw(8, 2)), draw(3, 3, 20), kinds)


def test_tokens_keep_their_axes():
    draw = Draw(5)
    chain = Chain((4, 6)).add("MatMul", draw(6, 5)).add("Add", draw(5)).add("Relu").add("Transpose", perm=[0, 2, 1])
    compared(chain.add("MatMul", draw(4, 3)).add("Softmax", axis=2), draw(2, 4, 6), [Linear, Transpose, Linear])


def test_transposes_of_maps_move_nothing_where_layers_have_them_so_already():
    draw = Draw(6)
    chain = Chain((5, 6, 3)).add("Mul", draw(3)).add("Transpose", perm=[0, 3, 1, 2]).add("Add", draw(3, 1, 1))
    chain.add("Conv", draw(4, 3, 2, 2)).add("Transpose", perm=[0, 2, 3, 1])
    network = compared(chain, draw(2, 5, 6, 3), [Linear])
    assert [step.operation for step in network.before] == ["mul", "add"]


def test_maps_of_one_place_are_not_transposed():
    draw = Draw(7)
    chain = Chain((3, 4, 5)).add("Conv", draw(6, 3, 2, 2)).add("GlobalAveragePool").add("Flatten")
    compared(chain.add("Gemm", draw(6, 2)), draw(3, 3, 4, 5), [Transpose, Linear, FloatAveragePool, Reshape, Linear])


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [[2, 3], [-1, -2]])
def test_means_of_whole_maps(axes, keepdims):
    draw = Draw(8)
    chain = Chain((3, 4, 5)).add("Conv", draw(6, 3, 2, 2)).add("ReduceMean", np.array(axes), keepdims=keepdims)
    compared(chain, draw(3, 3, 4, 5))


def test_padding_that_counts_in_a_mean():
    draw = Draw(9)
    chain = Chain((3, 4, 5)).add("AveragePool", kernel_shape=[3, 2], pads=[1, 0, 2, 1], count_include_pad=1)
    compared(chain, draw(3, 3, 4, 5), [Transpose, Linear, Transpose])


def test_an_activation_does_not_pass_by_a_mean():
    draw = Draw(20)
    chain = Chain((3, 4, 5)).add("Conv", draw(6, 3, 1, 1)).add("AveragePool", kernel_shape=[2, 2]).add("Relu")
    network = compared(chain, draw(3, 3, 4, 5))
    assert network.linears[0].activation == "none" and [step.operation for step in network.after] == ["relu"]


def test_scaling_goes_into_the_product_before():
    draw = Draw(10)
    chain = (
        Chain((3, 4, 5)).add("Conv", draw(6, 3, 2, 2), draw(6)).add("Mul", draw(6, 1, 1)).add("Add", draw(1, 6, 1, 1))
    )
    chain.add("Div", np.float32([2])).add("Sub", draw(6, 1, 1), first=1).add("BatchNormalization", *draw.norm(6))
    compared(chain.add("Relu"), draw(3, 3, 4, 5), [Transpose, Linear, Transpose])


def test_scaling_behind_an_activation_goes_into_the_product_after():
    draw = Draw(11)
    chain = Chain((3, 6, 7)).add("Conv", draw(4, 3, 2, 2)).add("Relu").add("BatchNormalization", *draw.norm(4))
    chain.add("Conv", draw(8, 1, 2, 2), draw(8), group=4).add("Relu").add("Mul", draw(8, 1, 1))
    chain.add("Conv", draw(5, 8, 3, 3), pads=[1, 1, 1, 1]).add("Relu").add("Add", np.float32(0.5)).add(
        "Conv", draw(6, 5, 1, 1)
    )
    compared(chain, draw(2, 3, 6, 7), [Transpose, Linear, Linear, Linear, Linear, Transpose])
    dense = Chain((7,)).add("Gemm", draw(7, 5)).add("Relu").add("BatchNormalization", *draw.norm(5))
    compared(dense.add("Gemm", draw(5, 3)).add("Relu").add("Mul", draw(3)).add("Sub", draw(3)), draw(4, 7))


def test_negation():
    """Neg, and Sub of what flows; a Cast to what it is already."""
    draw = Draw(14)
    chain = Chain((5,)).add("Neg").add("Gemm", draw(5, 6), draw(6)).add("Neg").add("Relu").add("Sub", draw(6), first=1)
    compared(chain.add("Cast", to=1).add("Gemm", draw(6, 4)).add("Neg"), draw(9, 5), [Linear, Linear])


def test_constants_that_are_the_same_at_all_places_are_one_per_channel():
    draw = Draw(12)
    whole = np.broadcast_to(draw(6, 1, 1), (6, 4, 5))
    chain = Chain((3, 5, 7)).add("Conv", draw(6, 3, 2, 3), draw(6)).add("Add", whole).add("Mul", draw(6, 1, 1))
    compared(chain, draw(4, 3, 5, 7), [Transpose, Linear, Transpose])


def test_reshapes_that_undo_each_other_are_left_out():
    draw = Draw(13)
    chain = Chain((4, 6)).add("Reshape", np.array([0, 2, 12])).add("Reshape", np.array([0, 4, 6]))
    chain.add("MatMul", draw(6, 5)).add("Unsqueeze", np.array([2])).add("Squeeze", np.array([-2]))
    compared(chain.add("MatMul", draw(5, 3)), draw(7, 4, 6), [Linear, Linear])
    chain = Chain((3, 4, 5)).add("Conv", draw(6, 3, 2, 2)).add("Reshape", np.array([0, 6, -1]))
    chain.add("Reshape", np.array([0, 6, 3, 4])).add("MaxPool", kernel_shape=[2, 2]).add("Reshape", np.array([0, 36]))
    chain.add("Reshape", np.array([0, 36])).add("Gemm", draw(36, 2))
    compared(chain, draw(7, 3, 4, 5), [Transpose, Linear, MaxPool, Transpose, Reshape, Linear])


def test_elementwise_operators_at_both_ends_are_steps():
    draw = Draw(12)
    chain = Chain((3, 4)).add("BatchNormalization", *draw.norm(3)).add("Clip", np.float32(-1), None).add("Relu")
    chain.add("MatMul", draw(4, 4)).add("Sigmoid").add("Mul", draw(3, 1)).add("Clip", np.float32(-1), np.float32(0.5))
    network = compared(chain, draw(50, 3, 4), [Linear])
    assert [step.operation for step in network.before] == ["mul", "add", "clip", "relu"]
    assert [step.operation for step in network.after] == ["sigmoid", "mul", "clip"]


def test_scaling_of_maps_at_the_end_lies_as_onnx_has_it():
    draw = Draw(13)
    chain = Chain((3, 4, 5)).add("Conv", draw(6, 3, 2, 2)).add("Relu").add("BatchNormalization", *draw.norm(6))
    compared(chain, draw(3, 3, 4, 5), [Transpose, Linear, Transpose])


@pytest.mark.parametrize(
    ("operator", "axis", "opset"), [("Softmax", None, 12), ("LogSoftmax", None, 21), ("Tanh", None, 21)]
)
def test_what_may_stand_last(operator, axis, opset):
    draw = Draw(14)
    x = draw(9, 4) / 10
    compared(Chain((4,)).add("Gemm", draw(4, 3)).add(operator), x, opset=opset)


def test_clips_of_old_models_have_attributes():
    draw = Draw(15)
    chain = Chain((4,)).add("MatMul", draw(4, 3)).add("Clip", min=0.0, max=6.0).add("MatMul", draw(3, 2))
    assert compared(chain, draw(9, 4) * 5, opset=9).linears[0].activation == "relu6"


RESHAPES = {
    "the batch as it was": [0, -1],
    "any batch": [-1, 60],
    "the batch that the model has": [2, 60],
    "a batch of one": [1, 5, -1],
    "a copied size": [0, 0, 20],
}


@pytest.mark.parametrize("name", RESHAPES)
def test_reshapes(name):
    draw = Draw(16)
    chain = (
        Chain((3, 4, 5), batch=1 if "one" in name else 2)
        .add("Conv", draw(3, 3, 1, 1))
        .add("Reshape", np.array(RESHAPES[name]))
    )
    compared(chain, draw(1 if "one" in name else 2, 3, 4, 5))


def test_shapes_that_the_model_computes():
    draw = Draw(17)
    chain = Chain((3, 4, 5)).add("Conv", draw(3, 3, 2, 2))
    one = chain.aside("Gather", chain.aside("Shape", chain.last), np.array(0))
    axes = [chain.aside("Unsqueeze", one, np.array([0])), np.array([-1])]
    chain.add("Reshape", chain.aside("Concat", *axes, axis=0))
    compared(chain.add("Gemm", draw(36, 2)), draw(1, 3, 4, 5))


def test_constants_that_the_model_computes():
    draw = Draw(18)
    chain = Chain((4,))
    weights = chain.aside("Mul", chain.aside("Transpose", draw(3, 4)), np.float32(0.5))
    compared(chain.add("MatMul", weights).add("Unsqueeze", np.array([1, 3])).add("Squeeze"), draw(6, 4))


def test_windows_that_ceil_mode_does_not_add_to():
    draw = Draw(19)
    chain = (
        Chain((3, 6, 6)).add("Conv", draw(2, 3, 1, 1)).add("MaxPool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    )
    compared(chain, draw(2, 3, 6, 6))


NAMES = {
    "/a/b.c": "a_b_c",
    "a b c": "a_b_c_2",
    "A_B_C": "A_B_C_3",
    "module": "layer_module",
    "bench": "layer_bench",
    "": "layer",
    "7up": "layer_7up",
    "../../etc": "etc",
    "x" * 99: "x" * 48,
    "x" * 98: "x" * 48 + "_2",
    "\n'; drop": "drop",
    "\u00c4rger": "rger",
}


def test_names():
    names = LayerNames()
    assert {one: names.name(one) for one in NAMES} == NAMES
