"""golden.platforms against LiteRT (reference, ruy, XNNPACK) and TFLite Micro: every output the same."""

import numpy as np
import oracle_litert as litert
import pytest
from oracle_cases import differing, need, products

from golden import platforms
from golden.quantize import quantize_as

need("ai_edge_litert", "tflite_micro", "flatbuffers")
pytestmark = pytest.mark.filterwarnings("default")

RUN = {
    "micro": litert.run_micro,
    "ref": lambda model, inputs: litert.run(model, inputs, "ref"),
    "ruy": lambda model, inputs: litert.run(model, inputs, "ruy"),
    "xnnpack": lambda model, inputs: litert.run(model, inputs, "xnnpack"),
}
FULLY_CONNECTED = {
    ("tflite-micro", "int8"): "micro",
    ("litert-reference", "int8"): "ref",
    ("litert-ruy-x86", "int8"): "ruy",
    ("litert-xnnpack", "int8"): "xnnpack",
    ("tflite-micro-int16", "int16"): "micro",
    ("litert-reference-int16", "int16"): "ref",
}
CONVOLUTION = {
    ("tflite-micro", "int8"): "micro",
    ("litert-reference-conv", "int8"): "ref",
    ("litert-ruy-x86", "int8"): "ruy",
    ("litert-xnnpack", "int8"): "xnnpack",
    ("tflite-micro-int16", "int16"): "micro",
    ("tflite-micro-int16", "int16", "LiteRT"): "ref",
}


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(("key", "runner"), FULLY_CONNECTED.items())
def test_fully_connected(key, runner, per_channel):
    name, kind = key[:2]
    bias_kind = "int64" if kind == "int16" else "int32"
    pairs = [
        (
            platforms.matmul(name, **case, y_format=kind),
            RUN[runner](litert.fully_connected(case, kind, bias_kind), [case["a"]]),
        )
        for case in products(11, a=kind, per_channel=per_channel)
    ]
    assert differing(pairs) == (0, 163840)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(("key", "runner"), CONVOLUTION.items())
def test_convolution(key, runner, per_channel):
    """A 1x1 convolution, which scales per channel even where all channels have one scale."""
    name, kind = key[:2]
    bias_kind = "int64" if kind == "int16" else "int32"
    pairs = []
    for case in products(12, a=kind, per_channel=per_channel):
        model = litert.convolution(case, kind, bias_kind)
        other = RUN[runner](model, [case["a"][None, :, None, :]])[0, :, 0]
        spread = {**case, "w_scale": np.broadcast_to(case["w_scale"], case["w"].shape[1:])}
        pairs.append((platforms.matmul(name, **spread, y_format=kind), other))
    assert differing(pairs) == (0, 163840)


@pytest.mark.parametrize("activation", ["relu", "relu6", "relu_n1_to_1"])
@pytest.mark.parametrize(("name", "runner"), [("tflite-micro", "micro"), ("litert-reference", "ref")])
def test_activations(name, runner, activation):
    pairs = []
    for case in products(13, shape=(32, 24, 8)):
        case = {**case, "y_scale": np.float32(case["y_scale"])}
        model = litert.fully_connected(case, activation=activation)
        pairs.append((platforms.matmul(name, **case, activation=activation), RUN[runner](model, [case["a"]])))
    assert differing(pairs) == (0, 10 * 256)


ALL_PAIRS = np.stack(np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)), -1).reshape(-1, 2)


def scales(draw, power_of_two):
    if power_of_two:
        return [np.float32(2.0**e) for e in draw.integers(-6, -2, 3)]
    return [np.float32(s) for s in draw.uniform(0.01, 0.1, 3)]


ADDERS = [("tflite-micro", "micro"), ("litert-reference", "ref"), ("litert-ruy-x86", "ruy")]


def added(name, runner, x, s, z):
    """(golden, other) sums of codes x [2, N]."""
    golden = platforms.add(name, *x, x_scales=s[:2], y_scale=s[2], x_zero_points=z[:2], y_zero_point=z[2])
    other = RUN[runner](litert.addition(x.shape[1], s, z), [x[0][None], x[1][None]])
    return golden, other[0]


@pytest.mark.parametrize(("name", "runner"), [*ADDERS, ("litert-xnnpack", "xnnpack")])
def test_addition_of_all_pairs(name, runner):
    draw = np.random.default_rng(14)
    pairs = [
        added(name, runner, ALL_PAIRS.T, scales(draw, k % 2), draw.integers(-128, 128, 3).tolist()) for k in range(12)
    ]
    assert differing(pairs) == (0, 12 * 65536)


@pytest.mark.parametrize(("name", "runner"), ADDERS)
def test_addition_of_scales_far_apart(name, runner):
    """One operand hardly counts, or the sum is up to 2**25 steps of the output: ruy's wraps at 16 bits."""
    draw = np.random.default_rng(18)
    pairs = []
    for k in range(12):
        s = np.float32([draw.uniform(0.5, 1), 2.0 ** -draw.integers(1, 30), 2.0 ** -draw.integers(0, 18)])
        pairs.append(added(name, runner, ALL_PAIRS.T, s[[k % 2, 1 - k % 2, 2]], draw.integers(-128, 128, 3).tolist()))
    assert differing(pairs) == (0, 12 * 65536)


