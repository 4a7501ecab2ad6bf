"""What is no network in a TFLite file is refused in one line that says where; damaged files too."""

import numpy as np
import pytest
from fuzz_tflite import mutated, outcome
from test_network_tflite import recorded
from tflite_cases import CASES, Maker
from tflite_models import Step, Tensor, chain

from network.tflite import model as modelling
from network.tflite import read as reading
from network.tflite.read import read_tflite
from network.unsupported import Unsupported

READ = (
    "AVERAGE_POOL_2D, CONV_2D, DEPTHWISE_CONV_2D, DEQUANTIZE, FULLY_CONNECTED, LOGISTIC, MAX_POOL_2D, QUANTIZE, "
    "RESHAPE, SOFTMAX"
)


def test_a_network_with_branches_is_refused_in_one_line():
    content, *_ = recorded("mlperf_ic_resnet8")
    with pytest.raises(Unsupported) as error:
        read_tflite(content)
    assert str(error.value) == f"ADD (operator 3): is not read; read are chains of {READ}"


def changed(maker, **fields):
    """The model of one dense layer with fields of a tensor changed: x, y, w or bias, then the field's name."""
    tensors = {"x": maker.x, "y": maker.last, "w": maker.steps[-1].constants[0], "bias": maker.steps[-1].constants[1]}
    for name, value in fields.items():
        tensor, field = name.split("_", 1)
        setattr(tensors[tensor], field, value)
    return maker.content


def dense(**fields):
    return changed(Maker(40, (3,)).dense(2), **fields)


def dense16(**fields):
    return changed(Maker(40, (3,), "int16").dense(2), **fields)


def conv(**fields):
    return changed(Maker(41, (4, 4, 2)).conv(3, (2, 2)), **fields)


def optioned(maker, **options):
    maker.steps[-1].options.update(options)
    return maker.content


def conv_with(**options):
    return optioned(Maker(41, (4, 4, 2)).conv(3, (2, 2)), **options)


def pool_with(kind="MAX", **options):
    return optioned(Maker(42, (4, 4, 2)).pool(kind, (2, 2)), **options)


def with_operators(places, *, kind="RESHAPE"):
    """Two layers, the second of which reads and makes these tensors."""
    maker = Maker(43, (3,)).reshape(1, 3).reshape(1, 3)
    maker.steps[1].kind = kind
    return chain(maker.x, *maker.steps, operators=[([0], [1]), places])


def ends(**changes):
    maker = Maker(40, (3,)).dense(2)
    return chain(maker.x, *maker.steps, **changes)


def one_step(x, step):
    return chain(x, step)


A = Tensor((1, 4), "int8", 0.5, 3)
MAP = Tensor((1, 4, 4, 2), "int8", 0.5, 3)
DENSE, CONV = "FULLY_CONNECTED (operator 0)", "CONV_2D (operator 0)"

