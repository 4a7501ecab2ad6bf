"""Shapes of one example, found without computing, against those that a network's codes have."""

import re

import numpy as np
import pytest

from golden.formats import parse
from golden.spec import Spec
from network.example_shapes import MOST_ELEMENTS, example_shapes, most_elements, rows
from network.grid import Grid
from network.layers import AveragePool, Dequantize, Product, Quantize
from network.network import Network
from network.shapes import MaxPool, Reshape, Transpose, Window

INT8 = parse("int8")
CODES = Grid(INT8, np.float32(0.5), 3)


def product(name, depth, columns, window=None, **fields):
    spec = Spec(
        activations=INT8, weights=INT8, depth=depth, a_zero_point=True, requantize="shift", output=INT8,
        y_zero_point=True, **fields,
    )  # fmt: skip
    arrays = {"w": np.ones((depth, columns), np.int64), "shift": 4, "y_zero_point": 3}
    return Product(name, spec, arrays, CODES, Grid(INT8), CODES, window)


def network(shape, *layers):
    return Network("n", shape, Quantize("in", CODES), layers, Dequantize("out", CODES))


def vector(name, depth, columns, window):
    return product(name, depth, columns, window, array="vector", rows=1)


LAYERS = (
    Transpose("t", (0, 2, 3, 1)),
    product("conv", 18, 4, Window((2, 3), stride=(2, 1), dilation=(1, 2), padding=((1, 0), (2, 1)))),
    MaxPool("m", Window((2, 2), stride=(1, 2), padding=((0, 1), (0, 0)))),
    vector("dw", 4, 8, Window((2, 2))),
    AveragePool("a", Window((1, 2)), CODES, CODES, "tflite-micro"),
    Reshape("r", (-1, 4)),
    product("fc", 4, 5),
)


def test_shapes_are_those_of_the_codes():
    whole = network((3, 6, 9), *LAYERS)
    codes = whole.entry.run(np.zeros((2, 3, 6, 9)))
    found = example_shapes(whole)
    traced = {"in": codes, **whole.trace(codes)}
    assert found == {name: one.shape[1:] for name, one in traced.items()}
    for layer, before in zip(whole.layers, traced.values(), strict=False):
        if isinstance(layer, Product):
            assert 2 * rows(layer, before.shape[1:]) == len(layer.matrix(before))
    taken = [layer.matrix(traced[before]).size for layer, before in ((LAYERS[1], "t"), (LAYERS[3], "m"))]
    assert most_elements(whole) == max(taken) // 2


def test_dense_layers_alone_are_as_large_as_their_largest_tensor():
    assert most_elements(network((7,), product("one", 7, 50), product("two", 50, 2))) == 50


class Unknown:
    name = "strange"


MISFITS = {
    "layer fc: it takes 4 values, not 5 of shape [5]": ((5,), product("fc", 4, 2)),
    "layer in: a tensor must have 1 to 268435456 elements, not shape []": ((),),
    "layer in: a tensor must have 1 to 268435456 elements, not shape [3, 0]": ((3, 0),),
    "layer conv: its kernel on 3 channels needs weights of depth 12, not 8": (
        (4, 4, 3),
        product("conv", 8, 2, Window((2, 2))),
    ),
    "layer dw: its kernel on 3 channels needs weights of depth 4, and channels that divide 8, not 4": (
        (4, 4, 3),
        vector("dw", 4, 8, Window((2, 2))),
    ),
    "layer m: a window moves over maps [H, W, C], not [4, 4]": ((4, 4), MaxPool("m", Window((2, 2)))),
    "layer m: a window reaches over [2, 5], the padded map over [4, 4]": (
        (4, 4, 1),
        MaxPool("m", Window((2, 3), dilation=(1, 2))),
    ),
    "layer m: kernel, stride and dilation must be positive and padding not negative, not "
    "Window(kernel=(2, 2), stride=(0, 1), dilation=(1, 1), padding=((0, 0), (0, 0)))": (
        (4, 4, 1),
        MaxPool("m", Window((2, 2), stride=(0, 1))),
    ),
    f"layer m: a tensor must have 1 to {MOST_ELEMENTS} elements, not shape [1000000000000000000004, 4, 1]": (
        (4, 4, 1),
        MaxPool("m", Window((1, 1), padding=((10**21, 0), (0, 0)))),
    ),
    "layer t: axes must be 0, then 1 to 2 in any order, not [1, 0, 2]": ((4, 4), Transpose("t", (1, 0, 2))),
    "layer r: 16 values of shape [4, 4] cannot take the shape [-1, 3]": ((4, 4), Reshape("r", (-1, 3))),
    "layer r: 16 values of shape [4, 4] cannot take the shape [-1, -1]": ((4, 4), Reshape("r", (-1, -1))),
    "layer r: 16 values of shape [4, 4] cannot take the shape [0]": ((4, 4), Reshape("r", (0,))),
    "layer strange: Unknown has no shape": ((4,), Unknown()),
}


@pytest.mark.parametrize("message", MISFITS, ids=lambda text: text[:40])
def test_what_does_not_fit_is_told_with_its_layer(message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        example_shapes(network(*MISFITS[message]))
