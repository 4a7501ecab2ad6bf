"""Post-training quantization against onnxruntime.quantization and torch's observers: equal numbers.

Weights and inputs lie on coarse grids, so that float32 sums are exact in whatever order they are formed.
"""

import numpy as np
import pytest
from float_onnx import model
from oracle_cases import need

from network.float_network import FloatNetwork, Linear
from network.quantizing.post_training import quantize
from network.quantizing.recipe import Recipe
from network.quantizing.weights import quantized_weights
from network.shapes import MaxPool, Window

need("onnx", "onnxruntime")

BATCHES, TESTS = 3, 200


def draw(rng, shape, step, spread):
    return (np.rint(rng.normal(0, spread, shape) / step) * step).astype(np.float32)


def linear(rng, name, k, n, activation, **more):
    w, bias = draw(rng, (k, n), 1 / 32, 1 / np.sqrt(k)), draw(rng, n, 1 / 64, 0.3)
    return Linear(name, w, bias, activation, **more)


def mlp(rng):
    layers = linear(rng, "fc1", 13, 9, "relu"), linear(rng, "fc2", 9, 7, "none"), linear(rng, "fc3", 7, 5, "none")
    return FloatNetwork("mlp", (13,), layers)


def cnn(rng):
    same, stride = Window((3, 3), padding=((1, 1), (1, 1))), Window((3, 2), (2, 1), padding=((0, 1), (1, 0)))
    layers = (
        linear(rng, "c1", 9 * 2, 4, "relu", window=same),
        linear(rng, "c2", 9, 4, "relu", window=same, depthwise=True),
        MaxPool("pool", Window((2, 2), (2, 2))),
        linear(rng, "c3", 6 * 4, 3, "none", window=stride),
    )
    return FloatNetwork("cnn", (8, 8, 2), layers)


def channels_first(x):
    return np.ascontiguousarray(np.moveaxis(x, -1, 1)) if x.ndim == 4 else x


def theirs(network, batches, folder, method="MinMax", kind="QUInt8", symmetric=False, per_channel=True, **options):
    """Constants of the network that onnxruntime quantizes, by name, and a function that runs it."""
    import onnx
    import onnxruntime
    from onnxruntime import quantization as ort

    class Reader(ort.CalibrationDataReader):
        left = iter(batches)

        def get_next(self):
            batch = next(self.left, None)
            return None if batch is None else {"x": channels_first(batch)}

    onnx.save(model(network), folder / "float.onnx")
    ort.quantize_static(
        folder / "float.onnx", folder / "q.onnx", Reader(), quant_format=ort.QuantFormat.QDQ, per_channel=per_channel,
        activation_type=getattr(ort.QuantType, kind), weight_type=ort.QuantType.QInt8,
        calibrate_method=getattr(ort.CalibrationMethod, method),
        extra_options={"ActivationSymmetric": symmetric, **options},
    )  # fmt: skip
    quantized = onnx.load(folder / "q.onnx")
    constants = {one.name: onnx.numpy_helper.to_array(one) for one in quantized.graph.initializer}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / "q.onnx", options, providers=["CPUExecutionProvider"])
    return constants, lambda x: session.run(None, {"x": channels_first(x)})[0]


def check_grid(grid, constants, name):
    assert (grid.scale, grid.zero_point) == (constants[f"{name}_scale"], constants[f"{name}_zero_point"]), name


def check_layer(layer, constants):
    check_grid(layer.y, constants, layer.name)
    assert layer.w.scale.tolist() == np.asarray(constants[f"{layer.name}.w_scale"]).tolist()
    codes = constants[f"{layer.name}.w_quantized"]
    if codes.ndim == 4:
        codes = np.moveaxis(codes, (0, 1), (3, 2)).reshape(-1, codes.shape[0])
    assert layer.arrays["w"].tolist() == codes.tolist()
    assert layer.arrays["bias"].tolist() == constants[f"{layer.name}.b_quantized"].tolist()


