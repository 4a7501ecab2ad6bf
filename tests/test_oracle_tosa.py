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
        other, status = tosa.rescale(values, multiplier, [31 - s for s in shift], case["y_zero_point"], name)
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
        other, status = tosa.rescale(values, multiplier.tolist(), (31 - shift).tolist(), 3, name)
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
        _, status = tosa.rescale(np.array([[value]]), [2**30], [31 - shift], 0, name)
        if -limit <= value < limit:
            assert status == "TOSA_VALID"
            platforms.requantize(name, [[value]], {"multiplier": 2**30, "shift": shift})
        else:
            assert status == "TOSA_UNPREDICTABLE"
            with pytest.raises(ValueError, match="leaves unpredictable"):
                platforms.requantize(name, [[value]], {"multiplier": 2**30, "shift": shift})


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
