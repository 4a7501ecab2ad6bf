"""Blocks of formats that need a table or two powers of two, in Icarus."""

import pytest
from simulation import missing
from test_golden_blocks import FLOAT, build
from test_sim_formats import in_icarus

from golden.tensors import golden, operands
from sim.stimulus import random_arrays

pytestmark = pytest.mark.skipif(bool(missing("icarus")), reason=missing("icarus"))
SHARED = {"rows": 2, "cols": 3, "lanes": 2}
DESIGNS = {
    "codebook, float32": build(
        activations="int8", weights="codebook4", block=4, w_block_scale="float16", **FLOAT, **SHARED
    ),
    "codebook, exact": build(
        activations="float6_e2m3fn", weights="codebook3_int6", block=4, w_block_scale="uint4", **SHARED
    ),
    "additive powers of two": build(activations="int8", weights="apot5", block=6, w_block_scale="uint4", **SHARED),
    "powers of two, beats": build(activations="apot3", weights="pot4", **FLOAT, **SHARED),
    "ternary": build(activations="float8_e5m2", weights="ternary", block=4, a_block_scale="e8m0", **FLOAT, **SHARED),
}


@pytest.mark.parametrize("name", DESIGNS)
def test_other_formats(name, tmp_path):
    spec = DESIGNS[name]
    products = [operands(spec, random_arrays(spec, m=5, k=13 + seed, n=7, seed=seed)) for seed in range(2)]
    for given, y in zip(products, in_icarus(spec, products, tmp_path), strict=True):
        assert y.tolist() == golden(spec, given).tolist()
