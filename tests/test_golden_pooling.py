"""Average pooling where platforms disagree."""

import numpy as np
import pytest

from golden import platforms
from golden.pooling import mean


def test_average_pool_of_ties():
    """Codes with zero point -7; each window's mean is a tie."""
    windows = np.array([[-7, -6], [-8, -7], [0, 1], [3, 4], [-2, -1]])
    where = {"x_zero_point": -7, "y_zero_point": -7}
    of = {
        name: platforms.average_pool(name, windows, **where).tolist()
        for name in ("tflite-micro", "tosa", "onnxruntime")
    }
    assert of == {
        "tflite-micro": [-7, -8, 1, 4, -2],  # the code away from zero
        "tosa": [-6, -8, 1, 4, -1],  # code + 7 away from zero
        "onnxruntime": [-6, -8, 0, 4, -2],  # the code to even
    }


def test_average_pool_by_a_shift():
    """QONNX keeps the sum, less its low bits: 4 unsigned codes of 4 bits have sums of 6 bits."""
    windows = np.array([[1, 1, 1, 0], [1, 1, 1, 1], [15, 15, 15, 15], [15, 15, 15, 14]])
    assert platforms.average_pool("qonnx", windows, x_format="uint4", y_format="uint4").tolist() == [0, 1, 15, 14]
    assert platforms.average_pool("qonnx", windows, x_format="uint4", y_format="uint8").tolist() == [3, 4, 60, 59]
    signed = np.array([[-1, 0, 0, 0], [-8, -8, -8, -8], [7, 7, 7, 7]])
    assert platforms.average_pool("qonnx", signed, x_format="int4", y_format="int4").tolist() == [-1, -8, 7]


def test_padding_counts_or_not():
    """Whether padding counts is the operator's business: it then stands in the window as the zero point."""
    zero_point, corner = -7, [3, 4]
    for name, out, with_padding in (("tflite-micro", 4, -2), ("tosa", 4, -2), ("onnxruntime", 4, -2)):
        where = {"x_zero_point": zero_point, "y_zero_point": zero_point}
        assert platforms.average_pool(name, [corner], **where).tolist() == [out]
        assert platforms.average_pool(name, [[*corner, zero_point, zero_point]], **where).tolist() == [with_padding]


@pytest.mark.parametrize("zero_points", [(1, 0), (0, 1)])
def test_a_shift_has_no_zero_points(zero_points):
    with pytest.raises(ValueError) as error:
        platforms.average_pool("qonnx", [[1, 2]], x_zero_point=zero_points[0], y_zero_point=zero_points[1])
    assert str(error.value) == "average pooling by a shift has no zero points"


def test_mean_is_c_division_with_half_the_count_added():
    for count in range(1, 65):
        totals = np.arange(-128 * count, 127 * count + 1)
        c = [(t + count // 2) // count if t > 0 else -((count // 2 - t) // count) for t in totals.tolist()]
        assert mean(totals, count, "half_away").tolist() == c


def test_tosa_reciprocal_is_half_away():
    """TOSA divides by a multiplication with a biased reciprocal of 31 bits."""
    for count in range(1, 257):
        totals = np.arange(-255 * count, 255 * count + 1, max(1, count // 7))
        k = (count - 1).bit_length()
        multiplier = ((2**30 + 1) << k) // count
        assert mean(totals, count, "half_away").tolist() == ((totals * multiplier + (1 << 29 + k)) >> 30 + k).tolist()
