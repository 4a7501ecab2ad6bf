"""Networks of dynamic quantization read from ONNX, against onnx's own evaluator, bit for bit but for its softmax."""

import numpy as np
import pytest
import small_networks
import test_network_write_dynamic as written
from onnx_cases import dynamic_cnn, dynamic_product, reals
from onnx_models import Chain, reference

from network.float_network import FloatAveragePool
from network.onnx.flavour import flavour
from network.onnx.read_dynamic import read_dynamic
from network.qdq.write_dynamic import dynamic_onnx
from network.quantizing.post_training import quantize

I8, U8 = np.int8, np.uint8


def read(model):
    assert flavour(model) == "dynamic"
    return read_dynamic(model)


@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_a_convolutional_network(kind):
    """Zero points of columns that differ are taken off."""
    model = dynamic_cnn(kind)
    network, x = read(model), reals(1, 40, 3, 9, 8) + np.float32(0.5)
    names = [layer.name for layer in network.on_arrays]
    assert names == ["conv", "apart", "fc1", "fc2"] and network.on_arrays[1].spec.array == "vector"
    assert [layer.activation for layer in network.on_arrays] == ["relu", "relu6", "relu", "none"]
    assert str(network.on_arrays[2].spec.weights) == ("int8" if kind == "int8" else "int9")
    assert [step.operation for step in network.exit.after] == ["softmax"]
    assert np.allclose(network.run(x), reference(model, x), rtol=1e-6)
    del model.graph.node[-1]
    model.graph.output[0].name = model.graph.node[-1].output[0]
    assert read(model).run(x).tolist() == reference(model, x).tolist()


@pytest.mark.parametrize("net", [written.MLP, written.KERNELS, written.TOKENS], ids=lambda net: net.name)
@pytest.mark.parametrize("weights", ["int8", "uint8", "int3"])
def test_written_networks_come_back(net, weights):
    recipe = written.DYNAMIC.with_(weights=weights, granularity="tensor")
    network = quantize(net, [], recipe)
    again = read(dynamic_onnx(network))
    assert [layer.name for layer in again.on_arrays] == [layer.name for layer in network.on_arrays]
    for spread in written.SPREADS:
        x = small_networks.inputs(np.random.default_rng(1), net, 20, spread)
        assert again.run(x).tolist() == network.run(x).tolist()


def product(chain, seed=1, n=4, **fields):
    w = np.random.default_rng(seed).integers(-127, 128, (chain_width(chain), n)).astype(I8)
    return dynamic_product(chain, "MatMulInteger", w, 0.1, name=f"p{seed}", **fields)


def chain_width(chain):
    return reference(chain.model(), np.ones((1, 5), np.float32)).shape[-1] if chain.nodes else 5


SMALL = {
    "an Add that comes first": lambda chain: product(chain.add("Add", reals(1, 5))),
    "no bias": lambda chain: product(product(chain).add("Relu"), 2),
    "a bias for all": lambda chain: product(product(chain).add("Add", np.float32(0.3)), 2),
    "a bias in the first place": lambda chain: product(product(chain).add("Add", reals(2, 4), first=1), 2),
    "two additions": lambda chain: product(chain).add("Add", reals(2, 4)).add("Add", reals(3, 4)),
    "an Add behind Relu": lambda chain: product(chain).add("Relu").add("Add", reals(3, 4)),
    "Relu behind Clip": lambda chain: product(chain).add("Clip", np.float32(0), np.float32(6)).add("Relu"),
    "another Clip": lambda chain: product(chain).add("Clip", np.float32(-1), np.float32(1)),
    "steps at the end": lambda chain: product(chain).add("Mul", np.float32(3)).add("Sub", reals(4, 4)).add("Relu"),
    "what does nothing": lambda chain: product(product(chain).add("Identity").add("Add", reals(2, 4)), 2),
    "Relu behind a move": lambda chain: product(
        product(chain).add("Reshape", np.array([0, 2, 2])).add("Relu").add("Flatten"), 2
    ),
    "a shape that the model computes": lambda chain: product(chain.add("Reshape", chain.aside("Shape", "x"))),
    "an Add behind a move": lambda chain: product(chain).add("Reshape", np.array([0, 2, 2])).add("Add", reals(5, 2)),
}


@pytest.mark.parametrize("case", SMALL)
def test_what_stands_around_products(case):
    model, x = SMALL[case](Chain((5,))).model(), reals(9, 30, 5)
    assert read(model).run(x).tolist() == reference(model, x).tolist()


@pytest.mark.parametrize("pool", ["AveragePool", "GlobalAveragePool"])
def test_means(pool):
    """Rounded once here, in float32 step by step there. Relu behind one is none before it."""
    chain = dynamic_product(Chain((2, 5, 6)), "ConvInteger", np.arange(-9, 9, dtype=I8).reshape(1, 2, 3, 3), 0.1)
    chain.add(pool, **({"kernel_shape": [2, 2]} if pool == "AveragePool" else {}))
    model, x = chain.add("Relu").model(), reals(3, 7, 2, 5, 6)
    network = read(model)
    assert [step.operation for step in network.exit.after] == ["relu"]
    assert any(isinstance(layer, FloatAveragePool) for layer in network.layers)
    assert np.allclose(network.run(x), reference(model, x), rtol=1e-5, atol=1e-5)


def test_signals():
    w = np.random.default_rng(1).integers(0, 256, (3, 2, 4)).astype(U8)
    chain = dynamic_product(Chain((2, 9)), "ConvInteger", w, 0.1, U8(77), pads=[1, 2], dilations=[2])
    model, x = chain.add("Add", reals(6, 3, 1)).model(), reals(3, 7, 2, 9)
    assert read(model).run(x).tolist() == reference(model, x).tolist()


def test_zero_points_of_channels():
    """ONNX allows them in ConvInteger; onnxruntime and onnx's own evaluator do not."""
    w = np.random.default_rng(1).integers(0, 256, (3, 2, 4)).astype(U8)
    x = reals(3, 7, 2, 9)
    layers = [
        read(dynamic_product(Chain((2, 9)), "ConvInteger", w, 0.1, point).model()).on_arrays[0]
        for point in (U8([7, 90, 200]), *U8([7, 90, 200]))
    ]
    y, *each = (layer.run(x.transpose(0, 2, 1)[:, None]) for layer in layers)
    assert str(layers[0].spec.weights) == "int9"
    assert y.tolist() == np.stack([one[..., n] for n, one in enumerate(each)], axis=-1).tolist()
