"""golden.quantize against Brevitas's IntQuant."""

import numpy as np
import pytest
from oracle_cases import differing, need

from golden.quantize import BREVITAS_ROUNDINGS, quantize

need("torch", "brevitas")
pytestmark = pytest.mark.filterwarnings("ignore")
MODULES = {"ROUND": "RoundSte", "CEIL": "CeilSte", "FLOOR": "FloorSte", "ROUND_TO_ZERO": "RoundToZeroSte"}
MODULES["DPU_ROUND"] = "DPURoundSte"


@pytest.mark.parametrize("rounding", BREVITAS_ROUNDINGS)
@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("signed", [False, True])
def test_int_quant(signed, narrow, rounding):
    import torch
    from brevitas.core import function_wrapper
    from brevitas.core.quant import IntQuant

    draw = np.random.default_rng(61)
    round_module = getattr(function_wrapper, MODULES[rounding])()
    node = IntQuant(narrow, signed, function_wrapper.Identity(), float_to_int_impl=round_module)
    pairs = []
    for k, bits in enumerate((2, 3, 4, 8, 4, 8)):
        scale = np.float32(2.0 ** draw.integers(-6, 2) if k % 2 else draw.uniform(0.01, 2))
        zero_point = 0 if signed else int(draw.integers(0, 2 ** (bits - 1)))
        halves = np.arange(-600, 601) / 2 * scale
        x = np.concatenate([draw.normal(0, 2**bits * scale / 2, 2000), halves]).astype(np.float32)
        other = node.to_int(
            torch.tensor(scale), torch.tensor(float(zero_point)), torch.tensor(float(bits)), torch.from_numpy(x)
        )
        how = {"rounding": BREVITAS_ROUNDINGS[rounding], "narrow": narrow, "zero_point_first": True}
        golden = quantize(x, scale, zero_point, f"{'' if signed else 'u'}int{bits}", **how)
        pairs.append((golden, other.detach().numpy().astype(np.int64)))
    assert differing(pairs) == (0, 6 * 3201)