REFUSED = {
    # the file and its graph
    "the file is no TFLite model: TFL3 is missing at its byte 4": lambda: ends(identifier=b"TFL2"),
    "the file must be of version 3 of TFLite's schema, not 2": lambda: ends(version=2),
    "the model must have one graph, not 2": lambda: ends(graphs=2),
    "the model must have one graph, not 0": lambda: ends(graphs=0),
    "the model must have one input and one output, not 2 and 1": lambda: ends(inputs=[0, 1]),
    "the model must have one input and one output, not 1 and 0": lambda: ends(outputs=[]),
    "the model must have 1 to 2000 operators, not 0": lambda: chain(A),
    "the model's input is tensor 1, a constant": lambda: ends(inputs=[1]),
    "tensor 9 is not among 4": lambda: ends(inputs=[9]),
    "tensor -3 is not among 4": lambda: ends(operators=[([0, -3, 2], [3])]),
    "the model's output is tensor 7, not tensor 3 of its last operator": lambda: ends(outputs=[7]),
    # chains
    f"ADD (operator 0): is not read; read are chains of {READ}": lambda: one_step(A, Step("ADD", A)),
    f"CUSTOM Own?'op' (operator 0): is not read; read are chains of {READ}": lambda: one_step(A, Step("CUSTOM", A)),
    "RESHAPE (operator 1): joins 2 branches; networks must be chains": lambda: with_operators(([1, 0], [2])),
    "RESHAPE (operator 1): joins 0 branches; networks must be chains": lambda: with_operators(([-1], [2])),
    "RESHAPE (operator 1): reads tensor 0, not tensor 1 of before; networks must be chains": lambda: with_operators(
        ([0], [2])
    ),
    "RESHAPE (operator 1): reads None, not tensor 1 of before; networks must be chains": lambda: with_operators(
        ([-1, 1], [2])
    ),
    "RESHAPE (operator 1): makes tensor 0, which is there already": lambda: with_operators(([1], [0])),
    "RESHAPE (operator 1): must have 1 to 8 inputs and one output, not 1 and 2": lambda: with_operators(([1], [2, 2])),
    "RESHAPE (operator 1): must have 1 to 8 inputs and one output, not 9 and 1": lambda: with_operators(([1] * 9, [2])),
    f"{DENSE}: joins 2 branches; networks must be chains": lambda: dense(w_data=None),
    f"{DENSE}: must have FullyConnectedOptions": lambda: one_step(
        A, Step("FULLY_CONNECTED", A, [Tensor((4, 4), "int8", 1, data=np.eye(4))], with_options=False)
    ),
    # tensors
    "tensor 1 has 5 bytes where [2, 3] of INT8 takes 6": lambda: dense(w_raw=bytes(5), w_data=None),
    "tensor 1 must have 1 to 67108864 elements, not those of [2, -3]": lambda: dense(w_shape=(2, -3)),
    "tensor 1 must have 1 to 67108864 elements, not those of [2, 0]": lambda: dense(w_shape=(2, 0)),
    "tensor 0 must have 1 to 67108864 elements, not those of [1, 65536, 65536]": lambda: dense(
        x_shape=(1, 1 << 16, 1 << 16)
    ),
    "tensor 0 must have at most 6 axes, not 7": lambda: dense(x_shape=(1,) * 7),
    "tensor 0 is a variable, which is not read": lambda: dense(x_is_variable=True),
    # batches
    "the model's input: tensor 0 must have 3 examples along its first axis, and others, not shape [3]": lambda: dense(
        x_shape=(3,)
    ),
    "the model's input: tensor 0 must have an axis of examples, not shape []": lambda: dense(x_shape=()),
    "RESHAPE (operator 0): tensor 1 must have 1 examples along its first axis, and others, not shape [4, 1]": lambda: (
        Maker(44, (4,)).reshape(4, 1).content
    ),
    # quantization
    f"{DENSE}: its input (tensor 0) must be INT8 or INT16 or UINT8, not FLOAT32": lambda: dense(x_kind="float32"),
    f"{DENSE}: its weights (tensor 1) must be INT8, not INT4": lambda: dense(
        w_kind="INT4", w_data=None, w_raw=bytes(3)
    ),
    f"{DENSE}: its weights (tensor 1) must be INT8, not INT16": lambda: dense(w_kind="int16"),
    f"{DENSE}: its bias (tensor 2) must be INT32, not INT64": lambda: dense(bias_kind="int64"),
    f"{DENSE}: its bias (tensor 2) must be INT64, not INT32": lambda: dense16(bias_kind="int32"),
    f"{DENSE}: its output (tensor 3) must be INT8, as its input is": lambda: dense(y_kind="int16", y_zero_point=0),
    f"{DENSE}: its input (tensor 0) must have one scale, not 0": lambda: dense(x_scale=None),
    f"{DENSE}: its input (tensor 0) must have one scale, not 3": lambda: dense(x_scale=[1, 2, 3]),
    f"{DENSE}: its output (tensor 3) must have as many scales as zero points, not 1 and 2": lambda: dense(
        y_zero_point=[1, 2]
    ),
    f"{DENSE}: its output (tensor 3) must have positive scales, not 0.0 at [0]": lambda: dense(y_scale=0),
    f"{DENSE}: its output (tensor 3) must have positive scales, not nan at [0]": lambda: dense(y_scale=np.nan),
    f"{DENSE}: its weights (tensor 1) must have positive scales, not -1.0 at [1]": lambda: dense(w_scale=[1, -1]),
    f"{DENSE}: its weights (tensor 1) must have positive scales, not inf at [0]": lambda: dense(w_scale=[np.inf, 1]),
    f"{DENSE}: its weights (tensor 1) must have one scale or 2, not 3": lambda: dense(w_scale=[1, 1, 1]),
    f"{DENSE}: its weights (tensor 1) must have one scale or 2, not 0": lambda: dense(w_scale=None),
    f"{DENSE}: its weights (tensor 1) must have zero point 0, not 7 at [1]": lambda: dense(
        w_scale=[1, 1], w_zero_point=[0, 7]
    ),
    f"{DENSE}: its weights (tensor 1) must have their scales along axis 0, not 1": lambda: dense(
        w_scale=[1, 1], w_axis=1
    ),
    f"{DENSE}: its input (tensor 0) must have a zero point of -128 to 127, not 128": lambda: dense(x_zero_point=128),
    f"{DENSE}: its input (tensor 0) must have a zero point of 0 to 0, not 1": lambda: dense16(x_zero_point=1),
    f"{DENSE}: its bias (tensor 2) must have zero point 0": lambda: dense(bias_zero_point=1),
    f"{DENSE}: its bias (tensor 2) must have as many scales as the weights, not 2": lambda: dense(bias_scale=[1, 1]),
    f"{DENSE}: its bias (tensor 2) must have the scales of activations times weights": lambda: dense(bias_scale=1),
    f"{DENSE}: its bias (tensor 2) must have at most 48 bits": lambda: dense16(bias_data=np.array([1 << 47, 0])),
    f"{DENSE}: scale must be below 2**30, not 1.993942758112391e+16": lambda: dense(y_scale=1e-20, bias_scale=None),
    "MAX_POOL_2D (operator 0): its scales are too large or too small together": lambda: changed_ends(
        Maker(42, (4, 4, 2)).pool("MAX", (2, 2), activation="relu6"), scale=1e-40
    ),
    # shapes
    f"{DENSE}: its weights (tensor 1) must have 2 axes, not [2, 3, 1]": lambda: dense(w_shape=(2, 3, 1)),
    f"{DENSE}: its input (tensor 0) must have 2 elements per row, not shape [1, 3]": lambda: dense(w_shape=(3, 2)),
    f"{DENSE}: its output (tensor 3) must have shape [1, 2], not [1, 3]": lambda: dense(y_shape=(1, 3)),
    f"{DENSE}: its bias (tensor 2) must have shape [2], not [1, 2]": lambda: dense(bias_shape=(1, 2)),
    f"{CONV}: its input (tensor 0) must be a map of 4 axes, not [1, 32]": lambda: conv(x_shape=(1, 32)),
    f"{CONV}: its weights (tensor 1) must have 2 channels, as its input has, not 1": lambda: conv(
        w_shape=(6, 2, 2, 1), w_scale=1, bias_shape=(6,), bias_data=np.zeros(6), bias_scale=None, y_shape=(1, 4, 4, 6)
    ),
    f"{CONV}: its output (tensor 3) must have shape [1, 4, 4, 3], not [1, 3, 3, 3]": lambda: conv(y_shape=(1, 3, 3, 3)),
    f"{CONV}: its weights (tensor 1) must have their scales along axis 0, not 3": lambda: conv(w_axis=3),
    "DEPTHWISE_CONV_2D (operator 0): its weights (tensor 1) must be [1, H, W, channels * multiplier], not [1, 2, 2, 4] "
    "with multiplier 3 for 2 channels": lambda: optioned(Maker(45, (4, 4, 2)).depthwise(2, (2, 2)), DepthMultiplier=3),
    # options
    f"{DENSE}: its fused activation must be none, relu, relu6, relu_n1_to_1, not number 4": lambda: optioned(
        Maker(40, (3,)).dense(2), FusedActivationFunction=4
    ),
    f"{DENSE}: its weights must be in the default format": lambda: optioned(Maker(40, (3,)).dense(2), WeightsFormat=1),
    f"{CONV}: its padding must be SAME or VALID, not number 2": lambda: conv_with(Padding=2),
    f"{CONV}: its stride must be positive, not 0 x 1": lambda: conv_with(StrideH=0),
    f"{CONV}: its dilation must be positive, not 1 x -1": lambda: conv_with(DilationWFactor=-1),
    f"{CONV}: its kernel reaches over 5 places of 4": lambda: conv_with(Padding=1, DilationHFactor=4),
    f"{CONV}: its windows must cover at most 33554432 elements of an example": lambda: conv_with(
        DilationHFactor=1 << 30
    ),
    "MAX_POOL_2D (operator 0): its windows must cover at most 33554432 elements of an example": lambda: pool_with(
        Padding=0, FilterWidth=(1 << 31) - 1
    ),
    "MAX_POOL_2D (operator 0): its kernel must be positive, not -2 x 2": lambda: pool_with(FilterHeight=-2),
    "MAX_POOL_2D (operator 0): its fused activation relu bounds its codes, which is not read": lambda: pool_with(
        FusedActivationFunction=1
    ),
    "AVERAGE_POOL_2D (operator 0): must have the same type, scale and zero point at its input and its output": lambda: (
        changed_output(Maker(42, (4, 4, 2)).pool("AVERAGE", (2, 2)), zero_point=5)
    ),
    "SOFTMAX (operator 0): its beta must be positive and finite, not nan": lambda: optioned(
        Maker(46, (4,)).softmax(), Beta=np.nan
    ),
    "SOFTMAX (operator 0): its output (tensor 1) must be int8 of scale 0.00390625 and zero point -128": lambda: (
        changed_output(Maker(46, (4,)).softmax(), scale=0.5)
    ),
    "LOGISTIC (operator 0): tflite-micro-int16 has no rule for a logistic function of int16 that is known to the bit": (
        lambda: changed_output(Maker(47, (4,), "int16").logistic(), kind="int16", scale=1 / 32768, zero_point=0)
    ),
    "RESHAPE (operator 0): must give tensor 1 of shape [1, 5] from [1, 4], which it does not": lambda: (
        Maker(44, (4,)).reshape(1, 5).content
    ),
    "RESHAPE (operator 0): must give tensor 2 of shape [1, 2, 2] from [1, 4], which it does not": lambda: (
        Maker(44, (4,)).reshape(1, 2, 2, given=(1, 4, 1)).content
    ),
    "RESHAPE (operator 0): must give tensor 2 of shape [1, 4] from [1, 4], which it does not": lambda: one_step(
        A, Step("RESHAPE", A, [Tensor((2,), "float32", data=np.array([1, 4]))])
    ),
    "SOFTMAX (operator 0): must have no constants, not 1": lambda: one_step(
        A, Step("SOFTMAX", A, [Tensor((1,), "int8", 1, data=np.ones(1))], {"Beta": 1.0})
    ),
    "QUANTIZE (operator 0): must have INT8 at one end, not UINT8 and INT16": lambda: (
        Maker(49, (4,), "uint8").quantize("int16").content
    ),
    "DEQUANTIZE (operator 0): is read only as the last operator": lambda: one_step_then_dense(),
    "DEQUANTIZE (operator 0): its output (tensor 1) must be FLOAT32, not INT8": lambda: one_step(
        A, Step("DEQUANTIZE", A)
    ),
    "QUANTIZE (operator 0): its output (tensor 1) must have shape [1, 4], not [1, 5]": lambda: one_step(
        Tensor((1, 4), "float32"), Step("QUANTIZE", Tensor((1, 5), "int8", 1))
    ),
}


