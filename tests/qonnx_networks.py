"""Networks of QONNX and FINN, recorded ones and small ones of random numbers; and what all their codes must be."""

from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from qonnx_by_hand import evaluate

from golden.tensors import accumulators
from network.layers import Product
from network.qonnx.read import read_qonnx

MODELS = Path(__file__).resolve().parent.parent.parent / "shared" / "corpus" / "models"


@cache
def recorded(name):
    """A network of the corpus, and what its own executor recorded."""
    folder = MODELS / name
    if not (folder / "io.npz").is_file():
        pytest.skip(f"the recorded network {name} is not beside this repository (shared/corpus/models)")
    with np.load(folder / "io.npz") as data:
        return read_qonnx(onnx.load(folder / "model.onnx")), dict(data)


def sums_of(layer, codes):
    """Integer sums as the model has them: columns whose weights are negated, back."""
    acc = accumulators(layer.spec, layer.given(codes))
    first = layer.real.before[:1] if layer.real else ()
    negated = first and first[0].operation == "mul" and np.abs(first[0].operands[0]).tolist() == [1] * layer.columns
    return acc * first[0].operands[0].astype(int) if negated else acc


def signs_or_codes(grid, codes):
    return np.asarray(grid.fmt.decode(codes)) - grid.zero_point


def compared(chain, x, out=None, **about):
    """Codes of a network, all as in the evaluation of its nodes; how many these were. Real outputs are equal too.

    Each product must have one quantizer.
    """
    model = chain.model(x.shape, out, **about)
    network, values = read_qonnx(model), evaluate(model, x)
    codes = network.entry.run(x)
    trace, count = network.trace(codes), 0
    layers = [network.entry, *network.products]
    for layer, name in zip(layers, chain.quantized, strict=False):
        found = layer.y.values(codes if layer is network.entry else trace[layer.name]).astype(np.float32)
        expected = values[name]
        if isinstance(layer, Product) and layer.window and found.shape != expected.shape:
            expected = np.moveaxis(expected, 1, -1)
        assert found.tolist() == expected.tolist(), layer.name
        count += found.size
    assert network.run(x).tolist() == values[chain.x].tolist()
    return count


def real(rng, *shape):
    """Real numbers on a grid of a sixteenth, so that ties of scales that are powers of two are common."""
    return np.float32(rng.integers(-64, 65, shape) / 16)


def hidden(chain, rng, k, n, bits=3):
    """A product with a scale per column, powers of two."""
    w = np.float32(rng.normal(0, 0.5, (n, k)))
    scale = 2.0 ** rng.integers(-4, -1, (n, 1))
    weights = chain.weights(w, scale, bits, narrow=int(rng.integers(2)))
    return chain.product("MatMul", chain.add("Transpose", weights, perm=[1, 0]))


def last(chain, rng, k, n=4):
    """A product whose sums leave through float operations."""
    chain.product("MatMul", chain.constant(np.float32(rng.integers(-3, 4, (k, n)))))
    return chain.then("Sub", np.float32([0.3])).then("Div", real(rng, n) + np.float32(5)).then("Mul", np.float32(1.7))


def norm(chain, rng, n):
    """A batch norm some of whose factors are negative and one zero."""
    gamma = np.where(np.arange(n) % 3 == 1, -1, 1) * rng.uniform(0.5, 2, n)
    gamma[2] = 0
    return chain.batch_norm(gamma, rng.normal(0, 0.5, n), rng.normal(0, 1, n), rng.uniform(0.5, 2, n))


def convolution(chain, rng, channels, n, kernel=(3, 3), group=1, bias=False, **attributes):
    w = rng.integers(-3, 4, (n, channels // group, *kernel)) / np.float32(4)
    scale = np.where(np.arange(n).reshape(n, 1, 1, 1) % 2, 0.25, 0.5)
    more = [chain.constant(real(rng, n))] if bias else []
    return chain.product("Conv", chain.weights(w, scale, 3), *more, kernel_shape=kernel, group=group, **attributes)
