"""Formats of blocks, scales and whole MX blocks against gfloat."""

import numpy as np
import pytest
from oracle_cases import need

from golden.formats import parse
from golden.microscaling import BLOCK_FORMATS, dequantize_blocks, quantize_blocks
from golden.minifloat import MINIFLOATS
from golden.scale_formats import FLOAT32, SCALE_FLOATS, PowerScale

need("gfloat")

ELEMENTS = {
    "mxint8": "mxint8",
    "mxfp8_e4m3": "mxfp8_e4m3",
    "mxfp8_e5m2": "mxfp8_e5m2",
    "mxfp6_e3m2": "mxfp6_e3m2",
    "mxfp6_e2m3": "mxfp6_e2m3",
    "mxfp4": "mxfp4_e2m1",
}
FLOATS = {
    "float8_e4m3fn": "ocp_e4m3",
    "float8_e5m2": "ocp_e5m2",
    "float6_e3m2fn": "ocp_e3m2",
    "float6_e2m3fn": "ocp_e2m3",
    "float4_e2m1fn": "ocp_e2m1",
    "float16": "binary16",
    "bfloat16": "bfloat16",
    "float32": "binary32",
}


def info(name):
    from gfloat import formats

    return getattr(formats, f"format_info_{name}")


def some_codes(width):
    """All of up to 12 bits, else ends and a part."""
    if width <= 12:
        return np.arange(1 << width)
    return np.unique([*range(40), *(np.random.default_rng(1).integers(0, 1 << width, 3000)), (1 << width) - 1])


@pytest.mark.parametrize("name", FLOATS)
def test_values_of_codes(name):
    from gfloat import decode_ndarray

    fmt = {**MINIFLOATS, **SCALE_FLOATS, FLOAT32.name: FLOAT32}[name]
    codes = some_codes(fmt.width)
    np.testing.assert_array_equal(fmt.value(codes), decode_ndarray(info(FLOATS[name]), codes.astype(np.uint64)))


def test_powers_of_two():
    from gfloat import decode_ndarray

    fmt = parse("e8m0")
    assert isinstance(fmt, PowerScale)
    theirs = decode_ndarray(info("ocp_e8m0"), np.arange(256, dtype=np.uint64))
    assert np.isnan(theirs[255]) and not fmt.is_number(255)
    assert theirs[:255].tolist() == [fmt.decode(code) * 2.0**-fmt.fraction for code in range(255)]


def blocks(fmt):
    """200 blocks: of any size; and with a largest magnitude at the ends of what the format holds."""
    draw = np.random.default_rng(2)
    random = draw.normal(0, 1, (100, 32)) * np.exp2(draw.integers(-20, 20, (100, 1)))
    ends = draw.choice([1, 1.5, 1.75, 1.9375, 1.984375, 1.999], (100, 1)) * np.exp2(draw.integers(-20, 20, (100, 1)))
    others = draw.uniform(-0.99, 0.99, (100, 31)) * ends
    return np.concatenate([random, np.concatenate([ends, others], axis=1)]).astype(np.float32)


@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_blocks(name):
    """gfloat's int8 has -128, which is not used here: blocks that need it are left out."""
    from gfloat import compute_scale_amax, quantize_block

    left = 0
    for x in blocks(name):
        codes, exponents = quantize_blocks(x, name)
        theirs = quantize_block(info(ELEMENTS[name]), x.astype(np.float64), compute_scale_amax)
        if name == "mxint8" and (theirs == -2 * 2.0 ** exponents[0]).any():
            left += 1
            continue
        np.testing.assert_array_equal(dequantize_blocks(codes, exponents, name), theirs)
    assert left <= 20