def test_ruy_adds_the_last_elements_by_another_rule():
    """Sums of more than 16 bits, which wrap in groups of 16 elements and saturate in what remains."""
    draw = np.random.default_rng(19)
    s, z = np.float32([0.7, 0.3, 2.0**-10]), [3, -4, 5]
    pairs, wrapped = [], 0
    for count in range(1, 100):
        x = draw.integers(-128, 128, (2, count))
        pairs.append(added("litert-ruy-x86", "ruy", x, s, z))
        elsewhere, _ = added("tflite-micro", "micro", x, s, z)
        different = np.flatnonzero(pairs[-1][0] != elsewhere)
        wrapped += len(different)
        assert (different < count // 16 * 16).all()
    assert differing(pairs) == (0, 99 * 50)
    assert wrapped > 1000


@pytest.mark.parametrize(
    ("name", "runner"),
    [("tflite-micro", "micro"), ("litert-reference", "ref"), ("litert-ruy-x86", "ruy"), ("litert-xnnpack", "xnnpack")],
)
def test_average_pool(name, runner):
    draw = np.random.default_rng(15)
    pairs = []
    for height, width in ((1, 2), (2, 2), (2, 3), (3, 3), (4, 8)):
        x = draw.integers(-128, 128, (1, height * 40, width * 40, 16))
        model = litert.pooling(x.shape, (height, width), 0.05, -7)
        windows = x.reshape(40, height, 40, width, 16).transpose(0, 2, 4, 1, 3).reshape(40, 40, 16, -1)
        golden = platforms.average_pool(name, windows, x_scale=0.05, y_scale=0.05, x_zero_point=-7, y_zero_point=-7)
        pairs.append((golden, RUN[runner](model, [x])[0]))
    assert differing(pairs) == (0, 5 * 25600)


@pytest.mark.parametrize(
    ("name", "runner"),
    [("tflite-reference", "micro"), ("tflite-reference", "ref"), ("litert", "ruy"), ("litert", "xnnpack")],
)
def test_quantize(name, runner):
    draw = np.random.default_rng(16)
    pairs = []
    for k in range(6):
        scale, zero_point = scales(draw, k % 2)[0], int(draw.integers(-128, 128))
        x = np.concatenate([draw.normal(0, 60 * scale, 10000), (np.arange(-5000, 5001) / 2) * scale]).astype(np.float32)
        model = litert.quantization(len(x), scale, zero_point)
        pairs.append((quantize_as(name, x, scale, zero_point), RUN[runner](model, [x[None]])[0]))
    assert differing(pairs) == (0, 6 * 20001)


@pytest.mark.parametrize(
    ("name", "runner"),
    [("tflite-micro", "micro"), ("litert-reference", "ref"), ("litert-ruy-x86", "ruy"), ("litert-xnnpack", "xnnpack")],
)
def test_rescale_every_code(name, runner):
    draw = np.random.default_rng(17)
    codes = np.arange(-128, 128)
    pairs = []
    for k in range(400):
        (x_scale, y_scale, _), zero_points = scales(draw, k % 2), draw.integers(-128, 128, 2).tolist()
        how = {"x_scale": x_scale, "x_zero_point": zero_points[0]}
        model = litert.quantization(256, y_scale, zero_points[1], **how)
        golden = platforms.rescale(name, codes, y_scale=y_scale, y_zero_point=zero_points[1], **how)
        pairs.append((golden, RUN[runner](model, [codes[None]])[0]))
    assert differing(pairs) == (0, 400 * 256)


SOFTMAX = [
    ("tflite-micro", "int8", "micro"),
    ("litert-reference", "int8", "ref"),
    ("litert-ruy-x86", "int8", "ruy"),
    ("litert-xnnpack", "int8", "xnnpack"),
    ("tflite-micro-int16", "int16", "micro"),
]


@pytest.mark.parametrize(("name", "kind", "runner"), SOFTMAX)
def test_softmax(name, kind, runner):
    """Of 1 to 24 values, of scales that leave one of them and of such that leave all alike; ties, and any beta."""
    draw = np.random.default_rng(20)
    steps, lo = (8, -128) if kind == "int8" else (16, -(1 << 15))
    pairs = []
    for count in range(1, 25):
        scale, beta = np.float32(2.0 ** draw.uniform(-1 - steps, 2 - steps / 2)), float(draw.choice([1, 0.5, 2.3]))
        x = np.clip(draw.normal(0, 2.0 ** draw.integers(1, steps), (80, count)).round(), lo, -lo - 1).astype(np.int64)
        zero_point = int(draw.integers(-128, 128)) if kind == "int8" else 0
        model = litert.softmax(x.shape, kind, scale, zero_point, beta)
        pairs.append((platforms.softmax(name, x, x_scale=scale, beta=beta, x_format=kind), RUN[runner](model, [x])))
    assert differing(pairs) == (0, 80 * 300)


def test_logistic_of_every_code():
    draw = np.random.default_rng(21)
    codes = np.arange(-128, 128)
    pairs = []
    for _ in range(100):
        scale, zero_point = np.float32(2.0 ** draw.uniform(-10, 2)), int(draw.integers(-128, 128))
        model = litert.logistic((1, 256), scale, zero_point)
        golden = platforms.logistic("tflite-micro", codes, x_scale=scale, x_zero_point=zero_point)
        pairs.append((golden, litert.run_micro(model, [codes[None]])[0]))
    assert differing(pairs) == (0, 100 * 256)
