"""golden.microscaling by definition, and against recordings of microsoft/microxcaling."""

from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from golden.microscaling import (
    BLOCK_FORMATS,
    EXPONENT_RULES,
    block_format,
    dequantize_blocks,
    quantize_blocks,
    shared_exponents,
)

RECORDED = Path(__file__).resolve().parents[2] / "shared" / "corpus" / "kernels" / "mx" / "microxcaling_mx.npz"
EACH_FORMAT = pytest.mark.parametrize("name", BLOCK_FORMATS)


def floor_log2(x):
    """Of a fraction, by comparison."""
    exponent = 0
    while Fraction(2) ** exponent > x:
        exponent -= 1
    while Fraction(2) ** (exponent + 1) <= x:
        exponent += 1
    return exponent


@cache
def elements(fmt):
    """All non-negative elements, as fractions, in order."""
    top = fmt.element.largest_code if hasattr(fmt.element, "largest_code") else fmt.element.code_range[1]
    return sorted(Fraction(float(value)) for value in fmt.value(np.arange(top + 1)))


def by_definition(rule, largest, fmt):
    """The shared exponent of a block whose largest magnitude is that fraction."""
    values = elements(fmt)
    top, step = values[-1], values[-1] - values[-2]
    if rule == "floor":
        return floor_log2(largest) - floor_log2(top)
    if rule == "ceil":
        exponent = floor_log2(largest)
        return exponent + (largest != Fraction(2) ** exponent) - floor_log2(top)
    if rule == "ceil_of_quotient":
        quotient = largest / top
        exponent = floor_log2(quotient)
        return exponent + (quotient != Fraction(2) ** exponent)
    if rule == "even":
        unit = Fraction(2) ** floor_log2(largest) * step / Fraction(2) ** floor_log2(top)
        rounded = (largest / unit + Fraction(1, 2)).__floor__() * unit
        return floor_log2(rounded) - floor_log2(top)
    exponent = floor_log2(largest) - floor_log2(top) - 1
    while _saturates(largest / Fraction(2) ** exponent, top, step):
        exponent += 1
    return exponent


def _saturates(value, top, step):
    """Whether rounding to nearest, ties to even, leaves the elements."""
    return value > top + step / 2 or (value == top + step / 2 and (top / step) % 2 == 1)


def magnitudes(fmt):
    """Largest magnitudes of blocks, in order: ends of the elements, ties, just beside them, anything."""
    draw = np.random.default_rng(1)
    values = [float(v) for v in elements(fmt)[-8:]]
    ties = [(a + b) / 2 for a, b in zip(values, values[1:], strict=False)] + [1.5 * values[-1] - values[-2] / 2]
    near = [np.nextafter(np.float32(v), np.float32(side)) for v in [*values, *ties, 1, 2] for side in (0, 1e9)]
    some = [*values, *ties, *near, 1, 2, *draw.uniform(0.5, 2, 40)]
    return np.array([v * 2.0**e for v in some if v > 1e-9 for e in (-9, 0, 5)], np.float32)


@pytest.mark.parametrize("rule", EXPONENT_RULES)
@EACH_FORMAT
def test_shared_exponents(name, rule):
    fmt, largest = block_format(name), magnitudes(block_format(name))
    blocks = np.zeros((len(largest), 32), np.float32)
    blocks[:, 5] = -largest
    blocks[:, 9] = largest / 3
    found = shared_exponents(blocks, name, rule)[:, 0].tolist()
    assert found == [by_definition(rule, Fraction(float(value)), fmt) for value in largest]


@EACH_FORMAT
def test_the_rules_differ(name):
    """Of `magnitudes`, each pair of rules tells some apart, but for formats of which the largest element is odd."""
    largest = magnitudes(block_format(name))
    found = {rule: tuple(shared_exponents(largest[:, None], name, rule, 1)[:, 0].tolist()) for rule in EXPONENT_RULES}
    assert len(set(found.values())) >= 4
    assert found["floor"] != found["ceil"] != found["ceil_of_quotient"]


@EACH_FORMAT
def test_elements_are_the_nearest(name):
    fmt, draw = block_format(name), np.random.default_rng(2)
    x = (draw.normal(0, 1, (40, 70)) * np.exp2(draw.integers(-12, 12, (40, 1)))).astype(np.float32)
    codes, exponents = quantize_blocks(x, name)
    assert codes.shape == x.shape and exponents.shape == (40, 3)
    values = np.array([float(v) for v in elements(fmt)])
    grid = np.concatenate([-values[::-1], values])
    came = dequantize_blocks(codes, exponents, name)
    scale = np.exp2(np.repeat(exponents, 32, axis=1)[:, :70].astype(float))
    nearest = np.abs(x[..., None] / scale[..., None] - grid).min(axis=-1)
    assert np.array_equal(np.abs(x - came) / scale, nearest)
    assert np.array_equal(shared_exponents(x, name)[:, 2], shared_exponents(x[:, 64:], name)[:, 0])