def changed_output(maker, **fields):
    for name, value in fields.items():
        setattr(maker.last, name, value)
    return maker.content


def changed_ends(maker, **fields):
    for name, value in fields.items():
        setattr(maker.x, name, value)
    return changed_output(maker, **fields)


def one_step_then_dense():
    maker = Maker(48, (4,)).dequantize()
    maker.steps.append(Maker(40, (4,)).dense(2).steps[0])
    return maker.content


@pytest.mark.parametrize("message", REFUSED)
def test_refused(message):
    with pytest.raises(Unsupported) as error:
        read_tflite(REFUSED[message]())
    assert str(error.value) == message


def test_an_unknown_platform():
    with pytest.raises(ValueError) as error:
        read_tflite(b"", platform="tosa")
    names = "tflite-micro, litert-reference, litert-ruy-x86, litert-xnnpack, cmsis-nn"
    assert str(error.value) == f"platform must be one of {names}, not 'tosa'"


def test_int16_is_read_only_where_its_rule_has_hardware():
    with pytest.raises(Unsupported) as error:
        read_tflite(CASES["int16"].content, platform="litert-reference")
    message = "activations of INT16 are not read for platform 'litert-reference'"
    assert str(error.value) == f"FULLY_CONNECTED (operator 0): {message}"


