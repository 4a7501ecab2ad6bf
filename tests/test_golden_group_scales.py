"""golden.group_scales by formula in plain Python floats, and on the way through a design."""

import numpy as np
import pytest

from golden.blocks import float32_values
from golden.formats import parse
from golden.group_scales import dequantize, quantize_groups, quantize_nvfp4, quantize_two_level
from golden.minifloat import MINIFLOATS
from golden.spec import Spec
from golden.tensors import golden, operands

F = np.float32
E4M3, E2M1 = MINIFLOATS["float8_e4m3fn"], MINIFLOATS["float4_e2m1fn"]


def values(seed, *shape):
    """Of any size, one block all zero, one of a single sign."""
    draw = np.random.default_rng(seed)
    x = draw.normal(0, 1, shape) * np.exp2(draw.integers(-6, 6, (*shape[:-1], 1)))
    x[0, :16], x[1, :16] = 0, np.abs(x[1, :16]) + 1
    return x.astype(F)


def clamp(value, lo, hi):
    return min(max(value, lo), hi)


def half_even(value):
    return round(float(value))  # as Python rounds


@pytest.mark.parametrize("rule", ["gptq", "awq"])
@pytest.mark.parametrize(("name", "least"), [("uint4", 0), ("int4", -8)])
def test_groups_with_zero_points(name, least, rule):
    x = values(1, 5, 50)
    found = quantize_groups(x, name, block=16, rule=rule)
    for row, column in np.ndindex(5, 4):
        block = x[row, 16 * column : 16 * column + 16]
        lo, hi = block.min(), block.max()
        if rule == "gptq":
            lo, hi = min(lo, F(0)), max(hi, F(0))
            lo, hi = (F(-1), F(1)) if lo == hi == 0 else (lo, hi)
            step = (hi - lo) / F(15)
            zero = half_even(-lo / step)
        else:
            step = max(hi - lo, F(1e-5)) / F(15)
            zero = clamp(half_even(-lo / step), 0, 15)
        assert found.zero_points[row, column] - least == zero
        assert found.scales[row, column] == np.float16(step).view(np.uint16)
        codes = [clamp(half_even(value / step) + zero, 0, 15) + least for value in block]
        assert found.codes[row, 16 * column : 16 * column + 16].tolist() == codes


def test_symmetric_groups():
    x = values(2, 3, 32)
    found = quantize_groups(x, "int4", block=16, rule="symmetric", scale="bfloat16")
    assert not found.zero_points.any() and found.codes.min() >= -7 and found.codes[0, :16].any() == 0
    step = np.abs(x[1, 16:]).max() / F(7)
    assert found.codes[1, 16:].tolist() == [half_even(value / step) for value in x[1, 16:]]
    assert found.scales[1, 1] == int(F(step).view(np.uint32) + 0x7FFF + (F(step).view(np.uint32) >> 16 & 1)) >> 16


def test_two_levels():
    x = values(3, 4, 40)
    found = quantize_two_level(x, bits=4, scale_bits=6, block=16)
    for row in range(4):
        steps = [np.abs(x[row, 16 * b : 16 * b + 16]).max() / F(7) for b in range(3)]
        channel = max(steps) / F(63)
        assert found.tensor_scale[row] == channel
        assert found.scales[row].tolist() == [half_even(step / channel) for step in steps]
        for k, value in enumerate(x[row]):
            assert found.codes[row, k] == (half_even(value / steps[k // 16]) if steps[k // 16] else 0)
    assert found.scales.max() == 63 and abs(found.codes).max() == 7


def nearest(fmt, value):
    """Of a positive value: the nearest number, a tie to the even code."""
    numbers = fmt.value(np.arange(fmt.largest_code + 1))
    return min(range(len(numbers)), key=lambda code: (abs(numbers[code] - float(value)), code & 1))


def test_nvfp4():
    x = values(4, 4, 40)
    found = quantize_nvfp4(x)
    whole = np.abs(x).max() / F(2688)
    assert found.tensor_scale == whole
    for row, column in np.ndindex(4, 3):
        block = x[row, 16 * column : 16 * column + 16]
        wanted = clamp(np.abs(block).max() / F(6) / whole, F(2**-6), F(448))
        scale = nearest(E4M3, wanted)
        assert found.scales[row, column] == scale
        step = whole * F(E4M3.value(scale))
        codes = [nearest(E2M1, min(abs(value / step), F(6))) | (8 if np.signbit(value) else 0) for value in block]
        assert found.codes[row, 16 * column : 16 * column + 16].tolist() == codes
    assert found.scales.max() == E4M3.largest_code


@pytest.mark.parametrize(
    ("found", "fmt", "scale", "block", "part"),
    [
        (lambda x: quantize_groups(x, "uint8", block=16, scale="float16"), "uint8", "float16", 16, 0.01),
        (lambda x: quantize_two_level(x, bits=8, scale_bits=8), "int8", "uint8", 16, 0.02),
        (quantize_nvfp4, "float4_e2m1fn", "float8_e4m3fn", 16, 0.25),
    ],
)
def test_values_come_back(found, fmt, scale, block, part):
    x = values(5, 6, 48)
    error = np.abs(dequantize(found(x), fmt, scale, block) - x)
    bound = np.abs(x).reshape(6, 3, 16).max(axis=-1).repeat(16, axis=-1)
    assert (error <= part * bound + 1e-3 * np.abs(x).max(axis=-1, keepdims=True)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: quantize_groups([[1.0]], rule="x"), "unknown rule 'x'; known are gptq, awq, symmetric"),
        (lambda: quantize_groups([[1.0]], "bipolar"), "groups of rule 'gptq' need an integer format, not bipolar"),
        (
            lambda: quantize_groups([[1.0]], "uint4", rule="symmetric"),
            "groups of rule 'symmetric' need a signed integer format, not uint4",
        ),
        (lambda: quantize_groups([[np.nan]]), "blocks must hold finite numbers"),
        (lambda: quantize_groups([[1e9]]), "scale 66666668.0 is beyond float16, whose largest number is 65504.0"),
    ],
)
def test_refused(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == message


def test_a_linear_layer_with_4_bit_weights():
    """Groups of weights, dynamic int8 activations: the design's float32 is near the real product."""
    draw = np.random.default_rng(6)
    x, weights = draw.normal(0, 1, (5, 96)).astype(F), draw.normal(0, 1, (7, 96)).astype(F)
    groups = quantize_groups(weights, "int4", block=32)
    step = np.abs(x).max() / 127
    spec = Spec(
        activations=parse("int8"),
        weights=parse("int4"),
        block=32,
        depth=96,
        w_block_scale=parse("float16"),
        w_block_zero_point=True,
        block_sum="float32",
        output=parse("float32"),
    )
    arrays = {
        "a": np.rint(x / step).astype(int),
        "w": groups.codes.T,
        "w_block_scale": groups.scales.T,
        "w_block_zero_point": groups.zero_points.T,
    }
    y = float32_values(golden(spec, operands(spec, arrays))) * step
    held = dequantize(groups, "int4", "float16", 32)
    assert np.abs(y - arrays["a"] * step @ held.T).max() < 1e-4
    assert np.abs(y - x @ weights.T).max() < 0.1 * np.abs(x @ weights.T).max()
