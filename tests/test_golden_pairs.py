"""Every pair of narrow formats in golden, with every pair of codes, against plain Python integers."""

import numpy as np
import oracle
import pytest
from test_sim_formats import NARROW, OTHERS, codes_of, decode, every_pair, expected, random_pair

from golden.formats import parse
from golden.spec import Spec
from golden.tensors import golden, operands

NAMES = [*NARROW, *OTHERS]
TABLES = {
    "codebook1": [-128, 127],
    "codebook2_uint5": [31, 0, 7, 7],
    "codebook3_int12": [5, -2048, 0, 1, 2047, -1, 3, 9],
}


def spec_of(a_name, w_name):
    lanes = 1 if a_name == "bipolar" and w_name.startswith("codebook") else 3
    return Spec(activations=parse(a_name), weights=parse(w_name), rows=2, cols=4, lanes=lanes, depth=13)


@pytest.mark.parametrize("a_name", NAMES)
def test_every_pair_of_codes(a_name):
    for w_name in NAMES:
        spec = spec_of(a_name, w_name)
        for a, w in (*every_pair(a_name, w_name), random_pair(a_name, w_name, 13, seed=1)):
            y = golden(spec, operands(spec, {"a": a, "w": w}))
            assert y.tolist() == expected(a_name, w_name, a, w), f"{a_name} x {w_name}, K = {len(w)}"


@pytest.mark.parametrize("w_name", TABLES)
@pytest.mark.parametrize("a_name", NAMES)
def test_every_pair_of_codes_with_a_table(a_name, w_name):
    """The table of column n is that of column 0 rolled by n."""
    spec, table = spec_of(a_name, w_name), TABLES[w_name]
    a, w = np.array(codes_of(a_name))[:, None], np.arange(len(table))[None, :]
    books = np.array([table[n:] + table[:n] for n in range(len(table))])
    entries = [books[n].tolist()[n] for n in range(len(table))]
    y = golden(spec, operands(spec, {"a": a, "w": w, "w_codebook": books}))
    assert y.tolist() == oracle.product(decode(a_name, a), np.array([entries], object))
