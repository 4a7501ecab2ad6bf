"""golden.platforms against the TOSA reference model."""

import numpy as np
import oracle_tosa as tosa
import pytest
from oracle_cases import differing, need, products

from golden import platforms

need("tosa_reference_model", "serializer")
pytestmark = pytest.mark.filterwarnings("ignore")
NAMES = ("tosa", "tosa-double")


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_matmul_and_rescale(name, per_channel):
    pairs = []
    for case in products(21, per_channel=per_channel, w_zero_point=True):
        acc, status = tosa.matmul(case["a"], case["w"], case["a_zero_point"], case["w_zero_point"])
        assert status == "TOSA_VALID"
        parameters = platforms.derive(name, **{key: case[key] for key in ("a_scale", "w_scale", "y_scale")})
        multiplier, shift = (np.atleast_1d(parameters[key]).tolist() for key in ("multiplier", "shift"))
        values = acc[0] + case["bias"]
        other, status = tosa.rescale(values, multiplier, [31 - s for s in shift], name, (0, case["y_zero_point"]))
        assert status == "TOSA_VALID"
        pairs.append((platforms.matmul(name, **case), other))
    assert differing(pairs) == (0, 163840)


@pytest.mark.parametrize("name", NAMES)
def test_rescale_of_random_multipliers_and_shifts(name):
    draw = np.random.default_rng(22)
    pairs = []
    for _ in range(40):
        multiplier = draw.integers(2**30, 2**31, 32)
        shift = draw.integers(-20, 4, 32)
        limit = np.minimum(2 ** (30 - shift), 2**31) // 2
        values = (draw.uniform(-1, 1, (128, 32)) * np.minimum(limit, 300 * 2.0**-shift)).astype(np.int64)
        other, status = tosa.rescale(values, multiplier.tolist(), (31 - shift).tolist(), name, (0, 3))
        assert status == "TOSA_VALID"
        golden = platforms.requantize(name, values, {"multiplier": multiplier, "shift": shift}, y_zero_point=3)
        pairs.append((golden, other))
    assert differing(pairs) == (0, 40 * 4096)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shift", [-20, 0, 8, 28])
def test_values_out_of_range_are_unpredictable(name, shift):
    limit = 1 << (30 - shift)
    for value in (-limit - 1, -limit, limit - 1, limit):
        if abs(value) >= 2**31:
            continue
        _, status = tosa.rescale(np.array([[value]]), [2**30], [31 - shift], name)
        if -limit <= value < limit:
            assert status == "TOSA_VALID"
            platforms.requantize(name, [[value]], {"multiplier": 2**30, "shift": shift})
        else:
            assert status == "TOSA_UNPREDICTABLE"
            with pytest.raises(ValueError, match="leaves unpredictable"):
                platforms.requantize(name, [[value]], {"multiplier": 2**30, "shift": shift})


def test_sums_of_48_bits():
    """int16 products, summed in 48 bits and rescaled by 16-bit multipliers."""
    pairs = []
    for case in products(24, a="int16", per_channel=True):
        parameters = platforms.derive("tosa-int16", **{key: case[key] for key in ("a_scale", "w_scale", "y_scale")})
        other, status = tosa.matmul16(
            case["a"], case["w"], parameters["multiplier"].tolist(), (15 - parameters["shift"]).tolist()
        )
        assert status == "TOSA_VALID"
        golden = platforms.matmul("tosa-int16", **{**case, "bias": 0}, y_format="int16")
        pairs.append((golden, other[0]))
    assert differing(pairs) == (0, 163840)


@pytest.mark.parametrize("kind", ["INT8", "INT16", "INT32"])
def test_rescale_of_48_bit_values(kind):
    """Random multipliers and shifts, and values from -2**47 to 2**47 - 1 that they bring into int32; ties too."""
    draw = np.random.default_rng(25)
    pairs = []
    for k in range(40):
        multiplier = draw.integers(1, 2**15, 32) if k % 2 else 2 ** draw.integers(0, 15, 32)
        right = draw.integers(2, 63, 32)
        limit = np.minimum(2.0 ** (30 + right) / multiplier, 2.0**47)
        values = np.clip((draw.uniform(-1, 1, (128, 32)) * limit).astype(np.int64), -(2**47), 2**47 - 1)
        values[:2] = np.minimum(limit.astype(np.int64), 2**47) * np.array([[-1], [1]]) - np.array([[0], [1]])
        other, status = tosa.rescale(values, multiplier.tolist(), right.tolist(), "tosa-int16", kinds=("INT48", kind))
        assert status == "TOSA_VALID"
        parameters = {"multiplier": multiplier, "shift": 15 - right}
        pairs.append((platforms.requantize("tosa-int16", values, parameters, y_format=kind.lower()), other))
    assert differing(pairs) == (0, 40 * 4096)


