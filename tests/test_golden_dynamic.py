"""golden.dynamic against DynamicQuantizeLinear in plain fractions; the order of tiles; what pads may not change."""

from fractions import Fraction
from random import Random

import numpy as np
import pytest

from golden.calibrate import choose
from golden.case import product_case, sums_case
from golden.dynamic import FROM_RESET, dynamic
from golden.formats import parse
from golden.quantize import quantize
from golden.spec import Spec
from golden.tensors import accumulators, golden, operands, padded
from golden.tiles import Tiles

UINT8 = {"requantize": "dynamic", "output": parse("uint8")}


def spec_of(rows, cols, activations="int8", weights="int8", **fields):
    return Spec(activations=parse(activations), weights=parse(weights), rows=rows, cols=cols, **UINT8 | fields)


def float32(value: Fraction):
    """The float32 number nearest to a fraction, ties to even; no overflow, no subnormal numbers."""
    if value == 0:
        return value
    exponent = 0
    while abs(value) * Fraction(2) ** -exponent >= 1 << 24:
        exponent += 1
    while abs(value) * Fraction(2) ** -exponent < 1 << 23:
        exponent -= 1
    return Fraction(2) ** exponent * round(value * Fraction(2) ** -exponent)  # Python rounds ties to even


def dynamic_quantize_linear(sums):
    """Codes, scale and zero point of a list of integers, as ONNX Runtime has them."""
    x = [float32(Fraction(one)) for one in sums]
    low, high = min(0, *x), max(0, *x)
    scale = float32(float32(high - low) / 255) if high > low else Fraction(1)
    zero_point = round(min(max(float32(-low / scale), 0), 255))
    return [min(max(round(float32(one / scale)) + zero_point, 0), 255) for one in x], scale, zero_point


def tiles_of_sums(seed, count, size):
    """Ranges of every width, on both sides of zero or on one, some whose scale is a power of two, some of zeros."""
    random = Random(seed)
    for number in range(count):
        reach = 1 << random.randrange(1, 40)
        low, high = random.choice([(-reach, reach), (0, reach), (-reach, 0), (-reach, reach >> 3), (0, 0)])
        sums = [random.randint(low, high) for _ in range(size)]
        if number % 4 == 0:
            half, below = 1 << random.randrange(20), random.randrange(256)
            sums = [random.randrange(-2 * below, 2 * (255 - below) + 1) * half for _ in range(size)]
            sums[:2] = [-2 * below * half, 2 * (255 - below) * half]
        yield sums


def test_equals_the_definition_in_fractions():
    spec = spec_of(3, 4, "int32", "int8")
    for sums in tiles_of_sums(1, 700, 12):
        codes, scale, zero_point = dynamic_quantize_linear(sums)
        made = dynamic(np.array(sums).reshape(3, 4), spec)
        assert made.y.reshape(-1).tolist() == codes
        assert (Fraction(float(made.y_scale[0])), made.y_zero_point.tolist()) == (scale, [zero_point])
        assert made.after == (float(scale), zero_point)


def test_values_in_figures():
    spec = spec_of(2, 2)
    made = dynamic(np.array([[-255, 255], [1, 3]]), spec)  # scale 2: -127.5, 127.5, 0.5 and 1.5
    assert (made.y_scale.tolist(), made.y_zero_point.tolist()) == ([2.0], [128])
    assert made.y.tolist() == [[0, 255], [128, 130]]  # 128 + 128 saturates
    made = dynamic(np.array([[7, 255], [100, 254]]), spec)
    assert (made.y_scale.tolist(), made.y_zero_point.tolist(), made.y.tolist()) == ([1.0], [0], [[7, 255], [100, 254]])
    made = dynamic(np.zeros((2, 2), np.int64), spec)
    assert (made.y_scale.tolist(), made.y_zero_point.tolist(), made.y.tolist()) == ([1.0], [0], [[0, 0], [0, 0]])


def test_a_quotient_is_rounded_twice():
    """A quotient just beside k + 1/2 is k + 1/2 in float32, a tie, which goes to the even one of its neighbours."""
    found = {"down": 0, "up": 0}
    for high in range(1 << 22, (1 << 22) + 400):
        scale = float32(Fraction(high, 255))
        for k in range(0, 255, 5):
            x = round((k + Fraction(1, 2)) * scale)
            once, twice = round(x / scale), round(float32(x / scale))
            made = dynamic(np.array([[x, high]]), spec_of(1, 2))
            assert made.y.tolist() == [[twice, 255]]
            found["down"] += twice < once
            found["up"] += twice > once
    assert min(found.values()) > 0