def test_no_saturation_saturates_nothing():
    draw = np.random.default_rng(3)
    x = draw.normal(0, 1, (500, 32)).astype(np.float32)
    for name, fmt in BLOCK_FORMATS.items():
        _, exponents = quantize_blocks(x, name, "no_saturation")
        largest = np.abs(x).max(axis=1) / np.exp2(exponents[:, 0].astype(float))
        assert (largest <= fmt.largest + fmt.last_step / 2).all()
        _, lower = quantize_blocks(x, name)
        saturated = np.abs(x).max(axis=1) / np.exp2(lower[:, 0].astype(float)) > fmt.largest + fmt.last_step / 2
        assert saturated.any() and (exponents[saturated] > lower[saturated]).all()


def test_extremes_and_zero_blocks():
    x = np.array([[0, 0], [1e-45, 0], [3e38, 1]], np.float32)
    assert shared_exponents(x, "mxfp8_e5m2", block=2)[:, 0].tolist() == [-127, -127, 112]
    codes, exponents = quantize_blocks(x, "mxfp4", block=2)
    assert codes[0].tolist() == [0, 0] and exponents[0] == -127
    assert quantize_blocks([-2.0, 1.0], "mxint8", block=2)[0].tolist() == [-64, 32]
    assert quantize_blocks([-1.999, 1.0], "mxint8", block=2)[0].tolist() == [-127, 64]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: quantize_blocks([1.0], "mxfp5"),
            "unknown block format 'mxfp5'; known are " + ", ".join(BLOCK_FORMATS),
        ),
        (
            lambda: shared_exponents([1.0], "mxfp4", "round"),
            "unknown exponent rule 'round'; known are " + ", ".join(EXPONENT_RULES),
        ),
        (lambda: quantize_blocks([np.nan], "mxfp4"), "blocks must hold finite numbers"),
        (lambda: quantize_blocks([np.inf], "mxfp4"), "blocks must hold finite numbers"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == message


RECORDINGS = {
    "mxint8": "int8",
    "mxfp8_e5m2": "fp8_e5m2",
    "mxfp8_e4m3": "fp8_e4m3",
    "mxfp6_e3m2": "fp6_e3m2",
    "mxfp6_e2m3": "fp6_e2m3",
    "mxfp4": "fp4_e2m1",
}
ROUNDINGS = {"even": "half_even", "nearest": "half_away", "floor": "toward_zero"}


@pytest.mark.skipif(not RECORDED.is_file(), reason=f"recordings of microxcaling are not there: {RECORDED.name}")
@pytest.mark.parametrize("rounding", ROUNDINGS)
@EACH_FORMAT
def test_microxcaling(name, rounding):
    """336 blocks, its three roundings. Its log2 in float32 is one too large just below a power of two: one block."""
    record = np.load(RECORDED, allow_pickle=False)
    x, theirs = record["x"], record[f"{RECORDINGS[name]}_{rounding}"]
    codes, exponents = quantize_blocks(x, name, rounding=ROUNDINGS[rounding])
    differs = (dequantize_blocks(codes, exponents, name) != theirs).any(axis=1)
    below = np.frexp(np.abs(x).max(axis=1))[0] > 1 - 2.0**-23
    assert differs.sum() <= 1 and not (differs & ~below).any()


@pytest.mark.skipif(not RECORDED.is_file(), reason=f"recordings of microxcaling are not there: {RECORDED.name}")
@pytest.mark.parametrize("name", ["mxint8", "mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e2m3", "mxfp4"])
def test_microxcaling_operands_of_a_product(name):
    """Both operands of a product, blocks along the reduction; the sums of the recorded one are exact in float64."""
    record, kind = np.load(RECORDED, allow_pickle=False), RECORDINGS[name]
    for operand, quantized in (
        (record["mm_a"], record[f"mm_qa_{kind}"]),
        (record["mm_b"].T, record[f"mm_qb_{kind}"].T),
    ):
        errors = []
        for rounding in ("half_even", "half_away"):
            came = dequantize_blocks(*quantize_blocks(operand, name, rounding=rounding), name)
            errors.append(int((came != quantized).sum()))
        assert min(errors) == 0


def test_an_integer_element_below_the_last_one():
    """-1.9999 of 127/64: golden, TOSA and microxcaling clamp to -127/64; gfloat takes the spare code -128, -2."""
    codes, exponents = quantize_blocks(np.array([[-1.9999, 1.0]], np.float32), "mxint8", block=2)
    assert codes.tolist() == [[-127, 64]] and exponents.tolist() == [[0]]


def test_a_sum_of_products_in_float32_depends_on_its_order():
    """One block of float8_e4m3fn: 448 * 448, then 31 times 2**-3 * 2**-4. Exact here, in float32 the small ones go."""
    fmt = block_format("mxfp8_e4m3").element
    a, w = np.array([448.0] + [2.0**-3] * 31), np.array([448.0] + [2.0**-4] * 31)
    exact = int((fmt.decode(fmt.encode(a)) * fmt.decode(fmt.encode(w))).sum())
    assert Fraction(exact, 4**fmt.fraction) == 448 * 448 + Fraction(31, 128)
    forward, backward = np.float32(0), np.float32(0)
    for x, y in zip(a, w, strict=True):
        forward += np.float32(x * y)
    for x, y in zip(a[::-1], w[::-1], strict=True):
        backward += np.float32(x * y)
    assert (forward, backward) == (np.float32(448 * 448), np.float32(448 * 448 + 0.25))
