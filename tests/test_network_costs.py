"""What networks take: bits and products, counted by hand."""

import numpy as np
import pytest
from small_networks import linear
from test_network_layers import as_network

from examples.digits import network as digits
from golden.formats import parse
from golden.spec import Spec
from network.costs import Charge, Memory, layer_costs, memory, memory_bits, memory_charges, total
from network.dynamic import RealEntry, RealExit
from network.float_network import FloatAveragePool, FloatNetwork
from network.grid import Grid
from network.layers import AveragePool, Dequantize, Product, Quantize, sum_grid
from network.network import Network
from network.quantizing.post_training import quantize
from network.quantizing.recipe import LayerFormats, Recipe
from network.shapes import MaxPool, Reshape, Window

INT4, INT8, UINT8, UINT3 = parse("int4"), parse("int8"), parse("uint8"), parse("uint3")


def product(name, depth, columns, x=INT8, weights=INT8, window=None, **fields):
    spec = Spec(activations=x, weights=weights, depth=depth, **fields)
    y = sum_grid(spec, Grid(x), Grid(weights)) if spec.output is None else Grid(spec.y)
    return Product(name, spec, {"w": np.zeros((depth, columns), int)}, Grid(x), Grid(weights), y, window)


SCALED = dict(requantize="multiplier", multiplier_bits=16, bias=parse("int20"), output=INT8)
MEMORIES = {
    "codes alone": (dict(weights=INT4), Memory(weights=6 * 5 * 4)),
    "a requantizer": (SCALED, Memory(weights=240, parameters=5 * (20 + 16 + 6))),
    "zero points and relu6": (
        SCALED | dict(y_zero_point=True, activation="relu6"),
        Memory(weights=240, parameters=5 * (20 + 16 + 6 + 8 + 8)),
    ),
    "thresholds": (dict(requantize="thresholds", output=INT4), Memory(weights=240, parameters=5 * 15 * 18)),
    "ternary in bytes": (dict(weights=parse("ternary"), w_packing="trits"), Memory(weights=6 * 8)),
    "ternary in codes": (dict(weights=parse("ternary")), Memory(weights=60)),
    "residual codes": (dict(weights=INT4, residual=4), Memory(weights=2 * 120)),
    "residual codes of activations": (dict(weights=INT4, residual=4, residual_of="activations"), Memory(weights=120)),
    "codebooks": (dict(weights=parse("codebook3")), Memory(weights=90, scales=5 * 8 * 8)),
    "blocks": (dict(weights=INT4, block=4, w_block_scale=parse("uint6")), Memory(weights=120, scales=2 * 5 * 6)),
    "blocks with zero points": (
        dict(weights=INT4, block=4, w_block_scale=parse("uint6"), w_block_zero_point=True),
        Memory(weights=120, scales=2 * 5 * (6 + 4)),
    ),
    "a table": (
        SCALED | dict(table=tuple(range(16)), table_input=INT4),
        Memory(weights=240, parameters=5 * 42, table=16 * 8),
    ),
    "a table of few bits": (
        SCALED | dict(output=UINT3, table=tuple(range(8)) * 2, table_input=INT4),
        Memory(weights=240, parameters=5 * 42, table=16 * 3),
    ),
    "sparse": (dict(array="matrix_vector", sparsity="2:4", rows=1, lanes=2), Memory(weights=5 * 4 * (8 + 2))),
}


@pytest.mark.parametrize("name", MEMORIES)
def test_memory_of_a_product(name):
    fields, expected = MEMORIES[name]
    found = memory(product("p", 6, 5, **fields))
    assert found == expected
    assert found.bits == sum(vars(expected).values())


def network(layers, shape):
    entry = Quantize("in", layers[0].x)
    return Network(
        "n", shape, entry, tuple(layers), Dequantize("out", [one.y for one in layers if hasattr(one, "y")][-1])
    )