def test_limits_of_size(monkeypatch):
    content = Maker(40, (3,)).dense(2).dense(4).content
    limits = {
        (modelling, "MOST_BYTES", 100): f"the file must have at most 100 bytes, not {len(content)}",
        (modelling, "MOST_OPERATORS", 1): "the model must have 1 to 1 operators, not 2",
        (modelling, "MOST_TENSORS", 6): "the model must have 1 to 6 tensors, not 7",
        (reading, "MOST_BYTES", 19): "the model must have at most 19 constants, not 20",
        (reading, "MOST_COLUMNS", 5): "the model must have at most 5 columns of weights, not 6",
    }
    for (module, name, limit), message in limits.items():
        with monkeypatch.context() as patch, pytest.raises(Unsupported) as error:
            patch.setattr(module, name, limit)
            read_tflite(content)
        assert str(error.value) == message
    read_tflite(content)


SMALL = CASES["pools"].content


def test_every_truncation():
    for size in range(len(SMALL)):
        assert outcome(SMALL[:size]) == "refused"


def test_every_third_byte_changed():
    """By one bit: some files stay sound, some become others; of none comes anything but a network or one line."""
    small = CASES["rows"].content
    found = [
        outcome(small[:at] + bytes([small[at] ^ (1 << at % 8)]) + small[at + 1 :]) for at in range(0, len(small), 3)
    ]
    assert 50 < found.count("read") < len(found) - 50


def test_damaged_files_of_many_seeds():
    """`python tests/fuzz_tflite.py` tries many more."""
    found = [outcome(mutated(maker.content, seed)) for maker in CASES.values() for seed in range(25)]
    assert found.count("read") > 10 and found.count("refused") > 200


def test_random_bytes():
    draw = np.random.default_rng(50)
    for size in (0, 3, 8, 9, 16, 64, 1000):
        for _ in range(20):
            assert outcome(b"\x1c\0\0\0TFL3" + draw.bytes(size)) == "refused"
            assert outcome(draw.bytes(size)) == "refused"