CASES = {
    "minmax": ("MinMax", {}),
    "percentile": ("Percentile", {"percent": 99.0}),
    "entropy": ("Entropy", {"bins": 128}),
}
KINDS = {"QUInt8": ("uint8", False), "QInt8": ("int8", False), "symmetric": ("int8", True)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", CASES)
@pytest.mark.parametrize("make", [mlp, cnn])
def test_static_quantization(make, method, kind, tmp_path):
    rng = np.random.default_rng(11)
    network, (fmt, symmetric) = make(rng), KINDS[kind]
    batches = [draw(rng, (40, *network.shape), 1 / 16, 1) for _ in range(BATCHES)]
    name, fields = CASES[method]
    options = {}
    if method == "percentile":
        options = {"CalibPercentile": fields["percent"], "CalibTensorRangeSymmetric": symmetric}
    constants, run = theirs(network, batches, tmp_path, name, "QInt8" if symmetric else kind, symmetric, **options)
    recipe = Recipe(
        activations=fmt, output=fmt, symmetric=symmetric, activation_range=method, platform="onnxruntime", **fields
    )
    ours = quantize(network, batches, recipe)
    check_grid(ours.entry.y, constants, "x")
    for layer in ours.products:
        check_layer(layer, constants)
    x = draw(rng, (TESTS, *network.shape), 1 / 16, 1)
    assert channels_first(ours.run(x)).tolist() == run(x).tolist()


def test_static_quantization_per_tensor(tmp_path):
    rng = np.random.default_rng(12)
    network = mlp(rng)
    batches = [draw(rng, (40, 13), 1 / 16, 1) for _ in range(BATCHES)]
    constants, run = theirs(network, batches, tmp_path, per_channel=False)
    ours = quantize(network, batches, Recipe(output="uint8", granularity="tensor", platform="onnxruntime"))
    for layer in ours.products:
        check_layer(layer, constants)
    x = draw(rng, (TESTS, 13), 1 / 16, 1)
    assert ours.run(x).tolist() == run(x).tolist()


def test_moving_averages_and_torchs_scheme():
    pytest.importorskip("torch", reason="needs make oracles: no torch here")
    import torch
    from torch.ao.quantization import observer

    rng = np.random.default_rng(13)
    network = mlp(rng)
    batches = [draw(rng, (40, 13), 1 / 16, spread) for spread in (1, 3, 0.5, 2)]
    for name, kind, symmetric in (("uint8", torch.quint8, False), ("int8", torch.qint8, True)):
        recipe = Recipe(
            activations=name, output=name, symmetric=symmetric, activation_range="moving_average", scheme="torch"
        )
        ours = quantize(network, batches, recipe)
        scheme = torch.per_tensor_symmetric if symmetric else torch.per_tensor_affine
        seen = {
            layer: observer.MovingAverageMinMaxObserver(averaging_constant=0.01, dtype=kind, qscheme=scheme)
            for layer in ("x", "fc1")
        }
        for batch in batches:
            seen["x"](torch.from_numpy(batch))
            seen["fc1"](torch.from_numpy(network.trace(batch)["fc1"]))
        for grid, observed in ((ours.entry.y, seen["x"]), (ours.products[0].y, seen["fc1"])):
            scale, zero_point = observed.calculate_qparams()
            assert (float(grid.scale), grid.zero_point) == (scale.item(), zero_point.item())


def test_fake_quantization_of_weights_is_torchs():
    pytest.importorskip("torch", reason="needs make oracles: no torch here")
    import torch

    rng = np.random.default_rng(14)
    w = rng.normal(0, 0.3, (21, 6)).astype(np.float32)
    for granularity in ("tensor", "channel"):
        found = quantized_weights(w, "int8", Recipe(granularity=granularity))
        scale = torch.from_numpy(np.array(found.grid.scale))
        if granularity == "tensor":
            expected = torch.fake_quantize_per_tensor_affine(torch.from_numpy(w), scale.item(), 0, -127, 127)
        else:
            zeros = torch.zeros(6, dtype=torch.int32)
            expected = torch.fake_quantize_per_channel_affine(torch.from_numpy(w), scale, zeros, 1, -127, 127)
        assert np.float32(found.real).tolist() == expected.tolist()


def test_fake_quantization_of_networks_is_torchs():
    """float32 layers between fake quantizers, activations on torch's grids."""
    pytest.importorskip("torch", reason="needs make oracles: no torch here")
    import torch

    rng = np.random.default_rng(15)
    network = mlp(rng)
    batches = [draw(rng, (40, 13), 1 / 16, 1)]
    ours = quantize(network, batches, Recipe(scheme="torch", output="uint8"))
    x = batches[0]
    values = torch.from_numpy(x)
    grids = [ours.entry.y, *(layer.y for layer in ours.products)]
    for layer, product, grid in zip((None, *network.layers), (None, *ours.products), grids, strict=True):
        if layer is not None:
            values = values @ torch.from_numpy(np.float32(product.real_weights)) + torch.from_numpy(layer.bias)
            values = torch.relu(values) if layer.activation == "relu" else values
        values = torch.fake_quantize_per_tensor_affine(values, float(grid.scale), grid.zero_point, 0, 255)
    difference = np.abs(values.numpy() - ours.run(x)) / float(ours.exit.x.scale)
    assert difference.max() < 1.5 and (difference > 0.5).mean() < 0.02