@pytest.mark.parametrize(("powers", "differ"), [(False, 39), (True, 0)])
def test_codes_of_real_sums(powers, differ):
    """docs/arithmetic.md, section 11: float32(c * acc) quantized by ONNX's rule, for a real scale c of the sums."""
    draw = np.random.default_rng(1)
    sums = np.rint(draw.normal(0, 3000, (16_000, 8, 8))).astype(np.int64)
    c = np.exp(draw.uniform(-12, 0, len(sums))).astype(np.float32)
    c = np.exp2(np.rint(np.log2(c))) if powers else c
    real = sums.astype(np.float32) * c[:, None, None]
    chosen = [choose("onnx-dynamic", tile.min(), tile.max(), "uint8") for tile in real]
    codes = quantize(real, *(np.array(column) for column in zip(*chosen, strict=True)), "uint8", axis=0)
    off = np.abs(codes - dynamic(sums.reshape(-1, 8), spec_of(8, 8)).y.reshape(codes.shape))
    assert (int((off > 0).sum()), int(off.max())) == (differ, min(differ, 1))


def sums_of(m, n, seed):
    return np.random.default_rng(seed).integers(-1000, 3000, (m, n)) << np.random.default_rng(seed).integers(
        0, 9, (m, n)
    )


@pytest.mark.parametrize("shape", [(3, 4), (7, 5), (1, 1), (6, 8), (2, 13)])
def test_tiles_go_down_first(shape):
    sums, spec = sums_of(*shape, 2), spec_of(3, 4)
    corners = [(m, n) for n in range(0, shape[1], 4) for m in range(0, shape[0], 3)]
    tiles = [sums[m : m + 3, n : n + 4] for m, n in corners]
    expected = [dynamic_quantize_linear(tile.reshape(-1).tolist()) for tile in tiles]
    for scale_of, shift in (("same_tile", 0), ("next_tile", 1)):
        made = dynamic(sums, spec.with_(dynamic_scale=scale_of))
        used = [(1, 0), *((scale, zero) for _, scale, zero in expected)] if shift else [one[1:] for one in expected]
        assert [Fraction(float(scale)) for scale in made.y_scale] == [scale for scale, _ in used[: len(tiles)]]
        assert made.y_zero_point.tolist() == [zero for _, zero in used[: len(tiles)]]
        for (m, n), tile, (scale, zero) in zip(corners, tiles, used, strict=False):
            codes = [[min(max(round(float32(int(one) / scale)) + zero, 0), 255) for one in row] for row in tile]
            assert made.y[m : m + 3, n : n + 4].tolist() == codes
        assert made.after == (float(expected[-1][1]), expected[-1][2])


def test_next_tile_goes_on_from_the_product_before():
    spec = spec_of(3, 4, dynamic_scale="next_tile")
    first, second = sums_of(6, 4, 3), sums_of(3, 4, 4)
    whole = dynamic(np.concatenate([first, second]), spec)
    one = dynamic(first, spec)
    two = dynamic(second, spec, one.after)
    assert np.array_equal(whole.y, np.concatenate([one.y, two.y]))
    assert whole.y_scale.tolist() == [*one.y_scale, *two.y_scale] and whole.after == two.after
    assert (whole.y_scale[0], whole.y_zero_point[0]) == FROM_RESET


def test_pads_change_nothing():
    spec = spec_of(3, 4, a_zero_point=True, w_zero_point=True)
    random = np.random.default_rng(5)
    arrays = {"a": random.integers(-128, 128, (7, 9)), "w": random.integers(-128, 128, (9, 5))}
    given = operands(spec, {**arrays, "a_zero_point": -77, "w_zero_point": 101})
    whole = padded(spec, given, *Tiles(3, 4, 7, 5).padded_shape)
    made, of_whole = (dynamic(accumulators(spec, each), spec) for each in (given, whole))
    assert np.array_equal(of_whole.y[:7, :5], made.y) and np.array_equal(golden(spec, given), made.y)
    assert np.array_equal(of_whole.y_scale, made.y_scale) and np.array_equal(of_whole.y_zero_point, made.y_zero_point)


def test_split_and_join():
    tiles, outputs = Tiles(3, 2, 7, 5), np.arange(35).reshape(7, 5)
    split = tiles.split(outputs)
    assert (tiles.grid, tiles.count, tiles.padded_shape, split.shape) == ((3, 3), 9, (9, 6), (9, 3, 2))
    assert np.array_equal(tiles.join(split)[:7, :5], outputs) and tiles.join(split)[7:].sum() == 0
    for m, n in ((0, 0), (6, 4), (4, 3), (3, 1)):
        assert split[tiles.place(m, n)] == outputs[m, n]


def test_no_platform_is_like_it():
    message = "requantize 'dynamic' scales by the range of its own sums, which no platform here does"
    arrays = {"a": np.ones((2, 2), int), "w": np.ones((2, 2), int)}
    for case in (lambda: product_case(spec_of(1, 1), arrays), lambda: sums_case(spec_of(1, 1), np.ones((2, 2)), {})):
        with pytest.raises(ValueError, match=message):
            case()