@pytest.mark.parametrize(
    ("value", "multiplier", "right"), [(2**46, 1, 15), (-(2**46) - 2**15, 1, 15), (2**40, 32767, 10)]
)
def test_results_beyond_int32_are_unpredictable(value, multiplier, right):
    kinds = ("INT48", "INT32")
    parameters = {"multiplier": multiplier, "shift": 15 - right}
    _, status = tosa.rescale(np.array([[value]]), [multiplier], [right], "tosa-int16", kinds=kinds)
    assert status == "TOSA_UNPREDICTABLE"
    with pytest.raises(ValueError, match="does not fit int32, which tosa-int16 leaves unpredictable"):
        platforms.requantize("tosa-int16", [[value]], parameters, y_format="int32")
    _, status = tosa.rescale(np.array([[-value // 2]]), [multiplier], [right + 20], "tosa-int16", kinds=kinds)
    assert status == "TOSA_VALID"
    platforms.requantize("tosa-int16", [[-value // 2]], {**parameters, "shift": -5 - right}, y_format="int32")


CODES = np.arange(-128, 128)
ALL_PAIRS = np.stack(np.meshgrid(CODES, CODES), -1).reshape(-1, 2).T


def frexp(d, bits=31):
    """(multiplier, shift to the right) of a scale, from its definition."""
    fraction, exponent = np.frexp(d)
    multiplier = int(np.floor(np.ldexp(fraction, bits) + 0.5))
    exponent += multiplier >> bits
    return multiplier >> (multiplier >> bits), int(bits - exponent)


def scale_sets(seed, count):
    """Three scales: of any value, powers of two, multiples of one another, and far apart."""
    draw = np.random.default_rng(seed)
    for k in range(count):
        if k % 4 == 1:
            yield np.float32(2.0 ** draw.integers(-6, -2, 3)), draw
        elif k % 4 == 2:
            s = np.float32(draw.uniform(0.01, 0.1))
            yield np.array([s, s * np.float32(2), s * np.float32(draw.integers(2, 6))]), draw
        else:
            yield np.float32(draw.uniform(0.01, 0.1, 3) / [1, 1000 if k % 4 == 3 else 1, 1]), draw


@pytest.mark.parametrize(("name", "bits"), [("tosa", 31), ("tosa-double", 31), ("tosa-int16", 15)])
def test_rescale_every_code(name, bits):
    pairs = []
    for scales, draw in scale_sets(26, 200):
        zero_points = draw.integers(-128, 128, 2).tolist()
        multiplier, right = frexp(float(scales[0]) / float(scales[1]), bits)
        other, status = tosa.rescale(CODES[None], [multiplier], [right], name, zero_points, kinds=("INT8", "INT8"))
        assert status == "TOSA_VALID"
        golden = platforms.rescale(
            name, CODES, x_scale=scales[0], y_scale=scales[1], x_zero_point=zero_points[0], y_zero_point=zero_points[1]
        )
        pairs.append((golden, other[0]))
    assert differing(pairs) == (0, 200 * 256)


def legalized(scales, platform, left):
    """The RESCALEs of an addition: two of each operand by DOUBLE_ROUND unless its scale is half of twice the larger."""
    s1, s2, sy = scales.astype(float)
    twice = 2 * max(s1, s2)
    single = platform == "tosa"
    operands = [
        [frexp(s / twice * 2**left)] if single or s / twice == 0.5 else [frexp(2.0**left), frexp(s / twice)]
        for s in (s1, s2)
    ]
    return (*operands, frexp(twice / (sy * 2**left)))


@pytest.mark.parametrize("name", NAMES)
def test_addition_of_all_pairs(name):
    pairs = []
    for scales, draw in scale_sets(27, 8):
        zero_points = draw.integers(-128, 128, 3).tolist()
        other, status = tosa.addition(ALL_PAIRS, "INT8", legalized(scales, name, 20), name, zero_points)
        assert status == "TOSA_VALID"
        z1, z2, zy = zero_points
        golden = platforms.add(
            name, *ALL_PAIRS, x_scales=scales[:2], y_scale=scales[2], x_zero_points=(z1, z2), y_zero_point=zy
        )
        pairs.append((golden, other))
    assert differing(pairs) == (0, 8 * 65536)


@pytest.mark.parametrize("name", NAMES)
def test_addition_shows_how_operands_are_rounded(name):
    """Operands of almost one scale that cancel, and a step of y as fine as the grid on which they are summed."""
    draw = np.random.default_rng(29)
    pairs = []
    for k in range(8):
        s = np.float32(draw.uniform(0.01, 0.1))
        scales = np.array([s, s * np.float32(1 - (k + 1) * 2.0**-18), s * np.float32(2.0**-18)])
        zero_points = [k, 1 - k, 0]
        other, status = tosa.addition(ALL_PAIRS, "INT8", legalized(scales, name, 20), name, zero_points)
        assert status == "TOSA_VALID"
        how = {"x_scales": scales[:2], "y_scale": scales[2], "x_zero_points": zero_points[:2]}
        pairs.append((platforms.add(name, *ALL_PAIRS, **how), other))
        assert len(np.unique(other)) > 20
    assert differing(pairs) == (0, 8 * 65536)


def test_addition_of_16_bits():
    pairs = []
    for scales, draw in scale_sets(28, 8):
        x = draw.integers(-(2**15), 2**15, (2, 65536))
        other, status = tosa.addition(x, "INT16", legalized(scales, "tosa", 15), "tosa", (0, 0, 0))
        assert status == "TOSA_VALID"
        golden = platforms.add("tosa", *x, x_scales=scales[:2], y_scale=scales[2], y_format="int16")
        pairs.append((golden, other))
    assert differing(pairs) == (0, 8 * 65536)


def test_average_pool():
    draw = np.random.default_rng(23)
    pairs = []
    for height, width in ((1, 2), (2, 2), (2, 3), (3, 3), (4, 8)):
        x = draw.integers(-128, 128, (1, height * 40, width * 40, 16))
        zero_points = draw.integers(-20, 20, 2).tolist()
        other, status = tosa.average_pool(x, (height, width), *zero_points)
        assert status == "TOSA_VALID"
        windows = x.reshape(40, height, 40, width, 16).transpose(0, 2, 4, 1, 3).reshape(40, 40, 16, -1)
        golden = platforms.average_pool("tosa", windows, x_zero_point=zero_points[0], y_zero_point=zero_points[1])
        pairs.append((golden, other[0]))
    assert differing(pairs) == (0, 5 * 25600)
