"""Products and pools on real numbers: weights of two codes, float64, and what fake quantization leaves."""

import numpy as np
import pytest

from golden import platforms
from golden.formats import parse
from golden.spec import Spec
from network.grid import Grid
from network.layers import AveragePool, Product, mean, sum_grid
from network.shapes import MaxPool, Window

INT8, INT4 = parse("int8"), parse("int4")
W = np.array([[3, -7], [-2, 1], [5, 0]])


def plain(spec, y=None, **arrays):
    x, w = Grid(INT8, np.float32(0.5), 3 if spec.a_zero_point else 0), Grid(spec.weights, np.float32(0.25))
    return Product("p", spec, {"w": W, **arrays}, x, w, y or sum_grid(spec, x, w))


@pytest.mark.parametrize("of", ["weights", "activations"])
def test_real_weights_of_two_codes(of):
    spec = Spec(activations=INT8, weights=INT4, depth=3, residual=2, residual_of=of)
    fine = np.array([[1, -1], [-2, 0], [0, 3]])
    found = plain(spec, **({"w_residual": fine} if of == "weights" else {}))
    expected = 4 * W + fine if of == "weights" else W
    assert found.real_weights.tolist() == (expected * 0.25).tolist()


def test_real_numbers_are_float64():
    """1 + 2**-40 is none of float32."""
    layer = plain(Spec(activations=INT8, weights=INT4, depth=3, a_zero_point=True, bias=parse("int32")), bias=[1, 0])
    x = np.array([[1 + 2.0**-40, 0, 0]])
    assert layer.real_sums(x).tolist() == [[0.75 * (1 + 2.0**-40) + 0.125, -1.75 * (1 + 2.0**-40)]]
    assert layer.fake(x).tolist() == layer.real_sums(x).tolist()
    assert mean(Window((1, 2)), x.reshape(1, 1, 3, 1)).ravel().tolist() == [(1 + 2.0**-40) / 2, 0.0]
    x, w = Grid(INT8, np.float32(0.1), 3), Grid(INT4, np.float32(0.3))
    other = Product("p", layer.spec, {"w": W, "bias": [3, 0]}, x, w, layer.y)
    assert other.real_bias.tolist() == [3 * (float(np.float32(0.1)) * float(np.float32(0.3))), 0.0]


def test_sums_in_float32_leave_as_they_are():
    spec = Spec(activations=INT8, weights=INT4, depth=3, block_sum="float32", output=parse("float32"))
    layer = plain(spec, Grid(spec.y))
    assert layer.fake(np.array([[1.1, 0, 0]])).tolist() == [[1.1 * 0.75, 1.1 * -1.75]]


def test_tables_have_no_function_of_real_numbers():
    spec = Spec(
        activations=INT8, weights=INT4, depth=3, requantize="shift", output=INT4, table=(7,) * 16, table_input=INT4
    )
    with pytest.raises(ValueError, match="^layer p: a table has no function of real numbers$"):
        plain(spec, Grid(INT4), shift=3).fake(np.zeros((1, 3)))


def test_own_numbers_and_real_scales():
    """A design that takes real scales has those of the grids, unless its arrays bring the multipliers."""
    spec = Spec(activations=INT8, weights=INT4, depth=3, requantize="multiplier", output=INT8, a_zero_point=True)
    y = Grid(INT8, np.float32(2))
    assert plain(spec, y).complete_arrays.keys() == {"a_zero_point", "a_scale", "w_scale", "y_scale", "w"}
    own = plain(spec, y, multiplier=[1, 1], shift=[0, 0])
    assert own.complete_arrays.keys() == {"a_zero_point", "multiplier", "shift", "w"}
    assert own.run(np.array([[4, 3, 3]])).tolist() == [[3, -7]]
    assert plain(Spec(activations=INT8, weights=INT4, depth=3)).complete_arrays.keys() == {"w"}


@pytest.mark.parametrize("platform", ["onnxruntime"])
def test_an_average_pool_has_two_grids(platform):
    x, y = Grid(INT8, np.float32(0.5), -7), Grid(parse("uint8"), np.float32(0.2), 9)
    codes = np.random.default_rng(1).integers(-128, 128, (2, 3, 4, 5))
    layer = AveragePool("a", Window((3, 4)), x, y, platform)
    numbers = np.moveaxis(codes.reshape(2, 12, 5), 1, -1)
    expected = platforms.average_pool(
        platform, numbers, x_scale=0.5, x_zero_point=-7, y_scale=float(np.float32(0.2)), y_zero_point=9,
        x_format="int8", y_format="uint8",
    )  # fmt: skip
    assert layer.run(codes)[:, 0, 0].tolist() == expected.tolist()
    exact = np.clip((numbers.mean(axis=-1) + 7) * 0.5 / float(np.float32(0.2)) + 9, 0, 255)
    assert np.abs(expected - exact).max() <= 0.5001


def test_padding_of_a_max_pool_is_less_than_any_code():
    window = Window((1, 2), padding=((0, 0), (1, 1)))
    for kind in (np.int64, np.int16, np.float32):
        x = np.array([-1000, -2000, -3000], kind).reshape(1, 1, 3, 1)
        assert MaxPool("m", window).run(x).ravel().tolist() == [-1000, -1000, -2000, -3000]
