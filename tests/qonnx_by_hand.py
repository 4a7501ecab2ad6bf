"""QONNX and FINN models evaluated node by node in float32, from the definitions of their operators.

It imports nothing of this project. Products are the real sums, in float64, rounded to float32; windows are loops.
"""

import numpy as np
import onnx
from onnx import numpy_helper

ROUND = {
    "ROUND": np.rint,
    "HALF_EVEN": np.rint,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
    "DOWN": np.trunc,
    "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
    "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - 0.5),
}


def evaluate(model, x):
    """Every tensor of the model by name."""
    values = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    values["x"] = np.asarray(x, np.float32)
    for node in model.graph.node:
        given = [values[name] if name else None for name in node.input]
        attributes = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
        values[node.output[-1]] = OPERATORS[node.op_type](*given, **attributes)
    return values


def quant(x, scale, zero_point, bits, signed, narrow, rounding_mode):
    if bits == 1 and signed:
        return np.where(x / scale >= 0, scale, -scale)
    bits = int(bits)
    lo, hi = (-(2 ** (bits - 1)) + narrow, 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1 - narrow)
    y = ROUND[rounding_mode.decode()](np.clip(x / scale + zero_point, lo, hi).astype(np.float64))
    return (y.astype(np.float32) - zero_point) * scale


def multi_threshold(x, levels, out_scale=1.0, out_bias=0.0, data_layout=b"", **_):
    layout = data_layout.decode() or {2: "NC", 3: "NWC", 4: "NCHW"}[x.ndim]
    last = np.moveaxis(x, layout.index("C"), -1)
    counted = np.zeros_like(last)
    for c in range(last.shape[-1]):
        for level in levels[c if len(levels) > 1 else 0]:
            counted[..., c] += last[..., c] >= level
    return np.moveaxis(counted * np.float32(out_scale) + np.float32(out_bias), -1, layout.index("C"))


def batch_norm(x, gamma, beta, mean, variance, epsilon):
    """As ONNX Runtime has it."""
    factor = gamma * (np.float32(1) / np.sqrt(variance + np.float32(epsilon)))
    where = (-1,) + (1,) * (x.ndim - 2)
    return x * factor.reshape(where) + (beta - mean * factor).reshape(where)


def matmul(x, w):
    return (x.astype(np.float64) @ w.astype(np.float64)).astype(np.float32)


def gemm(x, w, bias=None, transB=0, **_):
    y = matmul(x, w.T if transB else w)
    return y if bias is None else y + bias


def places(x, kernel, strides, pads, dilations, fill):
    """For each window of a map [B, C, H, W] its part of it, [B, C, KH, KW], with its place."""
    x = np.pad(x, ((0, 0), (0, 0), pads[::2], pads[1::2]), constant_values=fill)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    for i, top in enumerate(range(0, x.shape[2] - reach[0] + 1, strides[0])):
        for j, left in enumerate(range(0, x.shape[3] - reach[1] + 1, strides[1])):
            yield (
                i,
                j,
                x[:, :, top : top + reach[0] : dilations[0], left : left + reach[1] : dilations[1]].astype(np.float64),
            )


def gathered(found):
    """[B, N, OH, OW] of (i, j, [B, N])."""
    found = {(i, j): one for i, j, one in found}
    high, wide = (max(place[axis] for place in found) + 1 for axis in (0, 1))
    rows = [np.stack([found[i, j] for j in range(wide)], axis=-1) for i in range(high)]
    return np.stack(rows, axis=-2).astype(np.float32)


def conv(x, w, bias=None, strides=(1, 1), pads=(0, 0, 0, 0), dilations=(1, 1), group=1, **_):
    taken = places(x, w.shape[2:], strides, pads, dilations, 0)
    if group == 1:
        y = gathered((i, j, np.einsum("bchw,nchw->bn", part, w.astype(np.float64))) for i, j, part in taken)
    else:
        spread = len(w) // group
        y = gathered(
            (i, j, (part.repeat(spread, axis=1) * w[:, 0].astype(np.float64)).sum(axis=(2, 3))) for i, j, part in taken
        )
    return y if bias is None else y + bias.reshape(-1, 1, 1)


def max_pool(x, kernel_shape, strides=(1, 1), pads=(0, 0, 0, 0), dilations=(1, 1), **_):
    taken = places(x, kernel_shape, strides, pads, dilations, -np.inf)
    return gathered((i, j, part.max(axis=(2, 3))) for i, j, part in taken)


def im2col(x, kernel_size, stride, pad_amount=(0, 0, 0, 0), dilations=(1, 1), **_):
    taken = places(np.moveaxis(x, 3, 1), kernel_size, stride, pad_amount, dilations, 0)
    y = gathered((i, j, part.transpose(0, 2, 3, 1).reshape(len(x), -1)) for i, j, part in taken)
    return np.moveaxis(y, 1, 3)


def softmax(x, **_):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def squeeze(x, axes):
    return x.reshape([n for axis, n in enumerate(x.shape) if axis not in axes])


OPERATORS = {
    "Quant": quant,
    "IntQuant": quant,
    "BipolarQuant": lambda x, scale: np.where(x >= 0, scale, -scale),
    "MultiThreshold": multi_threshold,
    "BatchNormalization": batch_norm,
    "MatMul": matmul,
    "Gemm": gemm,
    "Conv": conv,
    "Im2Col": im2col,
    "MaxPool": max_pool,
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Neg": np.negative,
    "Relu": lambda x: np.maximum(x, np.float32(0)),
    "Clip": lambda x, lo=-np.inf, hi=np.inf: np.minimum(np.maximum(x, lo), hi),
    "Softmax": softmax,
    "Flatten": lambda x, **_: x.reshape(len(x), -1),
    "Reshape": lambda x, shape: x.reshape([len(x), *shape[1:]]),
    "Transpose": lambda x, perm=None: np.transpose(x, perm),
    "Squeeze": squeeze,
    "Unsqueeze": lambda x, axes: np.expand_dims(x, tuple(axes)),
    "Identity": lambda x: x,
    "TopK": lambda x, k, **_: x.argmax(axis=-1, keepdims=True),
}
