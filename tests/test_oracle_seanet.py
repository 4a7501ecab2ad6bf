"""golden against TFLite Micro's SEANet kernels: models of one int16 operator, with the outputs that project recorded.

The recordings are data beside this repository, read in place. Pads and slices, which move codes only, are left out.
"""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from oracle_cases import need

from golden import platforms, scale

need("ai_edge_litert", "flatbuffers")
pytestmark = pytest.mark.filterwarnings("ignore")
SEANET = Path(__file__).resolve().parent.parent.parent / "shared" / "corpus" / "kernels" / "tflm_seanet_int16"
NAMES = (
    *(f"add_add{k}" for k in (0, 10, 12, 14, 16, 3, 5, 7, 9)),
    *(f"sub_sub{k}" for k in (0, 2, 4)),
    *(f"conv_conv{k}" for k in (0, 10, 12, 14, 16, 18, 2, 21, 4, 6, 8)),
    *(f"transpose_conv_transpose_conv{k}" for k in (0, 2, 4)),
    *(f"leaky_relu_leaky_relu{k}" for k in (0, 10, 13, 15, 17, 20, 22, 5, 7, 9)),
    "quantize_quantize0",
)
KINDS = {2: np.int32, 4: np.int64, 7: np.int16, 9: np.int8}


def load(name):
    """(options of the operator, its input tensors, its output tensor, inputs, recorded output)"""
    from ai_edge_litert import schema_py_generated as schema

    path = SEANET / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"the recorded kernel {path.name} is not beside this repository (shared/corpus/kernels)")
    with np.load(path) as data:
        arrays = {key: data[key] for key in data.files}
    net = schema.ModelT.InitFromPackedBuf(arrays["tflite"].tobytes(), 0)
    graph = net.subgraphs[0]
    operator = graph.operators[0]
    inputs = [_tensor(net, graph.tensors[k]) for k in operator.inputs]
    fed = [arrays[f"x{k}"].astype(np.int64) for k in range(sum(key.startswith("x") for key in arrays))]
    return operator.builtinOptions, inputs, _tensor(net, graph.tensors[operator.outputs[0]]), fed, arrays["y"]


def _tensor(net, t):
    """shape, scale (float32 scalar or [N]) and, of a constant, data."""
    data = net.buffers[t.buffer].data
    values = None if data is None or not len(data) else np.frombuffer(bytes(data), KINDS[t.type]).reshape(t.shape)
    q = t.quantization
    scales = None if q is None or q.scale is None else np.float32(q.scale)
    return SimpleNamespace(shape=tuple(t.shape), scale=scales, data=values)


def add(options, inputs, output, x):
    return platforms.add(
        "tflite-micro-int16", *x, x_scales=[t.scale[0] for t in inputs], y_scale=output.scale[0], y_format="int16"
    )


def subtract(options, inputs, output, x):
    """As addition, with the second operand's scaled value taken off."""
    s1, s2, sy = (float(t.scale[0]) for t in (*inputs, output))
    twice = 2 * max(s1, s2)
    first, second = (scale.tflite(codes << 15, *scale.encode(s / twice)) for codes, s in zip(x, (s1, s2), strict=True))
    return np.clip(scale.tflite(first - second, *scale.encode(twice / (2**15 * sy))), -(2**15), 2**15 - 1)


def requantize(acc, inputs, output):
    """Sums [..., N] of input 0 and weights 1 to codes, scaled per channel, with the bias of 64 bits that comes last."""
    parameters = platforms.derive(
        "tflite-micro-int16", a_scale=inputs[0].scale[0], w_scale=inputs[1].scale, y_scale=output.scale[0]
    )
    bias = inputs[2].data if len(inputs) > 2 else 0
    return platforms.requantize("tflite-micro-int16", acc, parameters, bias=bias, y_format="int16")


def convolve(options, inputs, output, x):
    """Without padding or dilation."""
    assert (options.padding, options.dilationHFactor, options.dilationWFactor) == (1, 1, 1)
    w = inputs[1].data.astype(np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(x[0][0], w.shape[1:3], axis=(0, 1))
    windows = windows[:: options.strideH, :: options.strideW].transpose(0, 1, 3, 4, 2)
    rows = windows.reshape(-1, w[0].size)
    return requantize(platforms.accumulate("tflite-micro-int16", rows, w.reshape(len(w), -1).T), inputs, output)


def transpose_convolve(options, inputs, output, x):
    """Without padding: each input position adds its product with the kernel to the output."""
    assert options.padding == 1
    (_, w, given, *bias), image = inputs, x[1][0]
    kernel = w.data.astype(np.int64)
    acc = np.zeros(output.shape[1:], np.int64)
    for i, j in np.ndindex(*image.shape[:2]):
        top, left = i * options.strideH, j * options.strideW
        acc[top : top + kernel.shape[1], left : left + kernel.shape[2]] += np.einsum("oyxc,c->yxo", kernel, image[i, j])
    return requantize(acc, [given, w, *bias], output)


def leaky_relu(options, inputs, output, x):
    """By alpha * s_x / s_y below zero, else by s_x / s_y, in float64; TFLite Micro's rounding."""
    s_x, s_y, alpha = float(inputs[0].scale[0]), float(output.scale[0]), float(np.float32(options.alpha))
    kept, leaked = (scale.tflite(x[0], *scale.encode(d)) for d in (s_x / s_y, s_x * alpha / s_y))
    return np.clip(np.where(x[0] >= 0, kept, leaked), -(2**15), 2**15 - 1)


def quantize(options, inputs, output, x):
    return platforms.rescale(
        "tflite-micro-int16", x[0], x_scale=inputs[0].scale[0], y_scale=output.scale[0], y_format="int16"
    )


OPERATORS = {
    "add": add,
    "sub": subtract,
    "conv": convolve,
    "transpose": transpose_convolve,
    "leaky": leaky_relu,
    "quantize": quantize,
}


@pytest.mark.parametrize("name", NAMES)
def test_seanet(name):
    options, inputs, output, x, expected = load(name)
    y = OPERATORS[name.partition("_")[0]](options, inputs, output, x)
    assert y.reshape(-1).tolist() == expected.tolist()
