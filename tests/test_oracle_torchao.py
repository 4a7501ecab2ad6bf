"""golden.microscaling against torchao: the shared exponents of its four modes, and the elements."""

import warnings

import numpy as np
import pytest
from oracle_cases import need

from golden.microscaling import quantize_blocks
from golden.minifloat import MINIFLOATS

need("torch", "torchao")
pytestmark = pytest.mark.filterwarnings("ignore")

RULES = {"FLOOR": "floor", "CEIL": "ceil", "EVEN": "even", "RCEIL": "ceil_of_quotient"}
FORMATS = {"mxfp8_e4m3": "float8_e4m3fn", "mxfp8_e5m2": "float8_e5m2"}


def blocks():
    """4000 blocks: of any size; and with a largest magnitude at the ends of what the formats hold."""
    draw = np.random.default_rng(1)
    ends = [1, 1.5, 1.75, 1.875, 1.9375, 464 / 256, 448 / 256, 5 / 4, 1.96875, 2 - 2**-7, 2 - 2**-20]
    random = draw.normal(0, 1, (2000, 32)) * np.exp2(draw.integers(-20, 20, (2000, 1)))
    chosen = np.exp2(draw.integers(-20, 20, (2000, 1))) * draw.choice(ends, (2000, 1))
    others = draw.uniform(-0.99, 0.99, (2000, 31)) * chosen
    return np.concatenate([random, np.concatenate([chosen, others], axis=1)]).astype(np.float32)


@pytest.mark.parametrize("mode", RULES)
@pytest.mark.parametrize("name", FORMATS)
def test_blocks(name, mode):
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torchao.prototype.mx_formats.mx_tensor import ScaleCalculationMode, to_mx

    x = blocks()
    scales, data = to_mx(torch.tensor(x), getattr(torch, FORMATS[name]), 32, getattr(ScaleCalculationMode, mode))
    codes, exponents = quantize_blocks(x, name, RULES[mode])
    assert (scales.view(torch.uint8).numpy().reshape(-1).astype(int) - 127 != exponents[:, 0]).sum() == 0
    theirs = MINIFLOATS[FORMATS[name]].value(data.view(torch.uint8).numpy().astype(int))
    assert (theirs != MINIFLOATS[FORMATS[name]].value(codes)).sum() == 0
