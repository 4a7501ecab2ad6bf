"""Sums of MX blocks in float32 against the TOSA reference model, MATMUL_T_BLOCK_SCALED."""

import numpy as np
import oracle_tosa as tosa
import pytest
from oracle_cases import need

from golden.block_formats import NAMED_BLOCKS
from golden.blocks import float32_patterns, float32_values
from golden.formats import parse
from golden.minifloat import MiniFloat
from golden.spec import Spec
from golden.tensors import golden, operands

need("tosa_reference_model", "serializer")
pytestmark = pytest.mark.filterwarnings("ignore")
SHAPE = (64, 160, 64)
EXACT = ("mxint8", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4")  # a block's sum has at most 24 bits: float32 holds every order


def case(name, seed, spread):
    """Spec and arrays: random codes that stand for numbers, exponents of scales `spread` around that of 1."""
    draw, fmt = np.random.default_rng(seed), NAMED_BLOCKS[name]
    m, k, n = SHAPE
    spec = Spec(
        activations=fmt.element,
        weights=fmt.element,
        block=32,
        depth=k,
        a_block_scale=fmt.scale,
        w_block_scale=fmt.scale,
        block_sum="float32",
        output=parse("float32"),
    )
    arrays = {"a": codes(draw, fmt.element, (m, k)), "w": codes(draw, fmt.element, (k, n))}
    for key, shape in (("a_block_scale", (m, k // 32)), ("w_block_scale", (k // 32, n))):
        arrays[key] = np.clip(np.rint(127 + spread * draw.standard_normal(shape)), 0, 254).astype(np.int64)
    return spec, arrays


def codes(draw, fmt, shape):
    lo, hi = fmt.code_range
    found = draw.integers(lo + (not isinstance(fmt, MiniFloat)), hi, shape, endpoint=True)
    return np.where(fmt.is_number(found), found, 1) if isinstance(fmt, MiniFloat) else found


def by_tosa(name, arrays):
    y, status = tosa.matmul_of_blocks(name, *(arrays[key] for key in ("a", "w", "a_block_scale", "w_block_scale")))
    assert status == "TOSA_VALID"
    return y[0]


@pytest.mark.parametrize("spread", [0, 4, 12])
@pytest.mark.parametrize("name", EXACT)
def test_blocks_whose_sums_float32_holds(name, spread):
    """Bit for bit."""
    spec, arrays = case(name, 3, spread)
    expected = float32_patterns(by_tosa(name, arrays))
    assert (golden(spec, operands(spec, arrays)) == expected).all()


def one_by_one(name, arrays):
    """The same sums with each product added to its block's sum in float32, in order of k, as the TOSA model does."""
    fmt = NAMED_BLOCKS[name].element
    a, w = (fmt.value(arrays[key]).astype(np.float32) for key in ("a", "w"))
    scales = [np.ldexp(np.float32(1), arrays[key] - 127) for key in ("a_block_scale", "w_block_scale")]
    total = np.zeros((SHAPE[0], SHAPE[2]), np.float32)
    for block in range(SHAPE[1] // 32):
        part = np.zeros_like(total)
        for k in range(32 * block, 32 * block + 32):
            part = part + a[:, k, None] * w[k]
        total = total + part * (scales[0][:, block, None] * scales[1][block])
    return total


@pytest.mark.parametrize(("name", "count"), [("mxfp8_e4m3", 1980), ("mxfp8_e5m2", 1646)])
def test_blocks_that_tosa_rounds_inside(name, count):
    """TOSA rounds after each product, in order of k; here a block's sum is rounded once: nearer on the whole.

    Of 4096 outputs so many differ. The rest, scaling and adding blocks up, is the same.
    """
    spec, arrays = case(name, 4, 4)
    there, here = by_tosa(name, arrays), golden(spec, operands(spec, arrays))
    assert (float32_patterns(there) == float32_patterns(one_by_one(name, arrays))).all()
    assert (float32_patterns(there) != here).sum() == count
    exact = in_float64(name, arrays)
    errors = [np.abs(y - exact).sum() for y in (float32_values(here).astype(float), there.astype(float))]
    assert errors[0] < errors[1]


def in_float64(name, arrays):
    """The whole product in float64."""
    fmt = NAMED_BLOCKS[name].element
    a = fmt.value(arrays["a"]) * np.repeat(np.ldexp(1.0, arrays["a_block_scale"] - 127), 32, axis=1)
    return a @ (fmt.value(arrays["w"]) * np.repeat(np.ldexp(1.0, arrays["w_block_scale"] - 127), 32, axis=0))
