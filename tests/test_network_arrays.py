"""The array that a network's products run on: what changes is the design, never the numbers."""

from dataclasses import replace

import numpy as np
import pytest
import small_networks
from network_cases import every_kind

from golden.formats import parse
from golden.spec import Spec
from network.arrays import KINDS, Array
from network.grid import Grid
from network.layers import Dequantize, Product, Quantize
from network.network import Network
from network.quantizing.post_training import quantize
from network.quantizing.recipe import Recipe

INT8 = parse("int8")


def small(**recipe):
    rng = np.random.default_rng(3)
    network = small_networks.mlp(rng, (13, 7, 5))
    x = small_networks.inputs(rng, network, 20)
    return quantize(network, [x], Recipe(**recipe)), x


@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_stay(kind):
    network, x = small(weights="int4", activations="int8", symmetric=True)
    found = Array(kind=kind, rows=3, cols=5, lanes=2).placed(network)
    assert found.run(x).tolist() == network.run(x).tolist()
    rows, outputs = (1, [7, 5]) if kind == "matrix_vector" else (3, [64, 64])
    shapes = [(one.spec.array, one.spec.rows, one.spec.cols, one.spec.lanes) for one in found.products]
    assert shapes == [(kind, rows, 5, 2)] * 2
    assert [one.spec.outputs for one in found.products] == outputs
    back = Array().placed(found)
    assert [one.spec for one in back.products] == [one.spec for one in network.products]


@pytest.mark.parametrize("kind", KINDS)
def test_a_recipe_says_it_beforehand(kind):
    given = {"weights": "int4", "activations": "int8", "symmetric": True}
    network, _ = small(**given, array=kind, rows=2, cols=3, lanes=1)
    later = Array(kind=kind, rows=2, cols=3, lanes=1).placed(small(**given)[0])
    assert [one.spec for one in network.products] == [one.spec for one in later.products]


def test_layers_that_are_no_products_and_depthwise_ones():
    network = every_kind()
    wide = [replace(one, spec=one.spec.with_(w_packing="codes")) for one in network.products]
    layers = tuple(wide.pop(0) if isinstance(one, Product) else one for one in network.layers)
    found = Array(kind="matrix_vector", cols=3, lanes=5).placed(replace(network, layers=layers))
    assert [one.spec.array for one in found.products] == ["matrix_vector", "vector", "matrix_vector"]
    assert [(one.spec.rows, one.spec.cols, one.spec.lanes) for one in found.products] == [(1, 3, 5)] * 3
    others = zip(layers, found.layers, strict=True)
    assert all(one is other for one, other in others if not isinstance(one, Product))


def of_one(**fields):
    spec = Spec(activations=INT8, weights=INT8, depth=4, **fields)
    layer = Product("p", spec, {"w": np.ones((4, 2), np.int64)}, Grid(INT8), Grid(INT8), Grid(spec.y))
    return Network("one", (4,), Quantize("in", Grid(INT8)), (layer,), Dequantize("out", layer.y))


SATURATES = {"accumulator": 9, "accumulator_overflow": "saturate", "lanes": 2}
FLOAT = {"block_sum": "float32", "output": parse("float32"), "lanes": 2}
REFUSALS = {
    "array must be one of output_stationary, weight_stationary, matrix_vector, bit_serial, scalable, not 'vector'": (
        lambda: Array(kind="vector")
    ),
    "layer p: sums that saturate are cut after every 2 products; an array that takes 4 at a time would give other "
    "numbers": lambda: Array(lanes=4).placed(of_one(**SATURATES)),
    "layer p: sums in float32 are rounded after every 2 products; an array that takes 1 at a time would give other "
    "numbers": lambda: Array(lanes=1).placed(of_one(**FLOAT)),
    "layer fc1: a_zero_point must be left out with array 'scalable'; put its effect into the bias": lambda: Array(
        kind="scalable"
    ).placed(small(activations="int8")[0]),
    "layer fc1: lanes must be at most 1024, not 1025": lambda: Array(lanes=1025).placed(small()[0]),
}


@pytest.mark.parametrize("message", REFUSALS)
def test_refusals(message):
    with pytest.raises(ValueError) as error:
        REFUSALS[message]()
    assert str(error.value) == message


@pytest.mark.parametrize(("weights", "activations"), [("int4", "uint8"), ("mxfp8_e4m3", "mxfp8_e4m3")])
def test_layers_of_real_numbers(weights, activations):
    """Blocks are summed one by one in float32, so that lanes do not matter."""
    network, x = small(activation_range="dynamic", weights=weights, activations=activations)
    found = Array(rows=3, cols=5, lanes=8 if weights == "int4" else 2).placed(network)
    assert [(one.spec.rows, one.spec.cols) for one in found.layers] == [(3, 5)] * 2
    assert found.layers[0].spec.lanes != network.layers[0].spec.lanes
    assert found.run(x).tolist() == network.run(x).tolist()


def test_an_order_that_stays_is_taken():
    assert Array(lanes=2, rows=3).placed(of_one(**SATURATES)).products[0].spec.rows == 3
    wraps = of_one(accumulator=9, accumulator_overflow="wrap", lanes=2)
    assert Array(lanes=4).placed(wraps).products[0].spec.lanes == 4