def test_a_convolutional_network_by_hand():
    window = Window((3, 3), padding=((1, 1), (1, 1)))
    pool = Window((2, 2), stride=(2, 2))
    layers = [
        product("conv", 9 * 2, 4, window=window, requantize="shift", output=INT4),
        MaxPool("max", pool),
        product("apart", 9, 8, INT4, INT4, window, array="vector", rows=1, requantize="shift", output=UINT8),
        AveragePool("mean", pool, Grid(UINT8), Grid(UINT8), "tflite-micro"),
        Reshape("flat", (-1,)),
        product("last", 8 * 2 * 2, 3, UINT8, INT4),
    ]
    made = network(layers, (8, 8, 2))
    costs = {one.name: one for one in layer_costs(made)}
    assert {name: one.macs for name, one in costs.items()} == {
        "conv": 8 * 8 * 18 * 4, "max": 0, "apart": 4 * 4 * 9 * 8, "mean": 0, "last": 32 * 3,
    }  # fmt: skip
    assert {name: (one.read, one.written) for name, one in costs.items()} == {
        "conv": (8 * 8 * 2 * 8, 8 * 8 * 4 * 4), "max": (1024, 4 * 4 * 4 * 4), "apart": (256, 4 * 4 * 8 * 8),
        "mean": (1024, 2 * 2 * 8 * 8), "last": (256, 3 * made.grids[-1].fmt.width),
    }  # fmt: skip
    kept = 18 * 4 * 8 + 4 * 6, 9 * 8 * 4 + 8 * 6, 32 * 3 * 4
    assert memory_charges(made) == (
        Charge(kept[0], 2048),
        Charge(kept[1], 1280),
        Charge(kept[2], costs["last"].buffers),
    )
    assert memory_bits(made) == sum(kept) + 2048 == total(memory_charges(made))


def test_a_dynamic_network_by_hand():
    """Real numbers of 32 bits between layers; pools too."""
    rng = np.random.default_rng(1)
    layers = (
        linear(rng, "conv", 9 * 2, 4, window=Window((3, 3))),
        FloatAveragePool("mean", Window((2, 2), stride=(2, 2))),
        Reshape("flat", (-1,)),
        linear(rng, "last", 4 * 3 * 3, 3, "none"),
    )
    recipe = Recipe(activation_range="dynamic", weights="int4", layers={"last": LayerFormats(weights="mxfp4")})
    made = quantize(FloatNetwork("n", (8, 8, 2), layers), [], recipe)
    assert [(one.name, one.macs) for one in layer_costs(made)] == [("conv", 36 * 18 * 4), ("mean", 0), ("last", 36 * 3)]
    scales = 2 * 3 * made.on_arrays[1].weights.scale_fmt.width
    assert memory_charges(made) == (
        Charge(18 * 4 * 4, 32 * (8 * 8 * 2 + 6 * 6 * 4)),
        Charge(36 * 3 * 4 + scales, 32 * (36 + 3)),
    )


def test_pools_before_the_first_product_belong_to_it():
    pool = MaxPool("max", Window((2, 2), stride=(2, 2)))
    entry = Quantize("in", Grid(INT8))
    last = product("last", 8, 3)
    made = Network("n", (4, 4, 2), entry, (pool, Reshape("flat", (-1,)), last), Dequantize("out", last.y))
    assert memory_charges(made) == (Charge(8 * 3 * 8, 4 * 4 * 2 * 8 + 8 * 8),)


def test_products_are_counted_at_the_places_of_windows():
    small = product("conv", 9 * 2, 4, window=Window((3, 3), stride=(2, 1)))
    assert layer_costs(network([small], (8, 8, 2)))[0].macs == 3 * 6 * 18 * 4


def test_real_numbers_have_32_bits():
    pool = MaxPool("max", Window((2, 2), stride=(2, 2)))
    made = Network("n", (4, 6, 3), RealEntry("in"), (pool,), RealExit("out"))
    assert [(one.read, one.written) for one in layer_costs(made)] == [(32 * 72, 32 * 18)]


def test_the_trained_network():
    made, _ = as_network("uint8_int4")
    expected = sum(
        k * n * 4 + n * (24 + 31 + 6) for k, n in zip(digits.mlp.SIZES[:-1], digits.mlp.SIZES[1:], strict=True)
    )
    assert memory_bits(made) == expected + 8 * (64 + 48)
    assert sum(one.macs for one in layer_costs(made)) == 64 * 48 + 48 * 32 + 32 * 10


def test_a_pool_may_take_more_than_the_product_before_it():
    wide = product("wide", 1, 8, window=Window((1, 1)), requantize="shift", output=INT8)
    made = network([wide, MaxPool("max", Window((2, 2)))], (4, 4, 1))
    assert memory_charges(made) == (Charge(8 * 8 + 8 * 6, (16 + 9) * 8 * 8),)
